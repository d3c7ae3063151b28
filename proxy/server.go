package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// The server's times. A request's own deadline is the session API's concern: it
// starts when the body has come, and extends the write deadline where it must.
const (
	headerTimeout = 10 * time.Second  // for the request line and headers
	bodyTimeout   = 60 * time.Second  // for the whole request: 4 MiB at 70 kB/s
	idleTimeout   = 180 * time.Second // longer than balancers keep theirs, so that they close first
	maxHeader     = 32 << 10          // bytes of request line and headers
	closeTimeout  = 5 * time.Second   // for handlers whose connections were cut
)

// DefaultDrainTimeout is how long requests under way may take to end.
const DefaultDrainTimeout = DefaultHoldWindow + 2*grace

// ServerConfig says how a handler is served. Zero values stand for the defaults.
type ServerConfig struct {
	// HoldWindow is that of the API's Config: answers may take as long. Default 30 s.
	HoldWindow time.Duration
	// DrainTimeout bounds the end: requests that take longer are cut off. Default 40 s.
	DrainTimeout time.Duration
	// OnDrain is called once when draining begins, before anything else: it is the
	// place for [API.StopWaiting]. May be nil.
	OnDrain func()
	// Logger takes what net/http has to say. Default: none.
	Logger *slog.Logger
}

// Listen opens addr for TCP. setting names where the address came from, such as
// "api.listen (--api)"; the error says what to do about it.
func Listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err == nil {
		return ln, nil
	}
	advice := "give host:port, such as 127.0.0.1:8080"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program has it (or another mirrorstate): stop that one, or choose another address"
	case errors.Is(err, syscall.EACCES):
		advice = "this user may not: choose a port above 1023"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine does not have that address: choose one it has, or 127.0.0.1"
	}
	return nil, fmt.Errorf("listen on %s, set by %s: %w; %s", addr, setting, err, advice)
}

// Serve answers requests on ln with h until ctx ends, then drains: it takes no
// more connections, lets requests under way end until DrainTimeout, and cuts off
// the rest, whose contexts end then. Event streams end as draining begins. It closes ln and returns after every
// handler has returned: nil, or why serving or draining failed.
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
	conns := newConnections()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      bodyTimeout + cfg.HoldWindow + 2*grace,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         conns.track,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
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

// drain ends the server in good order, or else by force.
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

// connections counts a server's connections; each one's goroutine ends with it.
type connections struct {
	mu   sync.Mutex
	open int           // owned by mu
	none chan struct{} // owned by mu; closed when open becomes 0, nil while nobody asked
}

func newConnections() *connections { return new(connections) }

// track is a ConnState hook. net/http reports StateClosed at the very end of a
// connection's goroutine, its handler included.
func (c *connections) track(_ net.Conn, state http.ConnState) {
	if state != http.StateNew && state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew {
		c.open++
		return
	}
	c.open--
	if c.open == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// wait returns once there are no connections. Call it when no more are taken.
func (c *connections) wait() error {
	c.mu.Lock()
	none := make(chan struct{})
	if c.open == 0 {
		close(none)
	} else {
		c.none = none
	}
	c.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-time.After(closeTimeout):
		return fmt.Errorf("%d handlers still run %v after their connections were closed", c.count(), closeTimeout)
	}
}
