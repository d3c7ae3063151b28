package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// KeepBack delays an attempt: the network keeps the first attempt of the next mutation until deliver is called once.
// Meanwhile the store sends the call again. With leaves, the caller's context is cancelled instead, and the call
// returns [context.Canceled].
type KeepBack func(t *testing.T, leaves bool) (deliver func())

// late: after a call was answered, its earlier attempts have no effect, however late they arrive. The same applies to
// calls of its operation that began before the answer. This holds for every answer, and after any change of the
// session.
func late(t *testing.T, s Subject) {
	run(t, s, "the application is registered", func(s *scene) { s.create() })
	for _, c := range lateCases {
		run(t, s, "an attempt: "+c.name, func(s *scene) { c.attempt(s) }, append(c.needs, extended, keptBack)...)
		if !c.netRemoves {
			run(t, s, "an attempt of an earlier call: "+c.name, func(s *scene) { c.leftAttempt(s) }, append(c.needs, extended, keptBack, calls)...)
		}
		if !c.netRemoves && !c.forgotten && !c.touches {
			run(t, s, "a call: "+c.name, func(s *scene) { c.earlierCall(s) }, append(c.needs, extended, calls)...)
		}
		if c.want == nil && !c.netRemoves && !c.touches {
			run(t, s, "a call between two that found it done: "+c.name, func(s *scene) { c.callBetween(s) }, append(c.needs, extended, calls)...)
		}
	}
	run(t, s, "the final answer of a waiting call is the answer of the other calls", waitingCalls, extended, calls)
	run(t, s, "the first call of an acquire gives nothing back after a second call", foundAgain, extended, calls)
	run(t, s, "an acquire that was given back may be granted again", grantedAnew, extended, calls)
	run(t, s, "a session whose lock is given back is uninitialized again", givenBackUninitialized, extended, calls)
	run(t, s, "an attempt of an acquire that was given back is not granted", givenBackLate, extended, keptBack)
}

// keptBack: the test must be able to delay attempts.
func keptBack(s Subject) string {
	if s.KeepBack == nil {
		return "Subject.KeepBack is missing: nobody can deliver an attempt late here"
	}
	return ""
}

// calls: the store must get the operation's call and the time at which it began.
func calls(s Subject) string {
	if !s.Calls {
		return "Subject.Calls is false: a call begins when this store is asked"
	}
	return ""
}

// lateCase is a mutation that is answered, and what happens to the session before the mutation arrives again.
type lateCase struct {
	name string
	// prepare creates the session for the mutation, and returns the mutation.
	prepare func(s *scene) mutation
	want    error          // the mutation's answer; nil: success
	since   func(s *scene) // what other callers do after the answer
	needs   []need         // in addition to the needs of all cases
	// Another call of an operation that was done is recognized only while the session exists and remembers the
	// operation.
	netRemoves, forgotten bool
	// A touch has no operation: another call of it is another touch.
	touches bool
}

// mutation is a call that can be repeated.
type mutation func(ctx context.Context, op session.Operation) error

// attempt delivers the first attempt of the mutation late.
func (c *lateCase) attempt(s *scene) {
	mutate := c.prepare(s)
	deliver := s.KeepBack(s.T, false)
	c.answers(s, mutate(s.ctx, session.Operation{}))
	c.since(s)
	s.unchanged(deliver)
}

// leftAttempt delivers late an attempt of a call whose caller left and called again.
func (c *lateCase) leftAttempt(s *scene) {
	mutate := c.prepare(s)
	id := session.NewOperationID()
	deliver := s.KeepBack(s.T, true)
	if err := mutate(s.ctx, session.Operation{ID: id}); !errors.Is(err, context.Canceled) {
		s.Fatalf("the call whose caller left ended with %v", err)
	}
	c.answers(s, mutate(s.ctx, session.Operation{ID: id}))
	c.since(s)
	s.unchanged(deliver)
}

// earlierCall delivers late a call that began before another call of its operation was answered.
func (c *lateCase) earlierCall(s *scene) {
	mutate := c.prepare(s)
	id := session.NewOperationID()
	began := time.Now()
	c.answers(s, mutate(s.ctx, session.Operation{ID: id, Call: session.NewOperationID(), Began: time.Now()}))
	c.since(s)
	s.unchanged(func() { _ = mutate(s.ctx, session.Operation{ID: id, Call: session.NewOperationID(), Began: began}) })
}

// callBetween delivers late a call that began after its operation was done, and before another call got the answer
// that it was done. It has no effect, even if the session has forgotten the operation since.
func (c *lateCase) callBetween(s *scene) {
	mutate := c.prepare(s)
	id := session.NewOperationID()
	c.answers(s, mutate(s.ctx, session.Operation{ID: id, Call: session.NewOperationID(), Began: time.Now()}))
	began := time.Now()
	c.answers(s, mutate(s.ctx, session.Operation{ID: id, Call: session.NewOperationID(), Began: time.Now()}))
	c.since(s)
	s.unchanged(func() { _ = mutate(s.ctx, session.Operation{ID: id, Call: session.NewOperationID(), Began: began}) })
}

func (c *lateCase) answers(s *scene, err error) {
	s.Helper()
	if c.want == nil {
		s.noError("the mutation", err)
		return
	}
	s.fails("the mutation", err, c.want)
}

// unchanged checks that f does not change the session.
func (s *scene) unchanged(f func()) {
	s.Helper()
	before := s.snapshot()
	f()
	if after := s.snapshot(); after != before {
		s.Errorf("what came late had an effect: the session was %v and is %v", before, after)
	}
}

// snapshot is the state of a session; the zero value is a missing one.
type snapshot struct {
	there   bool
	locked  bool
	tag     session.Tag
	item    string // in hex
	timeout int
}

func (s *scene) snapshot() snapshot {
	s.Helper()
	beside, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{Peek: true, AllowLocked: true})
	if errors.Is(err, session.ErrNotFound) {
		return snapshot{}
	}
	s.noError("peek", err)
	_, err = s.Store.Get(s.ctx, s.ref, session.GetOptions{Peek: true, NoItem: true})
	return snapshot{there: true, locked: errors.Is(err, session.ErrLocked), tag: beside.Tag, item: fmt.Sprintf("%x", beside.Item), timeout: beside.Timeout}
}

// The mutations of a session, each with its own item.
func (s *scene) putting(cond session.Condition) mutation {
	item := blob(21)
	return func(ctx context.Context, op session.Operation) error {
		_, err := s.Store.Put(ctx, s.ref, content(item), cond, op)
		return err
	}
}

func (s *scene) updating(lock session.Lock, keep bool) mutation {
	item := blob(22)
	return func(ctx context.Context, op session.Operation) error {
		_, err := s.Store.Update(ctx, s.ref, lock, content(item), keep, op)
		return err
	}
}

func (s *scene) releasing(lock session.Lock) mutation {
	return func(ctx context.Context, op session.Operation) error { return s.Store.Release(ctx, s.ref, lock, op) }
}

func (s *scene) removing(lock session.Lock) mutation {
	return func(ctx context.Context, op session.Operation) error { return s.Store.Remove(ctx, s.ref, lock, op) }
}

// acquiring returns an acquire that stores its lock in lock.
func (s *scene) acquiring(lock *session.Lock) mutation {
	return func(ctx context.Context, op session.Operation) error {
		_, l, err := s.Store.Acquire(ctx, s.ref, op)
		if err == nil {
			*lock = l
		}
		return err
	}
}

// waitingCalls: for a call that waits for a lock, "locked" is not a final answer, but "not found" is.
func waitingCalls(s *scene) {
	id, began := session.NewOperationID(), time.Now()
	waits := session.Operation{ID: id, Call: session.NewOperationID(), Began: time.Now(), AsksAgain: true}
	earlier := session.Operation{ID: id, Call: session.NewOperationID(), Began: began}
	_, _, err := s.Store.Acquire(s.ctx, s.ref, waits)
	s.fails("acquire of what is not there", err, session.ErrNotFound)
	s.create()
	_, _, err = s.Store.Acquire(s.ctx, s.ref, earlier)
	s.fails("the same by a call that began before", err, session.ErrNotFound)

	_, lock := s.acquire()
	id, began = session.NewOperationID(), time.Now()
	waits = session.Operation{ID: id, Call: session.NewOperationID(), Began: time.Now(), AsksAgain: true}
	earlier = session.Operation{ID: id, Call: session.NewOperationID(), Began: began}
	_, _, err = s.Store.Acquire(s.ctx, s.ref, waits)
	s.locked("acquire", err)
	s.release(lock)
	_, lock, err = s.Store.Acquire(s.ctx, s.ref, earlier)
	s.noError("acquire by a call that began before", err)
	s.release(lock)
}

// foundAgain: the caller of an acquire leaves and calls again. The first call then gives nothing back.
func foundAgain(s *scene) {
	s.create()
	id, first, second := session.NewOperationID(), session.NewOperationID(), session.NewOperationID()
	_, lock, err := s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id, Call: first})
	s.noError("acquire", err)
	_, again, err := s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id, Call: second})
	s.noError("acquire again", err)
	if again != lock {
		s.Errorf("acquire again: got another lock")
	}
	for _, call := range []session.OperationID{first, session.NewOperationID(), {}} {
		s.fails("give back", s.Store.GiveBack(s.ctx, s.ref, lock, call), session.ErrLockLost)
	}
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("another's acquire", err)
	s.update(again, blob(20))
}

// grantedAnew: after a grant was given back, the operation begins again, because the grant was never answered.
func grantedAnew(s *scene) {
	item := s.create()
	id, first := session.NewOperationID(), session.NewOperationID()
	_, lock, err := s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id, Call: first})
	s.noError("acquire", err)
	s.noError("give back", s.Store.GiveBack(s.ctx, s.ref, lock, first))
	s.fails("give back twice", s.Store.GiveBack(s.ctx, s.ref, lock, first), session.ErrLockLost)
	s.lockLost(lock)
	s.holds(item)
	_, lock, err = s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id})
	s.noError("acquire again", err)
	s.release(lock)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id})
	s.fails("acquire again after the release", err, session.ErrLockLost)

	// The caller asks again before its first call gives the lock back.
	id = session.NewOperationID()
	began := time.Now()
	_, lock, err = s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id, Call: first})
	s.noError("acquire", err)
	s.noError("give back", s.Store.GiveBack(s.ctx, s.ref, lock, first))
	_, lock, err = s.Store.Acquire(s.ctx, s.ref, session.Operation{ID: id, Began: began})
	s.noError("acquire by a call that began before", err)
	s.update(lock, blob(20))
}

func givenBackUninitialized(s *scene) {
	_, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: session.EmptyItem(20), Uninitialized: true}, unconditional, op())
	s.noError("put", err)
	for range 2 {
		sess, lock, err := s.Store.Acquire(s.ctx, s.ref, session.Operation{})
		s.noError("acquire", err)
		if !sess.Uninitialized {
			s.Fatal("the acquire does not say that the session is uninitialized")
		}
		s.noError("give back", s.Store.GiveBack(s.ctx, s.ref, lock, session.OperationID{}))
	}
}

// givenBackLate: the caller leaves, and its acquire is given back. Then an attempt of it arrives late: a first
// attempt that was sent again, or the only one.
func givenBackLate(s *scene) {
	s.create()
	deliver := s.KeepBack(s.T, false)
	var lock session.Lock
	s.noError("acquire", s.acquiring(&lock)(s.ctx, session.Operation{}))
	s.noError("give back", s.Store.GiveBack(s.ctx, s.ref, lock, session.OperationID{}))
	s.unchanged(deliver)

	op := session.Operation{ID: session.NewOperationID(), Call: session.NewOperationID()}
	deliver = s.KeepBack(s.T, true)
	if err := s.acquiring(&lock)(s.ctx, op); !errors.Is(err, context.Canceled) {
		s.Fatalf("the acquire whose caller left ended with %v", err)
	}
	s.fails("give back what was not granted", s.Store.GiveBack(s.ctx, s.ref, session.Lock{Operation: op.ID}, op.Call), session.ErrLockLost)
	s.unchanged(deliver)
}
