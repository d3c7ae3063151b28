package hold

import (
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
)

// lane is a queue of waiters ordered by ticket. pool counts what each caller has in it.
type lane[T any] struct {
	head, tail *waiter[T]
	pool       fairshare.Pool[*waiter[T]]
}

// waiter is one call in the hold.
type waiter[T any] struct {
	prev, next *waiter[T]
	lane       *lane[T] // nil after it was released or removed
	ticket     uint64
	part       fairshare.Part[*waiter[T]]
	since      time.Time
	released   chan *Term[T] // receives one term, or is closed if the waiter is refused
	refused    error         // the error for the call; set before released is closed
}

// count returns the number of waiters.
func (l *lane[T]) count() int { return l.pool.Size().Count }

// insert puts w behind every waiter with a lower ticket. New calls have the highest ticket, so the tail is
// tried first. Calls that come back are older than most, so the search starts at the head.
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

// insertBetween puts w between prev and next. Either may be nil.
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

// remove removes w.
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

// refuse removes w. Its call ends with the error why.
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
