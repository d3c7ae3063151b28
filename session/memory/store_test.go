package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		s := memory.New(nil)
		return storetest.Subject{
			Store:    s,
			Extended: true,
			Calls:    true,
			Permits:  true,
			Age:      func(_ *testing.T, ref session.Ref, d time.Duration) { s.Age(ref, d) },
		}
	})
}

// The store uses the clock that was given to New. A removal is forgotten after ten minutes.
func TestStore_Clock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(time.Now)
		ref := session.Ref{App: &session.Application{Name: "/lm/w3svc/1/root", Timeout: 1}, ID: session.NewID()}
		put := func() {
			t.Helper()
			if _, err := s.Put(t.Context(), ref, session.Write{}, session.Condition{}, session.NewOperation()); err != nil {
				t.Fatal(err)
			}
		}
		there := func() bool {
			_, err := s.Get(t.Context(), ref, session.GetOptions{Peek: true})
			return err == nil
		}

		put()
		time.Sleep(59 * time.Second) // time in the bubble
		if !there() {
			t.Error("a session of one minute is gone after 59 seconds")
		}
		time.Sleep(time.Second)
		if there() {
			t.Error("a session of one minute is there after 60 seconds")
		}

		put()
		removal := session.NewOperation()
		remove := func(op session.Operation) {
			t.Helper()
			if err := s.Remove(t.Context(), ref, session.Lock{}, op); err != nil {
				t.Fatal(err)
			}
		}
		remove(removal)
		put()
		remove(removal)
		if !there() {
			t.Error("a removal that was sent again removed the successor")
		}
		time.Sleep(11 * time.Minute)
		put()
		remove(session.NewOperation()) // removes the records of old removals
		put()
		remove(removal)
		if there() {
			t.Error("a removal is still remembered after eleven minutes")
		}
	})
}
