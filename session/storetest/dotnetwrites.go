package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// netWrites: neither side loses an item that the other side stored.
func netWrites(t *testing.T, s Subject) {
	run(t, s, ".NET's insert on our session fails, and changes nothing", withNet(func(s *scene, n dotnet) {
		item := s.create()
		for what, insert := range map[string]func() error{
			"short":         func() error { return n.client.InsertShort(s.ctx, n.key, blob(10), 20) },
			"long":          func() error { return n.client.InsertLong(s.ctx, n.key, blob(8000), 20) },
			"uninitialized": func() error { return n.client.InsertUninitialized(s.ctx, n.key, session.EmptyItem(20), 20) },
		} {
			if err := insert(); !DuplicateKey(err) {
				s.Errorf(".NET: insert %s: got error %v, want 2627", what, err)
			}
		}
		s.holds(item)
	}), beside)
	run(t, s, "our only-create on .NET's session fails, our put stores", withNet(func(s *scene, n dotnet) {
		item := n.insert()
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{OnlyCreate: true}, op())
		s.fails("only-create", err, session.ErrPrecondition)
		s.holds(item)
		item = blob(20)
		if sess := s.put(item); sess.Made {
			s.Error("our put to .NET's session reports that it created one")
		}
		s.same(".NET: read", n.read().Item(), item)
	}), beside)
	run(t, s, "our put changes the cookie, so that a stale .NET holder stores nothing", withNet(func(s *scene, n dotnet) {
		n.insert()
		cookie := n.lock().LockCookie
		n.release(cookie)
		item := blob(20)
		s.put(item)
		n.update(blob(10), cookie) // the stock update checks the cookie only, not the lock
		s.holds(item)
		s.noError(".NET: remove", n.client.Remove(s.ctx, n.key, cookie))
		s.holds(item)
	}), beside, extended)
	run(t, s, "a tag from before .NET's update does not match", withNet(func(s *scene, n dotnet) {
		s.create()
		tag := s.get().Tag
		cookie := n.lock().LockCookie
		_, err := s.putMatch(tag, blob(10))
		s.locked("put while .NET holds the lock", err)
		item := blob(20)
		n.update(item, cookie)
		_, err = s.putMatch(tag, blob(10))
		s.fails("put", err, session.ErrPrecondition)
		s.holds(item)
		_, err = s.putMatch(s.get().Tag, blob(10))
		s.noError("put with the new tag", err)
	}), beside, extended)
	run(t, s, "our update is remembered after a later update by .NET", withNet(func(s *scene, n dotnet) {
		s.create()
		_, lock := s.acquire()
		first := op()
		_, err := s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, first)
		s.noError("update", err)
		item := blob(20)
		n.update(item, n.lock().LockCookie)
		_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(10)), false, first)
		s.noError("update again", err)
		s.holds(item)
	}), beside, extended)
	run(t, s, "a session that .NET renewed has not expired", withNet(func(s *scene, n dotnet) {
		item := s.create()
		s.age(2 * time.Hour)
		s.gone()
		n.read() // no stock procedure checks Expires, and every read renews it
		s.holds(item)
		s.age(2 * time.Hour)
		s.gone()
		s.noError(".NET: reset timeout", n.client.ResetTimeout(s.ctx, n.key))
		s.holds(item)
	}), beside, aged, extended)
	run(t, s, "an expired row still stops .NET's insert, and not ours", withNet(func(s *scene, n dotnet) {
		s.create()
		s.age(2 * time.Hour)
		if err := n.client.InsertShort(s.ctx, n.key, blob(10), 20); !DuplicateKey(err) {
			s.Errorf(".NET: got error %v, want 2627", err)
		}
		item := blob(20)
		if sess := s.put(item); !sess.Made {
			s.Error("our put does not report that it created the session")
		}
		s.same(".NET: read", n.read().Item(), item)
	}), beside, aged, extended)
	run(t, s, "a session that we removed can be created again by .NET", withNet(func(s *scene, n dotnet) {
		s.create()
		s.remove(noLock)
		s.holds(n.insert())
	}), beside)
}
