package config_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
)

// Each layer overrides the layers below it.
func TestLoad_Precedence(t *testing.T) {
	const file = "pair: {hold: {window: 5s, size: 7}, exposed: refuse}"
	env := map[string]string{"MIRRORSTATE_PAIR_HOLD_WINDOW": "7s", "MIRRORSTATE_PAIR_HOLD_SIZE": "9"}
	c, err := load(t, file, env, config.Flag("--hold-window", "pair.hold.window", "9s"))
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Pair.Hold; h.Window != 9*time.Second || h.Size != 9 || h.Bytes != 64<<20 || c.Pair.Exposed != "refuse" {
		t.Errorf("got %+v, exposed %s; want the window of the flag, the size of the variable, the default of bytes, and exposed of the file", h, c.Pair.Exposed)
	}
}

// A layer that sets the pair replaces all of it: no value of the old login remains.
func TestLoad_PairIsReplacedAsAWhole(t *testing.T) {
	const byString = "pair:\n  connection_string: data source=a;failover partner=b;initial catalog=Old;user id=old;password=old\n  encrypt: true\n  user: older\n"
	const byName = "pair: {a: {address: a}, b: {address: b}, user: old, password: old, encrypt: strict, database: Old}"
	const other = "data source=c;failover partner=d;user id=new;password=new"
	for name, tc := range map[string]struct {
		file string
		env  map[string]string
		flag string
		want string // servers, database, user, password, encryption
	}{
		"a connection string over another one": {byString, map[string]string{"MIRRORSTATE_PAIR_CONNECTION_STRING": other}, "", "c d ASPState new new true"},
		"a connection string over partners":    {byName, map[string]string{"MIRRORSTATE_PAIR_CONNECTION_STRING": other}, "", "c d ASPState new new true"},
		"a flag over a variable":               {byName, map[string]string{"MIRRORSTATE_PAIR_CONNECTION_STRING": "nonsense", "MIRRORSTATE_PAIR_PASSWORD": "other"}, other, "c d ASPState new new true"},
		"partners over a connection string":    {byString, map[string]string{"MIRRORSTATE_PAIR_A_ADDRESS": "c", "MIRRORSTATE_PAIR_B_ADDRESS": "d", "MIRRORSTATE_PAIR_USER": "new", "MIRRORSTATE_PAIR_PASSWORD": "new"}, "", "c d ASPState new new true"},
		"a single key over partners":           {byName, map[string]string{"MIRRORSTATE_PAIR_B_ADDRESS": "d", "MIRRORSTATE_PAIR_PASSWORD": "new"}, "", "a d Old old new strict"},
		"a password over a connection string":  {"pair: {connection_string: data source=a;failover partner=b;user id=old}", map[string]string{"MIRRORSTATE_PAIR_PASSWORD": "new"}, "", "a b ASPState old new true"},
		"an empty variable":                    {byName, map[string]string{"MIRRORSTATE_PAIR_CONNECTION_STRING": ""}, "", "a b Old old old strict"},
		"a key beside the connection string":   {byString, nil, "", "a b Old older old true"},
	} {
		t.Run(name, func(t *testing.T) {
			var flags []config.Setting
			if tc.flag != "" {
				flags = append(flags, config.Flag("--connection-string", "pair.connection_string", tc.flag))
			}
			c, err := load(t, tc.file, tc.env, flags...)
			if err != nil {
				t.Fatal(err)
			}
			p, ok := c.Partners()
			a, b := p.Servers[0], p.Servers[1]
			got := strings.Join([]string{a.Address.Host, b.Address.Host, p.Database, a.User, a.Password.Reveal(), a.Encrypt}, " ")
			if !ok || got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestLoad_Partners(t *testing.T) {
	dir := t.TempDir()
	secret := file(t, dir, "password", "p4ss\r\n")
	ca := file(t, dir, "ca.pem", certificate)
	c, err := load(t, `
pair:
  user: web
  password_file: `+secret+`
  ca_file: `+ca+`
  database: State
  a: {address: 'SQL1\STATE', trust_server_certificate: false}
  b: {address: 'sql2.example.net:1444', user: other, password: own, encrypt: strict, host_name_in_certificate: sql2}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := c.Partners()
	if !ok || p.Database != "State" || p.Application != "mirrorstate" {
		t.Errorf("database %q, application %q", p.Database, p.Application)
	}
	a, b := p.Servers[0], p.Servers[1]
	if a.Address.String() != `SQL1\STATE` || a.User != "web" || a.Password.Reveal() != "p4ss" || a.Encrypt != "true" || a.CAFile != ca {
		t.Errorf("partner a is %+v", a)
	}
	if b.Address.String() != "sql2.example.net,1444" || b.User != "other" || b.Password.Reveal() != "own" || b.Encrypt != "strict" || b.HostNameInCertificate != "sql2" {
		t.Errorf("partner b is %+v", b)
	}
	for i := range p.Servers {
		if got := takenByDriver(t, p, i); got.TLSConfig.RootCAs == nil {
			t.Errorf("partner %d: the driver has no certificates of ours", i)
		}
	}
	if none, _ := load(t, "", nil); func() bool { _, ok := none.Partners(); return ok }() {
		t.Error("without configuration there is a pair, and not the embedded one")
	}
}

func TestLoad_PartnersRefused(t *testing.T) {
	dir := t.TempDir()
	empty, two := file(t, dir, "empty", "\n"), file(t, dir, "two", "a\nb\n")
	ca, crt, junk := file(t, dir, "ca.pem", certificate), file(t, dir, "ca.crt", certificate), file(t, dir, "junk.pem", "junk")
	const ab = "a: {address: a}, b: {address: b}, user: web, password: p4ss, "
	for name, tc := range map[string]struct{ pair, want string }{
		"only one partner":                              {"a: {address: a}, user: web, password: p4ss", "pair.b.address: is missing; name both servers"},
		"a connection string and partners":              {ab + "connection_string: data source=c", "the pair is set twice, here and with pair.a and pair.b; remove one"},
		"a login without servers":                       {"user: web", "pair.user: is set, but no servers are named; set pair.connection_string"},
		"no login":                                      {"a: {address: a}, b: {address: b}", "pair.user: is missing"},
		"an invalid address":                            {ab + "a: {address: a b}", "line 1, column"},
		"an address with an invalid port":               {"a: {address: 'a:x'}, b: {address: b}, user: web, password: p4ss", "pair.a.address: has a port that is not a number from 1 to 65535"},
		"the same server twice":                         {"a: {address: SQL1}, b: {address: sql1}, user: web, password: p4ss", "pair.b.address: both partners are the same server"},
		"a password and a password file":                {ab + "password_file: " + two, "the password is set twice, here and with pair.password"},
		"an empty password file":                        {"a: {address: a}, b: {address: b}, user: web, password_file: " + empty, "pair.password_file: the file is empty"},
		"a password file with two lines":                {"a: {address: a}, b: {address: b}, user: web, password_file: " + two, "contains more than a password"},
		"a password file that does not exist":           {"a: {address: a}, b: {address: b}, user: web, password_file: /nowhere/password", "pair.password_file: can't be read: no such file or directory"},
		"an unknown authentication":                     {ab + "authentication: sqll", `"sqll" must be sql, ntlm, kerberos or windows; did you mean sql?`},
		"Entra":                                         {ab + "authentication: entra", "logins by Microsoft Entra are not supported"},
		"NTLM without a domain":                         {ab + "authentication: ntlm", `pair.user: must be DOMAIN\NAME for ntlm`},
		"a Windows account with authentication sql":     {`authentication: sql, a: {address: a}, b: {address: b}, user: 'CORP\web', password: p4ss`, "set authentication: ntlm or kerberos"},
		"authentication windows with a user":            {ab + "authentication: windows", "remove user and password"},
		"Kerberos without a key":                        {"a: {address: a}, b: {address: b}, user: web, authentication: kerberos", "pair.kerberos.keytab_file: is missing; name a keytab or a credential_cache_file"},
		"Kerberos without a user":                       {"a: {address: a}, b: {address: b}, kerberos: {keytab_file: " + two + "}", "pair.user: is missing; name the user whose key is in the keytab"},
		"a keytab that does not exist":                  {"a: {address: a}, b: {address: b}, user: web, kerberos: {keytab_file: /nowhere/k}", "pair.kerberos.keytab_file: can't be read: no such file"},
		"an unknown encryption":                         {ab + "encrypt: sometimes", `pair.encrypt: "sometimes" must be strict, true, false or disable`},
		"strict encryption that trusts any certificate": {ab + "encrypt: strict, trust_server_certificate: true", "pair.trust_server_certificate: can't be combined with encrypt: strict"},
		"a CA file that is not used":                    {ab + "encrypt: false, ca_file: " + ca, "pair.ca_file: is not used with encrypt: false; set encrypt: true or strict"},
		"a CA file, and any certificate is trusted":     {ab + "trust_server_certificate: true, ca_file: " + ca, "pair.ca_file: is not used with trust_server_certificate: true"},
		"a CA file and a server certificate file":       {ab + "ca_file: " + ca + ", certificate_file: " + ca, "pair.ca_file: can't be combined with certificate_file"},
		"a host name and a server certificate file":     {ab + "host_name_in_certificate: x, certificate_file: " + ca, "pair.host_name_in_certificate: can't be combined with certificate_file"},
		"a certificate file with the ending .crt":       {ab + "ca_file: " + crt, "pair.ca_file: must have a name that ends in .pem or .der"},
		"a file that is not a certificate":              {ab + "ca_file: " + junk, "pair.ca_file: is not a PEM file"},
		"a certificate file that does not exist":        {ab + "ca_file: /nowhere/ca.pem", "pair.ca_file: can't be read: no such file or directory"},
		"trust_server_certificate: yes":                 {ab + "trust_server_certificate: yes", `pair.trust_server_certificate: "yes" must be true or false`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, "pair: {"+tc.pair+"}", nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant one line with %q", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "mirrorstate.yaml: line 1, column ") {
				t.Errorf("the error has no place in the file: %v", err)
			}
		})
	}
}

// The error for a mistake has its file, line and column, its variable, or its flag, and the key that was
// probably meant.
func TestLoad_Mistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		file string
		env  map[string]string
		flag config.Setting
		want string
	}{
		"a misspelled key":                       {file: "pair:\n  hold:\n    windwo: 5s\n", want: "mirrorstate.yaml: line 3, column 5: unknown key pair.hold.windwo; did you mean pair.hold.window?"},
		"a key in the wrong section":             {file: "hold:\n  window: 5s\n", want: "line 1, column 1: unknown key hold; did you mean pair.hold?"},
		"a key that is similar to no known key":  {file: "frobnicate: 1\n", want: "line 1, column 1: unknown key frobnicate"},
		"a misspelled key of an application":     {file: "apps:\n  shop: {nmae: /x}\n", want: "line 2, column 10: unknown key apps.shop.nmae; did you mean apps.shop.name?"},
		"a value of the wrong type":              {file: "pair:\n  hold: {window: soon}\n", want: `line 2, column 18: pair.hold.window: "soon" is not a duration; write one like 30s or 1m30s`},
		"a value out of range":                   {file: "\npair: {hold: {size: 0}}\n", want: "line 2, column 21: pair.hold.size: 0 must be at least 1"},
		"a value of an application out of range": {file: "apps:\n  shop: {name: /x, timeout: 0}\n", want: "line 2, column 29: apps.shop.timeout: 0 is not between 1 and 525600 minutes"},
		"a missing key":                          {file: "apps:\n  shop:\n", want: "line 2, column 3: apps.shop.name: is missing"},
		"a list instead of a value":              {file: "api: {listen: [a, b]}", want: "line 1, column 15: api.listen: must have one value, not a list"},
		"a value instead of a section":           {file: "pair: 5", want: "line 1, column 7: pair: is a section: it has keys below it, and no value"},
		"a section instead of a value":           {file: "api: {listen: {host: x}}", want: "api.listen: must have one value, and no keys below it"},
		"a YAML alias":                           {file: "api: &x {listen: 127.0.0.1:1}\nadmin: *x\n", want: "anchors, aliases and tags are not supported"},
		"a tab":                                  {file: "api:\n\tlisten: 127.0.0.1:0\n", want: "line 2, column 1: there is a tab before a key or value here"},
		"a tab after a key":                      {file: "api:\n  listen:\n\t127.0.0.1:0\n", want: "line 3, column 1: there is a tab before a key or value here"},
		"two documents":                          {file: "api: {}\n---\nadmin: {}\n", want: "a second document is not supported"},
		"a duplicate key":                        {file: "api: {}\napi: {}\n", want: "line 2, column 1: mapping key"},
		"two mistakes":                           {file: "a: 1\nb: 2\n", want: "line 2, column 1: unknown key b"},
		"a variable":                             {env: map[string]string{"MIRRORSTATE_SWEEP_ENABLED": "yes"}, want: `environment MIRRORSTATE_SWEEP_ENABLED: sweep.enabled: "yes" must be true or false`},
		"the value of a variable out of range":   {env: map[string]string{"MIRRORSTATE_PAIR_HOLD_SIZE": "0"}, want: "environment MIRRORSTATE_PAIR_HOLD_SIZE: pair.hold.size: 0 must be at least 1"},
		"a flag":                                 {flag: config.Flag("--api", "api.listen", "here"), want: `--api: api.listen: "here" is not host:port`},
		"the connection string of a flag":        {flag: config.Flag("--connection-string", "pair.connection_string", "data source=a"), want: "--connection-string: pair.connection_string: connection string: failover partner is missing"},
		"a flag without a login":                 {flag: config.Flag("--connection-string", "pair.connection_string", "data source=a;failover partner=b"), want: "--connection-string: pair.user: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			var flags []config.Setting
			if tc.flag.Key != "" {
				flags = append(flags, tc.flag)
			}
			_, err := load(t, tc.file, tc.env, flags...)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant one line with %q", err, tc.want)
			}
			if wrong, ok := err.(config.Mistakes); !ok || wrong.ByFlag() != (tc.flag.Key != "") {
				t.Errorf("the ByFlag of %T is wrong", err)
			}
		})
	}
}

// Every key can be set in the file and in the environment, with the same result. Only
// applications can be set only in the file.
func TestLoad_EveryKey(t *testing.T) {
	for _, key := range config.Keys() {
		if strings.HasPrefix(key, "apps.") {
			continue
		}
		if err := config.CheckEnvironment([]string{config.Variable(key) + "=x"}); err != nil {
			t.Error(err)
		}
		for _, value := range []string{"5s", "5", "true", "5MiB", "text", "data source=a;failover partner=b;user id=u;password=p"} {
			yaml := ""
			for i, name := range strings.Split(key, ".") {
				yaml += "\n" + strings.Repeat("  ", i) + name + ":"
			}
			inFile, fileErr := load(t, yaml+" '"+value+"'", nil)
			inEnvironment, envErr := load(t, "", map[string]string{config.Variable(key): value})
			lone := key == "pair.password" || key == "pair.password_file" // see TestLoad_LonePassword
			if textsOf(fileErr) != textsOf(envErr) && !lone {
				t.Errorf("%s: %q is read as\n%s\nin the file, and in the environment as\n%s", key, value, textsOf(fileErr), textsOf(envErr))
			}
			if fileErr == nil && fmt.Sprintf("%#v", inFile.Pair) != fmt.Sprintf("%#v", inEnvironment.Pair) {
				t.Errorf("%s: %q is %#v in the file, and in the environment %#v", key, value, inFile.Pair, inEnvironment.Pair)
			}
			if strings.Contains(textsOf(envErr), "can't be set: type") {
				t.Errorf("%s can't be set: %v", key, envErr)
			}
		}
	}
	if all := config.Keys(); len(all) < 30 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
		t.Errorf("%d keys, or a duplicate key", len(all))
	}
}

// textsOf returns the texts of the mistakes, without the places.
func textsOf(err error) string {
	wrong, ok := err.(config.Mistakes)
	if !ok {
		return fmt.Sprint(err)
	}
	text := ""
	for _, m := range wrong {
		m.From = ""
		text += m.Error() + "; "
	}
	return text
}

func TestCheckEnvironment(t *testing.T) {
	ours := []string{
		"MIRRORSTATE_PAIR_HOLD_WINDOW=5s", "MIRRORSTATE_EMBEDDED_PASSWORD=" + marker, "MIRRORSTATE_TEST_DSN=x", "PATH=/bin", "MIRROR=1",
		// Kubernetes sets these variables for a service called mirrorstate or mirrorstate-api.
		"MIRRORSTATE_SERVICE_HOST=10.0.0.1", "MIRRORSTATE_SERVICE_PORT=8080", "MIRRORSTATE_SERVICE_PORT_HTTP=8080", "MIRRORSTATE_PORT=tcp://10.0.0.1:8080",
		"MIRRORSTATE_PORT_8080_TCP=tcp://10.0.0.1:8080", "MIRRORSTATE_PORT_8080_TCP_ADDR=10.0.0.1", "MIRRORSTATE_API_SERVICE_HOST=10.0.0.2",
	}
	if err := config.CheckEnvironment(ours); err != nil {
		t.Error(err)
	}
	for variable, want := range map[string]string{
		"MIRRORSTATE_PAIR_HOLD_WINDWO": "environment MIRRORSTATE_PAIR_HOLD_WINDWO: unknown variable; did you mean MIRRORSTATE_PAIR_HOLD_WINDOW?",
		"MIRRORSTATE_HOLD":             "environment MIRRORSTATE_HOLD: unknown variable",
		"MIRRORSTATE_PAIR_A_PORT":      "environment MIRRORSTATE_PAIR_A_PORT: unknown variable", // not a variable of a service
		"MIRRORSTATE_APPS_SHOP_NAME":   "applications can be set only in the configuration file",
	} {
		if err := config.CheckEnvironment([]string{variable + "=" + marker}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), marker) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestLoad_Notes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	dir := t.TempDir()
	secret := file(t, dir, "password", "p4ss\n")
	yaml := file(t, dir, "mirrorstate.yaml", "pair: {connection_string: data source=a;failover partner=b;user id=web;encrypt=false;pooling=true, password_file: "+secret+"}")
	withPassword := file(t, dir, "password.yaml", "pair: {a: {address: a}, b: {address: b}, user: web, password: p4ss, encrypt: 'false'}")
	notes := func(yaml string) []string {
		c, err := config.Load(yaml, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return c.Notes
	}
	if got := notes(yaml); len(got) != 3 || !strings.Contains(got[0], "not used here, because mirrorstate has its own pool and timeouts: pooling") || !strings.Contains(got[2], "not encrypted on the network to partner b") {
		t.Errorf("notes %q", got)
	}
	for path, yaml := range map[string]string{secret: yaml, withPassword: withPassword} {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		want := path + " has a secret in it, and can be read by everybody on this machine (mode 0644): chmod 600 " + path
		if got := notes(yaml); !slices.Contains(got, want) {
			t.Errorf("notes %q, want %q", got, want)
		}
	}
}

// Every file with a secret that a configuration names is checked. If others can read it, there is a note. If others can
// change it, it is refused here or by the package that reads it.
func TestLoad_ExposedFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	pair := "a: {address: a}, b: {address: b}, user: u@EXAMPLE.COM"
	for key, yaml := range map[string]string{
		"auth.keys_file":                      "auth: {keys_file: FILE}",
		"api.tls.key_file":                    "api: {tls: {certificate_file: c.pem, key_file: FILE}}",
		"admin.tls.key_file":                  "admin: {tls: {certificate_file: c.pem, key_file: FILE}}",
		"pair.watchdog.key_file":              "pair: {watchdog: {key_file: FILE}}",
		"pair.password_file":                  "pair: {" + pair + ", password_file: FILE}",
		"pair.b.password_file":                "pair: {a: {address: a, password: x}, b: {address: b, password_file: FILE}, user: u}",
		"pair.kerberos.keytab_file":           "pair: {" + pair + ", kerberos: {keytab_file: FILE}}",
		"pair.kerberos.credential_cache_file": "pair: {" + pair + ", kerberos: {credential_cache_file: FILE}}",
	} {
		t.Run(key, func(t *testing.T) {
			path := file(t, t.TempDir(), "secret", "p4ss\n")
			yaml := strings.ReplaceAll(yaml, "FILE", path)
			notes := func() string {
				t.Helper()
				c, err := load(t, yaml, nil)
				if err != nil {
					t.Fatal(err)
				}
				return strings.Join(c.Notes, "\n")
			}
			told := path + " has a secret in it, and can be "
			if got := notes(); strings.Contains(got, told) {
				t.Errorf("mode 0600: %s", got)
			}
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			if got := notes(); !strings.Contains(got, told+"read") {
				t.Errorf("mode 0644: %s", got)
			}
			if err := os.Chmod(path, 0o646); err != nil {
				t.Fatal(err)
			}
			c, err := load(t, yaml, nil)
			if got := strings.Join(c.Notes, "\n"); !strings.Contains(got, told+"changed") && !mistaken(err, key+": "+told+"changed") {
				t.Errorf("mode 0646: %v, %s", err, got)
			}
		})
	}
}

// A file that anybody can read causes a note only if it contains a password.
func TestLoad_NoPasswordInTheFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	dir := t.TempDir()
	for text, holds := range map[string]bool{
		"data source=a;failover partner=b;user id=web":               false,
		"data source=a;failover partner=b;user id=web;password=p4ss": true,
	} {
		web := file(t, dir, "web.config", `<configuration><system.web><sessionState mode="SQLServer" sqlConnectionString="`+text+`"/></system.web></configuration>`)
		for _, pair := range []string{"{connection_string: " + text + "}", "{web_config: " + web + "}"} {
			yaml := file(t, dir, "mirrorstate.yaml", "pair: "+pair)
			for _, path := range []string{web, yaml} {
				if err := os.Chmod(path, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			env := map[string]string{}
			if !holds {
				env["MIRRORSTATE_PAIR_PASSWORD"] = "p4ss"
			}
			c, err := config.Load(yaml, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(c.Notes, "\n"), "has a secret in it, and can be read by everybody"); got != holds {
				t.Errorf("%s: notes %q, want one about the mode: %v", pair, c.Notes, holds)
			}
		}
	}
}

// A password in the environment is ignored by commands that need no servers. A password in a file or flag without servers
// is still a mistake, and so is any other key in the environment.
func TestLoad_LonePassword(t *testing.T) {
	for variable, refused := range map[string]bool{
		"MIRRORSTATE_PAIR_PASSWORD": false, "MIRRORSTATE_PAIR_PASSWORD_FILE": false, "MIRRORSTATE_PAIR_USER": true,
	} {
		env := func(name string) (string, bool) { return "/nowhere", name == variable }
		c, err := config.Load("", env)
		if (err != nil) != refused || !refused && !slices.Equal(c.Notes, []string{variable + " is not used: no servers are named"}) {
			t.Errorf("%s alone: %v, notes %q", variable, err, c.Notes)
		}
		if _, there := c.Partners(); there {
			t.Errorf("%s alone configures a pair", variable)
		}
		if _, err := config.Load("", env, config.Flag("--user", "pair.user", "web")); err == nil || !strings.Contains(err.Error(), "pair.user: is set, but no servers") {
			t.Errorf("%s with a user set by a flag: %v", variable, err)
		}
	}
	for _, text := range []string{"pair: {password: p4ss}", "pair: {password_file: /nowhere}"} {
		yaml := file(t, t.TempDir(), "mirrorstate.yaml", text)
		if _, err := config.Load(yaml, func(string) (string, bool) { return "", false }); err == nil || !strings.Contains(err.Error(), "is set, but no servers") {
			t.Errorf("%s in a file: %v", text, err)
		}
	}
}

func TestLoad_Guards(t *testing.T) {
	for says, text := range map[string]string{
		"api.tls.key_file: is missing":             "api: {tls: {certificate_file: c.pem}}",
		"admin.tls.certificate_file: is missing":   "admin: {tls: {key_file: k.pem}}",
		"api.tls.client_ca_file: requires auth":    "api: {tls: {certificate_file: c.pem, key_file: k.pem, client_ca_file: ca.pem}}",
		"admin.hosts: \"a/b\" is not a host name":  "admin: {hosts: [a/b]}",
		"api.hosts: \"*\" is not a host name":      "api: {hosts: ['*']}",
		"limits.requests: 0 is not between 1":      "limits: {requests: 0}",
		"limits.queue_wait: 0s is not between":     "limits: {queue_wait: 0s}",
		"limits.body_timeout: 1s is shorter":       "limits: {body_timeout: 1s}",
		"limits.burst: has no effect":              "limits: {burst: 5}",
		"limits.lock_waiters: -1 is not between 1": "limits: {lock_waiters: -1}",
		"unknown key auth.kees_file":               "auth: {kees_file: x}",
	} {
		if _, err := load(t, text, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q in it", text, err, says)
		}
	}
	c, err := load(t, "auth: {keys_file: k}\napi: {hosts: [c.example]}\nadmin: {hosts: [a.example, b.example]}\nlimits: {rate: 10, bytes: 1GiB}", map[string]string{"MIRRORSTATE_API_TLS_CERTIFICATE_FILE": "c", "MIRRORSTATE_API_TLS_KEY_FILE": "k"})
	if err != nil || c.Auth.KeysFile != "k" || len(c.Admin.Hosts) != 2 || len(c.API.Hosts) != 1 || c.Limits.Rate != 10 || c.Limits.Bytes != 1<<30 || c.API.TLS.CertificateFile != "c" || c.Limits.Requests != 128 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := config.CheckEnvironment([]string{"MIRRORSTATE_KEY=ms_x", "MIRRORSTATE_AUTH_KEYS_FILE=k"}); err != nil {
		t.Error(err)
	}
}

// No secret must be in a command line: the environment's password is used for a flag's connection string without a password,
// and for no other.
func TestLoad_PasswordBesideAFlag(t *testing.T) {
	t.Parallel()
	const string0 = "data source=a;failover partner=b;user id=web"
	for _, c := range []struct {
		name, yaml string
		env        map[string]string
		flag, want string
	}{
		{"the environment's", "", map[string]string{"MIRRORSTATE_PAIR_PASSWORD": "mine"}, string0, "mine"},
		{"a password file in the environment", "", map[string]string{"MIRRORSTATE_PAIR_PASSWORD_FILE": file(t, t.TempDir(), "p", "from a file\n")}, string0, "from a file"},
		{"a password in the connection string", "", map[string]string{"MIRRORSTATE_PAIR_PASSWORD": "mine"}, string0 + ";password=its own", "its own"},
		{"a password of another pair in the file", "pair: {connection_string: data source=c;failover partner=d;user id=x, password: theirs}", nil, string0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := load(t, c.yaml, c.env, config.Flag("--connection-string", "pair.connection_string", c.flag))
			both, _ := cfg.Partners()
			if c.want == "" {
				if err == nil {
					t.Error("the password of another pair is used")
				}
				return
			}
			if err != nil || both.Servers[0].Password.Reveal() != c.want || both.Servers[1].Password.Reveal() != c.want {
				t.Errorf("%q, %v; want %q", both.Servers[0].Password.Reveal(), err, c.want)
			}
		})
	}
}
