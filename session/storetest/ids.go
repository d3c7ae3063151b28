package storetest

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
)

// ids: all spellings of an id name one session, and different ids name different sessions.
func ids(t *testing.T, s Subject) {
	run(t, s, "an id is compared without case", func(s *scene) {
		upper := s.respelled()
		item := s.create()
		upper.holds(item)
		_, err := s.Store.Put(s.ctx, upper.ref, content(blob(10)), session.Condition{OnlyCreate: true}, op())
		s.fails("put that may only create", err, session.ErrPrecondition)
		_, lock := s.acquire()
		_, _, err = s.Store.Acquire(s.ctx, upper.ref, op())
		s.fails("acquire", err, session.ErrLocked)
		item = blob(20)
		upper.update(lock, item)
		s.holds(item)
		_, lock = upper.acquire()
		s.release(lock)
		upper.remove(noLock)
		s.gone()
	})
	run(t, s, "an operation is the same in each spelling of its session's id", func(s *scene) {
		upper, o := s.respelled(), op()
		_, err := s.Store.Put(s.ctx, s.ref, content(blob(10)), session.Condition{OnlyCreate: true}, o)
		s.noError("put", err)
		_, err = s.Store.Put(s.ctx, upper.ref, content(blob(10)), session.Condition{OnlyCreate: true}, o)
		s.noError("put, sent again", err)

		o = op()
		s.noError("remove", s.Store.Remove(s.ctx, upper.ref, noLock, o))
		item := s.create()
		s.noError("remove, sent again", s.Store.Remove(s.ctx, s.ref, noLock, o))
		s.holds(item)
	}, extended)
	run(t, s, "each character of an id counts", func(s *scene) {
		last := string(session.NewID())
		apart := []string{"co-op", "coop", "c-oop", "co--op", "co'op", "-coop", "coop-", "co_op", "co.op", "ss", "s", "ae", "fi", "1/2"}
		for c := '!'; c <= '~'; c++ {
			if c < 'A' || c > 'Z' { // it is another spelling of a letter
				apart = append(apart, "x"+string(c))
			}
		}
		items := make([][]byte, len(apart))
		for i, id := range apart {
			s.ref.ID = s.parsed(id + last)
			items[i] = s.create()
		}
		for i, id := range apart {
			s.ref.ID = s.parsed(id + last)
			s.holds(items[i])
		}
	})
}

// respelled returns the scene with its session's id in capitals. The id must not have ASP.NET's own form, which has
// only one spelling.
func (s *scene) respelled() *scene {
	s.Helper()
	own := "own-" + string(s.ref.ID)
	s.ref.ID = s.parsed(own)
	other := *s
	other.ref.ID = s.parsed(strings.ToUpper(own))
	if other.ref.ID == s.ref.ID {
		s.Fatalf("%s has one spelling", s.ref.ID)
	}
	return &other
}

func (s *scene) parsed(id string) session.ID {
	s.Helper()
	parsed, err := session.ParseID(id)
	s.noError("parse the id", err)
	return parsed
}
