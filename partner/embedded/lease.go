package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// How long an explicit transaction keeps all other writers waiting: between two
// statements, and in all.
const (
	leaseIdle = 10 * time.Second
	leaseMax  = 60 * time.Second
)

// lease is an explicit transaction: its session has the turn to write until it
// ends it, is reset or gone, lets too much time pass, or the role changes.
type lease struct {
	p        *database
	deadline time.Time
	timer    *time.Timer // rolls back when the session is idle for too long

	mu    sync.Mutex // held while a statement runs
	ended error      // why the transaction is over; nil while it is open
}

var errLeaseDone = errors.New("transaction ended")

// openLease waits for the turn and opens a transaction.
func (d *database) openLease(ctx context.Context) (*lease, error) {
	t := newTicket()
	t.alone = true
	if _, err := d.turns.enter(ctx, t, false); err != nil {
		return nil, err
	}
	err := d.stillWritable()
	if err == nil {
		err = d.store.exclusive.open()
	}
	if err != nil {
		d.turns.leave(nil)
		return nil, err
	}
	l := &lease{p: d, deadline: time.Now().Add(leaseMax)}
	l.mu.Lock()
	l.timer = time.AfterFunc(leaseIdle, func() {
		l.breakOff(message(1222, 16, "Lock request time out period exceeded: the transaction was rolled back, because it kept others waiting for too long."))
	})
	l.mu.Unlock()
	d.leases.Lock()
	d.lease = l
	changing := d.changing
	d.leases.Unlock()
	if changing > 0 {
		l.breakOff(errKilled(errMirror(d.title)))
		return nil, errKilled(errMirror(d.title))
	}
	return l, nil
}

// run runs a statement of the transaction.
func (l *lease) run(f func(w *writer) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	defer func() { l.timer.Reset(min(leaseIdle, time.Until(l.deadline))) }()
	return f(l.p.store.exclusive)
}

// commit makes the transaction durable on both partners, and ends it.
func (l *lease) commit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	w := l.p.store.exclusive
	err := l.p.hardenGathered(w)
	l.finish(errLeaseDone)
	return err
}

// hardenGathered ends the open transaction of the exclusive connection: what was
// written in it is mirrored as one record.
func (d *database) hardenGathered(w *writer) error {
	defer w.ends()
	rec, err := w.gather()
	if err != nil {
		_, undo := w.rollback.exec()
		return errors.Join(fmt.Errorf("collect what was written on %s: %w", d.instance.name, err), undo)
	}
	return d.harden(w, rec, func() error { return d.store.note(w, rec) })
}

// breakOff rolls the transaction back and ends it, because of why; if it has ended
// already, nothing happens. It waits for a running statement.
func (l *lease) breakOff(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return
	}
	w := l.p.store.exclusive
	if _, err := w.rollback.exec(); err != nil {
		l.p.instance.log.Error("rollback failed", "error", err)
	}
	w.ends()
	l.finish(why)
}

// finish gives the turn back. The caller holds mu.
func (l *lease) finish(why error) {
	l.ended = why
	l.timer.Stop()
	l.p.leases.Lock()
	l.p.lease = nil
	l.p.leases.Unlock()
	l.p.turns.leave(nil)
}

// noLeases ends the open explicit transaction, if there is one, and lets none
// begin until allow is called: whoever changes a role is first in the queue for the
// turn, but not before the transactions that were given it meanwhile.
func (d *database) noLeases(why error) (allow func()) {
	d.leases.Lock()
	d.changing++
	l := d.lease
	d.leases.Unlock()
	if l != nil {
		l.breakOff(why)
	}
	return func() {
		d.leases.Lock()
		d.changing--
		d.leases.Unlock()
	}
}

// exclusively runs ad-hoc writes as a transaction of their own.
func (d *database) exclusively(ctx context.Context, f func(w *writer) error) error {
	return d.alone(ctx, false, func() error {
		if err := d.stillWritable(); err != nil {
			return err
		}
		w := d.store.exclusive
		if err := w.open(); err != nil {
			return fmt.Errorf("begin on %s: %w", d.instance.name, err)
		}
		if err := guarded(func() error { return f(w) }); err != nil {
			defer w.ends()
			_, undo := w.rollback.exec()
			return errors.Join(err, undo)
		}
		return d.hardenGathered(w)
	})
}
