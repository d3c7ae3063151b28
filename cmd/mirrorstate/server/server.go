// Package server is mirrorstate's server: the pair of SQL Servers, the store on top, and the two listeners that show
// it. Its only input is the configuration.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/telemetry"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// Options are what the configuration does not say. With the zero value a server logs nothing and never reads its
// configuration again.
type Options struct {
	// Embedded is the pair that is opened where the configuration names none. Its folder also keeps what is
	// remembered of any pair.
	Embedded Embedded
	// Load reads the configuration again, at each value of Reload. nil: it is not read again.
	Load   func() (config.Config, error)
	Reload <-chan os.Signal
	// Logs is where the server logs.
	Logs Logs
	// Version is the program's, as it is shown.
	Version string

	// Pair changes how the pair is reached, after the configuration. For tests; may be nil.
	Pair func(*partner.Config)
	// Store is put between the session API and its store. For tests; may be nil.
	Store func(session.Store) session.Store
	// API is put before the session API. For tests; may be nil.
	API func(http.Handler) http.Handler
}

// Server is one server. New opens it, Run runs it.
type Server struct {
	cfg  config.Config
	o    Options
	room allotment

	apiListener, adminListener net.Listener

	guards  *guards
	tracing *telemetry.Tracing // nil: there is none
	metrics *telemetry.Metrics
	stack   *Stack
	life    *life
	api     *proxy.API
	admin   http.Handler

	ran atomic.Bool
}

// New opens a server: first the listeners, because a taken port is the likeliest failure and leaves nothing
// behind; then keys and certificates, the embedded pair where no other is configured, and the pools of connections. Nobody is
// answered before Run. On failure New closes what it has opened. ctx bounds New only.
func New(ctx context.Context, cfg config.Config, o Options) (*Server, error) {
	if o.Logs.Logger == nil {
		o.Logs.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Logs.Level == nil {
		o.Logs.Level = new(slog.LevelVar)
	}
	s := &Server{cfg: cfg, o: o}
	for _, note := range cfg.Notes {
		o.Logs.Warn("about the configuration", "note", note)
	}
	for _, open := range []func(context.Context) error{s.listen, s.openGuards, s.openTracing, s.openStack, s.openHandlers} {
		if err := open(ctx); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// listen takes the addresses, after the files of this process were shared out.
func (s *Server) listen(ctx context.Context) (err error) {
	_, configured := s.cfg.Partners()
	files := OpenFiles()
	if s.room, err = allot(files, s.cfg.Limits, !configured); err != nil {
		return err
	}
	s.room.tell(files, s.cfg.Limits, s.o.Logs.Logger)
	if s.apiListener, err = proxy.Listen(ctx, origin(&s.cfg, "api.listen", "--api"), s.cfg.API.Listen); err != nil {
		return err
	}
	s.adminListener, err = proxy.Listen(ctx, origin(&s.cfg, "admin.listen", "--admin"), s.cfg.Admin.Listen)
	return err
}

func (s *Server) openGuards(context.Context) (err error) {
	if s.guards, err = openGuards(s.cfg, s.o.Logs.Logger); err != nil {
		return err
	}
	return s.guards.check(s.cfg, s.apiListener.Addr(), s.adminListener.Addr(), s.o.Logs.Logger)
}

func (s *Server) openTracing(ctx context.Context) (err error) {
	if s.tracing, err = telemetry.NewTracing(ctx, os.LookupEnv, s.o.Version, databaseOf(s.cfg), s.o.Logs.Logger); err != nil {
		return err
	}
	s.metrics = telemetry.NewMetrics(s.o.Version, s.tracing)
	return nil
}

func (s *Server) openStack(context.Context) error {
	servers, memory, err := openServers(s.cfg, &s.o.Embedded, s.o.Logs.Logger)
	if err != nil {
		return err
	}
	changes := []func(*partner.Config){s.room.pair}
	if s.o.Pair != nil {
		changes = append(changes, s.o.Pair)
	}
	s.stack, err = NewStack(s.cfg, servers, memory, s.metrics.Calls, s.o.Logs.Logger, changes...)
	return err
}

func (s *Server) openHandlers(context.Context) (err error) {
	s.life = &life{notify: newNotifier(s.o.Logs.Logger), logs: s.o.Logs, version: s.o.Version}
	s.life.pause.Store(int64(s.cfg.Drain.Pause))
	s.api, s.admin, err = s.handlers()
	return err
}

// Run serves until ctx ends, and drains then. If the cause of ctx is a [StoppedBy] with SIGTERM, it waits for drain.pause before,
// so that balancers notice. Run returns when all that it has started has ended and all that New has opened is closed: nil, or
// why serving or draining failed. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	if !s.ran.CompareAndSwap(false, true) {
		return errors.New("server: it has already run, or was closed")
	}
	defer s.close()
	s.stack.Start()
	s.stack.sweep(s.cfg.Sweep.Enabled)
	s.stack.readSecret()
	s.guards.watch(s.stack)
	defer s.life.reload(ctx, s.cfg, s.o, s.metrics.Reloads, s.stack, s.api, s.guards)()
	apiRules, adminRules := s.faceRules()
	apiRules.OnDrain = func() { endWaits(ctx, s.api.StopWaiting, s.cfg.Drain.Timeout) }
	api := s.life.leaving.Wrap(s.api)
	if s.o.API != nil {
		api = s.o.API(api)
	}
	return s.life.live(ctx, s.stack.failed, face{s.apiListener, api, apiRules}, face{s.adminListener, s.admin, adminRules})
}

// Close closes a server that has not run; afterwards it can't. Run closes it by itself.
func (s *Server) Close() {
	if s.ran.CompareAndSwap(false, true) {
		s.close()
	}
}

// close closes what was opened, from the top down.
func (s *Server) close() {
	if s.stack != nil {
		s.stack.Close()
	}
	if s.tracing != nil {
		closeTracing(s.tracing, s.o.Logs)
	}
	for _, ln := range []net.Listener{s.adminListener, s.apiListener} {
		if ln != nil {
			_ = ln.Close()
		}
	}
}

// Kill ends a running server as kill -9 would, as far as others can see: it cuts the connections to the SQL Servers first, and
// then those of all clients. Nothing is drained, given back or told. Run returns, with an error. For tests.
func (s *Server) Kill() {
	s.stack.stopPair() // first: a handler that notices that its client is gone must do nothing there
	_ = s.apiListener.Close()
	_ = s.adminListener.Close()
}

// APIURL is where this machine asks the session API.
func (s *Server) APIURL() string { return shownURL(s.apiListener, s.guards.api) }

// AdminURL is where this machine asks the operators' listener.
func (s *Server) AdminURL() string { return shownURL(s.adminListener, s.guards.admin) }

// Keyed reports whether callers need keys.
func (s *Server) Keyed() bool { return s.guards.keys != nil }

// Servers is the embedded pair; nil where the pair is somebody else's.
func (s *Server) Servers() *embedded.Pair { return s.stack.Servers }

// Status is what GET /v1/pair answers.
func (s *Server) Status() PairStatus { return s.view().status() }

// Limits returns how many connections each listener takes, and how many there are to one SQL Server: fewer than configured
// where this process may not open as many files.
func (s *Server) Limits() (api, admin, sql int) { return s.room.api, s.room.admin, s.room.sql }

// origin says where a listener's address comes from, in words that follow the address.
func origin(cfg *config.Config, key, flag string) string {
	if from := cfg.Origin(key); from != "" {
		return "set by " + from
	}
	return "the default of " + key + " (" + flag + ")"
}

// faceRules are the rules that each listener is served by.
func (s *Server) faceRules() (api, admin proxy.ServerConfig) {
	cfg, g := &s.cfg, s.guards
	rules := proxy.ServerConfig{HoldWindow: cfg.Pair.Hold.Window, DrainTimeout: cfg.Drain.Timeout, Keys: g.keys, Logger: s.o.Logs.Logger}
	api, admin = rules, rules
	admin.Health = proxy.IsHealth
	api.TLS, admin.TLS = tlsOf(g.api), tlsOf(g.admin)
	api.Limits, admin.Limits = s.room.serverLimits(cfg.Limits)
	listeners := telemetry.Listeners{telemetry.NewListener("api", g.api), telemetry.NewListener("admin", g.admin)}
	api.Watch, admin.Watch = listeners[0].Watch, listeners[1].Watch
	s.metrics.Add(listeners)
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

// view is the pair as the operators' listener shows it.
func (s *Server) view() pairView {
	return pairView{Pair: s.stack.Pair, sweep: s.stack.sweeping, servers: s.stack.Servers}
}

// handlers makes the two faces.
func (s *Server) handlers() (api *proxy.API, admin http.Handler, err error) {
	cfg, st, l, g, logger := &s.cfg, s.stack, s.life, s.guards, s.o.Logs.Logger
	limits := cfg.Limits
	pc := proxy.Config{
		Store: st.Store, Apps: applications(s.cfg), AppsOpen: cfg.AppsOpen, BasePath: cfg.API.BasePath, HoldWindow: cfg.Pair.Hold.Window, FleetSecret: st.Store.FleetSecret, Logger: logger,
		Keys: g.keys, Hosts: cfg.API.Hosts, Holding: st.Pair.Holding,
		Limits: proxy.Limits{
			WaitersPerSession: limits.LockWaiters, WaitersInAll: limits.LockWaitersInAll,
			Places: limits.Requests, Queue: limits.Queue, QueueWait: limits.QueueWait, ItemsMemory: int64(limits.Bytes),
			NewApplications: boundOrNone(limits.NewApplications), IdempotencyKeys: boundOrNone(limits.IdempotencyKeys),
		},
	}
	if s.o.Store != nil {
		pc.Store = s.o.Store(st.Store)
	}
	if s.tracing != nil {
		pc.Tracer = s.tracing
	}
	if api, err = proxy.NewAPI(pc); err != nil {
		return nil, nil, err
	}
	view := s.view()
	s.metrics.Add(api, telemetry.Limits(api, g.keys), telemetry.Pair(st.Pair), telemetry.Sweep(st.Sweeper().Status), telemetry.Ready(func() bool {
		ready, _ := view.Ready()
		return ready && !l.leaving.Begun()
	}))
	ac := proxy.AdminConfig{
		API: api, Pair: view, Events: EventSource{st.Pair, st.Servers}, Metrics: s.metrics.Handler(logger),
		Leaving: &l.leaving, Version: s.o.Version, Logger: logger,
		Keys: g.keys, Local: isLoopback(s.adminListener.Addr()) || cfg.Auth.Insecure, Hosts: cfg.Admin.Hosts,
	}
	if st.Servers != nil {
		ac.Faults = Injector{st.Servers}
		s.metrics.Add(telemetry.Embedded(st.Servers))
	}
	admin, err = proxy.NewAdmin(ac)
	return api, admin, err
}
