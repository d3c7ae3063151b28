package tds

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// exhausted is a listener of a process without free file descriptors, until it is
// closed.
type exhausted struct {
	net.Listener
	tries  int
	closed chan struct{}
}

func (l *exhausted) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	l.tries++
	return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
}

func (l *exhausted) Close() error { close(l.closed); return nil }

func TestServe_NoFilesIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		l := &exhausted{closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- (&Server{Handler: &fake{}, Logger: slog.New(slog.NewTextHandler(&log, nil))}).Serve(ctx, l)
		}()
		time.Sleep(time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "accept failed"); n != 1 || l.tries < 100 {
			t.Errorf("%d lines for %d tries, want 1", n, l.tries)
		}
	})
}
