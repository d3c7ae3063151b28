package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// locking: a session has at most one holder of its lock, who stops all other callers.
func locking(t *testing.T, s Subject) {
	run(t, s, "a locked session refuses all other callers, and nothing changes", refusals)
	run(t, s, "touch works on a locked session, and does not change the lock", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.touch()
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("acquire", err)
		s.release(lock)
	})
	run(t, s, "the error has the lock's age", func(s *scene) {
		s.create()
		s.age(5 * time.Minute) // the age of a session is not the age of its lock
		_, lock := s.acquire()
		_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
		if age := s.locked("get", err); age < 0 || age > patience {
			s.Errorf("the age of a new lock is %v", age)
		}
		s.age(40 * time.Second)
		_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
		if age := s.locked("acquire", err); age < 40*time.Second || age > 40*time.Second+patience {
			s.Errorf("the age of a lock of 40 seconds is %v", age)
		}
		s.release(lock)
	}, aged)
	run(t, s, "every grant has another cookie", func(s *scene) {
		s.create()
		seen := make(map[int32]bool)
		for range 3 {
			_, lock := s.acquire()
			if lock.IsZero() || seen[lock.Cookie] {
				s.Fatalf("the cookie %d was granted twice, or the lock is zero", lock.Cookie)
			}
			seen[lock.Cookie] = true
			s.release(lock)
		}
	}, told)
	run(t, s, "every grant has another handle", handles)
	// A stock update always releases; keeping the lock needs the extended schema.
	run(t, s, "update can keep the lock", keepsLock, extended)
	run(t, s, "an update that keeps the lock renews its age", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.age(mainApp.LockTimeout - 20*time.Second)
		s.keep(lock, blob(10))
		s.age(mainApp.LockTimeout - 20*time.Second)
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("acquire", err)
		s.release(lock)
	}, extended, aged)
	run(t, s, "the last committed item can be read while another caller holds the lock", besideHolder, extended)
	run(t, s, "a store that cannot read a locked session returns an error", func(s *scene) {
		if s.Extended {
			s.Skip("the extended schema can")
		}
		s.create()
		_, lock := s.acquire()
		_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{AllowLocked: true})
		if !errors.Is(err, session.ErrUnsupported) && !errors.Is(err, session.ErrLocked) {
			s.Errorf("got error %v, want unsupported or locked", err)
		}
		s.release(lock)
	})
}

// handles: a lock shows none of its parts, and a handle is valid only for its session.
func handles(s *scene) {
	if !s.Opaque {
		s.Skip("the locks tell their parts here")
	}
	item := s.create()
	other := *s
	other.ref.ID = session.NewID()
	other.create()
	seen := make(map[string]bool)
	for range 3 {
		_, lock := s.acquire()
		if lock.Handle == "" || lock != (session.Lock{Handle: lock.Handle}) || seen[lock.Handle] {
			s.Fatalf("the lock %+v was granted twice, or is more or less than a handle", lock)
		}
		seen[lock.Handle] = true
		_, theirs := other.acquire()
		s.lockLost(theirs)
		other.release(theirs)
		s.lockLost(session.Lock{Handle: lock.Handle[1:] + lock.Handle[:1]})
		s.lockLost(session.Lock{Operation: op().ID, Cookie: 1}) // a missing handle does not pass the lock
		s.lockLost(noLock)
		s.release(lock)
		s.lockLost(lock)
	}
	s.holds(item)
}

func refusals(s *scene) {
	item := s.create()
	_, lock := s.acquire()

	_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
	s.locked("get", err)
	_, err = s.Store.Get(s.ctx, s.ref, session.GetOptions{Peek: true, NoItem: true})
	s.locked("peek", err)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("acquire", err)
	_, err = s.Store.Put(s.ctx, s.ref, content(blob(10)), unconditional, op())
	s.locked("put", err)
	_, err = s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{OnlyCreate: true}, op())
	s.fails("only-create", err, session.ErrPrecondition)
	s.locked("remove", s.Store.Remove(s.ctx, s.ref, noLock, op()))

	s.release(lock) // the holder still has the lock
	s.holds(item)
}

func keepsLock(s *scene) {
	s.create()
	_, lock := s.acquire()
	second, third := blob(20), blob(30)
	s.keep(lock, second)
	_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("acquire", err)
	sess, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{AllowLocked: true})
	s.noError("get beside the holder", err)
	s.same("get beside the holder", sess.Item, second)
	s.update(lock, third)
	s.holds(third)
	s.lockLost(lock)
}

func besideHolder(s *scene) {
	item := s.create()
	_, lock := s.acquire()
	sess, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{AllowLocked: true})
	s.noError("get", err)
	s.same("get", sess.Item, item)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("acquire", err) // the read did not release the lock
	s.update(lock, blob(10))
}

// lostLocks: a caller that does not hold the lock gets ErrLockLost, and changes nothing.
func lostLocks(t *testing.T, s Subject) {
	run(t, s, "a lock with another cookie is refused", func(s *scene) {
		item := s.create()
		_, lock := s.acquire()
		for _, cookie := range []int32{lock.Cookie - 1, lock.Cookie + 1, 0, -1} {
			s.lockLost(session.Lock{Operation: lock.Operation, Cookie: cookie})
		}
		s.release(lock)
		s.holds(item)
	}, told)
	run(t, s, "the zero lock is refused", func(s *scene) {
		item := s.create()
		s.lockLost(noLock)
		_, lock := s.acquire()
		s.lockLost(noLock)
		s.release(lock)
		s.holds(item)
	})
	// The stock schema compares the cookie alone, and does not ask whether the row is
	// locked: the rest needs the extended one.
	run(t, s, "a lock with another operation id is refused", func(s *scene) {
		item := s.create()
		_, lock := s.acquire()
		s.lockLost(session.Lock{Operation: op().ID, Cookie: lock.Cookie})
		s.lockLost(session.Lock{Cookie: lock.Cookie})
		s.release(lock)
		s.lockLost(session.Lock{Cookie: lock.Cookie}) // half a lock is a lock, not a missing one
		s.holds(item)
	}, extended, told)
	run(t, s, "a lock ends with its release", func(s *scene) {
		item := s.create()
		_, lock := s.acquire()
		s.release(lock)
		s.lockLost(lock)
		s.holds(item)
	}, extended)
	run(t, s, "a lock ends with its update", func(s *scene) {
		item := blob(10)
		s.create()
		_, lock := s.acquire()
		s.update(lock, item)
		s.lockLost(lock)
		s.holds(item)
	}, extended)
	run(t, s, "a lock ends with its session", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.remove(lock)
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
		s.fails("update", err, session.ErrLockLost)
		s.fails("release", s.Store.Release(s.ctx, s.ref, lock, op()), session.ErrLockLost)
		s.noError("remove", s.Store.Remove(s.ctx, s.ref, lock, op()))
		s.gone()
	})
	run(t, s, "an older lock is refused while a later caller holds the lock", func(s *scene) {
		s.create()
		_, old := s.acquire()
		s.release(old)
		_, lock := s.acquire()
		s.lockLost(old)
		s.update(lock, blob(10))
	})
	run(t, s, "a put changes the cookie, so that older cookies are invalid", func(s *scene) {
		// Otherwise a stale .NET holder, who has the cookie only, could overwrite it.
		s.create()
		_, before := s.acquire()
		s.release(before)
		s.put(blob(10))
		_, after := s.acquire()
		if moved := after.Cookie - before.Cookie; moved < 2 {
			s.Errorf("the cookie moved by %d over a put and an acquire, want at least 2", moved)
		}
	}, extended, told)
	run(t, s, "a lock of a removed session is refused for its successor", func(s *scene) {
		// Cookies start again at 1, so the numbers may be equal.
		s.create()
		_, old := s.acquire()
		s.remove(old)
		item := s.create()
		s.lockLost(old)
		_, lock := s.acquire()
		s.lockLost(old)
		s.release(lock)
		s.holds(item)
	}, extended)
}
