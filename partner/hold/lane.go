package hold

import (
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// lane is a queue in order of tickets, and what each caller has of it.
type lane[T any] struct {
	head, tail *waiter[T]
	pool       shares.Pool[*waiter[T]]
}

// waiter is one call in the hold.
type waiter[T any] struct {
	prev, next *waiter[T]
	lane       *lane[T] // nil: let go, or gone
	ticket     uint64
	part       shares.Part[*waiter[T]]
	since      time.Time
	released   chan *Term[T] // receives one term, or is closed
	refused    error         // why it was closed; set before
}

// n is how many wait.
func (l *lane[T]) count() int { return l.pool.Size().Count }

// insert puts a caller's w behind every waiter with a lower ticket. Calls that come back
// are older than most, new ones younger than all; so it looks from both ends.
func (l *lane[T]) insert(w *waiter[T], caller string) {
	w.lane = l
	w.part.Value, w.part.Order = w, w.ticket
	l.pool.Add(caller, &w.part)
	if l.tail == nil || l.tail.ticket < w.ticket {
		l.insertBetween(l.tail, w, nil)
		return
	}
	next := l.head
	for next.ticket < w.ticket {
		next = next.next
	}
	l.insertBetween(next.prev, w, next)
}

// link puts w between two neighbours, of which either may be missing.
func (l *lane[T]) insertBetween(prev, w, next *waiter[T]) {
	w.prev, w.next = prev, next
	if prev == nil {
		l.head = w
	} else {
		prev.next = w
	}
	if next == nil {
		l.tail = w
	} else {
		next.prev = w
	}
}

// remove takes w out.
func (l *lane[T]) remove(w *waiter[T]) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.lane, w.prev, w.next = nil, nil, nil
	l.pool.Remove(&w.part)
}

// refuse removes w. Its caller gets the error.
func (l *lane[T]) refuse(w *waiter[T], why error) {
	l.remove(w)
	w.refused = why
	close(w.released)
}

// refuseAll refuses every waiter.
func (l *lane[T]) refuseAll(why error) {
	for l.head != nil {
		l.refuse(l.head, why)
	}
}
