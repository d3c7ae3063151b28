package storetest

import (
	"fmt"
	"slices"
	"testing"
)

// shortItem is the length of the longest item in SessionItemShort.
const shortItem = 7000

// items: an item is read as it was stored, with any content and length.
func items(t *testing.T, s Subject) {
	for _, size := range []int{1, 6999, shortItem, shortItem + 1, 8000, 8001, 100_000} {
		run(t, s, fmt.Sprintf("%d bytes come back by every read", size), func(s *scene) {
			roundTrip(s, blob(size), blob(size))
		})
	}
	if s.NoBlankItem {
		t.Log("skipped: an item of no bytes can't be carried here")
	} else {
		run(t, s, "an item may have no bytes", func(s *scene) { roundTrip(s, []byte{}, []byte{}) })
	}
	run(t, s, "every byte value is kept", func(s *scene) {
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		slices.Reverse(all)
		roundTrip(s, all, slices.Repeat(all, 40))
	})
	run(t, s, "blanks and zeroes at the end are kept", func(s *scene) {
		// A varbinary column made with ANSI_PADDING OFF would trim the zeroes.
		roundTrip(s, []byte{1, 0, 0, 0}, []byte("text   "))
	})
	for _, change := range []struct{ from, to int }{
		{shortItem, shortItem + 1}, {shortItem + 1, shortItem}, {100_000, 1}, {1, 100_000},
	} {
		run(t, s, fmt.Sprintf("from %d to %d bytes leaves nothing of the old", change.from, change.to), func(s *scene) {
			s.put(blob(change.from))
			byUpdate := blob(change.to)
			_, lock := s.acquire()
			s.update(lock, byUpdate)
			s.holds(byUpdate)

			s.put(blob(change.from))
			byPut := blob(change.to)
			s.put(byPut)
			s.holds(byPut)
		})
	}
	run(t, s, "the store neither keeps the caller's bytes nor returns the same bytes twice", ownership)
}

// roundTrip stores with a put and with an update, and reads each item with every verb that reads.
func roundTrip(s *scene, first, second []byte) {
	s.Helper()
	s.put(first)
	s.holds(first)
	sess, lock := s.acquire()
	s.same("acquire", sess.Item, first)
	s.update(lock, second)
	s.holds(second)
}

func ownership(s *scene) {
	item := blob(100)
	given := slices.Clone(item)
	s.put(given)
	clear(given)
	got := s.get().Item
	s.same("get after the put's bytes were changed", got, item)
	clear(got)
	sess, lock := s.acquire()
	s.same("acquire after the read's bytes were changed", sess.Item, item)

	given = slices.Clone(item)
	s.update(lock, given)
	clear(given)
	clear(sess.Item)
	s.holds(item)
}
