package aspstate_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// rights is a permission that can end.
type rights struct {
	over        atomic.Bool
	registering atomic.Int32 // the number of applications that it may register
	asked       atomic.Int32 // the number of calls of MayRegister
}

var (
	errOver = errors.New("the key was revoked")
	errMany = errors.New("too many applications")
)

func (r *rights) Permitted() error {
	if r.over.Load() {
		return errOver
	}
	return nil
}

func (r *rights) MayRegister(string) error {
	r.asked.Add(1)
	if r.registering.Add(-1) < 0 {
		return errMany
	}
	return nil
}

// TestStore_RevokedBetweenAttempts: an attempt was sent and not answered, or was held before it was sent. Then the
// caller loses its right. Nothing more is sent, and the error has the known outcome.
func TestStore_RevokedBetweenAttempts(t *testing.T) {
	pair := openPair(t, aspstatetest.Start(t))
	others := openStore(t, pair)
	for _, c := range []struct {
		name, label string
		executed    bool
		want        session.Outcome
		call        func(ctx context.Context, s *aspstate.Store, ref session.Ref, lock session.Lock) error
	}{
		{"put, executed", "put", true, session.Unknown, putRevoked},
		{"put, lost", "put", false, session.Unknown, putRevoked},
		{"get", "get", true, session.NotApplied, func(ctx context.Context, s *aspstate.Store, ref session.Ref, _ session.Lock) error {
			_, err := s.Get(ctx, ref, session.GetOptions{AllowLocked: true})
			return err
		}},
		{"update, lost", "update", false, session.Unknown, func(ctx context.Context, s *aspstate.Store, ref session.Ref, lock session.Lock) error {
			_, err := s.Update(ctx, ref, lock, session.Write{Item: []byte("revoked")}, false, session.Operation{})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := newSession(t, others)
			var lock session.Lock
			if c.label == "update" {
				lock = hold(t, others, ref)
			}
			var r rights
			l := lossy{pair, c.label, func() { r.over.Store(true) }}
			var way aspstate.Pair = &l
			if !c.executed {
				way = &unsent{l}
			}
			err := c.call(session.WithPermission(t.Context(), &r), openStore(t, way), ref, lock)
			if !errors.Is(err, errOver) || session.OutcomeOf(err) != c.want {
				t.Errorf("got %v, %s; want %v, %s", err, session.OutcomeOf(err), errOver, c.want)
			}
			s, err := others.Get(t.Context(), ref, session.GetOptions{Peek: true, AllowLocked: true})
			if err != nil {
				t.Fatal(err)
			}
			if !c.executed && string(s.Item) == "revoked" {
				t.Error("the attempt after the revocation was sent")
			}
		})
	}
}

func putRevoked(ctx context.Context, s *aspstate.Store, ref session.Ref, _ session.Lock) error {
	_, err := s.Put(ctx, ref, session.Write{Item: []byte("revoked")}, session.Condition{}, session.Operation{})
	return err
}

// TestStore_RevokedWhileHeld: a put waits for a principal, and its caller loses its right meanwhile.
func TestStore_RevokedWhileHeld(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair := openPair(t, servers)
	store := openStore(t, pair)
	ref := newSession(t, store)
	inject := func(kind embedded.Fault) {
		t.Helper()
		for _, name := range []string{"b", "a"} {
			if err := servers.Partner(name).Inject(t.Context(), kind); err != nil {
				t.Fatal(err)
			}
		}
	}
	inject(embedded.Stop)
	var r rights
	ended := make(chan error, 1)
	go func() { ended <- putRevoked(session.WithPermission(t.Context(), &r), store, ref, session.Lock{}) }()
	for pair.Status().Holding == 0 {
		select {
		case err := <-ended:
			t.Fatalf("not held: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	r.over.Store(true)
	inject(embedded.Start)
	if err := <-ended; !errors.Is(err, errOver) {
		t.Errorf("who may not call any more got %v, want %v", err, errOver)
	}
	s, err := store.Get(t.Context(), ref, session.GetOptions{Peek: true})
	if err != nil || string(s.Item) == "revoked" {
		t.Errorf("the session has %q, %v", s.Item, err)
	}
}

// TestApplications_Registering: a call that registers an unknown application needs the permission for it.
func TestApplications_Registering(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair := openPair(t, servers)
	for _, schema := range []struct {
		name  string
		pair  aspstate.Pair
		known int32 // calls of MayRegister for an application that another caller has registered
	}{
		{"extended", pair, 0},
		{"stock", onStock{pair}, 1}, // where looking an application up registers it
	} {
		t.Run(schema.name, func(t *testing.T) {
			way := &renamed{schema.pair, partner.A}
			store := openStore(t, way)
			put := func(r *rights, app string) error {
				ref := session.Ref{App: &session.Application{Name: "/lm/w3svc/1/root/" + schema.name + app}, ID: session.NewID()}
				return putRevoked(session.WithPermission(t.Context(), r), store, ref, session.Lock{})
			}
			var one rights
			one.registering.Store(1)
			if err := put(&one, "/one"); err != nil {
				t.Fatal(err)
			}
			if err := put(&one, "/two"); !errors.Is(err, errMany) || session.OutcomeOf(err) != session.NotApplied {
				t.Errorf("a second application: got %v, want %v", err, errMany)
			}
			way.name = partner.B // so that the ids are looked up again
			if err := put(&one, "/one"); err != nil {
				t.Errorf("after a failover: %v", err)
			}
			if got := one.asked.Load(); got != 2 {
				t.Errorf("was asked %d times, want 2", got)
			}
			store = openStore(t, schema.pair) // another process
			var other rights
			other.registering.Store(1)
			if err := put(&other, "/one"); err != nil || other.asked.Load() != schema.known {
				t.Errorf("an application that is there: %v, asked %d times, want %d", err, other.asked.Load(), schema.known)
			}
		})
	}
}

// TestApplications_Collision: the error of two names with the same id differs from a fault of the server.
func TestApplications_Collision(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair := openPair(t, servers)
	for _, schema := range []struct {
		name string
		pair aspstate.Pair
	}{{"extended", pair}, {"stock", onStock{pair}}} {
		t.Run(schema.name, func(t *testing.T) {
			store := openStore(t, schema.pair)
			a, b := colliding(t, "/lm/w3svc/1/root/"+schema.name)
			put := func(name string) error {
				ref := session.Ref{App: &session.Application{Name: name}, ID: session.NewID()}
				return putRevoked(t.Context(), store, ref, session.Lock{})
			}
			if err := put(a); err != nil {
				t.Fatal(err)
			}
			if err := put(b); !errors.Is(err, session.ErrCollision) || session.OutcomeOf(err) != session.NotApplied {
				t.Errorf("%s beside %s: got %v, %s; want %v", b, a, err, session.OutcomeOf(err), session.ErrCollision)
			}
			if err := put(a); err != nil {
				t.Errorf("the first one afterwards: %v", err)
			}
		})
	}
}

// colliding returns two names with the same id. They differ in the last two bytes: h·33 XOR the last byte can be
// equal.
func colliding(t *testing.T, prefix string) (a, b string) {
	t.Helper()
	seen := make(map[session.AppID]string)
	for x := byte('0'); x <= 'z'; x++ {
		for y := byte('0'); y <= 'z'; y++ {
			if x >= 'A' && x <= 'Z' || y >= 'A' && y <= 'Z' {
				continue
			}
			name := prefix + string([]byte{x, y})
			if other := seen[session.HashApplicationName(name)]; other != "" {
				return other, name
			}
			seen[session.HashApplicationName(name)] = name
		}
	}
	t.Fatal("no two names collide")
	return "", ""
}
