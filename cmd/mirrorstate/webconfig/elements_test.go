package webconfig

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

	"github.com/mirrorstate/mirrorstate/config"
)

var updateWebConfig = flag.Bool("webconfig.update", false, "rewrite the golden files of webconfig")

// counting is a reader that returns the same bytes each time.
type counting struct{ n byte }

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = c.n
		c.n++
	}
	return len(b), nil
}

// TestWebConfig compares the elements with golden files.
func TestWebConfig(t *testing.T) {
	const sql = `pair: {connection_string: "data source=SQL1;failover partner=SQL2;initial catalog=ASPState;user id=web;password='p<4>&\"s'"}`
	for name, tc := range map[string]struct {
		yaml string
		Options
		asJSON bool
	}{
		"sqlserver":          {yaml: sql, Options: Options{Mode: "sqlserver"}},
		"sqlserver-password": {yaml: sql, Options: Options{Mode: "sqlserver", ShowPassword: true, Compression: true}},
		"sqlserver-json":     {yaml: sql, Options: Options{Mode: "sqlserver", ShowPassword: true}, asJSON: true},
		"sqlserver-strict": {yaml: "pair: {a: {address: 'SQL1\\STATE'}, b: {address: 'sql2:1444', user: other, password: p}, user: web, password: p4ss, database: State, encrypt: strict, " +
			"host_name_in_certificate: x, hold: {window: 1m}}", Options: Options{Mode: "sqlserver"}},
		"sqlserver-windows": {yaml: "pair: {connection_string: 'data source=a;failover partner=b;integrated security=true', user: 'CORP\\web', password: p4ss}", Options: Options{Mode: "sqlserver", ShowPassword: true}},
		"stateserver":       {Options: Options{Mode: "stateserver", StateServer: "state.example.net"}},
		"stateserver-long":  {yaml: "pair: {hold: {window: 2m}}\napps: {default: {name: /x, timeout: 45}}", Options: Options{Mode: "stateserver", StateServer: "[fe80::1]:4711"}},
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
			tc.App = "default"
			el, err := tc.Elements(cfg, new(counting))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if tc.asJSON {
				enc := json.NewEncoder(&got)
				enc.SetIndent("", "  ")
				err = enc.Encode(el)
			} else {
				err = el.Write(&got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !tc.ShowPassword && strings.Contains(got.String(), "p4ss") || strings.Contains(got.String(), "p&lt;4&gt;") != (tc.ShowPassword && strings.Contains(tc.yaml, "p<4>") && !tc.asJSON) {
				t.Errorf("got, with ShowPassword %t:\n%s", tc.ShowPassword, &got)
			}
			goldenWebConfig(t, name, got.Bytes())
			if !tc.asJSON {
				readBack(t, cfg, el, got.Bytes())
			}
		})
	}
}

// readBack checks that the configuration reads the elements as the pair from which they were made.
func readBack(t *testing.T, cfg config.Config, el *Elements, text []byte) {
	t.Helper()
	s, err := config.ParseWebConfig(text, "", func(string) ([]byte, error) { return nil, errors.New("no such file") })
	if err != nil {
		t.Fatalf("the printed elements can't be read: %v", err)
	}
	if s.Timeout != cfg.Apps["default"].Timeout {
		t.Errorf("got timeout %d, want %d", s.Timeout, cfg.Apps["default"].Timeout)
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
		t.Errorf("got pair %+v, want %+v", p, want)
	}
	if !el.Masked && a.Password != want.Servers[0].Password {
		t.Error("got another password")
	}
}

func goldenWebConfig(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
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
		t.Fatalf("%v; check the output, then run with -webconfig.update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestElements_TooFewRandomBytes(t *testing.T) {
	if el := new(Elements); el.newMachineKey(io.LimitReader(new(counting), 95)) == nil {
		t.Error("a key was made from too few random bytes")
	}
}
