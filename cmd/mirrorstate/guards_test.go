package main

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// A listener that strangers reach wants keys, the operators' an operator's.
func TestGuards_Check(t *testing.T) {
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
		says       string // empty: it is let be
	}{
		{"loopback, no keys", "", false, local, local, ""},
		{"the API elsewhere, no keys", "", false, far, local, "api.listen"},
		{"the API everywhere, no keys", "", false, everywhere, local, "api.listen"},
		{"the API elsewhere, keys", sessions, false, far, local, ""},
		{"the operators' elsewhere, no keys", "", false, local, far, "admin.listen"},
		{"the operators' elsewhere, keys to sessions", sessions, false, local, far, "admin.listen"},
		{"the operators' everywhere, an operator's key", operators, false, local, everywhere, ""},
		{"all elsewhere, and told so", "", true, far, far, ""},
		{"something that is no TCP", "", false, &net.UnixAddr{}, local, "api.listen"},
	} {
		cfg, err := config.Load("", os.LookupEnv, config.Flag("", "auth.keys_file", c.file))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Auth.Insecure = c.insecure
		g, err := openGuards(cfg, quiet)
		if err != nil {
			t.Fatal(err)
		}
		err = g.check(cfg, c.api, c.admin, quiet)
		if (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.says)
		}
		if err := g.Reload(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Clients leave files for the database.
func TestServerLimits(t *testing.T) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg := config.Limits{Connections: 20_000}
	for files, want := range map[int]int{0: 20_000, 100_000: 20_000, 20_000: 18_500, 1024: 100} {
		if api, admin := serverLimits(cfg, files, quiet); api.Connections != want || admin.Connections != operatorsConnections {
			t.Errorf("of %d files: %d and %d connections, want %d", files, api.Connections, admin.Connections, want)
		}
	}
}
