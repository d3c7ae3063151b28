package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// abandonedLocks: a lock older than the application's lock timeout stops no other caller, and its holder gets
// ErrLockLost.
func abandonedLocks(t *testing.T, s Subject) {
	run(t, s, "another caller takes an abandoned lock, and the old holder gets ErrLockLost", func(s *scene) {
		item := s.create()
		_, old := s.acquire()
		s.abandon()
		sess, lock := s.acquire()
		s.same("acquire", sess.Item, item)
		s.lockLost(old)
		item = blob(20)
		s.update(lock, item)
		s.holds(item)
	}, aged)
	run(t, s, "a lock is not abandoned before its time", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.age(mainApp.LockTimeout - 20*time.Second)
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("acquire", err)
		s.update(lock, blob(10))
	}, aged)
	run(t, s, "the lock timeout is the application's", func(s *scene) {
		s.ref.App = &smallApp
		s.create()
		s.acquire()
		s.age(smallApp.LockTimeout - 10*time.Second)
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("acquire", err)
		s.age(11 * time.Second)
		s.acquire()
	}, aged)
	// On the stock schema a reader would have to release the lock in a separate call.
	run(t, s, "an abandoned lock does not stop readers", func(s *scene) {
		item := s.create()
		s.acquire()
		s.abandon()
		s.holds(item)
	}, aged, extended)
	run(t, s, "an abandoned lock does not stop a put, which ends the lock", func(s *scene) {
		s.create()
		_, old := s.acquire()
		s.abandon()
		item := blob(10)
		s.put(item)
		s.lockLost(old)
		s.holds(item)
	}, aged, extended)
	run(t, s, "an abandoned lock does not stop a removal", func(s *scene) {
		s.create()
		_, old := s.acquire()
		s.abandon()
		s.remove(noLock)
		s.gone()
		_, err := s.Store.Update(s.ctx, s.ref, old, content(blob(10)), false, op())
		s.fails("update", err, session.ErrLockLost)
		s.gone()
	}, aged, extended)
	run(t, s, "the holder may use an abandoned lock until another caller takes it", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.abandon()
		item := blob(10)
		s.update(lock, item)
		s.holds(item)
	}, aged)
	run(t, s, "with an abandoned lock, only-create fails because the session exists", func(s *scene) {
		item := s.create()
		s.acquire()
		s.abandon()
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{OnlyCreate: true}, op())
		s.fails("only-create", err, session.ErrPrecondition)
		s.holds(item)
	}, aged, extended)
}

// abandon makes the lock older than the lock timeout, but not the session.
func (s *scene) abandon() {
	s.Helper()
	s.age(s.ref.App.LockTimeout + time.Second)
}
