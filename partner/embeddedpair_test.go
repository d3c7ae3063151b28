package partner_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// testTimeout bounds what a test waits for.
const testTimeout = 30 * time.Second

// runPair runs a Pair on an embedded pair until the test ends.
func runPair(t *testing.T, servers *embedded.Pair, changes func(*partner.Config)) (p *partner.Pair, stop func()) {
	t.Helper()
	cfg := partner.Config{Database: "ASPState", Topology: "embedded"}
	for i, name := range []partner.Name{partner.A, partner.B} {
		cfg.Partners[i] = partner.PartnerConfig{Name: name, ConnectionString: servers.Partner(string(name)).ConnectionString("ASPState")}
	}
	cfg.MonitorSteady = 50 * time.Millisecond
	cfg.Budgets = partner.Budgets{Dial: 200 * time.Millisecond, Login: 300 * time.Millisecond, Probe: 200 * time.Millisecond}
	changes(&cfg)
	p, err := partner.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	running := true
	stop = func() {
		if !running {
			return
		}
		running = false
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return p, stop
}

// waitUntil waits until cond is true for the status.
func waitUntil(t *testing.T, p *partner.Pair, what string, cond func(partner.Status) bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !cond(p.Status()); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %+v", what, testTimeout, p.Status())
		}
		wait, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		<-wait.Done()
		cancel()
	}
}

func serves(n partner.Name) func(partner.Status) bool {
	return func(s partner.Status) bool { return s.Principal == n }
}

// inject causes a fault at a partner.
func inject(t *testing.T, servers *embedded.Pair, name string, kind embedded.Fault) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := servers.Partner(name).Inject(ctx, kind); err != nil {
		t.Fatalf("%s at %s: %v", kind, name, err)
	}
}

// withWatchdog configures a watchdog with short times.
func withWatchdog(memory string, observers ...partner.Observer) func(*partner.Config) {
	return func(c *partner.Config) {
		c.Memory = memory
		c.Watchdog = partner.WatchdogConfig{Enabled: true, After: 300 * time.Millisecond, CoolDown: time.Hour, Observers: observers}
	}
}

func TestEmbedded_WatchdogForcesServiceAfterThePrincipalIsLost(t *testing.T) {
	for fault, repair := range map[embedded.Fault]embedded.Fault{embedded.Freeze: embedded.Heal, embedded.Isolate: embedded.Heal, embedded.Crash: embedded.Start} {
		t.Run(fault.String(), func(t *testing.T) { testPrincipalFault(t, fault, repair) })
	}
}

// testPrincipalFault causes a fault at the principal a, and repairs it after service was forced.
func testPrincipalFault(t *testing.T, fault, repair embedded.Fault) {
	servers := aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir(), PartnerTimeout: 300 * time.Millisecond})
	other, _ := runPair(t, servers, func(*partner.Config) {})
	p, _ := runPair(t, servers, withWatchdog("", other))
	waitUntil(t, p, "a principal serves", func(s partner.Status) bool { return s.Principal == "a" && s.Watchdog.Reason == "a principal serves" })
	inject(t, servers, "a", fault)
	waitUntil(t, p, "service is forced", serves("b"))
	waitUntil(t, other, "the observer follows", serves("b"))
	waitUntil(t, p, "the status shows it", func(s partner.Status) bool {
		return s.Watchdog.Forced == 1 && s.Watchdog.LastError == "" && s.Epoch == 2
	})
	inject(t, servers, "a", repair)
	waitUntil(t, p, "the old principal returns suspended", func(s partner.Status) bool {
		return s.Partners[0].Role == partner.RoleMirror && s.Partners[0].State == "SUSPENDED"
	})
}

func TestEmbedded_MemoryFencesAFormerPrincipalUntilItIsAccepted(t *testing.T) {
	servers := aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir(), PartnerTimeout: 300 * time.Millisecond})
	path := filepath.Join(t.TempDir(), "pair.json")
	other, _ := runPair(t, servers, func(*partner.Config) {})
	p, stop := runPair(t, servers, withWatchdog(path, other))
	waitUntil(t, p, "a principal serves", func(s partner.Status) bool { return s.Principal == "a" && s.Watchdog.Reason == "a principal serves" })
	inject(t, servers, "a", embedded.Isolate)
	waitUntil(t, p, "service is forced", func(s partner.Status) bool { return s.Principal == "b" && s.Epoch == 2 })
	stop()

	// b is lost, and a comes back, still as principal.
	inject(t, servers, "b", embedded.Isolate)
	inject(t, servers, "a", embedded.Heal)
	p, stop = runPair(t, servers, func(c *partner.Config) { c.Memory = path })
	waitUntil(t, p, "a's claim is ignored", func(s partner.Status) bool {
		return s.Partners[0].Role == partner.RolePrincipal && p.Stats().Fenced["epoch"] > 0
	})
	if s := p.Status(); s.Principal != "" {
		t.Fatalf("a former principal serves: %+v", s)
	}
	if err := p.Accept(t.Context(), "a", "b is lost for good"); err != nil {
		t.Fatal(err)
	}
	if s := p.Status(); s.Principal != "a" || s.Epoch != 3 {
		t.Errorf("after accept: %+v", s)
	}
	if err := p.Do(t.Context(), partner.Call{Label: "epoch"}, readEpoch(3)); err != nil {
		t.Error(err)
	}
	stop()
}

// readEpoch returns an Op that checks the epoch row and Attempt.Epoch.
func readEpoch(want int64) partner.Op {
	return func(ctx context.Context, a *partner.Attempt) error {
		var epoch int64
		var server sql.NullString
		if err := a.Conn.QueryRowContext(ctx, "SELECT Epoch, [Server] FROM dbo.MirrorStateEpoch").Scan(&epoch, &server); err != nil {
			return err
		}
		if epoch != want || a.Epoch != want {
			return &partner.RefusedError{Message: "the row's epoch differs"}
		}
		return nil
	}
}

// A server whose certificate is not trusted is not logged in to, and the status says what to do.
func TestPair_UntrustedCertificate(t *testing.T) {
	servers := aspstatetest.Start(t)
	p, _ := runPair(t, servers, func(cfg *partner.Config) {
		for i := range cfg.Partners {
			cfg.Partners[i].ConnectionString = strings.Replace(cfg.Partners[i].ConnectionString, "encrypt=disable", "encrypt=true", 1)
		}
	})
	waitUntil(t, p, "both certificates are refused with advice", func(st partner.Status) bool {
		for _, one := range st.Partners {
			if !strings.Contains(one.LastError, "x509: certificate signed by unknown authority") || !strings.Contains(one.LastError, "certificate_file") {
				return false
			}
		}
		return st.Principal == ""
	})
}
