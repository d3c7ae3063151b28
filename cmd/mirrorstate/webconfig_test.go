package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
)

// Each key is new, and as long as its algorithm can use.
func TestWebConfig_MachineKey(t *testing.T) {
	var runs []map[string]map[string]any
	for range 2 {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"webconfig", "--mode", "stateserver", "--state-server", "state", "--json"}, &stdout, &stderr); code != exitDone {
			t.Fatalf("exit %d: %s", code, &stderr)
		}
		var el struct {
			Key map[string]any `json:"machine_key"`
		}
		if err := json.Unmarshal(stdout.Bytes(), &el); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, map[string]map[string]any{"key": el.Key})
	}
	one, two := runs[0]["key"], runs[1]["key"]
	for name, length := range map[string]int{"validationKey": 128, "decryptionKey": 64} {
		a, b := one[name].(string), two[name].(string)
		if a == b || len(a) != length || strings.Trim(a, "0123456789ABCDEF") != "" {
			t.Errorf("%s is %s, then %s; want two of %d hexadecimal digits", name, a, b, length)
		}
	}
}

func TestWebConfig_Misuse(t *testing.T) {
	for args, want := range map[string]string{
		"webconfig":                                                       "no pair is configured: ",
		"webconfig --mode inproc":                                         `--mode must be sqlserver or stateserver, not "inproc"`,
		"webconfig --mode stateserver --app shop":                         `--app "shop" is not an alias of the configuration`,
		"webconfig --mode stateserver --state-server a;b":                 "--state-server must be HOST or HOST:PORT of mirrorstate",
		"webconfig --connection-string server=a;failoverpartner=b":        "--connection-string: pair.user: is missing",
		"pair status --web-config /nowhere/web.config":                    "--web-config: pair.web_config: read the web.config: open /nowhere/web.config: no such file or directory",
		"session list --connection-string server=a;failoverpartner=b;x=y": "unknown keyword in part 3, at character",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(args), &stdout, &stderr)
		if code != exitMisuse || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: exit %d, %s\nwant %d and %q", args, code, &stderr, exitMisuse, want)
		}
	}
}

// An unknown variable is refused.
func TestRun_UnknownVariable(t *testing.T) {
	t.Setenv("MIRRORSTATE_PAIR_HOLD_WINDWO", "5s")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"webconfig", "--mode", "stateserver"}, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "did you mean MIRRORSTATE_PAIR_HOLD_WINDOW?") {
		t.Errorf("exit %d, %s", code, &stderr)
	}
}

// A pair can be named by a .NET application's web.config, and by separate keys for each partner.
func TestPairStatus_WaysToNameAPair(t *testing.T) {
	t.Setenv("MIRRORSTATE_EMBEDDED_PASSWORD", "p4ss;word")
	p := startServe(t, t.TempDir())
	defer p.stop(t)
	_, body := must(t, []int{200}, "GET", p.admin+"/v1/pair", "")
	var st server.PairStatus
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		t.Fatal(err)
	}
	a, b := st.Partners[0].Address, st.Partners[1].Address
	file := filepath.Join(t.TempDir(), "web.config")
	text := `<sessionState mode="SQLServer" allowCustomSqlDatabase="true" sqlConnectionString="Data Source=` + strings.Replace(a, ":", ",", 1) +
		`;Failover Partner=` + strings.Replace(b, ":", ",", 1) + `;Initial Catalog=ASPState;User ID=mirrorstate;Password='p4ss;word'" />`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"web.config":        {"--web-config", file},
		"connection string": {"--connection-string", "server=" + a + ";failoverpartner=" + b + `;uid=mirrorstate;pwd="p4ss;word";encrypt=false`},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"pair", "status"}, args...), &stdout, &stderr); code != exitDone || !strings.Contains(stdout.String(), "principal a") {
			t.Errorf("%s: exit %d, %s%s", name, code, &stdout, &stderr)
		}
	}
	for key, value := range map[string]string{"A_ADDRESS": a, "B_ADDRESS": b, "USER": "mirrorstate", "PASSWORD": "p4ss;word", "ENCRYPT": "disable"} {
		t.Setenv("MIRRORSTATE_PAIR_"+key, value)
	}
	cfg, err := new(settings).load()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := server.NewStorage(cfg, nil, "", nil, server.NewLogger(io.Discard, false))
	if err != nil {
		t.Fatal(err)
	}
	direct.Start()
	defer direct.Close()
	if err := operator.AwaitPrincipal(t.Context(), direct.Pair); err != nil || direct.Pair.Status().Principal != "a" {
		t.Errorf("separate keys: %+v, %v", direct.Pair.Status(), err)
	}
}
