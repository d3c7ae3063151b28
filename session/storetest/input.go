package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// input: the error names the bad input, and nothing is done. Unusual but valid input works.
func input(t *testing.T, s Subject) {
	for _, minutes := range []int{-1, session.MaxTimeout + 1, -1 << 31} {
		run(t, s, fmt.Sprintf("a timeout of %d minutes is refused", minutes), func(s *scene) { badTimeout(s, minutes) })
	}
	for _, minutes := range []int{session.MinTimeout, session.MaxTimeout} {
		run(t, s, fmt.Sprintf("a timeout of %d minutes is fine", minutes), func(s *scene) {
			item := blob(10)
			_, err := s.Store.Put(s.ctx, s.ref, session.Write{Item: item, Timeout: minutes}, unconditional, op())
			s.noError("put", err)
			s.holds(item)
		})
	}
	run(t, s, "an item above the application's limit is refused, one at the limit is not", tooLarge)
	run(t, s, "bad input is refused before the lock is checked", func(s *scene) {
		// Nothing is sent, so nothing is known about the lock.
		var invalid *session.InvalidError
		_, err := s.Store.Update(s.ctx, s.ref, session.Lock{Operation: op().ID, Cookie: 1}, session.Write{Timeout: -1}, false, op())
		if !errors.As(err, &invalid) {
			s.Errorf("got error %v, want a *session.InvalidError", err)
		}
	})
	for _, odd := range []struct{ name, id string }{
		{"an id of 80 characters", strings.Repeat("x", session.MaxIDLength-24) + string(session.NewID())},
		{"an id of a custom form", "Order-2024_07." + string(session.NewID()) + "~+=%/'\""},
	} {
		run(t, s, odd.name+" names a session", func(s *scene) {
			parsed, err := session.ParseID(odd.id)
			s.noError("parse", err)
			s.ref.ID = parsed
			first, second := s.create(), blob(20)
			sess, lock := s.acquire()
			s.same("acquire", sess.Item, first)
			s.update(lock, second)
			s.holds(second)
			s.remove(noLock)
			s.gone()
		})
	}
}

func badTimeout(s *scene, minutes int) {
	wantInvalid := func(what string, err error) {
		s.Helper()
		var invalid *session.InvalidError
		if !errors.As(err, &invalid) {
			s.Errorf("%s: got error %v, want a *session.InvalidError", what, err)
		}
		if got := session.OutcomeOf(err); got != session.NotApplied {
			s.Errorf("%s: outcome is %v, want %v", what, got, session.NotApplied)
		}
	}
	bad := session.Write{Item: blob(10), Timeout: minutes}
	_, err := s.Store.Put(s.ctx, s.ref, bad, unconditional, op())
	wantInvalid("put", err)
	s.gone()

	item := s.create()
	_, lock := s.acquire()
	_, err = s.Store.Update(s.ctx, s.ref, lock, bad, false, op())
	wantInvalid("update", err)
	s.release(lock)
	s.holds(item)
}

func tooLarge(s *scene) {
	s.ref.App = &smallApp
	limit := smallApp.MaxItem
	wantTooLarge := func(what string, err error) {
		s.Helper()
		var large *session.TooLargeError
		if !errors.As(err, &large) {
			s.Fatalf("%s: got error %v, want a *session.TooLargeError", what, err)
		}
		if large.Limit != limit {
			s.Errorf("%s: the error names a limit of %d bytes, want %d", what, large.Limit, limit)
		}
	}
	_, err := s.Store.Put(s.ctx, s.ref, content(blob(limit+1)), unconditional, op())
	wantTooLarge("put", err)
	s.gone()

	item := blob(limit)
	s.put(item)
	s.holds(item)
	_, lock := s.acquire()
	_, err = s.Store.Update(s.ctx, s.ref, lock, content(blob(limit+1)), false, op())
	wantTooLarge("update", err)
	item = blob(limit)
	s.update(lock, item)
	s.holds(item)
}

// applications: each application has its own sessions.
func applications(t *testing.T, s Subject) {
	run(t, s, "one id names two sessions in two applications", func(s *scene) {
		other := &scene{T: s.T, Subject: s.Subject, ctx: s.ctx, ref: session.Ref{App: &otherApp, ID: s.ref.ID}}
		mine := s.create()
		other.gone()
		theirs := other.create()
		s.holds(mine)
		other.holds(theirs)

		_, lock := s.acquire()
		other.holds(theirs) // a lock of one application does not stop another
		_, theirLock := other.acquire()
		other.remove(theirLock)
		s.update(lock, mine)
		s.holds(mine)
	})
	run(t, s, "an application's name is compared without case", func(s *scene) {
		item := s.create()
		name, err := session.ParseApplicationName(strings.ToUpper(mainApp.Name))
		s.noError("parse the name", err)
		app := mainApp
		app.Name = name
		s.ref.App = &app
		s.holds(item)
	})
}
