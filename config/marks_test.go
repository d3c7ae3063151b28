package config_test

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/config"
)

// asWindowsSaves are the encodings in which editors and shells write an ASCII text.
var asWindowsSaves = map[string]func(string) string{
	"UTF-8 with a byte order mark": func(s string) string { return "\xef\xbb\xbf" + s + "\r\n" },
	"UTF-16":                       func(s string) string { return "\xff\xfe" + utf16le(s+"\r\n") },
	"two line ends at the end":     func(s string) string { return s + "\r\n\r\n" },
}

// Every file that a configuration names may begin with a byte order mark, be UTF-16, and end with line ends.
func TestLoad_ByteOrderMarks(t *testing.T) {
	for name, save := range asWindowsSaves {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			password := file(t, dir, "password", save(marker))
			ca := file(t, dir, "ca.pem", save(certificate))
			own := file(t, dir, "own.pem", save(certificate))
			yaml := save("pair: {a: {address: a, ca_file: " + ca + "}, b: {address: b, certificate_file: " + own + "}, user: u, password_file: " + password + "}")
			c, err := load(t, yaml, nil)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := c.Partners()
			if got := p.Servers[0].Password.Reveal(); got != marker {
				t.Errorf("the password is %q", got)
			}
			web := file(t, dir, "web.config", save(`<sessionState configSource="session.config"/>`))
			file(t, dir, "session.config", save(`<sessionState mode="InProc" timeout="33"/>`))
			if s, err := config.ReadWebConfig(web, ""); err != nil || s.Timeout != 33 {
				t.Errorf("web.config: got %+v, %v", s, err)
			}
		})
	}
}

// A variable may contain all bytes of a file, as with --env-file and secrets.
func TestLoad_VariablesWithLineEnds(t *testing.T) {
	c, err := load(t, "", map[string]string{
		"MIRRORSTATE_PAIR_A_ADDRESS": "a\r", "MIRRORSTATE_PAIR_B_ADDRESS": "\ufeffb", "MIRRORSTATE_PAIR_USER": "web\n", "MIRRORSTATE_PAIR_PASSWORD": "\ufeff" + marker + "\r\n",
		"MIRRORSTATE_PAIR_HOLD_WINDOW": "20s\r", "MIRRORSTATE_SWEEP_ENABLED": "false\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := c.Partners()
	if a := p.Servers[0]; a.Address.Host != "a" || a.User != "web" || a.Password.Reveal() != marker || c.Sweep.Enabled {
		t.Errorf("got %+v with password %q", a, a.Password.Reveal())
	}
}

// A text in another encoding is refused: some characters would silently become others.
func TestLoad_OtherEncodings(t *testing.T) {
	const pair = "pair: {a: {address: a}, b: {address: b}, user: u, password"
	path := file(t, t.TempDir(), "password", "p\xe4ss\n")
	for text, want := range map[string]string{
		pair + ": p\xe4ss}":             "mirrorstate.yaml: it is neither UTF-8 nor UTF-16 text; save the file as UTF-8",
		pair + "_file: " + path + "}":   "pair.password_file: it is neither UTF-8 nor UTF-16 text; save the file as UTF-8",
		"\xff\xfea":                     "mirrorstate.yaml: it is neither UTF-8 nor UTF-16 text",
		"\xff\xfe\x00\x00a\x00\x00\x00": "mirrorstate.yaml: it is neither UTF-8 nor UTF-16 text",
	} {
		if _, err := load(t, text, nil); !mistaken(err, want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// The Kerberos library reads its file itself, and does not support byte order marks.
func TestLoad_KerberosFileWithMark(t *testing.T) {
	path := file(t, t.TempDir(), "krb5.conf", "\xef\xbb\xbf[libdefaults]\n")
	_, err := load(t, "pair: {a: {address: a}, b: {address: b}, user: u, password: p, kerberos: {config_file: "+path+"}}", nil)
	if !mistaken(err, "pair.kerberos.config_file: begins with a byte order mark, which the Kerberos library does not support; save it as UTF-8 without one") {
		t.Errorf("got %v", err)
	}
}

// mistaken reports whether an error contains the text.
func mistaken(err error, want string) bool { return err != nil && strings.Contains(err.Error(), want) }
