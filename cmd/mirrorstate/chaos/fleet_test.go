package chaos

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// holdWindow is the proxies'; every outage of a schedule is shorter.
const holdWindow = 30 * time.Second

// partnerTimeout is the pair's: SQL Server's least.
const partnerTimeout = 5 * time.Second

// application is whose sessions they are. Its locks are never abandoned while a test
// runs, so that a lock that is lost is a fault of ours.
var application = session.Application{Name: proxy.DefaultApplicationName, LockTimeout: 24 * time.Hour}

// fleet is a pair of servers and the proxies beside each other on it.
type fleet struct {
	servers *embedded.Pair
	proxies []*instance
	witness bool // of SQL Server's own; without, the proxies' watchdog takes over
	tally   *tally
}

// fleetOptions is what a fleet is like.
type fleetOptions struct {
	proxies int
	witness bool
	relay   bool   // between each proxy and each server is a relay
	seed    uint64 // of the relays
}

func startFleet(t *testing.T, tl *tally, o fleetOptions) *fleet {
	t.Helper()
	f := &fleet{
		servers: aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir(), PartnerTimeout: partnerTimeout, Witness: o.witness}),
		witness: o.witness, tally: tl,
	}
	for i := range o.proxies {
		f.proxies = append(f.proxies, f.newInstance(t, i, o))
	}
	if !o.witness {
		for _, in := range f.proxies {
			in.cfg.Watchdog = f.watchdog(in)
		}
	}
	for _, in := range f.proxies {
		if err := in.start(); err != nil {
			t.Fatalf("start %s: %v", in.app, err)
		}
		t.Cleanup(in.end)
	}
	return f
}

// newInstance makes a proxy that does not live yet.
func (f *fleet) newInstance(t *testing.T, number int, o fleetOptions) *instance {
	t.Helper()
	app := fmt.Sprintf("chaos-%d", number)
	relays := map[partner.Name]*relay{}
	cfg := partner.Config{
		Database: embedded.DatabaseName, Topology: "embedded", Hold: partner.HoldConfig{Window: holdWindow},
		Exposed: *exposedFlag, Memory: filepath.Join(t.TempDir(), "accepted.json"), Logger: faultsOf(t, app),
	}
	for i, name := range []partner.Name{partner.A, partner.B} {
		p := f.servers.Partner(string(name))
		dsn, err := msdsn.Parse(p.ConnectionString(embedded.DatabaseName) + ";app name=" + app)
		if err != nil {
			t.Fatal(err)
		}
		if o.relay {
			r := startRelay(t, p.Addr(), o.seed, relayActor-2*number-i, f.tally)
			dsn.Port, relays[name] = r.port(), r
		}
		cfg.Partners[i] = partner.PartnerConfig{Name: name, Address: p.Addr(), DSN: &dsn}
	}
	// The port is the proxy's for all its lives: what is taken from the start is not given away.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{app: app, relays: relays, cfg: cfg, addr: ln.Addr().String(), first: ln, t: t, up: make(chan struct{})}
	in.door = doorTo(t, "http://"+in.addr)
	in.door.proxy = in
	return in
}

// watchdog is how a proxy forces service where there is no witness: with the others as
// observers, or, alone, by the operator's leave.
func (f *fleet) watchdog(self *instance) partner.WatchdogConfig {
	w := partner.WatchdogConfig{Enabled: true, After: 500 * time.Millisecond, CoolDown: time.Second, AllowDataLoss: len(f.proxies) == 1}
	for _, other := range f.proxies {
		if other != self {
			w.Observers = append(w.Observers, other)
		}
	}
	return w
}

// serving follows who is principal, and tells f when a partner begins to serve, until ctx ends.
func (f *fleet) serving(ctx context.Context, begins func(at time.Time)) {
	events, unsubscribe := f.servers.Events()
	defer unsubscribe()
	for {
		select {
		case e := <-events:
			if e.Kind == "role" && strings.HasPrefix(e.Detail, "PRINCIPAL") {
				begins(e.At)
			}
		case <-ctx.Done():
			return
		}
	}
}

// disturb puts a disturbance in force at the relays; nil lifts it.
func (f *fleet) disturb(d *disturbance) {
	for i, in := range f.proxies {
		for _, r := range in.relays {
			if d == nil || d.proxy < 0 || d.proxy == i {
				r.disturb(d)
			}
		}
	}
}

// await notes at every proxy with calls under way that a new principal serves, so that the next
// answer is timed.
func (f *fleet) await(at time.Time) {
	for _, in := range f.proxies {
		if in.calls.Load() > 0 && in.current() != nil {
			in.served.Store(at.UnixNano())
		}
	}
}

// stopTiming has nobody's next answer timed, and says how many had not come yet: what comes next
// is not the last failover's doing.
func (f *fleet) stopTiming() (n int) {
	for _, in := range f.proxies {
		if in.served.Swap(0) != 0 {
			n++
		}
	}
	return n
}

// whole tells whether the pair can lose its principal, and nobody would notice.
func (f *fleet) whole() bool {
	if f.servers.State() != "SYNCHRONIZED" || f.servers.Principal() == "" {
		return false
	}
	for _, in := range f.proxies {
		l := in.current()
		if l == nil || !f.witness && l.pair.Status().Watchdog.Reason != readyToForce {
			return false
		}
	}
	return true
}

// readyToForce is what a watchdog says that would force service, were the principal lost.
const readyToForce = "a principal serves"

// watchdogs is what they say, for an error.
func (f *fleet) watchdogs() string {
	text := ""
	for _, in := range f.proxies {
		if l := in.current(); l != nil && !f.witness {
			text += "; " + in.app + ": " + l.pair.Status().Watchdog.Reason
		}
	}
	return text
}
