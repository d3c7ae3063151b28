package storetest

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// netLocks: a lock of one side also stops the other side.
func netLocks(t *testing.T, s Subject) {
	run(t, s, "our lock stops .NET, which gets its age and cookie", withNet(func(s *scene, n dotnet) {
		s.create()
		_, lock := s.acquire()
		item, err := n.client.GetItemExclusive3(s.ctx, n.key)
		s.noError(".NET: acquire", err)
		if !item.Locked || item.Item() != nil || item.LockCookie != lock.Cookie || item.LockAge < 0 || item.LockAge > 60 {
			s.Errorf(".NET: got locked %v, item %s, cookie %d, age %d; want locked, no item, cookie %d, a small age",
				item.Locked, brief(item.Item()), item.LockCookie, item.LockAge, lock.Cookie)
		}
		s.update(lock, blob(10))
		n.lock()
	}), beside)
	run(t, s, ".NET's lock keeps us out", withNet(netHolds), beside)
	run(t, s, ".NET's abandoned lock does not, and its cookie is dead then", withNet(func(s *scene, n dotnet) {
		n.insert()
		cookie := n.lock().LockCookie
		s.abandon()
		_, lock := s.acquire()
		if lock.Cookie == cookie {
			s.Error("the cookie did not move")
		}
		n.update(blob(10), cookie) // does nothing, without an error
		item := blob(20)
		s.update(lock, item)
		s.holds(item)
	}), beside, aged)
	run(t, s, ".NET breaks our lock, and we are told", withNet(netBreaks), beside)
	run(t, s, "a lock that .NET released is released", withNet(func(s *scene, n dotnet) {
		item := s.create()
		_, lock := s.acquire()
		n.release(lock.Cookie)
		s.lockLost(lock)
		s.holds(item)
	}), beside, extended) // on the stock schema the cookie still matches
	run(t, s, "our earlier acquire does not find .NET's lock", withNet(func(s *scene, n dotnet) {
		// .NET's acquire changes the cookie and leaves our operation id in the row.
		s.create()
		first := op()
		_, lock, err := s.Store.Acquire(s.ctx, s.ref, first)
		s.noError("acquire", err)
		s.release(lock)
		n.lock()
		_, _, err = s.Store.Acquire(s.ctx, s.ref, first)
		s.fails("acquire again", err, session.ErrLockLost)
		s.lockLost(lock)
		_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
		s.locked("another acquire", err)
	}), beside, extended)
	run(t, s, "our lock is lost if .NET removes the session", withNet(func(s *scene, n dotnet) {
		s.create()
		_, lock := s.acquire()
		s.noError(".NET: remove", n.client.Remove(s.ctx, n.key, lock.Cookie))
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, op())
		s.fails("update", err, session.ErrLockLost)
		s.gone()
	}), beside)
}

func netHolds(s *scene, n dotnet) {
	n.insert()
	cookie := n.lock().LockCookie
	_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
	s.locked("get", err)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("acquire", err)
	_, err = s.Store.Put(s.ctx, s.ref, content(blob(10)), unconditional, op())
	s.locked("put", err)
	s.locked("remove", s.Store.Remove(s.ctx, s.ref, noLock, op()))

	item := blob(30)
	n.update(item, cookie)
	s.holds(item)
	_, lock := s.acquire()
	s.release(lock)
}

// netBreaks does what a waiting .NET application does after executionTimeout: it releases with the holder's cookie,
// and then acquires.
func netBreaks(s *scene, n dotnet) {
	s.create()
	_, lock := s.acquire()
	n.release(lock.Cookie)
	cookie := n.lock().LockCookie
	s.lockLost(lock)
	item := blob(30)
	n.update(item, cookie)
	s.holds(item)
}
