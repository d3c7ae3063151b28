package storetest

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// uninitialized: a session without content has a flag until its first lock.
func uninitialized(t *testing.T, s Subject) {
	run(t, s, "the first acquire reports the flag and clears it", func(s *scene) {
		s.putUninitialized()
		sess, lock := s.acquire()
		if !sess.Uninitialized {
			s.Error("the first acquire does not report it")
		}
		s.same("acquire", sess.Item, session.EmptyItem(s.ref.App.Timeout))
		s.release(lock)
		sess, lock = s.acquire()
		if sess.Uninitialized {
			s.Error("the second acquire reports it too")
		}
		s.release(lock)
	})
	run(t, s, "a lock clears the flag and does not change the item", func(s *scene) {
		item := session.EmptyContent(s.ref.App.Timeout)
		_, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: item, Uninitialized: true}, unconditional, op())
		s.noError("put", err)
		_, lock := s.acquire()
		s.release(lock)
		if s.NoBlankItem { // over HTTP the item has no bytes
			item = nil
		}
		s.holds(item)
		sess, lock := s.acquire()
		s.same("acquire", sess.Item, item)
		s.release(lock)
	})
	run(t, s, "storing content clears the flag", func(s *scene) {
		s.putUninitialized()
		s.put(blob(10))
		if s.get().Uninitialized {
			s.Error("a session with content is reported uninitialized")
		}
	})
	// A stock read clears the flag.
	run(t, s, "reads report the flag and do not clear it", func(s *scene) {
		s.putUninitialized()
		for range 2 {
			sess := s.get()
			if !sess.Uninitialized {
				s.Error("a read does not report it")
			}
			s.same("get", sess.Item, session.EmptyItem(s.ref.App.Timeout))
		}
		sess, err := s.peek()
		s.noError("peek", err)
		if !sess.Uninitialized {
			s.Error("a peek does not report it")
		}
	}, extended)
	run(t, s, "a repeated acquire reports the flag again", func(s *scene) {
		s.putUninitialized()
		first := op()
		for range 3 {
			sess, _, err := s.Store.Acquire(s.ctx, s.ref, first)
			s.noError("acquire", err)
			if !sess.Uninitialized {
				s.Error("an acquire that was sent again does not report it")
			}
		}
	}, extended)
	run(t, s, "an acquire that is repeated after the holder stored reports the current flag", func(s *scene) {
		s.putUninitialized()
		first := op()
		_, lock := s.acquireOrMake(first)
		s.foundAsStored(first, lock)
	}, extended)
	run(t, s, "an update can set the flag again", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		w := session.Write{Item: session.EmptyItem(s.ref.App.Timeout), Uninitialized: true}
		_, err := s.Store.Update(s.ctx, s.ref, lock, w, false, op())
		s.noError("update", err)
		if !s.get().Uninitialized {
			s.Error("the read after it does not report it")
		}
	}, extended)
}

func (s *scene) putUninitialized() session.Session {
	s.Helper()
	w := session.Write{Item: session.EmptyItem(s.ref.App.Timeout), Uninitialized: true}
	sess, err := s.Store.Put(s.ctx, s.ref, w, session.Condition{OnlyCreate: true}, op())
	s.noError("put", err)
	if !sess.Uninitialized {
		s.Error("the put does not report the session uninitialized")
	}
	return sess
}

// foundAsStored: an acquire that finds its lock again returns what the holder has stored since, with the flag and the
// tag.
func (s *scene) foundAsStored(acquire session.Operation, lock session.Lock) {
	s.Helper()
	for _, w := range []session.Write{
		{Item: blob(40)},
		{Item: session.EmptyItem(s.ref.App.Timeout), Uninitialized: true},
		{Item: blob(9000)},
	} {
		stored, err := s.Store.Update(s.ctx, s.ref, lock, w, true, op())
		s.noError("update that keeps the lock", err)
		found, again := s.acquireOrMake(acquire)
		if again != lock || found.Uninitialized != w.Uninitialized || found.Tag != stored.Tag {
			s.Errorf("again after an update of %d bytes: the same lock %v, uninitialized %v, the update's tag %v; want true, %v, true",
				len(w.Item), again == lock, found.Uninitialized, found.Tag == stored.Tag, w.Uninitialized)
		}
		s.same("again", found.Item, w.Item)
	}
	s.release(lock)
}
