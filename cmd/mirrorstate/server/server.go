// Package server is mirrorstate's server: the pair of SQL Servers, the store on top, and the two listeners that show
// it. Its only input is the configuration.
package server

import (
	"context"
	"net"
	"net/http"
	"os"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/telemetry"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// Greeting is what callers are told once the server is up.
type Greeting struct {
	API, Admin string         // URLs of both listeners
	Keyed      bool           // callers need keys
	Servers    *embedded.Pair // nil: the pair is not embedded
}

// Serve runs until ctx ends: listeners first, for a taken port is the likeliest
// failure and should leave nothing behind. load reads the configuration again, on SIGHUP; nil: it is not read again.
func Serve(ctx context.Context, cfg config.Config, flags *Embedded, logs Logs, version string, greet func(Greeting), load func() (config.Config, error)) error {
	for _, note := range cfg.Notes {
		logs.Warn("about the configuration", "note", note)
	}
	_, configured := cfg.Partners()
	files := OpenFiles()
	room, err := allot(files, cfg.Limits, !configured)
	if err != nil {
		return err
	}
	room.tell(files, cfg.Limits, logs.Logger)
	apiListener, err := proxy.Listen(ctx, origin(&cfg, "api.listen", "--api"), cfg.API.Listen)
	if err != nil {
		return err
	}
	defer apiListener.Close()
	adminListener, err := proxy.Listen(ctx, origin(&cfg, "admin.listen", "--admin"), cfg.Admin.Listen)
	if err != nil {
		return err
	}
	defer adminListener.Close()

	guards, err := openGuards(cfg, logs.Logger)
	if err != nil {
		return err
	}
	if err := guards.check(cfg, apiListener.Addr(), adminListener.Addr(), logs.Logger); err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, os.LookupEnv, version, databaseOf(cfg), logs.Logger)
	if err != nil {
		return err
	}
	defer closeTracing(tracing, logs)
	metrics := telemetry.NewMetrics(version, tracing)
	servers, memory, err := openServers(cfg, flags, logs.Logger)
	if err != nil {
		return err
	}
	st, err := OpenStack(cfg, servers, memory, metrics.Calls, logs.Logger, room.pair)
	if err != nil {
		return err
	}
	defer st.Close()
	st.sweep(cfg.Sweep.Enabled)
	st.readSecret()

	guards.watch(st)
	l := &life{notify: newNotifier(logs.Logger), logs: logs, version: version}
	l.pause.Store(int64(cfg.Drain.Pause))
	api, admin, err := handlers(cfg, st, l, guards, isLoopback(adminListener.Addr()), metrics, tracing)
	if err != nil {
		return err
	}
	defer l.reload(ctx, cfg, load, metrics.Reloads, st, api, guards)()
	greet(Greeting{shownURL(apiListener, guards.api), shownURL(adminListener, guards.admin), guards.keys != nil, servers})
	apiRules, adminRules := faceRules(cfg, room, guards, metrics, logs)
	apiRules.OnDrain = func() { endWaits(ctx, api.StopWaiting, cfg.Drain.Timeout) }
	return l.live(ctx, st.failed, face{apiListener, l.leaving.Wrap(api), apiRules}, face{adminListener, admin, adminRules})
}

// origin says where a listener's address comes from, in words that follow the address.
func origin(cfg *config.Config, key, flag string) string {
	if from := cfg.Origin(key); from != "" {
		return "set by " + from
	}
	return "the default of " + key + " (" + flag + ")"
}

// faceRules are the rules that each listener is served by.
func faceRules(cfg config.Config, room allotment, g *guards, metrics *telemetry.Metrics, logs Logs) (api, admin proxy.ServerConfig) {
	rules := proxy.ServerConfig{HoldWindow: cfg.Pair.Hold.Window, DrainTimeout: cfg.Drain.Timeout, Keys: g.keys, Logger: logs.Logger}
	api, admin = rules, rules
	admin.Health = proxy.IsHealth
	api.TLS, admin.TLS = tlsOf(g.api), tlsOf(g.admin)
	api.Limits, admin.Limits = room.serverLimits(cfg.Limits)
	listeners := telemetry.Listeners{telemetry.NewListener("api", g.api), telemetry.NewListener("admin", g.admin)}
	api.Watch, admin.Watch = listeners[0].Watch, listeners[1].Watch
	metrics.Add(listeners)
	return api, admin
}

// databaseOf is the mirrored database's name.
func databaseOf(cfg config.Config) string {
	if both, configured := cfg.Partners(); configured {
		return both.Database
	}
	return "ASPState"
}

// closeTracing sends the last spans.
func closeTracing(tracing *telemetry.Tracing, logs Logs) {
	if err := tracing.Close(); err != nil {
		logs.Warn("the last traces were not sent", "error", err)
	}
}

// shownURL is where a listener is asked, from this machine: [::] and 0.0.0.0 are addresses to listen on, and none to
// connect to.
func shownURL(ln net.Listener, c *proxy.Certificates) string {
	address := ln.Addr().String()
	if host, port, err := net.SplitHostPort(address); err == nil {
		address = net.JoinHostPort(Reachable(host), port)
	}
	if c != nil {
		return "https://" + address
	}
	return "http://" + address
}

// Reachable is an address to connect to, on this machine, for one to listen on.
func Reachable(host string) string {
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		return "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		return "::1"
	}
	return host
}

// boundOrNone is a bound as the proxy is given it: 0 stands for its default there.
func boundOrNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// handlers makes the two faces.
func handlers(cfg config.Config, st *Stack, l *life, g *guards, loopback bool, metrics *telemetry.Metrics, tracing *telemetry.Tracing) (api *proxy.API, admin http.Handler, err error) {
	limits := cfg.Limits
	pc := proxy.Config{
		Store: st.Store, Apps: applications(cfg), AppsOpen: cfg.AppsOpen, BasePath: cfg.API.BasePath, HoldWindow: cfg.Pair.Hold.Window, FleetSecret: st.Store.FleetSecret, Logger: l.logs.Logger,
		Keys: g.keys, Hosts: cfg.API.Hosts, Holding: st.Pair.Holding,
		Limits: proxy.Limits{
			WaitersPerSession: limits.LockWaiters, WaitersInAll: limits.LockWaitersInAll,
			Places: limits.Requests, Queue: limits.Queue, QueueWait: limits.QueueWait, ItemsMemory: int64(limits.Bytes),
			NewApplications: boundOrNone(limits.NewApplications), IdempotencyKeys: boundOrNone(limits.IdempotencyKeys),
		},
	}
	if tracing != nil {
		pc.Tracer = tracing
	}
	if api, err = proxy.NewAPI(pc); err != nil {
		return nil, nil, err
	}
	view := pairView{Pair: st.Pair, sweep: st.sweeping, servers: st.Servers}
	metrics.Add(api, telemetry.Limits(api, g.keys), telemetry.Pair(st.Pair), telemetry.Sweep(st.sweeping.sweeper.Status), telemetry.Ready(func() bool {
		ready, _ := view.Ready()
		return ready && !l.leaving.Begun()
	}))
	ac := proxy.AdminConfig{
		API: api, Pair: view, Events: EventSource{st.Pair, st.Servers}, Metrics: metrics.Handler(l.logs.Logger),
		Leaving: &l.leaving, Version: l.version, Logger: l.logs.Logger,
		Keys: g.keys, Local: loopback || cfg.Auth.Insecure, Hosts: cfg.Admin.Hosts,
	}
	if st.Servers != nil {
		ac.Faults = Injector{st.Servers}
		metrics.Add(telemetry.Embedded(st.Servers))
	}
	admin, err = proxy.NewAdmin(ac)
	return api, admin, err
}
