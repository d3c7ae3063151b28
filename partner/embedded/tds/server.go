package tds

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	defaultLoginTimeout = 10 * time.Second
	defaultMaxRequest   = 64 << 20

	// firstSPID is the lowest number of a client's connection; SQL Server uses those below for itself.
	firstSPID = 51
	lastSPID  = 32767
)

// Server serves TDS connections. Its fields must not change once it serves. Serve and ServeConn may be called
// concurrently.
type Server struct {
	// Handler authenticates logins. Required.
	Handler Handler
	// TLS is the configuration for encryption. nil: no encryption, which the server tells clients. Otherwise the client
	// chooses: nothing, the login packet only, or everything, also TDS 8 ("strict"). The configuration is copied.
	// Inside TDS 7 the version is always TLS 1.2, because only go-mssqldb completes a TLS 1.3 handshake there.
	TLS *tls.Config
	// LoginTimeout limits the time from the start of a connection to the end of its login. 0: 10 s.
	LoginTimeout time.Duration
	// MaxRequest is the size in bytes of the largest request. 0: 64 MiB. The server reads a larger one to its end
	// without keeping it, and answers with error 50000.
	MaxRequest int
	// MaxConnections is the limit of connections. A further connection is refused at its login with 17809, unless it
	// gets the slot of one that has not logged in for a second. 0: [DefaultMaxConnections].
	MaxConnections int
	// Logger receives the events of connections, at Debug. nil: no log.
	Logger *slog.Logger

	once       sync.Once
	tls7, tls8 *tls.Config // derived from TLS once
	spids      atomic.Uint32
	slots      slots
}

// Serve accepts and serves connections until ctx ends (it then returns nil) or ln
// fails (it returns the reason). It closes ln and all its connections, and
// returns after all its goroutines have.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // before the wait: this ends the connections and closes ln
	wg.Go(func() {
		<-ctx.Done()
		ln.Close()
	})
	failing := false
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			failing = false
			wg.Go(func() { _ = s.ServeConn(ctx, c) }) // ServeConn logs
		case ctx.Err() != nil:
			return nil
		case transient(err):
			if !failing { // log once, because accept is retried twenty times a second
				s.logger().Warn("accept failed", "error", err)
			}
			failing = true
			pause(ctx, 50*time.Millisecond)
		default:
			return err
		}
	}
}

// transient reports whether the listener will probably work again: a connection ended before it was accepted, or too
// many files are open.
func transient(err error) bool {
	return errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// ServeConn serves one connection until it or ctx ends, and closes it. It returns nil if the client disconnected
// between two requests or ctx ended, and otherwise the error.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) error {
	s.once.Do(s.prepare)
	conn := newConn(ctx, s, c)
	log := s.logger().With("spid", conn.spid, "remote", c.RemoteAddr())
	log.Debug("connection started")
	if err := s.slots.enter(conn, s.maxConnections()); err != nil {
		log.Debug("connection ended", "error", err)
		conn.end(err)
		return err
	}
	defer s.slots.leave(conn)
	err := conn.serve()
	log.Debug("connection ended", "error", err)
	return err
}

// Refused returns the number of connections that got no slot or lost it to another one.
func (s *Server) Refused() int64 { return s.slots.refused.Load() }

func (s *Server) prepare() {
	if s.TLS != nil {
		s.tls7, s.tls8 = insideTDS7(s.TLS), outsideTDS8(s.TLS)
	}
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Server) loginTimeout() time.Duration {
	if s.LoginTimeout <= 0 {
		return defaultLoginTimeout
	}
	return s.LoginTimeout
}

func (s *Server) maxRequest() int {
	if s.MaxRequest <= 0 {
		return defaultMaxRequest
	}
	return s.MaxRequest
}

func (s *Server) maxConnections() int {
	if s.MaxConnections <= 0 {
		return DefaultMaxConnections
	}
	return s.MaxConnections
}

// nextSPID returns the next connection number; the numbers wrap around.
func (s *Server) nextSPID() uint16 {
	return uint16(firstSPID + (s.spids.Add(1)-1)%(lastSPID-firstSPID+1))
}
