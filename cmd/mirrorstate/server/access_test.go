package server

import (
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// A listener that other machines reach needs keys; the operators' listener needs a key with operators' rights.
func TestAccess_Check(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	local, far, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv6unspecified}
	path := func(rights ...string) string {
		file := filepath.Join(t.TempDir(), "keys.json")
		e := keyring.Entry{Name: "n", Rights: rights}
		if rights[0] == "read" {
			e.Apps = []string{"default"}
		}
		if _, _, err := keyring.Add(file, e, time.Now()); err != nil {
			t.Fatal(err)
		}
		return file
	}
	sessions, operators := path("read"), path("operator")
	for _, c := range []struct {
		name       string
		file       string
		insecure   bool
		api, admin net.Addr
		wantErr    string // empty: allowed
	}{
		{"loopback, no keys", "", false, local, local, ""},
		{"API on a network address, no keys", "", false, far, local, "api.listen"},
		{"API on all addresses, no keys", "", false, everywhere, local, "api.listen"},
		{"API on a network address, keys", sessions, false, far, local, ""},
		{"operators' listener on a network address, no keys", "", false, local, far, "admin.listen"},
		{"operators' listener on a network address, only keys for sessions", sessions, false, local, far, "admin.listen"},
		{"operators' listener on all addresses, an operators' key", operators, false, local, everywhere, ""},
		{"both on network addresses, auth.insecure", "", true, far, far, ""},
		{"not a TCP address", "", false, &net.UnixAddr{}, local, "api.listen"},
	} {
		cfg, err := config.Load("", os.LookupEnv, config.Flag("", "auth.keys_file", c.file))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Auth.Insecure = c.insecure
		a, err := openAccess(cfg, quiet)
		if err != nil {
			t.Fatal(err)
		}
		err = a.check(cfg, c.api, c.admin, quiet)
		if (err == nil) != (c.wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), c.wantErr) {
			t.Errorf("%s: got error %v, want it to start with %q", c.name, err, c.wantErr)
		}
		if err := a.reloadCertificates(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A key for an alias gives access to the application with that alias and to no other, whether the new configuration and
// the file of keys can be applied or not.
func TestAccess_Rename(t *testing.T) {
	exchanged := map[string]config.App{"shop": {Name: "/b", Timeout: 20}, "forum": {Name: "/a", Timeout: 20}}
	for _, c := range []struct {
		name  string
		apps  map[string]config.App
		more  string // the application of a second key; or "broken": the file of keys can't be read
		fails bool
		opens string // the application to which the key gives access
	}{
		{"names exchanged", exchanged, "", false, "/b"},
		{"names exchanged, a second key", exchanged, "forum", false, "/b"},
		{"names exchanged, the file of keys can't be read", exchanged, "broken", false, "/b"},
		{"names exchanged, a key for an impossible application name", exchanged, strings.Repeat("x", 1000), true, "/a"},
		{"an invalid application", map[string]config.App{"shop": {Name: "/b", Timeout: -1}}, "", true, "/a"},
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		key, _, err := keyring.Add(path, keyring.Entry{Name: "shop", Rights: []string{"write"}, Apps: []string{"shop"}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var cfg, next config.Config
		cfg.Auth.KeysFile = path
		cfg.Apps = map[string]config.App{"shop": {Name: "/a", Timeout: 20}, "forum": {Name: "/b", Timeout: 20}}
		next.Apps = c.apps
		a, err := openAccess(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Apps: applications(cfg), Keys: a.keys})
		if err != nil {
			t.Fatal(err)
		}
		switch c.more {
		case "":
		case "broken":
			if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			if _, _, err := keyring.Add(path, keyring.Entry{Name: "more", Rights: []string{"write"}, Apps: []string{c.more}}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.rename(next, api); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		put := func(app string) int {
			r := httptest.NewRequest("PUT", "/v1/apps/"+app+"/sessions/x", strings.NewReader("v"))
			r.Header.Set("Authorization", "Bearer "+key)
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			return rec.Code
		}
		for app, want := range map[string]bool{"shop": true, "forum": false, "%2Fa": c.opens == "/a", "%2Fb": c.opens == "/b"} {
			if code := put(app); (code < 300) != want {
				t.Errorf("%s: PUT to %s: got status %d", c.name, app, code)
			}
		}
	}
}
