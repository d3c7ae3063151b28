package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func none(string) (string, bool) { return "", false }

func TestLoad_Defaults(t *testing.T) {
	c, err := Load("", none)
	if err != nil {
		t.Fatal(err)
	}
	if c.API.Listen != "127.0.0.1:8080" || c.Admin.Listen != "127.0.0.1:8081" {
		t.Errorf("listeners %q and %q", c.API.Listen, c.Admin.Listen)
	}
	if h := c.Pair.Hold; h.Window != 30*time.Second || h.Size != 10_000 || h.Bytes != 64<<20 {
		t.Errorf("hold %+v", h)
	}
	empty, err := Load(write(t, "api:\nadmin: {}\npair:\n  hold:\napps:\n"), func(string) (string, bool) { return "", false })
	if err != nil || !reflect.DeepEqual(empty.Pair, c.Pair) || !reflect.DeepEqual(empty.API, c.API) || len(empty.Apps) != 1 {
		t.Errorf("keys without values change the defaults: %+v, %v", empty, err)
	}
	if app := c.Apps["default"]; app.Name != "/LM/W3SVC/1/ROOT" || app.Timeout != 20 || app.LockTimeout != 110*time.Second || app.MaxSize != 4<<20 {
		t.Errorf("default application %+v", app)
	}
}

func TestLoad_FileAndEnvironment(t *testing.T) {
	path := write(t, `
api:   {listen: 127.0.0.1:9000}
pair:
  hold: {window: 5s, size: 7, bytes: 1MiB}
apps:
  shop: {name: /LM/W3SVC/5/ROOT/shop, timeout: 5, lock_timeout: 30s, max_size: 64KiB}
`)
	env := map[string]string{"MIRRORSTATE_API_LISTEN": "127.0.0.1:9100", "MIRRORSTATE_PAIR_HOLD_WINDOW": "7s"}
	c, err := Load(path, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if c.API.Listen != "127.0.0.1:9100" || c.Pair.Hold.Window != 7*time.Second {
		t.Errorf("the environment does not win over the file: %q, %v", c.API.Listen, c.Pair.Hold.Window)
	}
	if c.Pair.Hold.Size != 7 || c.Pair.Hold.Bytes != 1<<20 {
		t.Errorf("hold %+v", c.Pair.Hold)
	}
	want := App{Name: "/LM/W3SVC/5/ROOT/shop", Timeout: 5, LockTimeout: 30 * time.Second, MaxSize: 64 << 10}
	if got := c.Apps["shop"]; got != want || len(c.Apps) != 1 {
		t.Errorf("apps %+v", c.Apps)
	}
}

func TestLoad_Refuses(t *testing.T) {
	for name, tc := range map[string]struct{ file, env, value, want string }{
		"an unknown key, with its line":                       {file: "api:\n  lisen: 127.0.0.1:1\n", want: "line 2"},
		"text that is not YAML":                               {file: "api: [", want: "line 1"},
		"an invalid size":                                     {file: "pair: {hold: {bytes: many}}", want: "is not a size"},
		"an invalid address":                                  {file: "api: {listen: here}", want: "api.listen"},
		"a timeout out of range":                              {file: "apps: {a: {name: /x, timeout: 525601}}", want: "apps.a.timeout"},
		"an application without a name":                       {file: "apps: {a: {timeout: 5}}", want: "apps.a.name"},
		"an invalid variable, which the error names":          {env: "MIRRORSTATE_PAIR_HOLD_WINDOW", value: "soon", want: "MIRRORSTATE_PAIR_HOLD_WINDOW"},
		"an interval of 0":                                    {file: "sweep: {interval: 0s}", want: "sweep.interval: 0s is not between 1s and 24h; to switch the sweep off, set sweep.enabled: false"},
		"an unknown agent_job":                                {file: "sweep: {agent_job: sometimes}", want: `sweep.agent_job: "sometimes" must be beside or yield`},
		"an unknown value of exposed":                         {file: "pair: {exposed: maybe}", want: "pair.exposed"},
		"a timeout of 0":                                      {file: "apps: {a: {name: /x, timeout: 0}}", want: "apps.a.timeout: 0"},
		"a lock timeout of 0":                                 {file: "apps: {a: {name: /x, lock_timeout: 0s}}", want: "apps.a.lock_timeout: 0s"},
		"an application's unknown key":                        {file: "apps: {a: {nam: /x}}", want: "line 1, column 12"},
		"a window that is not a duration":                     {file: "pair: {hold: {window: 30}}", want: `"30" is not a duration`},
		"a window of 0":                                       {file: "pair: {hold: {window: 0s}}", want: "pair.hold.window: 0s"},
		"a window of 0 in the environment":                    {env: "MIRRORSTATE_PAIR_HOLD_WINDOW", value: "0s", want: "pair.hold.window: 0s"},
		"a hold for 0 calls":                                  {file: "pair: {hold: {size: 0}}", want: "pair.hold.size: 0"},
		"a hold for 0 bytes":                                  {file: "pair: {hold: {bytes: 0}}", want: "pair.hold.bytes: 0"},
		"a probe timeout that is too long":                    {file: "pair: {budgets: {probe: 1m}}", want: "pair.budgets.probe: 1m0s is not between 100ms and 10s"},
		"a dial timeout of 0":                                 {file: "pair: {budgets: {dial: 0s}}", want: "pair.budgets.dial: 0s is not between 100ms and 30s"},
		"a login timeout shorter than the dial timeout":       {file: "pair: {budgets: {login: 1s}}", want: "pair.budgets.login: 1s is shorter than dial (2s)"},
		"a slow probe timeout shorter than the probe timeout": {file: "pair: {budgets: {slow_probe: 500ms}}", want: "pair.budgets.slow_probe: 500ms is shorter than probe (1s)"},
		"an attempt timeout shorter than the login timeout":   {file: "pair: {budgets: {attempt: 2s}}", want: "pair.budgets.attempt: 2s is shorter than login (3s)"},
		"a window longer than ten minutes":                    {file: "pair: {hold: {window: 1h}}", want: "pair.hold.window"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, tc.file)
			_, err := Load(path, func(k string) (string, bool) { return tc.value, k == tc.env })
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), none); err == nil {
		t.Error("a file that does not exist causes no error")
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// If no application is configured, all are accepted; otherwise others are accepted only with apps_open.
func TestLoad_AppsOpen(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                       true,
		"apps: {}":                               true,
		"apps_open: false":                       false,
		"apps: {a: {name: /a}}":                  false,
		"apps: {a: {name: /a}}\napps_open: true": true,
	} {
		if c, err := Load(write(t, text), none); err != nil || c.AppsOpen != want {
			t.Errorf("%q: open is %t, want %t; %v", text, c.AppsOpen, want, err)
		}
	}
}

func TestLoad_BasePath(t *testing.T) {
	for _, good := range []string{"", "/state", "/a/b.c/v-1_2~3"} {
		if c, err := Load(write(t, "api: {base_path: '"+good+"'}"), none); err != nil || c.API.BasePath != good {
			t.Errorf("%q is read as %q, %v", good, c.API.BasePath, err)
		}
	}
	for _, bad := range []string{"/", "state", "/state/", "//evil.example", "/a//b", "/a b", "/../a", "/a%2F", "https://a.example/b", "/a?b", `/a"b`} {
		if _, err := Load(write(t, "api: {base_path: '"+bad+"'}"), none); err == nil || !strings.Contains(err.Error(), "api.base_path") {
			t.Errorf("%q: got %v, want it refused", bad, err)
		}
	}
}
