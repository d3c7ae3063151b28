package storetest

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// repeated: a mutation that is sent again has no further effect, and returns the first answer. The stock schema
// remembers no operations: there the row decides about a write that is sent again.
func repeated(t *testing.T, s Subject) {
	run(t, s, "a put that created the session", func(s *scene) { putTwice(s, unconditional) }, extended)
	run(t, s, "a put that may only create", func(s *scene) {
		putTwice(s, session.Condition{OnlyCreate: true})
	}, extended)
	run(t, s, "a put to an existing session", func(s *scene) {
		s.create()
		putTwice(s, unconditional)
	}, extended)
	run(t, s, "a put with a tag", func(s *scene) {
		s.create()
		putTwice(s, session.Condition{Match: s.get().Tag})
	}, extended)
	run(t, s, "an acquire finds its own lock, as long as it is held", acquireTwice, extended)
	run(t, s, "an acquire that is repeated after the release gets ErrLockLost", func(s *scene) {
		s.create()
		first := op()
		_, lock, err := s.Store.Acquire(s.ctx, s.ref, first)
		s.noError("acquire", err)
		s.release(lock)
		_, _, err = s.Store.Acquire(s.ctx, s.ref, first)
		s.fails("acquire again", err, session.ErrLockLost)
		_, lock = s.acquire()
		_, _, err = s.Store.Acquire(s.ctx, s.ref, first)
		s.fails("acquire again while another holds the lock", err, session.ErrLockLost)
		s.release(lock)
	}, extended)
	run(t, s, "an update", updateTwice, extended)
	run(t, s, "an update that keeps the lock", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		item, first := blob(20), op()
		for range 2 {
			_, err := s.Store.Update(s.ctx, s.ref, lock, content(item), true, first)
			s.noError("update", err)
		}
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("acquire", err)
		s.release(lock)
		s.holds(item)
	}, extended)
	run(t, s, "a release", func(s *scene) {
		item := s.create()
		_, lock := s.acquire()
		first := op()
		for range 3 {
			s.noError("release", s.Store.Release(s.ctx, s.ref, lock, first))
		}
		s.holds(item)
	}, extended)
	run(t, s, "a removal, with and without a lock", func(s *scene) {
		for _, locked := range []bool{false, true} {
			s.create()
			var lock session.Lock
			if locked {
				_, lock = s.acquire()
			}
			first := op()
			for range 3 {
				s.noError("remove", s.Store.Remove(s.ctx, s.ref, lock, first))
			}
			s.gone()
		}
	}, extended)
	run(t, s, "no repeated mutation creates a removed session again", removedThenRepeated, extended)
	run(t, s, "a refused mutation was not done, and may be sent again", refusedThenDone, extended)
	run(t, s, "without an operation id each call is a new operation", func(s *scene) {
		var none session.Operation
		for range 2 {
			item := blob(10)
			_, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, none)
			s.noError("put", err)
			s.holds(item)
			_, lock, err := s.Store.Acquire(s.ctx, s.ref, none)
			s.noError("acquire", err)
			if lock.Operation.IsZero() && !s.Opaque {
				s.Error("the lock has no operation id")
			}
			_, _, err = s.Store.Acquire(s.ctx, s.ref, none)
			s.locked("another acquire", err)
			s.noError("release", s.Store.Release(s.ctx, s.ref, lock, none))
		}
	}, extended)
	run(t, s, "one operation id for two sessions is two operations", func(s *scene) {
		first := op()
		for range 2 {
			item := blob(10)
			s.ref = newRef(&mainApp)
			sess, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, first)
			s.noError("put", err)
			if !sess.Made {
				s.Error("the put does not report that it created the session")
			}
			s.holds(item)
		}
	}, extended)
}

func putTwice(s *scene, cond session.Condition) {
	s.Helper()
	item, first := blob(20), op()
	want, err := s.Store.Put(s.ctx, s.ref, content(item), cond, first)
	s.noError("put", err)
	for range 2 {
		got, err := s.Store.Put(s.ctx, s.ref, content(item), cond, first)
		s.noError("put again", err)
		s.sameAnswer("put again", got, want)
	}
	s.holds(item)
}

// sameAnswer checks that an answer is the first one, except for the expiry.
func (s *scene) sameAnswer(what string, got, want session.Session) {
	s.Helper()
	if got.Made != want.Made || got.Tag != want.Tag || got.Timeout != want.Timeout || got.Uninitialized != want.Uninitialized {
		s.Errorf("%s: got made %v, tag %q, timeout %d, uninitialized %v; the first answer was %v, %q, %d, %v", what,
			got.Made, got.Tag, got.Timeout, got.Uninitialized, want.Made, want.Tag, want.Timeout, want.Uninitialized)
	}
}

func acquireTwice(s *scene) {
	item, first := s.create(), op()
	want, lock, err := s.Store.Acquire(s.ctx, s.ref, first)
	s.noError("acquire", err)
	again := func() {
		s.Helper()
		got, lockAgain, err := s.Store.Acquire(s.ctx, s.ref, first)
		s.noError("acquire again", err)
		if lockAgain != lock {
			s.Fatalf("acquire again: got another lock: %v, want %v", lockAgain, lock)
		}
		s.same("acquire again", got.Item, item)
		want.Tag = got.Tag // a kept update changes it
		s.sameAnswer("acquire again", got, want)
	}
	again()
	for range 6 { // more than a session remembers
		item = blob(20)
		s.keep(lock, item)
		again()
	}
	s.release(lock)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, first)
	s.fails("acquire again after the release", err, session.ErrLockLost)
}

func updateTwice(s *scene) {
	s.create()
	_, lock := s.acquire()
	item, first := blob(20), op()
	want, err := s.Store.Update(s.ctx, s.ref, lock, content(item), false, first)
	s.noError("update", err)
	for range 2 {
		got, err := s.Store.Update(s.ctx, s.ref, lock, content(item), false, first)
		s.noError("update again", err)
		s.sameAnswer("update again", got, want)
	}
	s.holds(item)
}

func refusedThenDone(s *scene) {
	s.create()
	_, lock := s.acquire()
	put, acquire, remove := op(), op(), op()
	item := blob(20)
	_, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, put)
	s.locked("put", err)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, acquire)
	s.locked("acquire", err)
	s.locked("remove", s.Store.Remove(s.ctx, s.ref, noLock, remove))
	s.release(lock)

	_, err = s.Store.Put(s.ctx, s.ref, content(item), unconditional, put)
	s.noError("put after the release", err)
	s.holds(item)
	_, lock, err = s.Store.Acquire(s.ctx, s.ref, acquire)
	s.noError("acquire after the release", err)
	s.release(lock)
	s.noError("remove after the release", s.Store.Remove(s.ctx, s.ref, noLock, remove))
	s.gone()
}

// removedThenRepeated repeats the operations that created, stored and released a session, after the session was
// removed, and after another session has taken its place.
func removedThenRepeated(s *scene) {
	put, update, release := op(), op(), op()
	item := blob(10)
	_, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, put)
	s.noError("put", err)
	_, first := s.acquire()
	_, err = s.Store.Update(s.ctx, s.ref, first, content(item), true, update)
	s.noError("update", err)
	s.noError("release", s.Store.Release(s.ctx, s.ref, first, release))
	s.remove(noLock)
	again := func() {
		_, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, put)
		s.noError("put again", err)
		_, err = s.Store.Update(s.ctx, s.ref, first, content(item), true, update)
		s.noError("update again", err)
		s.noError("release again", s.Store.Release(s.ctx, s.ref, first, release))
	}
	again()
	s.gone()
	successor := s.create()
	again()
	s.holds(successor)
}
