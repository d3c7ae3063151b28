package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// repeatedLate: mutations are repeated after others have changed the session.
func repeatedLate(t *testing.T, s Subject) {
	run(t, s, "a put does not undo another's put", func(s *scene) {
		first := op()
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(20)), unconditional, first)
		s.noError("put", err)
		item := s.create()
		_, err = s.Store.Put(s.ctx, s.ref, content(blob(20)), unconditional, first)
		s.noError("put again", err)
		s.holds(item)
	}, extended)
	run(t, s, "a put over a session never turns into the one that made it", func(s *scene) {
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
			s.Error("put again says it made the session")
		}
		s.holds(item)
	}, extended)
	run(t, s, "a put over a session that .NET made never says that it made it", func(s *scene) {
		netMakes(s)
		putTwice(s, unconditional)
	}, extended, beside)
	run(t, s, "a put over a session that has expired says each time that it made one", func(s *scene) {
		s.create()
		s.age(21 * time.Minute)
		putTwice(s, unconditional)
	}, extended, aged)
	run(t, s, "a put is done though the session is locked by now", func(s *scene) {
		item, first := blob(20), op()
		_, err := s.Store.Put(s.ctx, s.ref, content(item), unconditional, first)
		s.noError("put", err)
		_, lock := s.acquire()
		_, err = s.Store.Put(s.ctx, s.ref, content(item), unconditional, first)
		s.noError("put again", err)
		s.release(lock)
		s.holds(item)
	}, extended)
	run(t, s, "an update does not undo another's", updateLate, extended)
	run(t, s, "an update is told the truth when the session has forgotten it", updateForgotten, extended)
	run(t, s, "a release does not take another's lock away", releaseLate, extended)
	run(t, s, "an acquire whose lock was broken is told", func(s *scene) {
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
	run(t, s, "a removal does not remove the session's successor", removeLate, extended)
	run(t, s, "an update or a release that comes after the removal brings nothing back", func(s *scene) {
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

// later lets a second pass for the session: what was done to it comes certainly before the next call, however well a
// pair knows the server's clock.
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
	if s.Older != nil { // so that only the memory of its removal keeps the session from being created
		s.Older(s.T, s.ref)
	}
	s.noError("remove again with a lock", s.Store.Remove(s.ctx, s.ref, lock, withLock))
	s.noError("remove again without", s.Store.Remove(s.ctx, s.ref, noLock, without))
	s.holds(item)
	s.remove(noLock)
	s.gone()
}
