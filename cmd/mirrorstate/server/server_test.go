package server

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

type listener struct {
	net.Listener
	addr net.Addr
}

func (l listener) Addr() net.Addr { return l.addr }

func TestLocalURL(t *testing.T) {
	for want, ip := range map[string]net.IP{
		"http://[::1]:8080": net.IPv6unspecified, "http://127.0.0.1:8080": net.IPv4zero, "http://10.0.0.5:8080": net.IPv4(10, 0, 0, 5),
	} {
		if got := localURL(listener{addr: &net.TCPAddr{IP: ip, Port: 8080}}, nil); got != want {
			t.Errorf("%v: %s, want %s", ip, got, want)
		}
	}
}

// An address that is set nowhere is named as the default of its key.
func TestOrigin(t *testing.T) {
	var cfg config.Config
	if got := origin(&cfg, "api.listen", "--api"); got != "the default of api.listen (--api)" {
		t.Errorf("got %q", got)
	}
}

// testConfig returns the configuration of a server with free ports and an embedded pair of its own.
func testConfig(t *testing.T, flags ...config.Setting) (config.Config, Options) {
	t.Helper()
	flags = append([]config.Setting{config.Flag("", "api.listen", "127.0.0.1:0"), config.Flag("", "admin.listen", "127.0.0.1:0")}, flags...)
	cfg, err := config.Load("", func(string) (string, bool) { return "", false }, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, Options{Version: "v0", Embedded: Embedded{Dir: t.TempDir(), AddrA: "127.0.0.1:0", AddrB: "127.0.0.1:0", Witness: "on", PartnerTimeout: 5 * time.Second}}
}

// Close closes everything that New has opened, also if Run never ran: the same data and addresses can be opened again.
func TestServer_CloseWithoutRun(t *testing.T) {
	cfg, o := testConfig(t)
	s, err := New(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	cfg.API.Listen, cfg.Admin.Listen = s.apiListener.Addr().String(), s.adminListener.Addr().String()
	s.Close()
	s.Close() // does nothing
	if err := s.Run(t.Context()); err == nil {
		t.Error("a closed server runs")
	}
	if s, err = New(t.Context(), cfg, o); err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// If New fails, it leaves nothing open.
func TestNew_FailureClosesEverything(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		change func(*config.Config, *Options)
		want   string
	}{
		"the operators' address is in use": {func(cfg *config.Config, _ *Options) { cfg.Admin.Listen = taken.Addr().String() }, "another program (or another mirrorstate) uses it"},
		"no file of keys":                  {func(cfg *config.Config, _ *Options) { cfg.Auth.KeysFile = "/nowhere/keys.json" }, "auth.keys_file"},
		"no embedded pair":                 {func(_ *config.Config, o *Options) { o.Embedded.Witness = "perhaps" }, "must be on or off"},
		"no pair":                          {func(_ *config.Config, o *Options) { o.Pair = func(pc *partner.Config) { pc.Exposed = "x" } }, "pair: "},
		"no API":                           {func(_ *config.Config, o *Options) { o.Store = func(session.Store) session.Store { return nil } }, "store"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, o := testConfig(t)
			c.change(&cfg, &o)
			if _, err := New(t.Context(), cfg, o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want %q in it", err, c.want)
			}
			cfg, again := testConfig(t)
			again.Embedded.Dir = o.Embedded.Dir
			s, err := New(t.Context(), cfg, again)
			if err != nil {
				t.Fatalf("the embedded pair is still open: %v", err)
			}
			s.Close()
		})
	}
}

// startServer starts a server; ended receives the result of Run.
func startServer(t *testing.T, flags ...config.Setting) (s *Server, stop context.CancelCauseFunc, ended chan error) {
	t.Helper()
	cfg, o := testConfig(t, flags...)
	cfg.Drain.Pause = 0
	s, err := New(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, stop, ended
}

// beginRequest sends the head of a request without its body, and returns when the server reads the body.
func beginRequest(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.apiListener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, "PUT /v1/apps/default/sessions/slow HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	if _, err := conn.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// When Run's context ends, a request under way is still answered.
func TestServer_Drains(t *testing.T) {
	s, stop, ended := startServer(t)
	conn := beginRequest(t, s)
	stop(StoppedBy{Signal: syscall.SIGTERM})
	if _, err := io.WriteString(conn, "123456789"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 201" {
		t.Errorf("got %q, %v", answer, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Kill answers no request.
func TestServer_Kill(t *testing.T) {
	s, stop, ended := startServer(t)
	defer stop(nil)
	conn := beginRequest(t, s)
	s.Kill()
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("a request under way got %d bytes of an answer", n)
	}
	if err := <-ended; err == nil {
		t.Error("Run returned no error")
	}
}

// Run runs the expiry job, unless sweep.enabled is false.
func TestServer_ExpiryJob(t *testing.T) {
	for _, enabled := range []string{"true", "false"} {
		t.Run("sweep.enabled "+enabled, func(t *testing.T) {
			s, stop, ended := startServer(t, config.Flag("", "sweep.enabled", enabled), config.Flag("", "sweep.interval", "1s"))
			if err := s.storage.Pair.WaitForPrincipal(t.Context()); err != nil {
				t.Fatal(err)
			}
			swept := func() bool { return s.Status().Sweep.LastRun != nil }
			limit, look := time.NewTimer(map[string]time.Duration{"true": 30 * time.Second, "false": 2 * time.Second}[enabled]), time.NewTicker(10*time.Millisecond)
			defer limit.Stop()
			defer look.Stop()
			for waiting := true; waiting && !swept(); {
				select {
				case <-limit.C:
					waiting = false
				case <-look.C:
				}
			}
			if want := enabled == "true"; swept() != want {
				t.Errorf("the expiry job ran: %t, want %t", swept(), want)
			}
			stop(nil)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
