package aspstate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// afterFirst calls a hook after the first call with that label was executed, and before the call returns.
type afterFirst struct {
	aspstate.Pair
	label string
	hook  func()
}

// Do implements aspstate.Pair.
func (p *afterFirst) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	err := p.Pair.Do(ctx, c, op)
	if hook := p.hook; hook != nil && c.Label == p.label {
		p.hook = nil
		hook()
	}
	return err
}

// newSession creates a session in a store.
func newSession(t *testing.T, store *aspstate.Store) session.Ref {
	t.Helper()
	ref := session.Ref{App: &session.Application{Name: "/lm/w3svc/1/root", Timeout: 20, LockTimeout: session.DefaultLockTimeout}, ID: session.NewID()}
	if _, err := store.Put(t.Context(), ref, session.Write{Item: []byte("1")}, session.Condition{}, session.NewOperation()); err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestAcquire_callerLeft: a client cancels its acquire at the moment when it is granted, and does not call again.
func TestAcquire_callerLeft(t *testing.T) {
	pair := &afterFirst{Pair: openPair(t, aspstatetest.Start(t)), label: "acquire"}
	store := openStore(t, pair)
	ref := newSession(t, store)
	for _, op := range []session.Operation{{}, session.NewOperation()} {
		ctx, leave := context.WithCancel(t.Context())
		pair.hook = leave
		if _, _, err := store.Acquire(ctx, ref, op); !errors.Is(err, context.Canceled) {
			t.Fatalf("the acquire whose caller left ended with %v", err)
		}
		store.WaitForCleanups()
		_, lock, err := store.Acquire(t.Context(), ref, session.Operation{})
		if err != nil {
			t.Fatalf("another's acquire: %v", err)
		}
		if err := store.Release(t.Context(), ref, lock, session.Operation{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAcquire_sentAgainWhileTheFirstIsGivenBack: a client cancels its acquire at the moment when it is granted, and
// sends it again with the same operation id, to this server or another. The cleanup of the first call must not
// release the lock that the second call returned.
func TestAcquire_sentAgainWhileTheFirstIsGivenBack(t *testing.T) {
	shared := openPair(t, aspstatetest.Start(t))
	pair := &afterFirst{Pair: shared, label: "acquire"}
	store := openStore(t, pair)
	for name, again := range map[string]*aspstate.Store{"here": store, "on another server": openStore(t, shared)} {
		t.Run(name, func(t *testing.T) {
			ref, op := newSession(t, store), session.NewOperation()
			ctx, leave := context.WithCancel(t.Context())
			var lock session.Lock
			pair.hook = func() {
				leave()
				var err error
				if _, lock, err = again.Acquire(t.Context(), ref, op); err != nil {
					t.Errorf("the second call: %v", err)
				}
			}
			if _, _, err := store.Acquire(ctx, ref, op); !errors.Is(err, context.Canceled) {
				t.Fatalf("the acquire whose caller left ended with %v", err)
			}
			store.WaitForCleanups()

			if _, _, err := store.Acquire(t.Context(), ref, session.NewOperation()); !errors.Is(err, session.ErrLocked) {
				t.Errorf("another's acquire: %v, want %v", err, session.ErrLocked)
			}
			if _, err := store.Update(t.Context(), ref, lock, session.Write{Item: []byte("2")}, false, session.NewOperation()); err != nil {
				t.Errorf("the holder's update: %v", err)
			}
		})
	}
}

// TestPut_sentAgainDoesNotReturnAnothersTag: the answer of a put that is sent again must not have the tag of a
// version that another client stored since. Otherwise the caller's next conditional put would overwrite an item that
// it never saw.
func TestPut_sentAgainDoesNotReturnAnothersTag(t *testing.T) {
	store := openStore(t, openPair(t, aspstatetest.Start(t)))
	ref, first := newSession(t, store), session.NewOperation()
	put := func(item string, cond session.Condition, op session.Operation) (session.Session, error) {
		return store.Put(t.Context(), ref, session.Write{Item: []byte(item)}, cond, op)
	}
	if _, err := put("mine", session.Condition{}, first); err != nil {
		t.Fatal(err)
	}
	if _, err := put("theirs", session.Condition{}, session.NewOperation()); err != nil {
		t.Fatal(err)
	}
	again, err := put("mine", session.Condition{}, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put("over it", session.Condition{Match: again.Tag}, session.NewOperation()); !errors.Is(err, session.ErrPrecondition) {
		t.Errorf("a put with the tag of the repeated put: got %v, want %v", err, session.ErrPrecondition)
	}
}

// TestAcquire_leftWhileTheStoreIsClosed: a caller leaves at the moment when its lock is granted, while the store is
// closed. The cleanup ends before the call does, so nothing runs after Close.
func TestAcquire_leftWhileTheStoreIsClosed(t *testing.T) {
	pair := &countGiveBacks{Pair: openPair(t, aspstatetest.Start(t))}
	closing := &afterFirst{Pair: pair, label: "acquire"}
	store := openStore(t, closing)
	ref := newSession(t, store)
	ctx, leave := context.WithCancel(t.Context())
	closing.hook = func() {
		leave()
		store.Close()
	}
	if _, _, err := store.Acquire(ctx, ref, session.NewOperation()); !errors.Is(err, context.Canceled) {
		t.Fatalf("the acquire whose caller left ended with %v", err)
	}
	if pair.over != 1 {
		t.Errorf("%d clean-ups are over when the call is, want 1", pair.over)
	}
}

// countGiveBacks counts the calls labelled "give back" that have ended. It takes no lock. So under the race detector
// the test fails if they are not ended before they are counted.
type countGiveBacks struct {
	aspstate.Pair
	over int
}

// Do implements aspstate.Pair.
func (p *countGiveBacks) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	err := p.Pair.Do(ctx, c, op)
	if c.Label == "give back" {
		p.over++
	}
	return err
}
