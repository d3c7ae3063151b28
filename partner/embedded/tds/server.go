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

	// firstSPID is the lowest number of a client's connection; those below are SQL Server's own.
	firstSPID = 51
	lastSPID  = 32767
)

// Server serves TDS connections. Its fields must not change once it serves. Serve
// and ServeConn may be called from many goroutines.
type Server struct {
	// Handler decides about logins. Required.
	Handler Handler
	// TLS is what connections are encrypted with. nil: no encryption, and clients
	// are told so. Otherwise it is the client's choice: nothing, the login packet only,
	// or everything; TDS 8 ("strict") too. The configuration is copied; inside TDS 7 TLS 1.2
	// is spoken whatever it says, because only go-mssqldb gets through a TLS 1.3 handshake there.
	TLS *tls.Config
	// LoginTimeout is the time from the start of a connection to the end of its login. 0: 10 s.
	LoginTimeout time.Duration
	// MaxRequest is the size in bytes of the largest request. 0: 64 MiB. A larger one is
	// read to its end without being kept, and answered by an error 50000.
	MaxRequest int
	// MaxConnections is how many connections there may be. One more is refused at its login with 17809, unless one that has
	// not logged in for a second makes room. 0: [DefaultMaxConnections].
	MaxConnections int
	// Logger gets what happens to connections, at Debug. nil: nobody.
	Logger *slog.Logger

	once       sync.Once
	tls7, tls8 *tls.Config // made of TLS once
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
	defer cancel() // before the wait: it ends the connections, and closes ln
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
			if !failing { // it is tried twenty times a second
				s.logger().Warn("accept failed", "error", err)
			}
			failing = true
			pause(ctx, 50*time.Millisecond)
		default:
			return err
		}
	}
}

// transient reports whether a listener can be expected to work again: a connection
// was gone before it was accepted, or there are too many.
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

// ServeConn serves one connection until it ends or ctx does, and closes it. It
// returns nil if the client left between two requests or ctx ended, and
// otherwise what went wrong.
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

// Refused is how many connections there was no place for, those that were closed to make one among them.
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

// nextSPID counts connections, beginning again where the numbers end.
func (s *Server) nextSPID() uint16 {
	return uint16(firstSPID + (s.spids.Add(1)-1)%(lastSPID-firstSPID+1))
}
