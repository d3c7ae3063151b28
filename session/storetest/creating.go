package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// creating: an acquire may create a missing session and lock it.
func creating(t *testing.T, s Subject) {
	run(t, s, "a missing session is created, locked and uninitialized", func(s *scene) {
		sess, lock := s.acquireOrMake(creates())
		if !sess.Made || !sess.Uninitialized {
			s.Errorf("made %v, uninitialized %v; want both", sess.Made, sess.Uninitialized)
		}
		s.same("acquire", sess.Item, s.emptyContent(&sess))
		if s.Extended && sess.Timeout != mainApp.Timeout {
			s.Errorf("its timeout is %d minutes, want its application's %d", sess.Timeout, mainApp.Timeout)
		}
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("another's acquire", err)
		_, _, err = s.Store.Acquire(s.ctx, s.ref, creates())
		s.locked("another's acquire that would make it", err)
		item := blob(30)
		s.update(lock, item)
		s.holds(item)
	})
	run(t, s, "an existing session is only locked", func(s *scene) {
		item := s.create()
		sess, lock := s.acquireOrMake(creates())
		if sess.Made || sess.Uninitialized {
			s.Errorf("made %v, uninitialized %v; want neither", sess.Made, sess.Uninitialized)
		}
		s.same("acquire", sess.Item, item)
		s.release(lock)
		s.holds(item)
	})
	run(t, s, "without Create a missing session is not created", func(s *scene) {
		_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
		s.fails("acquire", err, session.ErrNotFound)
		s.gone()
	})
	run(t, s, "an acquire that was refused may create the session later, as the same operation", func(s *scene) {
		o := op()
		_, _, err := s.Store.Acquire(s.ctx, s.ref, o)
		s.fails("acquire", err, session.ErrNotFound)
		o.Create = true
		if sess, _ := s.acquireOrMake(o); !sess.Made {
			s.Error("the acquire does not report that it created the session")
		}
	})
	run(t, s, "a session that was created and released stays, with an empty item", func(s *scene) {
		_, lock := s.acquireOrMake(creates())
		s.release(lock)
		sess := s.get()
		s.same("get", sess.Item, s.emptyContent(&sess))
	})
	run(t, s, "the same acquire again finds its lock, and reports that it created the session", madeAgain, extended)
	run(t, s, "the same acquire again returns the session as the holder stored it since", func(s *scene) {
		again := creates()
		_, lock := s.acquireOrMake(again)
		s.foundAsStored(again, lock)
	}, extended)
	run(t, s, "an expired session is replaced, with nothing of the old", func(s *scene) {
		s.putTimeout(35)
		_, old := s.acquire()
		s.release(old)
		s.age(time.Hour)
		sess, lock := s.acquireOrMake(creates())
		if !sess.Made || !sess.Uninitialized || sess.Timeout != mainApp.Timeout {
			s.Errorf("made %v, uninitialized %v, a timeout of %d minutes; want both, and %d", sess.Made, sess.Uninitialized, sess.Timeout, mainApp.Timeout)
		}
		s.same("acquire", sess.Item, s.emptyContent(&sess))
		s.lockLost(old)
		s.update(lock, blob(10))
	}, extended, aged)
	run(t, s, "the acquire may set the timeout", func(s *scene) {
		o := creates()
		o.Seconds = 90
		sess, lock := s.acquireOrMake(o)
		s.wantSeconds("acquire", sess, 2, 90)
		s.release(lock)
		s.wantSeconds("get", s.get(), 2, 90)
	}, extended)
	run(t, s, "of many concurrent acquires, one gets the lock", makersAtOnce)
	run(t, s, "a created session whose lock is given back stays, uninitialized", madeAndGivenBack, extended, calls)
	run(t, s, ".NET reads what was made", func(s *scene) {
		_, lock := s.acquireOrMake(creates())
		s.release(lock)
		net, key := s.netKey()
		item, err := net.GetItemExclusive3(s.ctx, key)
		s.noError(".NET's lock", err)
		s.same(".NET's lock", item.Item(), session.EmptyContent(mainApp.Timeout))
		s.noError(".NET's update", net.UpdateShortNullLong(s.ctx, key, blob(20), 20, item.LockCookie))
	}, beside)
}

func madeAndGivenBack(s *scene) {
	o := creates()
	o.Call = session.NewOperationID()
	_, lock := s.acquireOrMake(o)
	s.noError("give back", s.Store.GiveBack(s.ctx, s.ref, lock, o.Call))
	if sess := s.get(); !sess.Uninitialized {
		s.Error("the session is not uninitialized")
	}
	o.Call = session.NewOperationID()
	o.Began = time.Now()
	sess, lock := s.acquireOrMake(o)
	if !sess.Made {
		s.Error("the operation that created the session does not report it any more")
	}
	s.update(lock, blob(10))
}

func madeAgain(s *scene) {
	again := creates()
	first, lock := s.acquireOrMake(again)
	sess, found := s.acquireOrMake(again)
	if found != lock || !sess.Made || !sess.Uninitialized || sess.Tag != first.Tag {
		s.Errorf("again: the same lock %v, made %v, uninitialized %v, the same tag %v; want all", found == lock, sess.Made, sess.Uninitialized, sess.Tag == first.Tag)
	}
	s.same("again", sess.Item, first.Item)
	s.release(lock)
	_, _, err := s.Store.Acquire(s.ctx, s.ref, again)
	s.fails("again after the release", err, session.ErrLockLost)
	_, lock = s.acquire()
	s.remove(lock)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, again)
	s.fails("again after a removal", err, session.ErrLockLost)
	s.gone()
}

// makersAtOnce: of several callers, one creates the session and gets its lock.
func makersAtOnce(s *scene) {
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		granted []bool // for each grant: whether the call reports that it created the session
	)
	for range 8 {
		wait.Go(func() {
			sess, _, err := s.Store.Acquire(s.ctx, s.ref, creates())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				granted = append(granted, sess.Made)
			case !errors.Is(err, session.ErrLocked):
				s.Errorf("acquire: %v", err)
			}
		})
	}
	wait.Wait()
	if len(granted) != 1 || s.Extended && !granted[0] {
		s.Errorf("granted (made it): %v, want one that made it", granted)
	}
}

// creates returns an operation with which an acquire creates the session.
func creates() session.Operation {
	o := op()
	o.Create = true
	return o
}

func (s *scene) acquireOrMake(op session.Operation) (session.Session, session.Lock) {
	s.Helper()
	sess, lock, err := s.Store.Acquire(s.ctx, s.ref, op)
	s.noError("acquire", err)
	return sess, lock
}

// emptyContent returns the item of a session that an acquire created, as the store returns it. Over HTTP it has no
// bytes, and a client returns .NET's empty item for it while the session is uninitialized.
func (s *scene) emptyContent(sess *session.Session) []byte {
	switch {
	case s.NoBlankItem && sess.Uninitialized:
		return session.EmptyItem(sess.Timeout)
	case s.NoBlankItem:
		return nil
	}
	return session.EmptyContent(mainApp.Timeout)
}

// making returns an acquire that creates a missing session.
func (s *scene) making(lock *session.Lock) mutation {
	acquire := s.acquiring(lock)
	return func(ctx context.Context, op session.Operation) error {
		op.Create = true
		return acquire(ctx, op)
	}
}

// touching returns a touch that sets the timeout.
func (s *scene) touching(minutes int) mutation {
	return func(ctx context.Context, _ session.Operation) error {
		_, err := s.Store.Touch(ctx, s.ref, session.Operation{Timeout: minutes})
		return err
	}
}
