package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// sweptAway: which sessions the expiry job deletes. It is the same on the stock schema, whose sessions live until
// they are swept.
func sweptAway(t *testing.T, s Subject) {
	if s.Sweep != nil { // the sessions that other tests left
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatalf("sweep: %v", err)
		}
	}
	run(t, s, "an expired session is swept, and a live one stays", func(s *scene) {
		s.create()
		s.age(over)
		live := *s
		live.ref = newRef(&mainApp)
		item := live.create()
		s.sweep(1)
		s.gone()
		live.holds(item)
		s.sweep(0)
	}, aged, swept)
	run(t, s, "a session that was used again stays", func(s *scene) {
		item := s.create()
		s.age(most)
		s.touch()
		s.age(most) // past the expiry before the touch
		s.sweep(0)
		s.holds(item)
	}, aged, swept)
	run(t, s, "an expired session stays while its lock is held", func(s *scene) {
		s.putTimeout(1)
		_, lock := s.acquire()
		s.age(75 * time.Second)
		s.sweep(0)
		item := blob(20)
		s.update(lock, item)
		s.holds(item)
	}, aged, swept)
	run(t, s, "an expired session with an abandoned lock is deleted", func(s *scene) {
		s.putTimeout(1)
		_, lock := s.acquire()
		s.age(mainApp.LockTimeout + time.Second)
		s.sweep(1)
		s.gone()
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
		s.fails("update", err, session.ErrLockLost)
		s.fails("release", s.Store.Release(s.ctx, s.ref, lock, op()), session.ErrLockLost)
	}, aged, swept)
	run(t, s, "a session with the id of a swept one can be created", func(s *scene) {
		s.create()
		s.age(over)
		s.sweep(1)
		item := blob(10)
		if sess := s.put(item); !sess.Made && s.Extended {
			s.Error("the put does not report that it created the session")
		}
		s.holds(item)
	}, aged, swept)
	run(t, s, "a mutation that is repeated after the sweep does not create the session again", func(s *scene) {
		s.putTimeout(1)
		_, lock := s.acquire()
		s.release(lock)
		s.age(2 * time.Minute)
		s.sweep(1)
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
		s.fails("update", err, session.ErrLockLost)
		s.gone()
	}, aged, swept)
}

// swept: the expiry job must be available.
func swept(s Subject) string {
	if s.Sweep == nil {
		return "Subject.Sweep is missing: nobody sweeps here"
	}
	return ""
}

// sweep runs the expiry job, and checks how many sessions it deletes.
func (s *scene) sweep(want int64) {
	s.Helper()
	got, err := s.Sweep(s.ctx)
	s.noError("sweep", err)
	if got != want {
		s.Errorf("%d sessions were swept, want %d", got, want)
	}
}
