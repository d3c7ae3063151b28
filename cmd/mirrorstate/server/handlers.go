package server

import (
	"net/http"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/telemetry"
	"github.com/mirrorstate/mirrorstate/proxy"
)

// listenerRules returns the limits, timeouts and TLS settings of each listener.
func (s *Server) listenerRules() (api, admin proxy.ServerConfig) {
	cfg, a := &s.cfg, s.access
	rules := proxy.ServerConfig{HoldWindow: cfg.Pair.Hold.Window, DrainTimeout: cfg.Drain.Timeout, Keys: a.keys, Logger: s.o.Logs.Logger}
	api, admin = rules, rules
	admin.Health = proxy.IsHealth
	api.TLS, admin.TLS = tlsOf(a.api), tlsOf(a.admin)
	api.Limits, admin.Limits = s.limits.serverLimits(cfg.Limits)
	listeners := telemetry.Listeners{telemetry.NewListener("api", a.api), telemetry.NewListener("admin", a.admin)}
	api.Watch, admin.Watch = listeners[0].Watch, listeners[1].Watch
	s.metrics.Add(listeners)
	return api, admin
}

// boundOrNone translates a bound for the proxy, where 0 means its default and a negative number means no bound.
func boundOrNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// view returns the pair as the operators' listener shows it.
func (s *Server) view() pairView {
	return pairView{Pair: s.storage.Pair, sweep: s.storage.sweeping, servers: s.storage.Servers}
}

// handlers returns the handlers of both listeners.
func (s *Server) handlers() (api *proxy.API, admin http.Handler, err error) {
	cfg, st, l, a, logger := &s.cfg, s.storage, s.lifecycle, s.access, s.o.Logs.Logger
	limits := cfg.Limits
	pc := proxy.Config{
		Store: st.Store, Apps: applications(s.cfg), AppsOpen: cfg.AppsOpen, BasePath: cfg.API.BasePath, HoldWindow: cfg.Pair.Hold.Window, FleetSecret: st.Store.FleetSecret, Logger: logger,
		Keys: a.keys, Hosts: cfg.API.Hosts, Holding: st.Pair.Holding,
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
	s.metrics.Add(api, telemetry.Limits(api, a.keys), telemetry.Pair(st.Pair), telemetry.Sweep(st.Sweeper().Status), telemetry.Ready(func() bool {
		ready, _ := view.Ready()
		return ready && !l.leaving.Begun()
	}))
	ac := proxy.AdminConfig{
		API: api, Pair: view, Events: EventSource{st.Pair, st.Servers}, Metrics: s.metrics.Handler(logger),
		Leaving: &l.leaving, Version: s.o.Version, Logger: logger,
		Keys: a.keys, Local: isLoopback(s.adminListener.Addr()) || cfg.Auth.Insecure, Hosts: cfg.Admin.Hosts,
	}
	if st.Servers != nil {
		ac.Faults = Injector{st.Servers}
		s.metrics.Add(telemetry.Embedded(st.Servers))
	}
	admin, err = proxy.NewAdmin(ac)
	return api, admin, err
}
