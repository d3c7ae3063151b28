package storetest

import (
	"context"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// breaking: a removal may ignore another caller's lock. The holder then gets ErrLockLost.
func breaking(t *testing.T, s Subject) {
	run(t, s, "a removal that ignores a lock removes the session, and the holder gets ErrLockLost", func(s *scene) {
		s.create()
		_, lock := s.acquire()
		s.locked("remove without it", s.Store.Remove(s.ctx, s.ref, noLock, op()))
		s.noError("remove past the lock", s.Store.Remove(s.ctx, s.ref, noLock, past()))
		s.gone()
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
		s.fails("the holder's update", err, session.ErrLockLost)
		s.fails("the holder's release", s.Store.Release(s.ctx, s.ref, lock, op()), session.ErrLockLost)
		s.gone()
	})
	run(t, s, "a removal that ignores locks works without a lock or a session", func(s *scene) {
		s.create()
		s.noError("remove past no lock", s.Store.Remove(s.ctx, s.ref, noLock, past()))
		s.gone()
		s.noError("remove past no session", s.Store.Remove(s.ctx, s.ref, noLock, past()))
	})
	run(t, s, "a removal that ignores a lock does not remove a successor when it is repeated", func(s *scene) {
		s.create()
		s.acquire()
		again := past()
		s.noError("remove past the lock", s.Store.Remove(s.ctx, s.ref, noLock, again))
		item := s.create()
		s.noError("the same again", s.Store.Remove(s.ctx, s.ref, noLock, again))
		s.holds(item)
		_, lock := s.acquire()
		s.noError("the same again past a lock", s.Store.Remove(s.ctx, s.ref, noLock, again))
		s.release(lock)
		s.holds(item)
	}, extended)
	run(t, s, "a removal that was refused may ignore the lock later, as the same operation", func(s *scene) {
		s.create()
		s.acquire()
		o := op()
		s.locked("remove without it", s.Store.Remove(s.ctx, s.ref, noLock, o))
		o.Break = true
		s.noError("remove past the lock", s.Store.Remove(s.ctx, s.ref, noLock, o))
		s.gone()
	})
	run(t, s, "a removal that ignores .NET's lock", func(s *scene) {
		s.create()
		netTakesLock(s)
		net, key := s.netKey()
		s.noError("remove past the lock", s.Store.Remove(s.ctx, s.ref, noLock, past()))
		s.gone()
		s.noError(".NET's update", net.UpdateShortNullLong(s.ctx, key, blob(20), 20, s.netCookie))
		s.gone()
	}, beside)
	run(t, s, "a removal with a lock does not ignore another caller's lock", func(s *scene) {
		s.create()
		_, old := s.acquire()
		s.release(old)
		_, lock := s.acquire()
		s.fails("remove", s.Store.Remove(s.ctx, s.ref, old, past()), session.ErrLockLost)
		s.release(lock)
	})
}

// past returns an operation that ignores a lock.
func past() session.Operation {
	o := op()
	o.Break = true
	return o
}

// breakingLock returns a removal that ignores any lock.
func (s *scene) breakingLock() mutation {
	remove := s.removing(noLock)
	return func(ctx context.Context, op session.Operation) error {
		op.Break = true
		return remove(ctx, op)
	}
}
