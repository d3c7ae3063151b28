package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// Write runs a call that may write, and returns when the call's writes are durable on this partner and, under SAFETY
// FULL, on the mirror. If ctx ends before the turn, nothing was done.
func (d *Database) Write(ctx context.Context, run func(w *storage.Writer) error) error {
	t := NewTicket()
	t.run = run
	return d.writeShared(ctx, t)
}

// writeShared waits for a shared turn and for its commit.
func (d *Database) writeShared(ctx context.Context, t *Ticket) error {
	lead, err := d.Turns.Enter(ctx, t, false)
	if err != nil {
		return err
	}
	if lead {
		sharers := d.Turns.sharers(t)
		d.runGroup(sharers)
		d.Turns.Leave(sharers)
	}
	return t.err
}

// Alone runs f while nobody else writes to the database. If first is set, f goes to the front of the queue.
func (d *Database) Alone(ctx context.Context, first bool, f func() error) error {
	t := NewTicket()
	t.alone = true
	if _, err := d.Turns.Enter(ctx, t, first); err != nil {
		return err
	}
	defer d.Turns.Leave(nil)
	return f()
}

// runGroup runs the calls one after the other and commits their writes in one transaction.
func (d *Database) runGroup(sharers []*Ticket) {
	s := d.Store
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if err := d.stillWritable(); err != nil {
		fail(sharers, err)
		return
	}
	if err := s.Main.Open(); err != nil {
		fail(sharers, fmt.Errorf("begin on %s: %w", d.Instance.Letter, err))
		return
	}
	d.runCalls(sharers)
}

func fail(sharers []*Ticket, err error) {
	for _, t := range sharers {
		t.err = err
	}
}

// runCalls runs the calls in the open transaction and gathers their writes. If one call breaks the transaction,
// runCalls rolls it back and runs each call again in its own transaction.
func (d *Database) runCalls(sharers []*Ticket) {
	w := d.Store.Main
	defer w.ForgetGathered()
	for _, t := range sharers {
		var broken error
		if t.err, broken = w.Run(t.run); broken == nil {
			continue
		}
		err := w.RollBack()
		w.ForgetGathered()
		switch {
		case err != nil || len(sharers) == 1:
			fail(sharers, errors.Join(d.FailedWrite(broken), err))
		default:
			for i := range sharers {
				if err := w.Open(); err != nil {
					sharers[i].err = fmt.Errorf("begin on %s: %w", d.Instance.Letter, err)
					continue
				}
				d.runCalls(sharers[i : i+1])
			}
		}
		return
	}
	rec, err := w.Gather()
	if err != nil {
		fail(sharers, errors.Join(fmt.Errorf("collect what was written on %s: %w", d.Instance.Letter, err), w.RollBack()))
		return
	}
	if err := d.harden(w, rec, func() error { return d.Store.WriteLog(w, rec) }); err != nil {
		fail(sharers, err)
	}
}

// groupSize limits the number of calls that share one commit.
const groupSize = 64

// Turns hands out the turn to write, to one holder at a time, in order of arrival. The holder of a shared turn is the
// leader. It runs its own call, and the calls of all tickets that wait for a shared turn. So these calls share one
// commit and need no further goroutine. Explicit transactions, ad-hoc statements and role changes need the database
// exclusively; they take a turn alone.
type Turns struct {
	Mu      sync.Mutex
	Waiting []*Ticket
	taken   bool
	group   []*Ticket // of the leader; the slice is reused
}

// Ticket is a place in the queue.
type Ticket struct {
	alone bool
	run   func(w *storage.Writer) error // the call of a shared turn

	ready chan struct{} // receives once: the call is done, or the ticket has the turn
	lead  bool          // the ticket has the turn; written before ready is signalled

	// Written by the leader, read after ready.
	err error
}

// NewTicket returns a ticket.
func NewTicket() *Ticket { return &Ticket{ready: make(chan struct{}, 1)} }

// Enter waits for the turn, or until a leader has run the ticket's call. In the second case lead is false. If ctx ends
// first, the ticket leaves the queue and nothing was done. If first is set, the ticket goes to the front of the queue.
func (q *Turns) Enter(ctx context.Context, t *Ticket, first bool) (lead bool, err error) {
	q.Mu.Lock()
	if !q.taken {
		q.taken = true
		q.Mu.Unlock()
		return true, nil
	}
	if first {
		q.Waiting = slices.Insert(q.Waiting, 0, t)
	} else {
		q.Waiting = append(q.Waiting, t)
	}
	q.Mu.Unlock()

	select {
	case <-t.ready:
		return t.lead, nil
	case <-ctx.Done():
	}
	q.Mu.Lock()
	at := slices.Index(q.Waiting, t)
	if at >= 0 {
		q.Waiting = slices.Delete(q.Waiting, at, at+1)
	}
	q.Mu.Unlock()
	if at >= 0 {
		return false, context.Cause(ctx)
	}
	<-t.ready // a leader runs the call, or the ticket was just given the turn: too late to leave
	return t.lead, nil
}

// sharers returns the tickets that share the leader's commit: the leader and those that wait for a shared turn, up to
// the first that needs a turn alone.
func (q *Turns) sharers(leader *Ticket) []*Ticket {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	q.group = append(q.group[:0], leader)
	n := 0
	for n < len(q.Waiting) && !q.Waiting[n].alone && len(q.group) < groupSize {
		q.group = append(q.group, q.Waiting[n])
		n++
	}
	q.Waiting = slices.Delete(q.Waiting, 0, n)
	return q.group
}

// Leave signals the tickets whose calls the leader ran, and passes the turn on.
func (q *Turns) Leave(done []*Ticket) {
	for i, t := range done {
		if i > 0 { // the first is the leader
			t.ready <- struct{}{}
		}
	}
	clear(done)
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if len(q.Waiting) == 0 {
		q.taken = false
		return
	}
	next := q.Waiting[0]
	q.Waiting = slices.Delete(q.Waiting, 0, 1)
	next.lead = true
	next.ready <- struct{}{}
}
