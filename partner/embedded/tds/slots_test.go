package tds

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlots_ServerIsFull(t *testing.T) {
	s := &Server{Handler: &fake{}, MaxConnections: 2}
	addr := start(t, s)
	first, second, third := open(t, addr, "encrypt=disable"), open(t, addr, "encrypt=disable"), open(t, addr, "encrypt=disable")
	for _, db := range []interface {
		PingContext(context.Context) error
	}{first, second} {
		if err := db.PingContext(bound(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := third.PingContext(bound(t)); !slices.Contains(sqlNumbers(err), 17809) {
		t.Errorf("a connection above the limit: %v, want 17809", err)
	}
	if n := s.Refused(); n < 1 {
		t.Errorf("%d connections were refused", n)
	}
	if err := first.PingContext(bound(t)); err != nil {
		t.Errorf("an earlier connection: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	for err := third.PingContext(bound(t)); err != nil; err = third.PingContext(bound(t)) { // its end may take a moment
		if bound(t).Err() != nil || !slices.Contains(sqlNumbers(err), 17809) {
			t.Fatalf("after one connection has ended: %v", err)
		}
	}
}

// from is a connection with a remote address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.addr)
	return a
}

// silent serves a connection on which the client sends nothing.
func silent(ctx context.Context, s *Server, addr string) (ended chan error) {
	near, far := net.Pipe()
	ended = make(chan error, 1)
	go func() {
		ended <- s.ServeConn(ctx, from{far, addr})
		near.Close()
	}()
	synctest.Wait()
	return ended
}

func TestSlots_PendingLoginsAreEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		s := &Server{Handler: &fake{}, MaxConnections: 3}
		honest := silent(ctx, s, "192.0.2.1:1")
		crowd := []chan error{silent(ctx, s, "192.0.2.9:1"), silent(ctx, s, "192.0.2.9:2")}
		tooMany := silent(ctx, s, "192.0.2.2:1")
		if s.slots.refusing != 1 {
			t.Errorf("%d connections wait for their refusal, want only the one of the first second", s.slots.refusing)
		}
		time.Sleep(pendingTime)
		last := silent(ctx, s, "192.0.2.2:2")
		select {
		case <-crowd[0]:
		case <-crowd[1]:
		case <-honest:
			t.Error("the connection of an address with one connection was closed, although another address has two")
		default:
			t.Error("no connection was evicted")
		}
		if s.slots.taken != 3 || len(s.slots.pending) != 3 {
			t.Errorf("%d slots are taken, %d of them by pending logins, want 3 and 3", s.slots.taken, len(s.slots.pending))
		}
		stop()
		for _, c := range []chan error{tooMany, last} {
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if s.slots.taken != 0 || s.slots.refusing != 0 || len(s.slots.pending) != 0 {
			t.Errorf("slots are still taken: %d, %d, %d", s.slots.taken, s.slots.refusing, len(s.slots.pending))
		}
	})
}

func TestSlots_LimitOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		s := &Server{Handler: &fake{}, MaxConnections: 1}
		silent(ctx, s, "192.0.2.1:1")
		for range maxRefusals {
			silent(ctx, s, "192.0.2.2:1")
		}
		if err := <-silent(ctx, s, "192.0.2.2:1"); !errors.Is(err, errFull) {
			t.Errorf("above the limit of refusals: %v, want %v", err, errFull)
		}
	})
}
