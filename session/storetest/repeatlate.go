package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// repeatedLate: mutations are repeated after other callers have changed the session.
func repeatedLate(t *testing.T, s Subject) {
	run(t, s, "a repeated put does not undo a later put", func(s *scene) {
		first := op()
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(20)), unconditional, first)
		s.noError("put", err)
		item := s.create()
		_, err = s.Store.Put(s.ctx, s.ref, content(blob(20)), unconditional, first)
		s.noError("put again", err)
		s.holds(item)
	}, extended)
	run(t, s, "a repeated put to an existing session does not report that it created it", func(s *scene) {
		s.create()
		first := op()
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(20)), unconditional, first)
		s.noError("put", err)
		var item []byte
		for range 3 { // the oldest operation the session remembers is now this put
			item = s.create()
		}
		sess, err := s.Store.Put(s.ctx, s.ref, content(blob(20)), unconditional, first)
		s.noError("put again", err)
		if sess.Made {
			s.Error("the repeated put reports that it created the session")
		}
		s.holds(item)
	}, extended)
	run(t, s, "a repeated put to a session of .NET does not report that it created it", func(s *scene) {
		netMakes(s)
		putTwice(s, unconditional)
	}, extended, beside)
	run(t, s, "a put that replaced an expired session reports each time that it created one", func(s *scene) {
		s.create()
		s.age(21 * time.Minute)
		putTwice(s, unconditional)
	}, extended, aged)
	run(t, s, "a repeated put returns its first answer even if the session is locked now", func(s *scene) {
		item, first := blob(20), op()
		_, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, first)
		s.noError("put", err)
		_, lock := s.acquire()
		_, err = s.Store.Put(s.ctx, s.ref, content(item), unconditional, first)
		s.noError("put again", err)
		s.release(lock)
		s.holds(item)
	}, extended)
	run(t, s, "a repeated update does not undo a later one", updateLate, extended)
	run(t, s, "a repeated update that the session has forgotten gets the right answer", updateForgotten, extended)
	run(t, s, "a repeated release does not release a later lock", releaseLate, extended)
	run(t, s, "an acquire whose lock another caller took gets ErrLockLost", func(s *scene) {
		s.create()
		first := op()
		_, _, err := s.Store.Acquire(s.ctx, s.ref, first)
		s.noError("acquire", err)
		s.abandon()
		_, lock := s.acquire()
		_, _, err = s.Store.Acquire(s.ctx, s.ref, first)
		s.fails("acquire again", err, session.ErrLockLost)
		s.release(lock)
	}, extended, aged)
	run(t, s, "a repeated removal does not remove the session's successor", removeLate, extended)
	run(t, s, "an update or a release after the removal does not create the session again", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		update, release := op(), op()
		s.remove(lock)
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(20)), false, update)
		s.fails("update", err, session.ErrLockLost)
		s.fails("release", s.Store.Release(s.ctx, s.ref, lock, release), session.ErrLockLost)
		s.gone()
	})
}

func updateLate(s *scene) {
	s.create()
	_, lock := s.acquire()
	first := op()
	_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(20)), false, first)
	s.noError("update", err)

	_, theirs := s.acquire()
	_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(20)), false, first)
	s.noError("update again while another holds the lock", err)
	item := blob(30)
	s.update(theirs, item)
	_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(20)), false, first)
	s.noError("update again after another's", err)
	s.holds(item)
}

func updateForgotten(s *scene) {
	s.create()
	_, lock := s.acquire()
	first := op()
	_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(20)), false, first)
	s.noError("update", err)
	item := s.forget()
	s.later()
	_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(20)), false, first)
	s.fails("update again", err, session.ErrLockLost)
	s.fails("release", s.Store.Release(s.ctx, s.ref, lock, op()), session.ErrLockLost)
	s.holds(item)
}

// forget does more operations on the session than it remembers, and returns its item.
func (s *scene) forget() []byte {
	s.Helper()
	var item []byte
	for range 3 {
		_, lock := s.acquire()
		item = blob(30)
		s.update(lock, item)
	}
	return item
}

// later moves the session one second back in time, so that earlier operations on it certainly come before the next
// call, even with the uncertainty of the server's clock.
func (s *scene) later() {
	s.Helper()
	if s.Age != nil {
		s.age(time.Second)
	}
}

func releaseLate(s *scene) {
	s.create()
	_, lock := s.acquire()
	first := op()
	s.noError("release", s.Store.Release(s.ctx, s.ref, lock, first))
	_, theirs := s.acquire()
	s.noError("release again", s.Store.Release(s.ctx, s.ref, lock, first))
	_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("acquire", err)
	s.update(theirs, blob(20))

	_, lock = s.acquire()
	second := op()
	s.noError("release", s.Store.Release(s.ctx, s.ref, lock, second))
	s.forget()
	s.later()
	_, theirs = s.acquire()
	s.fails("release when it is forgotten", s.Store.Release(s.ctx, s.ref, lock, second), session.ErrLockLost)
	s.update(theirs, blob(20))
}

func removeLate(s *scene) {
	s.create()
	_, lock := s.acquire()
	withLock, without := op(), op()
	s.noError("remove", s.Store.Remove(s.ctx, s.ref, lock, withLock))
	s.create()
	s.noError("remove", s.Store.Remove(s.ctx, s.ref, noLock, without))
	item := s.create()
	if s.Older != nil { // without this, the age of the new session would also prevent a repetition
		s.Older(s.T, s.ref)
	}
	s.noError("remove again with a lock", s.Store.Remove(s.ctx, s.ref, lock, withLock))
	s.noError("remove again without", s.Store.Remove(s.ctx, s.ref, noLock, without))
	s.holds(item)
	s.remove(noLock)
	s.gone()
}
