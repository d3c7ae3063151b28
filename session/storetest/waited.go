package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// waitedFor: a session that was removed while a call waited for its lock is not created again by that call.
func waitedFor(t *testing.T, s Subject) {
	for _, removal := range []struct {
		name   string
		remove func(s *scene, lock session.Lock)
	}{
		{"past its lock", func(s *scene, _ session.Lock) { s.noError("remove", s.Store.Remove(s.ctx, s.ref, noLock, past())) }},
		{"by its lock's holder", func(s *scene, lock session.Lock) { s.remove(lock) }},
	} {
		for name, again := range makersAgain {
			run(t, s, name+" that waited makes none again, once it was removed "+removal.name, func(s *scene) {
				lock, o := s.meets(again)
				removal.remove(s, lock)
				s.fails(name, again(s, o), session.ErrNotFound)
				s.gone()
				s.noError(name+" that did not wait", again(s, op()))
			}, extended, waits)
		}
	}
	run(t, s, "a put that waited does not overwrite a successor", func(s *scene) {
		lock, o := s.meets(makersAgain["put"])
		s.remove(lock)
		item := s.create()
		s.fails("put", makersAgain["put"](s, o), session.ErrNotFound)
		s.holds(item)
	}, extended, waits)
	run(t, s, "a removal that waited does not remove a successor, and is done", func(s *scene) {
		remove := func(s *scene, o session.Operation) error { return s.Store.Remove(s.ctx, s.ref, noLock, o) }
		lock, o := s.meets(remove)
		s.remove(lock)
		item := s.create()
		s.noError("remove", remove(s, o))
		s.holds(item)
		_, lock = s.acquire()
		s.noError("remove again, beside a lock", remove(s, o))
		s.release(lock)
		s.remove(noLock)
		s.gone()
	}, extended, waits)
	run(t, s, "an acquire that waited does not replace an expired successor", func(s *scene) {
		lock, o := s.meets(makersAgain["acquire"])
		s.remove(lock)
		s.create()
		s.age(time.Hour)
		s.fails("acquire", makersAgain["acquire"](s, o), session.ErrNotFound)
		s.gone()
	}, extended, waits, aged)
	run(t, s, "a put that waited for a lock that was given back is done, and so is its repetition", func(s *scene) {
		lock, o := s.meets(makersAgain["put"])
		s.release(lock)
		s.noError("put", makersAgain["put"](s, o))
		s.remove(noLock)
		s.noError("the same, after a removal", makersAgain["put"](s, o))
		s.gone()
	}, extended, waits)
	for verb, again := range makersAgain {
		run(t, s, "a call that waited for a successor created within a tick of its predecessor is done: "+verb, func(s *scene) {
			for range 3 {
				s.create()
				s.remove(noLock)
				lock, o := s.meets(again)
				s.release(lock)
				s.noError("after the lock was given back", again(s, o))
				s.noError("remove", s.Store.Remove(s.ctx, s.ref, noLock, past()))
			}
		}, extended, waits)
	}
	for verb, again := range makersAgain {
		run(t, s, "a call that waited for a session that has expired replaces it: "+verb, func(s *scene) {
			_, o := s.meets(again)
			s.age(time.Hour)
			s.noError("after the lock and the session have ended", again(s, o))
		}, extended, waits, aged)
	}
}

// makersAgain are the calls that would create a missing session.
var makersAgain = map[string]func(*scene, session.Operation) error{
	"put": func(s *scene, o session.Operation) error {
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), unconditional, o)
		return err
	},
	"acquire": func(s *scene, o session.Operation) error {
		o.Create = true
		_, _, err := s.Store.Acquire(s.ctx, s.ref, o)
		return err
	},
}

// meets creates a session, locks it, and makes a call that is refused. It returns the lock, and the operation of the
// call with which it waits.
func (s *scene) meets(call func(*scene, session.Operation) error) (session.Lock, session.Operation) {
	s.Helper()
	s.create()
	_, lock := s.acquire()
	o := session.Operation{ID: session.NewOperationID(), Call: session.NewOperationID(), AsksAgain: true}
	err := call(s, o)
	s.locked("the call that waits", err)
	if e, ok := errors.AsType[*session.LockedError](err); !ok || e.Version == "" {
		s.Fatal("the error does not have the version of the locked session")
	} else {
		o.Waited = e.Version
	}
	return lock, o
}

// waits: the store must use Operation.Waited.
func waits(s Subject) string {
	if !s.Calls {
		return "Subject.Calls is false: this store does the waiting"
	}
	return ""
}
