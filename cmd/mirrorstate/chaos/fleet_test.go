package chaos

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/certtest"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// holdWindow is the hold window of the proxies. Every outage of a schedule is shorter.
const holdWindow = 30 * time.Second

// partnerTimeout is the partner timeout of the pair: SQL Server's minimum.
const partnerTimeout = 5 * time.Second

// application is the application of the sessions. Its locks are not abandoned during a test, so a lost lock is always a
// bug.
var application = session.Application{Name: proxy.DefaultApplicationName, LockTimeout: 24 * time.Hour}

// fleet is a pair of servers with several proxies.
type fleet struct {
	servers *embedded.Pair
	proxies []*instance
	witness bool // the pair has a witness; without one, the proxies' watchdogs force service
	tally   *tally
}

// fleetOptions are the options of a fleet.
type fleetOptions struct {
	proxies int
	witness bool
	relay   bool   // put a relay between each proxy and each server
	clear   int    // the number of the proxy whose API has no TLS
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
	secure := 0
	for i, in := range f.proxies {
		in.cfg = f.configure(t, in, i != o.clear)
		if in.cfg.API.TLS.On() {
			secure++
		}
		if err := in.start(); err != nil {
			t.Fatalf("start %s: %v", in.app, err)
		}
		t.Cleanup(in.kill)
	}
	tl.server = described(f.proxies[0], secure, o.proxies)
	return f
}

// described describes the server that the proxies run.
func described(in *instance, secure, proxies int) string {
	api, admin, sql := in.current().Limits()
	return fmt.Sprintf("cmd/mirrorstate/server: TLS at %d of %d, limits of %d, %d and %d connections (API, operators, each SQL Server) and %d requests, sweeper every %v, drain after %v for %v",
		secure, proxies, api, admin, sql, in.cfg.Limits.Requests, in.cfg.Sweep.Interval, in.cfg.Drain.Pause, in.cfg.Drain.Timeout)
}

// newInstance returns a proxy that is not started yet. It reserves the proxy's addresses, which stay the same over
// restarts.
func (f *fleet) newInstance(t *testing.T, number int, o fleetOptions) *instance {
	t.Helper()
	in := &instance{app: fmt.Sprintf("chaos-%d", number), relays: map[partner.Name]*relay{}, t: t, up: make(chan struct{})}
	for _, addr := range []*string{&in.addr, &in.admin} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*addr, in.reserved = ln.Addr().String(), append(in.reserved, ln)
	}
	in.asked = clientOf(t, "http://"+in.admin, nil)
	for i, name := range []partner.Name{partner.A, partner.B} {
		if o.relay {
			in.relays[name] = startRelay(t, f.servers.Partner(string(name)).Addr(), o.seed, relayActor-2*number-i, f.tally)
		}
	}
	in.opts = server.Options{
		Embedded: server.Embedded{Dir: t.TempDir()}, // keeps the accepted principal
		Logs:     server.Logs{Logger: faultsOf(t, in.app), Level: new(slog.LevelVar)},
		Version:  "chaos",
		Pair:     f.reached(in),
		Store:    func(st session.Store) session.Store { return begins{st} },
		API:      seesTries,
	}
	return in
}

// reached changes how a proxy reaches the pair: through its relays, and with watchdogs that wait for less time than the
// configuration allows.
func (f *fleet) reached(in *instance) func(*partner.Config) {
	return func(pc *partner.Config) {
		for i := range pc.Partners {
			p := &pc.Partners[i]
			p.Address = f.servers.Partner(string(p.Name)).Addr() // the partner's own address, by which the other proxies know it
			if r := in.relays[p.Name]; r != nil {
				p.DSN.Port = r.port()
			}
		}
		if pc.Watchdog.Enabled {
			pc.Watchdog.After, pc.Watchdog.CoolDown = 500*time.Millisecond, time.Second
		}
	}
}

// Settings of a proxy that differ from the defaults.
const (
	sweepEvery = time.Second
	drainPause = 400 * time.Millisecond
)

// configure returns the configuration of a proxy. With secure, its API has a certificate.
func (f *fleet) configure(t *testing.T, in *instance, secure bool) config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mirrorstate.yaml")
	text := fmt.Sprintf("apps: {default: {name: %s, lock_timeout: %v}}\n", application.Name, application.LockTimeout)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said := []config.Setting{
		config.Flag("", "api.listen", in.addr), config.Flag("", "admin.listen", in.admin),
		config.Flag("", "pair.connection_string", f.connectionString()+";application name="+in.app),
		config.Flag("", "pair.exposed", *exposedFlag), config.Flag("", "pair.hold.window", holdWindow.String()),
		config.Flag("", "sweep.interval", sweepEvery.String()), config.Flag("", "drain.pause", drainPause.String()),
	}
	var known *tls.Config
	scheme := "http://"
	if secure {
		var certificate, key string
		certificate, key, known = certtest.Files(t)
		said = append(said, config.Flag("", "api.tls.certificate_file", certificate), config.Flag("", "api.tls.key_file", key))
		scheme = "https://"
	}
	if !f.witness {
		said = append(said, f.watchdog(in)...)
	}
	cfg, err := config.Load(file, func(string) (string, bool) { return "", false }, said...)
	if err != nil {
		t.Fatal(err)
	}
	in.target = newTarget(t, scheme+in.addr, known)
	in.target.proxy = in
	return cfg
}

// connectionString returns the ADO.NET connection string of the pair.
func (f *fleet) connectionString() string {
	at := func(name string) string { return strings.Replace(f.servers.Partner(name).Addr(), ":", ",", 1) }
	return fmt.Sprintf("data source=%s;failover partner=%s;initial catalog=%s;user id=%s;password=%s;encrypt=disable",
		at("a"), at("b"), embedded.DatabaseName, f.servers.User(), f.servers.Password())
}

// watchdog returns the settings of a proxy's watchdog, for a pair without a witness. The other proxies are its
// observers, by their operators' listeners. A single proxy has allow_data_loss instead.
func (f *fleet) watchdog(self *instance) []config.Setting {
	said := []config.Setting{config.Flag("", "pair.watchdog.enabled", "true"), config.Flag("", "pair.watchdog.after", "1s"), config.Flag("", "pair.watchdog.cool_down", "1s")}
	if len(f.proxies) == 1 {
		return append(said, config.Flag("", "pair.watchdog.allow_data_loss", "true"))
	}
	observers := config.Setting{Key: "pair.watchdog.observers"}
	for _, other := range f.proxies {
		if other != self {
			observers.Values = append(observers.Values, "http://"+other.admin)
		}
	}
	return append(said, observers)
}

// lastSweep returns when the expiry job last ran, as the running proxies report it.
func (f *fleet) lastSweep() string {
	var last time.Time
	for _, in := range f.proxies {
		if l := in.current(); l != nil {
			if at := l.Status().Sweep.LastRun; at != nil && at.After(last) {
				last = *at
			}
		}
	}
	if last.IsZero() {
		return "never swept"
	}
	return fmt.Sprintf("last swept %v before the end", time.Since(last).Round(100*time.Millisecond))
}

// serving calls begins whenever a partner becomes principal, until ctx ends.
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

// disturb starts a disturbance at the relays; nil ends it.
func (f *fleet) disturb(d *disturbance) {
	for i, in := range f.proxies {
		for _, r := range in.relays {
			if d == nil || d.proxy < 0 || d.proxy == i {
				r.disturb(d)
			}
		}
	}
}

// await starts timing the next answer of every proxy with calls under way, because there is a new principal.
func (f *fleet) await(at time.Time) {
	for _, in := range f.proxies {
		if in.calls.Load() > 0 && in.current() != nil {
			in.served.Store(at.UnixNano())
		}
	}
}

// stopTiming stops timing answers, because later ones do not depend on the last failover. It returns how many had not
// come.
func (f *fleet) stopTiming() (n int) {
	for _, in := range f.proxies {
		if in.served.Swap(0) != 0 {
			n++
		}
	}
	return n
}

// whole reports whether the pair can lose its principal without a failure.
func (f *fleet) whole() bool {
	if f.servers.State() != "SYNCHRONIZED" || f.servers.Principal() == "" {
		return false
	}
	for _, in := range f.proxies {
		l := in.current()
		if l == nil || !f.witness && l.Status().Watchdog.Reason != readyToForce {
			return false
		}
	}
	return true
}

// readyToForce is the status of a watchdog that would force service if the principal were lost.
const readyToForce = "a principal serves"

// watchdogs returns the status of all watchdogs, for an error.
func (f *fleet) watchdogs() string {
	text := ""
	for _, in := range f.proxies {
		if l := in.current(); l != nil && !f.witness {
			text += "; " + in.app + ": " + l.Status().Watchdog.Reason
		}
	}
	return text
}
