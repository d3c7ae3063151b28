package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The limits of the time for which an explicit transaction keeps other writers waiting: between two
// statements, and in total.
const (
	LeaseIdle = 10 * time.Second
	LeaseMax  = 60 * time.Second
)

// Lease is an explicit transaction. Its session has the turn to write until it ends the transaction, is reset
// or disconnected, exceeds a time limit, or the role changes.
type Lease struct {
	P        *Database
	deadline time.Time
	timer    *time.Timer // rolls back a transaction that is idle for too long

	mu    sync.Mutex // held while a statement runs
	ended error      // why the transaction has ended; nil while it is open
}

// ErrLeaseDone is the reason of a lease whose session has ended the transaction.
var ErrLeaseDone = errors.New("transaction ended")

// OpenLease waits for the turn, begins a transaction and returns its lease.
func (d *Database) OpenLease(ctx context.Context) (*Lease, error) {
	t := NewTicket()
	t.alone = true
	if _, err := d.Turns.Enter(ctx, t, false); err != nil {
		return nil, err
	}
	err := d.stillWritable()
	if err == nil {
		err = d.Store.Exclusive.Open()
	}
	if err != nil {
		d.Turns.Leave(nil)
		return nil, err
	}
	l := &Lease{P: d, deadline: time.Now().Add(LeaseMax)}
	l.mu.Lock()
	l.timer = time.AfterFunc(LeaseIdle, func() {
		l.Abort(sqlerror.New(1222, 16, "Lock request time out period exceeded: the transaction was rolled back, because it kept others waiting for too long."))
	})
	l.mu.Unlock()
	d.leases.Lock()
	d.lease = l
	changing := d.changing
	d.leases.Unlock()
	if changing > 0 {
		l.Abort(sqlerror.ErrKilled(sqlerror.ErrMirror(d.Title)))
		return nil, sqlerror.ErrKilled(sqlerror.ErrMirror(d.Title))
	}
	return l, nil
}

// Run runs a statement of the transaction.
func (l *Lease) Run(f func(w *storage.Writer) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	defer func() { l.timer.Reset(min(LeaseIdle, time.Until(l.deadline))) }()
	return f(l.P.Store.Exclusive)
}

// Commit makes the transaction durable on both partners, and ends it.
func (l *Lease) Commit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	w := l.P.Store.Exclusive
	err := l.P.hardenGathered(w)
	l.finish(ErrLeaseDone)
	return err
}

// Restart ends the open transaction, with a commit or a rollback, and begins another in its place. Call it
// only within Run.
func (l *Lease) Restart(commit bool) (err error) {
	w := l.P.Store.Exclusive
	if commit {
		err = l.P.hardenGathered(w)
	} else {
		_, err = w.Rollback.Exec()
		w.ForgetGathered()
	}
	return errors.Join(err, w.Open()) // begins another one even if the commit failed, because nothing may be written outside of a transaction
}

// hardenGathered ends the open transaction of the exclusive connection. It mirrors what the transaction wrote
// as one record.
func (d *Database) hardenGathered(w *storage.Writer) error {
	defer w.ForgetGathered()
	rec, err := w.Gather()
	if err != nil {
		_, undo := w.Rollback.Exec()
		return errors.Join(fmt.Errorf("collect what was written on %s: %w", d.Instance.Letter, err), undo)
	}
	return d.harden(w, rec, func() error { return d.Store.WriteLog(w, rec) })
}

// Abort rolls the transaction back and ends it because of why. It does nothing if the transaction has ended
// already. It waits for a running statement.
func (l *Lease) Abort(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return
	}
	w := l.P.Store.Exclusive
	if _, err := w.Rollback.Exec(); err != nil {
		l.P.Instance.Log.Error("rollback failed", "error", err)
	}
	w.ForgetGathered()
	l.finish(why)
}

// finish releases the turn. The caller holds mu.
func (l *Lease) finish(why error) {
	l.ended = why
	l.timer.Stop()
	l.P.leases.Lock()
	l.P.lease = nil
	l.P.leases.Unlock()
	l.P.Turns.Leave(nil)
}

// noLeases ends the open explicit transaction, if there is one, and prevents others from beginning until allow is
// called. A role change goes to the front of the queue for the turn, but cannot overtake a transaction that was given
// the turn meanwhile.
func (d *Database) noLeases(why error) (allow func()) {
	d.leases.Lock()
	d.changing++
	l := d.lease
	d.leases.Unlock()
	if l != nil {
		l.Abort(why)
	}
	return func() {
		d.leases.Lock()
		d.changing--
		d.leases.Unlock()
	}
}

// Exclusively runs ad-hoc writes in their own transaction.
func (d *Database) Exclusively(ctx context.Context, f func(w *storage.Writer) error) error {
	return d.Alone(ctx, false, func() error {
		if err := d.stillWritable(); err != nil {
			return err
		}
		w := d.Store.Exclusive
		if err := w.Open(); err != nil {
			return fmt.Errorf("begin on %s: %w", d.Instance.Letter, err)
		}
		if err := storage.RecoverPanic(func() error { return f(w) }); err != nil {
			defer w.ForgetGathered()
			_, undo := w.Rollback.Exec()
			return errors.Join(err, undo)
		}
		return d.hardenGathered(w)
	})
}
