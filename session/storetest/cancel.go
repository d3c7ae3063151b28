package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// cancelled: a call whose context is cancelled returns its error, and leaves no lock behind.
func cancelled(t *testing.T, s Subject) {
	run(t, s, "a call whose context has ended does nothing", leftBefore)
	run(t, s, "a cancelled acquire leaves no lock behind", leftDuring)
}

func leftBefore(s *scene) {
	item := s.create()
	_, lock := s.acquire()
	left, leave := context.WithCancel(s.ctx)
	leave()
	want := func(verb string, err error) {
		s.Helper()
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s: got error %v, want %v", verb, err, context.Canceled)
		}
	}
	_, err := s.Store.Update(left, s.ref, lock, content(blob(10)), false, op())
	want("update", err)
	want("release", s.Store.Release(left, s.ref, lock, op()))
	want("remove", s.Store.Remove(left, s.ref, lock, op()))
	s.release(lock)
	_, err = s.Store.Get(left, s.ref, session.GetOptions{})
	want("get", err)
	_, err = s.Store.Put(left, s.ref, content(blob(10)), unconditional, op())
	want("put", err)
	_, _, err = s.Store.Acquire(left, s.ref, op())
	want("acquire", err)
	_, err = s.Store.Touch(left, s.ref, session.Operation{})
	want("touch", err)
	s.holds(item)
}

// leftDuring cancels acquires at different moments. A caller that was granted the lock but does not get the answer
// must not keep it.
func leftDuring(s *scene) {
	item := s.create()
	for i := range 40 {
		// From zero to some milliseconds, so that all stages of the call are covered.
		ctx, leave := context.WithCancel(s.ctx)
		leaving := time.AfterFunc(time.Duration(i)*50*time.Microsecond, leave)
		_, lock, err := s.Store.Acquire(ctx, s.ref, session.Operation{}) // without an id, so it is not repeated
		leaving.Stop()
		leave()
		if err == nil {
			s.release(lock)
			continue
		}
		if !s.unlockedSoon() {
			s.Fatalf("after an acquire that ended with %v the session stays locked", err)
		}
	}
	s.holds(item)
}

// unlockedSoon waits until the session is unlocked, and reports whether that happened long before the lock would be
// abandoned.
func (s *scene) unlockedSoon() bool {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	for {
		_, err := s.Store.Get(ctx, s.ref, session.GetOptions{})
		if err == nil {
			return true
		}
		if !errors.Is(err, session.ErrLocked) || !pause(ctx) {
			return false
		}
	}
}

// pause waits before the next poll. It returns false if ctx has ended.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
