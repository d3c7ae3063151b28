package aspstate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// lossy loses the answer of the first attempt with its label. It executes the attempt, then calls between, and then
// sends the call again.
type lossy struct {
	aspstate.Pair
	label   string
	between func()
}

// unsent loses the first attempt instead of its answer.
type unsent struct{ lossy }

// Do implements aspstate.Pair.
func (u *unsent) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return u.lossy.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		if u.between != nil && c.Label == u.label {
			return nil
		}
		return op(ctx, a)
	})
}

// Do implements aspstate.Pair.
func (l *lossy) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return l.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		err := op(ctx, a)
		if between := l.between; between != nil && c.Label == l.label {
			l.between = nil
			between()
			return io.EOF
		}
		return err
	})
}

// silent executes calls with its label, and returns an error instead of the answer.
type silent struct {
	aspstate.Pair
	label string
	err   error
}

// Do implements aspstate.Pair.
func (s *silent) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	err := s.Pair.Do(ctx, c, op)
	if err == nil && c.Label == s.label {
		return s.err
	}
	return err
}

// hold takes the session's lock.
func hold(t *testing.T, store *aspstate.Store, ref session.Ref) session.Lock {
	t.Helper()
	_, lock, err := store.Acquire(t.Context(), ref, session.NewOperation())
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// TestUpdate_sentAgainWhenTheRowCannotTell: an update was applied, its answer was lost, and later operations hide it.
// Its caller must not be told that it was not applied.
func TestUpdate_sentAgainWhenTheRowCannotTell(t *testing.T) {
	servers := aspstatetest.Start(t)
	for _, schema := range []struct {
		name string
		pair aspstate.Pair
	}{
		{"extended", openPair(t, servers)},
		{"stock", onStock{openPair(t, servers)}},
	} {
		t.Run(schema.name, func(t *testing.T) {
			others := openStore(t, schema.pair)
			for _, op := range []session.Operation{session.NewOperation(), {}} { // without an id only the pair knows that the call was sent before
				ref := newSession(t, others)
				store := openStore(t, &lossy{schema.pair, "update", func() {
					for range 3 { // more acquires and releases than a session remembers
						if err := others.Release(t.Context(), ref, hold(t, others, ref), session.NewOperation()); err != nil {
							t.Error(err)
						}
					}
				}})
				lock := hold(t, store, ref)
				_, err := store.Update(t.Context(), ref, lock, session.Write{Item: []byte("2")}, false, op)
				if !errors.Is(err, session.ErrOutcomeUnknown) || session.OutcomeOf(err) != session.Unknown {
					t.Errorf("got %v, %s; want %v", err, session.OutcomeOf(err), session.ErrOutcomeUnknown)
				}
				if schema.name == "stock" || op.ID.IsZero() {
					continue // a stock schema remembers no operations
				}
				_, err = others.Update(t.Context(), ref, lock, session.Write{Item: []byte("2")}, false, op)
				if !errors.Is(err, session.ErrOutcomeUnknown) {
					t.Errorf("the same operation once more: got %v, want %v", err, session.ErrOutcomeUnknown)
				}
			}
		})
	}
}

// TestUpdate_sentAgainAfterARemoval: the session is removed before the call is sent again, and perhaps created again.
// The record of the removal has the session's operations, which show whether the first attempt was executed.
func TestUpdate_sentAgainAfterARemoval(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair, db := openPair(t, servers), openDB(t, servers.Partner("a").ConnectionString("ASPState"))
	others, older := openStore(t, pair), storetest.NewOlder(db)
	for _, verb := range []string{"update", "release"} {
		for _, again := range []bool{false, true} {
			for _, executed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, made again %v, executed %v", verb, again, executed), func(t *testing.T) {
					ref := newSession(t, others)
					older(t, ref)
					lock := hold(t, others, ref)
					l := lossy{pair, verb, func() {
						held := lock
						if executed {
							held = session.Lock{}
						}
						err := others.Remove(t.Context(), ref, held, session.NewOperation())
						if again && err == nil {
							_, err = others.Put(t.Context(), ref, session.Write{Item: []byte("2")}, session.Condition{}, session.NewOperation())
						}
						if err != nil {
							t.Error(err)
						}
					}}
					var way aspstate.Pair = &l
					want := error(nil)
					if !executed {
						way, want = &unsent{l}, session.ErrLockLost
					}
					store, err := openStore(t, way), error(nil)
					if verb == "update" {
						_, err = store.Update(t.Context(), ref, lock, session.Write{Item: []byte("1")}, false, session.NewOperation())
					} else {
						err = store.Release(t.Context(), ref, lock, session.NewOperation())
					}
					if !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
				})
			}
		}
	}
}

// TestUpdate_sentAgainWithTheLockOfARemovedSession: the holder of the lock had removed the session before the call
// began.
func TestUpdate_sentAgainWithTheLockOfARemovedSession(t *testing.T) {
	pair := openPair(t, aspstatetest.Start(t))
	others := openStore(t, pair)
	for _, verb := range []string{"update", "release"} {
		ref := newSession(t, others)
		lock := hold(t, others, ref)
		if err := others.Remove(t.Context(), ref, lock, session.NewOperation()); err != nil {
			t.Fatal(err)
		}
		store, err := openStore(t, &lossy{pair, verb, func() {}}), error(nil)
		if verb == "update" {
			_, err = store.Update(t.Context(), ref, lock, session.Write{Item: []byte("1")}, false, session.Operation{})
		} else {
			err = store.Release(t.Context(), ref, lock, session.Operation{})
		}
		if !errors.Is(err, session.ErrLockLost) {
			t.Errorf("%s: got %v, want %v", verb, err, session.ErrLockLost)
		}
	}
}

// TestUpdate_sentAgainDoesNotUndoALaterOne: two updates under one lock, which is kept.
func TestUpdate_sentAgainDoesNotUndoALaterOne(t *testing.T) {
	servers := aspstatetest.Start(t)
	store := openStore(t, openPair(t, servers))
	ref := newSession(t, store)
	// The session is older than the calls, so only its remembered operations can stop the repetition.
	storetest.NewOlder(openDB(t, servers.Partner("a").ConnectionString("ASPState")))(t, ref)
	lock := hold(t, store, ref)
	update := func(item string, op session.Operation) {
		t.Helper()
		if _, err := store.Update(t.Context(), ref, lock, session.Write{Item: []byte(item)}, true, op); err != nil {
			t.Fatal(err)
		}
	}
	first := session.NewOperation()
	update("first", first)
	update("second", session.NewOperation())
	update("first", first)
	got, err := store.Get(t.Context(), ref, session.GetOptions{AllowLocked: true})
	if err != nil || string(got.Item) != "second" {
		t.Errorf("the session holds %q, %v; want the second update's", got.Item, err)
	}
}

// TestPut_sentAgainToALockedSession: a put was applied, its answer was lost, and later operations filled the
// session's memory. Now another caller has the lock. That does not prove that the put was not applied.
func TestPut_sentAgainToALockedSession(t *testing.T) {
	pair := openPair(t, aspstatetest.Start(t))
	for _, cond := range []session.Condition{{}, {OnlyCreate: true}} {
		others := openStore(t, pair)
		ref := session.Ref{App: &session.Application{Name: "/lm/w3svc/1/root/again", Timeout: 20, LockTimeout: time.Hour}, ID: session.NewID()}
		store := openStore(t, &lossy{pair, "put", func() {
			for range 3 {
				if err := others.Release(t.Context(), ref, hold(t, others, ref), session.NewOperation()); err != nil {
					t.Error(err)
				}
			}
			hold(t, others, ref)
		}})
		op := session.NewOperation()
		_, err := store.Put(t.Context(), ref, session.Write{Item: []byte("mine")}, cond, op)
		if !errors.Is(err, session.ErrOutcomeUnknown) || session.OutcomeOf(err) != session.Unknown {
			t.Errorf("only create %v: got %v, %v; want an outcome that is unknown", cond.OnlyCreate, err, session.OutcomeOf(err))
		}
		_, err = others.Put(t.Context(), ref, session.Write{Item: []byte("mine")}, cond, op)
		if !errors.Is(err, session.ErrOutcomeUnknown) {
			t.Errorf("only create %v: the same operation once more: got %v, want an outcome that is unknown", cond.OnlyCreate, err)
		}
	}
}

// TestPut_sentAgainAfterDotNETRemoved: a put was applied, and its answer was lost. Then .NET removed the session,
// which leaves no record, and perhaps another caller created a new one. The outcome of the put is unknown, and no
// other session is overwritten.
func TestPut_sentAgainAfterDotNETRemoved(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair, db := openPair(t, servers), openDB(t, servers.Partner("a").ConnectionString("ASPState"))
	others, older, net := openStore(t, pair), storetest.NewOlder(db), storetest.NewNetClient(db)
	const absent, byDotNET, byUs = "made by nobody", "made by .NET", "made by a verb"
	for _, c := range []struct{ put, since string }{
		{"unconditional", byDotNET}, {"create", byDotNET}, {"match", absent}, {"match", byDotNET}, {"match", byUs},
	} {
		t.Run(c.put+", "+c.since, func(t *testing.T) {
			ref := newSession(t, others)
			older(t, ref)
			if c.put == "create" {
				ref.ID = session.NewID()
			}
			key := netKey(t, net, ref)
			store := openStore(t, &lossy{pair, "put", func() {
				item, err := net.GetItemExclusive3(t.Context(), key)
				if err != nil || string(item.Item()) != "1" {
					t.Errorf(".NET reads %q, %v; the first attempt was not executed", item.Item(), err)
				}
				err = net.Remove(t.Context(), key, item.LockCookie)
				if err == nil && c.since == byDotNET {
					err = net.InsertShort(t.Context(), key, []byte("2"), 20)
				}
				if err == nil && c.since == byUs {
					_, err = others.Put(t.Context(), ref, session.Write{Item: []byte("2")}, session.Condition{}, session.NewOperation())
				}
				if err != nil {
					t.Error(err)
				}
			}})
			cond := session.Condition{OnlyCreate: c.put == "create"}
			if c.put == "match" {
				cond.Match = tagOf(t, others, ref)
			}
			_, err := store.Put(t.Context(), ref, session.Write{Item: []byte("1")}, cond, session.Operation{})
			if !errors.Is(err, session.ErrOutcomeUnknown) {
				t.Errorf("got %v, want %v", err, session.ErrOutcomeUnknown)
			}
			got, err := others.Get(t.Context(), ref, session.GetOptions{})
			if c.since == absent {
				if !errors.Is(err, session.ErrNotFound) {
					t.Errorf("what .NET removed is back: %q, %v", got.Item, err)
				}
			} else if err != nil || string(got.Item) != "2" {
				t.Errorf("the session holds %q, %v; want its maker's", got.Item, err)
			}
		})
	}
}

// TestPut_sentAgainAndNotDone: if it is certain that the first attempt of a put with a tag was not executed, the
// outcome is not unknown.
func TestPut_sentAgainAndNotDone(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair, db := openPair(t, servers), openDB(t, servers.Partner("a").ConnectionString("ASPState"))
	others, older := openStore(t, pair), storetest.NewOlder(db)
	for _, removed := range []bool{false, true} {
		ref := newSession(t, others)
		older(t, ref)
		tag := tagOf(t, others, ref)
		if removed {
			if err := others.Remove(t.Context(), ref, session.Lock{}, session.NewOperation()); err != nil {
				t.Fatal(err)
			}
		}
		store := openStore(t, &unsent{lossy{pair, "put", func() {
			if removed {
				return
			}
			if _, err := others.Put(t.Context(), ref, session.Write{Item: []byte("2")}, session.Condition{}, session.NewOperation()); err != nil {
				t.Error(err)
			}
		}}})
		_, err := store.Put(t.Context(), ref, session.Write{Item: []byte("1")}, session.Condition{Match: tag}, session.Operation{})
		if !errors.Is(err, session.ErrPrecondition) {
			t.Errorf("removed before %v: got %v, want %v", removed, err, session.ErrPrecondition)
		}
	}
}

// tagOf returns the session's tag.
func tagOf(t *testing.T, store *aspstate.Store, ref session.Ref) session.Tag {
	t.Helper()
	s, err := store.Get(t.Context(), ref, session.GetOptions{Peek: true})
	if err != nil {
		t.Fatal(err)
	}
	return s.Tag
}

// netKey returns the session's key as .NET writes it.
func netKey(t *testing.T, net storetest.NetClient, ref session.Ref) string {
	t.Helper()
	id, err := net.AppID(t.Context(), ref.App.Name)
	if err != nil {
		t.Fatal(err)
	}
	return ref.ID.Key(id)
}

// TestAcquire_grantedAndNeverAnswered: the caller left before the call could be sent again. No caller knows the lock,
// so the store must release it.
func TestAcquire_grantedAndNeverAnswered(t *testing.T) {
	pair := openPair(t, aspstatetest.Start(t))
	for _, lost := range []*partner.CallError{
		{Label: "acquire", Kind: partner.Cancelled, Cause: context.Canceled, Result: partner.Unknown},
		{Label: "acquire", Kind: partner.OutcomeUnknown, Result: partner.Unknown},
	} {
		kind := error(lost.Kind)
		if lost.Cause != nil {
			kind = lost.Cause
		}
		store, others := openStore(t, &silent{pair, "acquire", lost}), openStore(t, pair)
		ref := newSession(t, others)
		if _, _, err := store.Acquire(t.Context(), ref, session.NewOperation()); !errors.Is(err, kind) {
			t.Fatalf("got %v, want %v", err, kind)
		}
		store.WaitForCleanups()
		if _, _, err := others.Acquire(t.Context(), ref, session.NewOperation()); err != nil {
			t.Errorf("after %v the session stays locked: %v", kind, err)
		}
	}
}

// TestDomainError: the outcome of the pair's error becomes the outcome of the store's error.
func TestDomainError(t *testing.T) {
	left := errors.New("the client left")
	for _, c := range []struct {
		name    string
		err     error
		kind    error
		outcome session.Outcome
	}{
		{"no principal", &partner.CallError{Kind: partner.NoPrincipal}, session.ErrNoPrincipal, session.NotApplied},
		{"closed", &partner.CallError{Kind: partner.Closed}, session.ErrNoPrincipal, session.NotApplied},
		{"late again and again", partner.ErrLate, session.ErrNoPrincipal, session.NotApplied},
		{"a full hold", &partner.HoldFullError{Bound: "size", Limit: 1}, session.ErrOverloaded, session.NotApplied},
		{"a principal, and a long queue", &partner.CallError{Kind: partner.Busy, Cause: partner.ErrMoved}, session.ErrOverloaded, session.NotApplied},
		{"sent and not answered", &partner.CallError{Kind: partner.OutcomeUnknown, Result: partner.Unknown}, session.ErrOutcomeUnknown, session.Unknown},
		{"left while it was sent", &partner.CallError{Cause: left, Result: partner.Unknown}, left, session.Unknown},
		{"left before", &partner.CallError{Cause: left}, left, session.NotApplied},
		{"a connection that broke", io.EOF, io.EOF, session.Unknown},
		{"the database's own answer", session.ErrLockLost, session.ErrLockLost, session.NotApplied},
	} {
		err := aspstate.DomainError(c.err)
		if !errors.Is(err, c.kind) || session.OutcomeOf(err) != c.outcome {
			t.Errorf("%s: got %v, %s; want %v, %s", c.name, err, session.OutcomeOf(err), c.kind, c.outcome)
		}
	}
}
