package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
)

var updateWebConfig = flag.Bool("webconfig.update", false, "write the golden files of webconfig anew")

// counting are bytes that are the same every time.
type counting struct{ n byte }

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = c.n
		c.n++
	}
	return len(b), nil
}

// TestWebConfig compares with golden files, which were looked at.
func TestWebConfig(t *testing.T) {
	const sql = `pair: {connection_string: "data source=SQL1;failover partner=SQL2;initial catalog=ASPState;user id=web;password='p<4>&\"s'"}`
	for name, tc := range map[string]struct {
		yaml string
		webConfig
		asJSON bool
	}{
		"sqlserver":          {yaml: sql, webConfig: webConfig{mode: "sqlserver"}},
		"sqlserver-password": {yaml: sql, webConfig: webConfig{mode: "sqlserver", showPassword: true, compression: true}},
		"sqlserver-json":     {yaml: sql, webConfig: webConfig{mode: "sqlserver", showPassword: true}, asJSON: true},
		"sqlserver-strict": {yaml: "pair: {a: {address: 'SQL1\\STATE'}, b: {address: 'sql2:1444', user: other, password: p}, user: web, password: p4ss, database: State, encrypt: strict, " +
			"host_name_in_certificate: x, hold: {window: 1m}}", webConfig: webConfig{mode: "sqlserver"}},
		"sqlserver-windows": {yaml: "pair: {connection_string: 'data source=a;failover partner=b;integrated security=true', user: 'CORP\\web', password: p4ss}", webConfig: webConfig{mode: "sqlserver", showPassword: true}},
		"stateserver":       {webConfig: webConfig{mode: "stateserver", stateServer: "state.example.net"}},
		"stateserver-long":  {yaml: "pair: {hold: {window: 2m}}\napps: {default: {name: /x, timeout: 45}}", webConfig: webConfig{mode: "stateserver", stateServer: "[fe80::1]:4711"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
			if err := os.WriteFile(path, []byte(tc.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
			if err != nil {
				t.Fatal(err)
			}
			tc.app = "default"
			el, err := tc.elements(cfg, new(counting))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if tc.asJSON {
				enc := json.NewEncoder(&got)
				enc.SetIndent("", "  ")
				err = enc.Encode(el)
			} else {
				err = el.write(&got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !tc.showPassword && strings.Contains(got.String(), "p4ss") || strings.Contains(got.String(), "p&lt;4&gt;") != (tc.showPassword && strings.Contains(tc.yaml, "p<4>") && !tc.asJSON) {
				t.Errorf("the password is shown, or is not:\n%s", &got)
			}
			goldenWebConfig(t, name, got.Bytes())
			if !tc.asJSON {
				readBack(t, cfg, el, got.Bytes())
			}
		})
	}
}

// readBack reads the elements as the configuration would: they name the pair they were made of.
func readBack(t *testing.T, cfg config.Config, el *webElements, text []byte) {
	t.Helper()
	s, err := config.ParseWebConfig(text, "", func(string) ([]byte, error) { return nil, errors.New("no such file") })
	if err != nil {
		t.Fatalf("what was printed can't be read: %v", err)
	}
	if s.Timeout != cfg.Apps["default"].Timeout {
		t.Errorf("the time-out is read as %d, want %d", s.Timeout, cfg.Apps["default"].Timeout)
	}
	want, configured := cfg.Partners()
	if !configured || want.Servers[0].Authentication != "sql" {
		return
	}
	p, err := config.ParsePair(s.SQLConnectionString.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	a, b := p.Servers[0], p.Servers[1]
	if p.Database != want.Database || a.Address != want.Servers[0].Address || b.Address != want.Servers[1].Address || a.User != want.Servers[0].User {
		t.Errorf("the pair is read as %+v, want %+v", p, want)
	}
	if !el.Masked && a.Password != want.Servers[0].Password {
		t.Error("the password is read as another one")
	}
}

func goldenWebConfig(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "webconfig", name+".golden")
	if *updateWebConfig {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; look at the output, then run with -webconfig.update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Two keys are never the same, and are as long as their algorithms make use of.
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
	if el := new(webElements); el.newMachineKey(io.LimitReader(new(counting), 95)) == nil {
		t.Error("a key is made of too few random bytes")
	}
}

func TestWebConfig_Misuse(t *testing.T) {
	for args, want := range map[string]string{
		"webconfig":                                                       "no pair is configured: ",
		"webconfig --mode inproc":                                         `--mode "inproc" is neither sqlserver nor stateserver`,
		"webconfig --mode stateserver --app shop":                         `--app "shop" is no alias of the configuration`,
		"webconfig --mode stateserver --state-server a;b":                 "--state-server: give HOST or HOST:PORT of mirrorstate",
		"webconfig --connection-string server=a;failoverpartner=b":        "--connection-string: pair.user: is missing",
		"pair status --web-config /nowhere/web.config":                    "--web-config: pair.web_config: read the web.config: open /nowhere/web.config: no such file or directory",
		"session list --connection-string server=a;failoverpartner=b;x=y": "keyword 3, at character",
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(args), &stdout, &stderr)
		if code != exitMisuse || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: exit %d, %s\nwant %d and %q", args, code, &stderr, exitMisuse, want)
		}
	}
}

// A variable that nothing reads is refused, and not silently ignored.
func TestUnknownVariable(t *testing.T) {
	t.Setenv("MIRRORSTATE_PAIR_HOLD_WINDWO", "5s")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"webconfig", "--mode", "stateserver"}, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "did you mean MIRRORSTATE_PAIR_HOLD_WINDOW?") {
		t.Errorf("exit %d, %s", code, &stderr)
	}
}

// A .NET application's web.config, and partners given one by one, reach a pair that is there.
func TestPairStatus_EveryWayToGiveAPair(t *testing.T) {
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
	direct, err := server.NewStack(cfg, nil, "", nil, server.NewLogger(io.Discard, false))
	if err != nil {
		t.Fatal(err)
	}
	direct.Start()
	defer direct.Close()
	if err := operator.Look(t.Context(), direct.Pair); err != nil || direct.Pair.Status().Principal != "a" {
		t.Errorf("one by one: %+v, %v", direct.Pair.Status(), err)
	}
}
