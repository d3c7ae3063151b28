package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// listing: a store that is a [session.Lister] lists its sessions for an operator.
func listing(t *testing.T, s Subject) {
	lister, ok := s.Store.(session.Lister)
	if !ok {
		t.Skip("this store is no session.Lister")
	}
	run(t, s, "sessions come in the order of their ids, page by page", func(s *scene) {
		family := s.family(5)
		var got []session.ID
		for after := family.before; len(got) < 5; {
			page, err := lister.List(s.ctx, &mainApp, after, 2)
			s.noError("list", err)
			if len(page) == 0 || len(page) > 2 {
				s.Fatalf("a page of up to 2 has %d entries", len(page))
			}
			for _, e := range page {
				got = append(got, e.ID)
				after = e.ID
			}
		}
		if got, want := fmt.Sprint(got[:5]), fmt.Sprint(family.ids); got != want {
			s.Errorf("got %s, want %s", got, want)
		}
	})
	run(t, s, "an entry describes the session", func(s *scene) {
		family := s.family(1)
		s.ref.ID = family.ids[0]
		s.put(blob(8000))
		_, lock := s.acquire()
		e := s.entry(lister, family)
		if !e.Locked || e.LockAge < 0 || e.Size != 8000 || e.Uninitialized || e.Timeout != mainApp.Timeout {
			s.Errorf("got %+v, want it locked, of 8000 bytes, initialized, with a timeout of %d", e, mainApp.Timeout)
		}
		if e.Created.IsZero() || !e.Expires.After(e.Created) || e.Expired {
			s.Errorf("it was created %v and expires %v, expired %v", e.Created, e.Expires, e.Expired)
		}
		s.release(lock)
		if e := s.entry(lister, family); e.Locked || e.LockAge != 0 {
			s.Errorf("after the release got locked %v, lock age %d", e.Locked, e.LockAge)
		}
	})
	run(t, s, "the list has no sessions of another application", func(s *scene) {
		family := s.family(1)
		page, err := lister.List(s.ctx, &otherApp, family.before, 1)
		s.noError("list", err)
		if len(page) > 0 && page[0].ID == family.ids[0] {
			s.Error("a session is listed with another application")
		}
	})
	run(t, s, "a timeout in seconds is listed in seconds", func(s *scene) {
		family := s.family(1)
		s.ref.ID = family.ids[0]
		s.putSeconds(90)
		if e := s.entry(lister, family); e.Timeout != 2 || e.Seconds != 90 {
			s.Errorf("got a timeout of %d minutes and %d seconds, want 2 and 90", e.Timeout, e.Seconds)
		}
		s.putTimeout(3)
		if e := s.entry(lister, family); e.Timeout != 3 || e.Seconds != 0 {
			s.Errorf("then got a timeout of %d minutes and %d seconds, want 3 and 0", e.Timeout, e.Seconds)
		}
	}, extended)
	run(t, s, "a session with a held lock is not listed as expired", func(s *scene) {
		family := s.family(1)
		s.ref.ID = family.ids[0]
		s.putSeconds(30)
		s.acquire()
		s.age(time.Minute)
		if e := s.entry(lister, family); e.Expired || !e.Locked {
			s.Errorf("got %+v, want it locked and not expired", e)
		}
		s.age(mainApp.LockTimeout)
		if e := s.entry(lister, family); !e.Expired || !e.Locked {
			s.Errorf("got %+v, want it expired: its lock is abandoned", e)
		}
	}, aged, extended)
	run(t, s, "the list has expired sessions", func(s *scene) {
		family := s.family(1)
		s.ref.ID = family.ids[0]
		s.age(2 * time.Hour)
		s.gone()
		if e := s.entry(lister, family); !e.Expired {
			s.Errorf("got %+v, want it expired", e)
		}
	}, aged, extended)
}

// family is a number of sessions whose ids follow each other.
type family struct {
	before session.ID
	ids    []session.ID
}

// family creates n sessions, n < 10, that sort together: 23 random characters and a letter.
func (s *scene) family(n int) family {
	s.Helper()
	before := session.NewID()[:23]
	f := family{before: before}
	for i := range n {
		f.ids = append(f.ids, before+session.ID('a'+rune(i)))
		ref := session.Ref{App: &mainApp, ID: f.ids[i]}
		_, err := s.Store.Put(s.ctx, ref, content(blob(10)), unconditional, op())
		s.noError("put", err)
	}
	return f
}

// entry returns the family's first session.
func (s *scene) entry(lister session.Lister, f family) session.Entry {
	s.Helper()
	page, err := lister.List(s.ctx, &mainApp, f.before, 1)
	s.noError("list", err)
	if len(page) != 1 || page[0].ID != f.ids[0] {
		s.Fatalf("got %+v, want the entry of %s", page, f.ids[0])
	}
	return page[0]
}
