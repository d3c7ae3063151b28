package partner

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// silentServer accepts, and says nothing. It counts who hung up.
func silentServer(t *testing.T) (addr *net.TCPAddr, accepted, closed chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted, closed = make(chan struct{}, 100), make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			wg.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
				closed <- struct{}{}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().(*net.TCPAddr), accepted, closed
}

// dsnFor parses a connection string for a server on loopback.
func dsnFor(t testing.TB, addr *net.TCPAddr, encrypt string) msdsn.Config {
	t.Helper()
	dsn, err := msdsn.Parse("server=localhost;user id=u;password=p;trustservercertificate=true;encrypt=" + encrypt)
	if err != nil {
		t.Fatal(err)
	}
	dsn.Port = uint64(addr.Port)
	return dsn
}

// The driver alone would wait for ever here, in each of these modes.
func TestConnector_LoginIsBounded(t *testing.T) {
	for _, encrypt := range []string{"disable", "false", "true", "strict"} {
		t.Run(encrypt, func(t *testing.T) {
			addr, _, closed := silentServer(t)
			b := Config{}.withDefaults().Budgets
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
	c := newConnector(A, dsnFor(t, addr, "disable"), "ASPState", Config{}.withDefaults().Budgets)
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
	c := newConnector(A, dsnFor(t, addr, "disable"), "ASPState", Config{}.withDefaults().Budgets)
	_, err = c.Connect(t.Context())
	if Classify(err, Connecting) != Down {
		t.Errorf("refused: %v", err)
	}
}

func TestServer_ProbeOfASilentServer(t *testing.T) {
	addr, _, closed := silentServer(t)
	b := Config{}.withDefaults().Budgets
	b.Login = 500 * time.Millisecond
	s := &server{name: A, database: "ASPState", dsn: dsnFor(t, addr, "disable"), budgets: b, maxConns: 4}
	defer s.close()
	o := s.probe(t.Context(), ask{})
	if o.Reachable || !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("got %+v", o)
	}
	<-closed
}
