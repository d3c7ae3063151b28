package partner

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// The driver alone would wait for ever here, in each of these modes.
func TestConnector_LoginIsBounded(t *testing.T) {
	for _, encrypt := range []string{"disable", "false", "true", "strict"} {
		t.Run(encrypt, func(t *testing.T) {
			addr, _, closed := silentServer(t)
			b := Budgets{}.withDefaults()
			b.Login = 500 * time.Millisecond
			c := newConnector(A, dsnFor(t, addr, encrypt), "ASPState", b)
			_, err := c.Connect(t.Context())
			if !errors.Is(err, errLoginTime) || Classify(err, Connecting) != Down {
				t.Errorf("got %v", err)
			}
			<-closed
		})
	}
}

func TestConnector_LoginEndsWithItsCaller(t *testing.T) {
	addr, accepted, closed := silentServer(t)
	c := newConnector(A, dsnFor(t, addr, "disable"), "ASPState", Budgets{}.withDefaults())
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

func TestConnector_RefusedAndUnknownNamesAreDown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	_ = ln.Close()
	c := newConnector(A, dsnFor(t, addr, "disable"), "ASPState", Budgets{}.withDefaults())
	_, err = c.Connect(t.Context())
	if Classify(err, Connecting) != Down {
		t.Errorf("refused: %v", err)
	}
}

func TestServer_ProbeOfASilentServer(t *testing.T) {
	addr, _, closed := silentServer(t)
	b := Budgets{}.withDefaults()
	b.Login = 500 * time.Millisecond
	s := &server{name: A, database: "ASPState", dsn: dsnFor(t, addr, "disable"), budgets: b, maxConns: 4}
	defer s.close()
	o := s.probe(t.Context(), ask{})
	if o.Reachable || !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("got %+v", o)
	}
	<-closed
}
