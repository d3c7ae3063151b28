package storetest

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// lifecycle: a session from its creation to its removal, without faults.
func lifecycle(t *testing.T, s Subject) {
	run(t, s, "a session that was never created is not found", neverMade)
	run(t, s, "touching a missing session returns ErrNotFound", func(s *scene) {
		_, err := s.Store.Touch(s.ctx, s.ref, session.Operation{})
		s.fails("touch", err, session.ErrNotFound)
	})
	run(t, s, "removing a missing session returns nil", func(s *scene) {
		s.remove(noLock)
	})
	run(t, s, "a put creates the session and reports it", func(s *scene) {
		item := blob(100)
		if sess := s.put(item); !sess.Made {
			s.Error("the put that created the session does not report it")
		}
		s.holds(item)
	})
	run(t, s, "a put to an existing session replaces the item, and reports no creation", func(s *scene) {
		s.create()
		item := blob(100)
		if sess := s.put(item); sess.Made {
			s.Error("the put to an existing session reports that it created one")
		}
		s.holds(item)
	})
	run(t, s, "only-create creates a session once", onlyCreate)
	run(t, s, "acquire reads, update stores and releases", func(s *scene) {
		first, second := s.create(), blob(50)
		sess, lock := s.acquire()
		s.same("acquire", sess.Item, first)
		s.update(lock, second)
		s.holds(second)
		sess, lock = s.acquire()
		s.same("second acquire", sess.Item, second)
		s.release(lock)
	})
	run(t, s, "release changes no content", func(s *scene) {
		item := s.create()
		_, lock := s.acquire()
		s.release(lock)
		s.holds(item)
	})
	run(t, s, "touch changes no content", func(s *scene) {
		item := s.create()
		s.touch()
		s.holds(item)
	})
	run(t, s, "a read may leave the item out", func(s *scene) {
		s.create()
		sess, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{NoItem: true, Peek: true})
		s.noError("get", err)
		if sess.Item != nil {
			s.Errorf("got an item of %s, want nil", brief(sess.Item))
		}
	})
	run(t, s, "a removed session is missing, and removing it again is not an error", func(s *scene) {
		s.create()
		s.remove(noLock)
		s.gone()
		s.remove(noLock)
	})
	run(t, s, "the holder of the lock can remove", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.remove(lock)
		s.gone()
	})
	run(t, s, "a removed session can be created again, with nothing of the old", func(s *scene) {
		s.create()
		s.remove(noLock)
		item := blob(30)
		if sess := s.put(item); !sess.Made {
			s.Error("the put after the removal does not report that it created the session")
		}
		s.holds(item)
	})
}

func neverMade(s *scene) {
	s.gone()
	_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{Peek: true, NoItem: true})
	s.fails("peek", err, session.ErrNotFound)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.fails("acquire", err, session.ErrNotFound)

	lock := session.Lock{Operation: op().ID, Cookie: 1}
	_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
	s.fails("update", err, session.ErrLockLost)
	s.fails("release", s.Store.Release(s.ctx, s.ref, lock, op()), session.ErrLockLost)
	if !s.Opaque { // an invented handle is recognized
		s.noError("remove with a lock", s.Store.Remove(s.ctx, s.ref, lock, op()))
	}
	s.gone()
}

func onlyCreate(s *scene) {
	only := session.Condition{OnlyCreate: true}
	item := blob(100)
	sess, err := s.Store.Put(s.ctx, s.ref, content(item), only, op())
	s.noError("first only-create", err)
	if !sess.Made {
		s.Error("the put that created the session does not report it")
	}
	_, err = s.Store.Put(s.ctx, s.ref, content(blob(100)), only, op())
	s.fails("second only-create", err, session.ErrPrecondition)
	s.holds(item)
}
