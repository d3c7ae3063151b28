package storetest

import (
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// timeouts: the application sets how long a session lives, and then its writers do. A store on the stock schema knows
// a timeout from the item only, if at all.
func timeouts(t *testing.T, s Subject) {
	run(t, s, "a new session has its application's timeout", func(s *scene) {
		s.ref.App = &smallApp
		s.wantTimeout("put", s.put(blob(10)), smallApp.Timeout)
		s.wantTimeout("get", s.get(), smallApp.Timeout)
	}, extended)
	run(t, s, "the call that creates a session may set another timeout", func(s *scene) {
		s.wantTimeout("put", s.putTimeout(35), 35)
		s.wantTimeout("get", s.get(), 35)
		s.wantTimeout("touch", s.touch(), 35)
	}, extended)
	run(t, s, "a put without one keeps it, a put with one changes it", func(s *scene) {
		s.putTimeout(35)
		s.wantTimeout("put without", s.put(blob(10)), 35)
		s.wantTimeout("put with", s.putTimeout(45), 45)
		s.wantTimeout("get", s.get(), 45)
	}, extended)
	run(t, s, "an update without one keeps it, an update with one changes it", func(s *scene) {
		s.putTimeout(35)
		sess, lock := s.acquire()
		s.wantTimeout("acquire", sess, 35)
		s.wantTimeout("update without", s.keep(lock, blob(10)), 35)
		sess, err := s.Store.Update(s.ctx, s.ref, lock, session.Write{Item: blob(10), Timeout: 45}, false, op())
		s.noError("update", err)
		s.wantTimeout("update with", sess, 45)
		s.wantTimeout("get", s.get(), 45)
	}, extended)
	for name, change := range timeoutVerbs {
		run(t, s, "a "+name+" may change it", func(s *scene) {
			s.putTimeout(35)
			change(s, session.Operation{ID: session.NewOperationID(), Timeout: 45})
			s.wantTimeout("peek", s.peeked(), 45)
			s.age(44 * time.Minute)
			s.there()
			change(s, op())
			s.wantTimeout("peek after another without", s.peeked(), 45)
			s.age(slack)
			s.there()
			s.age(27 * time.Minute)
			s.gone()
		}, extended, aged)
		run(t, s, "a "+name+" may shorten it", func(s *scene) {
			s.putTimeout(35)
			change(s, session.Operation{ID: session.NewOperationID(), Timeout: 5})
			s.age(5*time.Minute + time.Second)
			s.gone()
		}, extended, aged)
		run(t, s, "a "+name+" refuses an invalid timeout", func(s *scene) {
			s.create()
			for _, bad := range []session.Operation{{Timeout: -1}, {Timeout: session.MaxTimeout + 1}, {Seconds: -1}, {Seconds: session.MaxTimeout*60 + 1}} {
				if err := timeoutVerb[name](s, bad); !isInvalid(err) {
					s.Errorf("%d minutes, %d seconds: got error %v", bad.Timeout, bad.Seconds, err)
				}
			}
		})
		run(t, s, "a "+name+" on the stock schema refuses one", func(s *scene) {
			item := s.create()
			err := timeoutVerb[name](s, session.Operation{ID: session.NewOperationID(), Timeout: 45})
			s.fails(name, err, session.ErrUnsupported)
			s.holds(item)
		}, stockOnly)
	}
	run(t, s, "the expiry is the timeout from now", func(s *scene) {
		// The database's clock may differ from ours, so two answers are compared.
		short, long := s.putTimeout(20), s.putTimeout(80)
		got := long.Expires.Sub(short.Expires)
		if want := 60 * time.Minute; got < want-time.Minute || got > want+time.Minute {
			s.Errorf("80 minutes end %v after 20 minutes, want about %v", got, want)
		}
	}, extended)
}

func (s *scene) putTimeout(minutes int) session.Session {
	s.Helper()
	sess, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: blob(10), Timeout: minutes}, unconditional, op())
	s.noError("put", err)
	return sess
}

func (s *scene) wantTimeout(what string, sess session.Session, minutes int) {
	s.Helper()
	if sess.Timeout != minutes {
		s.Errorf("%s: got a timeout of %d minutes, want %d", what, sess.Timeout, minutes)
	}
	if sess.Expires.IsZero() {
		s.Errorf("%s: it does not say when the session expires", what)
	}
}

// Times of a session of 20 minutes, the main application's timeout.
const (
	most  = 15 * time.Minute                // most of its life
	life  = 20*time.Minute - patience       // its life, minus the time that a slow test may take
	over  = 20*time.Minute + time.Second    // past its end if it was not renewed
	slack = 21*time.Minute + 10*time.Second // past its end even if it was renewed: at most five percent are added
)

// expiry: a session lives for its timeout after its last use, and is missing afterwards. On the stock schema only the
// sweeper ends sessions: rows live until they are swept.
func expiry(t *testing.T, s Subject) {
	run(t, s, "a session lives its full timeout", func(s *scene) {
		s.create()
		s.age(life)
		s.there()
		s.get()
	}, aged, extended)
	run(t, s, "no verb finds an expired session, swept or not", expiredIsGone, aged, extended)
	for _, verb := range []struct {
		name string
		lock bool // it takes a lock that was acquired before
		use  func(*scene, session.Lock)
	}{
		{"get", false, func(s *scene, _ session.Lock) { s.get() }},
		{"touch", false, func(s *scene, _ session.Lock) { s.touch() }},
		{"put", false, func(s *scene, _ session.Lock) { s.put(blob(10)) }},
		{"acquire", false, func(s *scene, _ session.Lock) { s.acquire() }},
		{"release", true, func(s *scene, lock session.Lock) { s.release(lock) }},
		{"update", true, func(s *scene, lock session.Lock) { s.update(lock, blob(10)) }},
		{"update that keeps the lock", true, func(s *scene, lock session.Lock) { s.keep(lock, blob(10)) }},
	} {
		run(t, s, verb.name+" gives the full timeout again, and little more", func(s *scene) {
			s.create()
			var lock session.Lock
			if verb.lock {
				_, lock = s.acquire()
			}
			s.age(most)
			verb.use(s, lock)
			s.age(life) // longer than a lock lives
			s.there()
			s.age(slack - life)
			s.gone()
		}, aged, extended)
	}
	run(t, s, "a peek renews nothing", func(s *scene) {
		s.create()
		s.age(most)
		s.there()
		s.age(over - most)
		s.gone()
	}, aged, extended)
	run(t, s, "reads in a row never renew too early or too late", func(s *scene) {
		s.create()
		for range 5 {
			s.age(life)
			s.get()
		}
		s.age(slack)
		s.gone()
	}, aged, extended)
	run(t, s, "a live lock keeps its session", lockKeepsSession, aged, extended)
	run(t, s, "a session that expired under an abandoned lock is missing for all but the holder", expiredUnderLock, aged, extended)
	run(t, s, "an expired session is replaced, with nothing of the old", replacesExpired, aged, extended)
	run(t, s, "only-create replaces an expired session", func(s *scene) {
		s.create()
		s.age(over)
		item := blob(10)
		sess, err := s.Store.Put(s.ctx, s.ref, content(item), session.Condition{OnlyCreate: true}, op())
		s.noError("only-create", err)
		if !sess.Made {
			s.Error("the put that replaced an expired session does not report that it created one")
		}
		s.holds(item)
	}, aged, extended)
	run(t, s, "a tag does not match an expired session", func(s *scene) {
		s.create()
		tag := s.get().Tag
		s.age(slack)
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{Match: tag}, op())
		s.fails("put", err, session.ErrPrecondition)
		s.gone()
	}, aged, extended)
}

func expiredIsGone(s *scene) {
	s.create()
	s.age(over)
	_, err := s.peek()
	s.fails("peek", err, session.ErrNotFound)
	s.gone()
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.fails("acquire", err, session.ErrNotFound)
	_, err = s.Store.Touch(s.ctx, s.ref, session.Operation{})
	s.fails("touch", err, session.ErrNotFound)
	_, err = s.peek()
	s.fails("peek after all that", err, session.ErrNotFound)
	s.remove(noLock)
	s.gone()
}

func lockKeepsSession(s *scene) {
	sess := s.putTimeout(1)
	s.wantTimeout("put", sess, 1)
	_, lock := s.acquire()
	s.age(75 * time.Second) // past the timeout of a minute, not past the lock's 110 seconds
	_, err := s.Store.Get(s.ctx, s.ref, session.GetOptions{})
	s.locked("get", err)
	_, _, err = s.Store.Acquire(s.ctx, s.ref, op())
	s.locked("acquire", err)
	_, err = s.Store.Put(s.ctx, s.ref, content(blob(10)), unconditional, op())
	s.locked("put", err)
	s.there()
	item := blob(20)
	s.update(lock, item)
	s.holds(item)
}

func expiredUnderLock(s *scene) {
	s.putTimeout(1)
	_, lock := s.acquire()
	s.age(mainApp.LockTimeout + time.Second)
	s.gone()
	_, _, err := s.Store.Acquire(s.ctx, s.ref, op())
	s.fails("acquire", err, session.ErrNotFound)
	_, err = s.Store.Touch(s.ctx, s.ref, session.Operation{})
	s.fails("touch", err, session.ErrNotFound)

	item := blob(20) // a holder may store even after the expiry
	s.update(lock, item)
	s.holds(item)
}

func replacesExpired(s *scene) {
	w := session.Write{Item: session.EmptyItem(55), Timeout: 55, Uninitialized: true}
	_, err := s.Store.Put(s.ctx, s.ref, w, unconditional, op())
	s.noError("first put", err)
	_, old := s.acquire()
	s.release(old)
	tag := s.get().Tag
	s.age(2 * time.Hour)

	item := blob(10)
	sess := s.put(item)
	if !sess.Made {
		s.Error("the put that replaced an expired session does not report that it created one")
	}
	s.wantTimeout("put", sess, mainApp.Timeout)
	got := s.get()
	s.same("get", got.Item, item)
	if got.Uninitialized || got.Tag == tag {
		s.Errorf("the successor is uninitialized %v, has the old tag %v; want neither", got.Uninitialized, got.Tag == tag)
	}
	s.lockLost(old)
}
