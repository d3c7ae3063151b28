package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// closeTimeout is how long handlers may run after their connections were cut.
const closeTimeout = 5 * time.Second

// DefaultDrainTimeout is how long requests in progress may take to end.
const DefaultDrainTimeout = DefaultHoldWindow + 2*deadlineMargin

// ServerConfig says how a handler is served. Zero values stand for the defaults.
type ServerConfig struct {
	// HoldWindow is the HoldWindow of the API's Config. Answers may take that much longer. Default 30 s.
	HoldWindow time.Duration
	// DrainTimeout bounds the drain: requests that take longer are cut off. Default 40 s.
	DrainTimeout time.Duration
	// OnDrain is called once when draining begins, before anything else. Call [API.StopWaiting] in it. May be nil.
	OnDrain func()
	// Watch is called before the first connection. It gets a function that returns the counters of connections. May be
	// nil.
	Watch func(stats func() ConnectionStats)
	// TLS is the TLS configuration; nil: no TLS. See [Certificates.TLS].
	TLS *tls.Config
	// Limits bound the cost of connections.
	Limits ServerLimits
	// Keys are the keys of callers; the same as the handler's. Connections that have shown no key have lower limits and
	// are evicted first. nil: no connection needs a key.
	Keys *keyring.Keys
	// Health reports whether a path is a health check. One in 32 of Limits.Connections is reserved for connections that
	// only make health checks: at least one, and none if Limits.Connections is below 4. nil: none is reserved.
	Health func(path string) bool
	// Logger logs the messages of net/http. Default: none.
	Logger *slog.Logger
}

// ServerLimits bound the cost of connections. Zero values stand for the defaults. The session API sets the deadline
// of a request itself, when the body has arrived, and extends the write deadline if it must.
type ServerLimits struct {
	Connections int // open at once; above that, a new connection evicts others: see docs/security.md. Default 20,000
	// UnauthenticatedPerAddress is how many connections without a credential one address may have; the next one evicts
	// the oldest. Default a quarter of Connections, and at least 16.
	UnauthenticatedPerAddress int
	HeaderBytes               int           // of request line and headers; net/http adds 4 KiB of its own. Default 32 KiB
	HeaderTimeout             time.Duration // for TLS, and for the request line and headers. Default 10 s
	BodyTimeout               time.Duration // for the whole request. Default 60 s, which is 4 MiB at 70 kB/s
	IdleTimeout               time.Duration // between requests; longer than the idle timeouts of load balancers, so that these close first. Default 180 s
}

func (l ServerLimits) withDefaults() ServerLimits {
	if l.Connections == 0 {
		l.Connections = 20_000
	}
	if l.UnauthenticatedPerAddress == 0 {
		l.UnauthenticatedPerAddress = max(l.Connections/4, 16)
	}
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 32 << 10
	}
	if l.HeaderTimeout == 0 {
		l.HeaderTimeout = 10 * time.Second
	}
	if l.BodyTimeout == 0 {
		l.BodyTimeout = 60 * time.Second
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = 180 * time.Second
	}
	return l
}

// The bounds of one HTTP/2 connection. They are sent when it begins, so they are the same with and without a
// credential; unauthenticatedStreams bounds what is done without one.
const (
	maxStreams   = 100              // requests in progress
	maxFrame     = 16 << 10         // bytes of a frame, which is buffered whole; the least that HTTP/2 allows
	streamBuffer = 64 << 10         // bytes of an item that have arrived and are not read
	connBuffer   = 4 * streamBuffer // the same for all items
)

// The connections reserved for health checks: one in healthShare, and none if the limit is below leastForHealth.
const (
	healthShare    = 32
	leastForHealth = 4
)

// Listen listens on addr for TCP. setting says where the address comes from, such as "set by --api"; the error contains
// it, and says what to do.
func Listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err == nil {
		return ln, nil
	}
	advice := "give host:port, such as 127.0.0.1:8080"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program (or another mirrorstate) uses it: stop that program, or choose another address"
	case errors.Is(err, syscall.EACCES):
		advice = "this user has no permission: choose a port above 1023"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine does not have that address: choose one that it has, or 127.0.0.1"
	}
	return nil, fmt.Errorf("listen on %s, %s: %w; %s", addr, setting, err, advice)
}

// Serve answers requests on ln with h until ctx ends. Then it drains: it accepts no more connections, waits for requests
// in progress until DrainTimeout, and then closes the other connections and cancels their requests. Event streams end
// when draining begins. Serve closes ln and returns after all handlers have returned. It returns an error if serving or
// draining failed.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, cfg ServerConfig) error {
	if cfg.HoldWindow == 0 {
		cfg.HoldWindow = DefaultHoldWindow
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = DefaultDrainTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	base, cut := context.WithCancel(withDraining(context.WithoutCancel(ctx), ctx.Done()))
	defer cut()
	limits := cfg.Limits.withDefaults()
	reserve := 0
	if cfg.Health != nil && limits.Connections >= leastForHealth {
		reserve = max(1, limits.Connections/healthShare)
	}
	conns := newConnections(limits, reserve, cfg.Keys)
	if cfg.Watch != nil {
		cfg.Watch(conns.stats)
	}
	srv := &http.Server{
		Handler:                      served(h, cfg.Health, refuseSpare),
		TLSConfig:                    cfg.TLS,
		ReadHeaderTimeout:            limits.HeaderTimeout,
		ReadTimeout:                  limits.BodyTimeout,
		WriteTimeout:                 limits.BodyTimeout + cfg.HoldWindow + 2*deadlineMargin,
		IdleTimeout:                  limits.IdleTimeout,
		MaxHeaderBytes:               limits.HeaderBytes,
		DisableGeneralOptionsHandler: true, // the handler answers OPTIONS * as well
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame,
			MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connBuffer,
		},
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: withConnection,
		ConnState:   conns.track,
		ErrorLog:    log.New(serverLog{cfg.Logger}, "", 0),
	}
	served := make(chan error, 1)
	limited := limitedListener{ln, conns}
	go func() {
		if cfg.TLS != nil {
			served <- srv.ServeTLS(limited, "", "")
			return
		}
		served <- srv.Serve(limited)
	}()
	select {
	case err := <-served:
		cut()
		srv.Close()
		return errors.Join(fmt.Errorf("serve on %s: %w", ln.Addr(), err), conns.wait())
	case <-ctx.Done():
	}
	if cfg.OnDrain != nil {
		cfg.OnDrain()
	}
	err := drain(ctx, srv, cut, conns, cfg.DrainTimeout)
	<-served
	return err
}

// refuseSpare refuses requests other than health checks on a connection that is reserved for these.
func refuseSpare(w http.ResponseWriter, r *http.Request) {
	p := newProblem(kindOverloaded, "all other connections of this listener are in use, and this one is reserved for health checks: close some, or try again later", session.NotApplied)
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		turnAway(w)
	}
	writeProblem(w, &p)
}

// drain shuts the server down, by force after timeout.
func drain(ctx context.Context, srv *http.Server, cut func(), conns *connections, timeout time.Duration) error {
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := srv.Shutdown(patient); err == nil {
		return conns.wait()
	}
	err := fmt.Errorf("drain: %d connections were cut after %v", conns.count(), timeout)
	cut()
	srv.Close()
	return errors.Join(err, conns.wait())
}

// serverLog logs the lines of net/http. Lines about failed TLS handshakes and about semicolons in queries are logged at
// Debug: they need no action by an operator, and any client can cause any number of them.
type serverLog struct{ log *slog.Logger }

// Write implements io.Writer.
func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelWarn
	if strings.HasPrefix(text, "http: TLS handshake error") || strings.Contains(text, "URL query contains semicolon") {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, text)
	return len(line), nil
}
