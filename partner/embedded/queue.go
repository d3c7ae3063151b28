package embedded

import (
	"context"
	"slices"
	"sync"
)

// groupSize is the most calls that share one commit.
const groupSize = 64

// turns hands out the turn to write, one holder at a time, in order of arrival.
// A holder of a common turn leads: it does the work of everybody who is waiting
// beside it, so that they all share one commit, and nobody pays for a goroutine of
// its own. A turn alone is for those who need the database to themselves: explicit
// transactions, ad-hoc statements, role changes.
type turns struct {
	mu      sync.Mutex
	waiting []*ticket
	taken   bool
	group   []*ticket // of the leader; reused
}

// ticket is a place in the queue.
type ticket struct {
	alone bool
	run   func(w *writer) error // of a common turn

	ready chan struct{} // told once: done, or it is your turn
	lead  bool          // it is your turn; written before ready is told

	// Written by whoever leads, read after ready.
	err error
}

func newTicket() *ticket { return &ticket{ready: make(chan struct{}, 1)} }

// enter waits for the turn, or until another has done the ticket's work: then
// lead is false. If ctx ends first, the ticket is withdrawn and nothing was done.
// first goes before all who wait.
func (q *turns) enter(ctx context.Context, t *ticket, first bool) (lead bool, err error) {
	q.mu.Lock()
	if !q.taken {
		q.taken = true
		q.mu.Unlock()
		return true, nil
	}
	if first {
		q.waiting = slices.Insert(q.waiting, 0, t)
	} else {
		q.waiting = append(q.waiting, t)
	}
	q.mu.Unlock()

	select {
	case <-t.ready:
		return t.lead, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	at := slices.Index(q.waiting, t)
	if at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	q.mu.Unlock()
	if at >= 0 {
		return false, context.Cause(ctx)
	}
	<-t.ready // it is being done, or the turn has just been given: too late to leave
	return t.lead, nil
}

// crowd is who shares the leader's commit: the leader and those who wait for a
// common turn, up to the first who wants one alone.
func (q *turns) crowd(leader *ticket) []*ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.group = append(q.group[:0], leader)
	n := 0
	for n < len(q.waiting) && !q.waiting[n].alone && len(q.group) < groupSize {
		q.group = append(q.group, q.waiting[n])
		n++
	}
	q.waiting = slices.Delete(q.waiting, 0, n)
	return q.group
}

// leave passes the turn on, after telling those whose work the leader did.
func (q *turns) leave(done []*ticket) {
	for i, t := range done {
		if i > 0 { // the first is the leader itself
			t.ready <- struct{}{}
		}
	}
	clear(done)
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.taken = false
		return
	}
	next := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	next.lead = true
	next.ready <- struct{}{}
}
