package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// timeoutVerb is a verb that may set a session's timeout without storing an item.
var timeoutVerb = map[string]func(*scene, session.Operation) error{
	"touch": func(s *scene, op session.Operation) error {
		_, err := s.Store.Touch(s.ctx, s.ref, op)
		return err
	},
	"acquire": func(s *scene, op session.Operation) error {
		_, lock, err := s.Store.Acquire(s.ctx, s.ref, op)
		if err == nil {
			s.release(lock)
		}
		return err
	},
	"release": func(s *scene, op session.Operation) error {
		_, lock := s.acquire()
		err := s.Store.Release(s.ctx, s.ref, lock, op)
		if err != nil { // the lock is still held
			s.release(lock)
		}
		return err
	},
}

// timeoutVerbs returns these verbs. They must succeed.
var timeoutVerbs = func() map[string]func(*scene, session.Operation) {
	all := map[string]func(*scene, session.Operation){}
	for name, verb := range timeoutVerb {
		all[name] = func(s *scene, op session.Operation) {
			s.Helper()
			s.noError(name, verb(s, op))
		}
	}
	return all
}()

// stockOnly: the promise is about what the stock schema cannot do.
func stockOnly(s Subject) string {
	if s.Extended {
		return "this store can do it"
	}
	return ""
}

// peeked returns the session without renewing its expiry.
func (s *scene) peeked() session.Session {
	s.Helper()
	sess, err := s.peek()
	s.noError("peek", err)
	return sess
}

// inSeconds: a timeout that was given in seconds is exact to the second. .NET sees the minutes, rounded up.
func inSeconds(t *testing.T, s Subject) {
	run(t, s, "a store sets a timeout in seconds", func(s *scene) {
		s.wantSeconds("put", s.putSeconds(90), 2, 90)
		s.wantSeconds("get", s.get(), 2, 90)
		s.wantSeconds("put without", s.put(blob(10)), 2, 90)
		sess, lock := s.acquire()
		s.wantSeconds("acquire", sess, 2, 90)
		sess, err := s.Store.Update(s.ctx, s.ref, lock, session.Write{Item: blob(10), Seconds: 3599}, true, op())
		s.noError("update", err)
		s.wantSeconds("update", sess, 60, 3599)
		sess, err = s.Store.Update(s.ctx, s.ref, lock, session.Write{Item: blob(10), Seconds: 120}, false, op())
		s.noError("update", err)
		s.wantSeconds("update with seconds that are whole minutes", sess, 2, 120)
		s.wantSeconds("put of minutes", s.putTimeout(3), 3, 0)
	}, extended)
	for name, change := range timeoutVerbs {
		run(t, s, "a "+name+" sets them", func(s *scene) {
			s.create()
			change(s, session.Operation{ID: session.NewOperationID(), Seconds: 90})
			s.wantSeconds("peek", s.peeked(), 2, 90)
			s.age(90*time.Second - patience)
			s.there()
			s.age(patience + time.Second)
			s.gone()
		}, extended, aged)
	}
	for _, use := range []struct {
		name string
		use  func(*scene)
	}{
		{"get", func(s *scene) { s.get() }},
		{"touch", func(s *scene) { s.touch() }},
		{"put", func(s *scene) { s.put(blob(10)) }},
		{"acquire and a release", func(s *scene) { _, lock := s.acquire(); s.release(lock) }},
		{"acquire and an update", func(s *scene) { _, lock := s.acquire(); s.update(lock, blob(10)) }},
	} {
		run(t, s, "a "+use.name+" gives the full timeout again, and no second more", func(s *scene) {
			s.putSeconds(3601)
			s.age(30 * time.Minute)
			use.use(s)
			s.age(3601*time.Second - patience)
			s.there()
			s.age(patience)
			s.gone()
		}, extended, aged)
		run(t, s, "a "+use.name+" gives no second more where the seconds are whole minutes", func(s *scene) {
			s.putSeconds(3600)
			s.age(30 * time.Minute)
			use.use(s)
			s.age(3600*time.Second - patience)
			s.there()
			s.age(patience)
			s.gone()
		}, extended, aged)
	}
	run(t, s, "the successor of an expired session does not inherit its timeout", func(s *scene) {
		s.putSeconds(90)
		s.age(2 * time.Minute)
		s.gone()
		s.wantSeconds("put", s.put(blob(10)), mainApp.Timeout, 0)
		s.wantSeconds("get", s.get(), mainApp.Timeout, 0)
	}, extended, aged)
	run(t, s, ".NET sees the minutes, and sets its own", func(s *scene) {
		s.putSeconds(90)
		net, key := s.netKey()
		item, err := net.GetItemExclusive3(s.ctx, key)
		s.noError(".NET's lock", err)
		s.noError(".NET's update", net.UpdateShortNullLong(s.ctx, key, blob(20), 30, item.LockCookie))
		s.wantSeconds("get", s.get(), 30, 0)
	}, extended, beside)
	run(t, s, "the stock schema keeps no timeouts in seconds", func(s *scene) {
		_, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: blob(10), Seconds: 90}, unconditional, op())
		s.fails("put", err, session.ErrUnsupported)
		s.gone()
		_, err = s.Store.Put(s.ctx, s.ref, session.Write{Item: blob(10), Seconds: 120}, unconditional, op())
		s.noError("put of whole minutes", err)
		_, lock := s.acquire()
		_, err = s.Store.Update(s.ctx, s.ref, lock, session.Write{Item: blob(10), Seconds: 90}, false, op())
		s.fails("update", err, session.ErrUnsupported)
		s.release(lock)
	}, stockOnly)
	run(t, s, "invalid timeouts in seconds are refused", func(s *scene) {
		for _, seconds := range []int{-1, session.MaxTimeout*60 + 1} {
			_, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: blob(10), Seconds: seconds}, unconditional, op())
			if !isInvalid(err) {
				s.Errorf("%d seconds: got error %v, want a *session.InvalidError", seconds, err)
			}
		}
		s.gone()
	})
}

func (s *scene) putSeconds(seconds int) session.Session {
	s.Helper()
	sess, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: blob(10), Seconds: seconds}, unconditional, op())
	s.noError("put", err)
	return sess
}

func (s *scene) wantSeconds(what string, sess session.Session, minutes, seconds int) {
	s.Helper()
	if sess.Timeout != minutes || sess.Seconds != seconds {
		s.Errorf("%s: got a timeout of %d minutes and %d seconds, want %d and %d", what, sess.Timeout, sess.Seconds, minutes, seconds)
	}
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*session.InvalidError](err)
	return ok
}
