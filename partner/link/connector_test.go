package link

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/tdstest"
)

// In each of these modes, the driver itself would wait forever.
func TestConnector_BoundsTheLogin(t *testing.T) {
	for _, encrypt := range []string{"disable", "false", "true", "strict"} {
		t.Run(encrypt, func(t *testing.T) {
			addr, _, closed := tdstest.SilentServer(t)
			b := Budgets{}.WithDefaults()
			b.Login = 500 * time.Millisecond
			c := newConnector(choose.A, tdstest.DSN(t, addr, encrypt), "ASPState", b)
			_, err := c.Connect(t.Context())
			if !errors.Is(err, errLoginTimeout) || classify.Classify(err, classify.Connecting) != classify.Down {
				t.Errorf("got %v", err)
			}
			<-closed
		})
	}
}

func TestConnector_LoginEndsWithItsContext(t *testing.T) {
	addr, accepted, closed := tdstest.SilentServer(t)
	c := newConnector(choose.A, tdstest.DSN(t, addr, "disable"), "ASPState", Budgets{}.WithDefaults())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Connect(ctx)
		ended <- err
	}()
	<-accepted
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-closed
}

func TestConnector_RefusedConnectionIsDown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	_ = ln.Close()
	c := newConnector(choose.A, tdstest.DSN(t, addr, "disable"), "ASPState", Budgets{}.WithDefaults())
	_, err = c.Connect(t.Context())
	if classify.Classify(err, classify.Connecting) != classify.Down {
		t.Errorf("refused: %v", err)
	}
}

func TestServer_ProbeOfAServerThatDoesNotAnswer(t *testing.T) {
	addr, _, closed := tdstest.SilentServer(t)
	b := Budgets{}.WithDefaults()
	b.Login = 500 * time.Millisecond
	s := &Server{name: choose.A, database: "ASPState", dsn: tdstest.DSN(t, addr, "disable"), budgets: b, maxConns: 4}
	defer s.Close()
	o := s.Probe(t.Context(), ProbeRequest{})
	if o.Reachable || !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("got %+v", o)
	}
	<-closed
}
