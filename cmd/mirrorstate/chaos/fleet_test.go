package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
	"github.com/mirrorstate/mirrorstate/proxy"
	proxyclient "github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// holdWindow is the proxies'; every outage of a schedule is shorter.
const holdWindow = 30 * time.Second

// application is whose sessions they are. Its locks are never abandoned while a test
// runs, so that a lock that is lost is a fault of ours.
var application = session.Application{Name: proxy.DefaultApplicationName, LockTimeout: 24 * time.Hour}

// fleet is a pair of servers and the proxies beside each other on it.
type fleet struct {
	servers *embedded.Pair
	proxies []*instance
}

// instance is one proxy with everything of its own, as if in its own process.
type instance struct {
	app  string // the application name it logs in with, which its faults go by
	pair *partner.Pair
	door door // clients of its listener
}

func startFleet(t *testing.T, proxies int) *fleet {
	t.Helper()
	f := &fleet{servers: embeddedtest.StartWith(t, embedded.Options{Dir: t.TempDir(), PartnerTimeout: 5 * time.Second})}
	if err := f.servers.SetWitness(true); err != nil {
		t.Fatalf("add the witness: %v", err)
	}
	for i := range proxies {
		f.proxies = append(f.proxies, startInstance(t, f.servers, fmt.Sprintf("chaos-%d", i)))
	}
	if !*strictFlag {
		f.register(t)
	}
	return f
}

// register makes the application known: proxies that do so at the same moment collide.
func (f *fleet) register(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	ref := session.Ref{App: &application, ID: session.NewID()}
	if _, err := f.proxies[0].door.now.Put(ctx, ref, session.Write{Item: []byte("first")}, session.Condition{}, session.NewOperationID()); err != nil {
		t.Fatalf("register the application: %v", err)
	}
}

func startInstance(t *testing.T, servers *embedded.Pair, app string) *instance {
	t.Helper()
	cfg := partner.Config{Database: embedded.DatabaseName, Topology: "embedded", Hold: partner.HoldConfig{Window: holdWindow}}
	for i, name := range []partner.Name{partner.A, partner.B} {
		p := servers.Partner(string(name))
		cfg.Partners[i] = partner.PartnerConfig{
			Name: name, Address: p.Addr(), ConnectionString: p.ConnectionString(embedded.DatabaseName) + ";app name=" + app,
		}
	}
	pair, err := partner.New(cfg)
	if err != nil {
		t.Fatalf("make the pair of %s: %v", app, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := pair.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the pair of %s ended: %v", app, err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	store := aspstate.New(pair, faultsOf(t, app))
	t.Cleanup(store.Close)
	return &instance{app: app, pair: pair, door: serveStore(t, store, store.OperationKey, faultsOf(t, app))}
}

// faultsOf logs what a proxy says went wrong, in the test's output.
func faultsOf(t *testing.T, app string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("proxy", app)
}

// serveStore puts a proxy before a store and returns clients of it.
func serveStore(t *testing.T, store session.Store, key func(context.Context) ([]byte, error), logger *slog.Logger) door {
	t.Helper()
	api, err := proxy.NewAPI(proxy.Config{
		Store: store, HoldWindow: holdWindow, OperationKey: key, Logger: logger,
		Apps: map[string]session.Application{"default": application},
	})
	if err != nil {
		t.Fatalf("make a proxy: %v", err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(func() { api.StopWaiting(); server.Close() })
	// Without retries of its own: what fails is to be seen.
	c, err := proxyclient.New(proxyclient.Config{URL: server.URL, Retries: -1})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	t.Cleanup(c.Close)
	return door{now: c, waits: c.Waiting(lockWait)}
}

// lockWait is how long calls queue for a session's lock; much shorter than an outage,
// so that both ends of a wait are seen.
const lockWait = 100 * time.Millisecond
