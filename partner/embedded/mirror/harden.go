package mirror

import (
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/message"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// harden makes the record durable: the heart of the promise that an acknowledged
// write survives a failover. write makes its changes in the open transaction of w;
// this ends the transaction. The caller holds the turn and the store's lock.
//
// The order: both partners work at the same time, but the mirror's commit comes
// before ours, and ours before anybody is answered. So whatever a client has seen,
// in an answer or in a read, the mirror has; and what only the mirror has was seen
// by nobody, so that either outcome is right for it.
//
// If the mirror does not say that it has the record, we may go on without it only
// where it can't take over without us: see [Pair.mayExpose].
func (d *Database) harden(w *storage.Writer, rec *storage.Record, write func() error) error {
	if len(rec.Changes) == 0 && len(rec.Schema) == 0 {
		_, err := w.Commit.Exec() // temporary tables stay: a call that takes long goes on with them
		return err
	}
	if err := d.awaitThaw(); err != nil {
		_, undo := w.Rollback.Exec()
		return errors.Join(err, undo)
	}
	rec.LSN = d.Store.LSN.Load() + 1
	rec.Trim = d.acked.Load()
	made, err := d.writeFirst(w, write)
	if err != nil {
		return err
	}
	shipped := d.ship(rec)
	if !made {
		err = write()
	}
	var exposed *storage.Mirroring
	sent := shipped != nil // the mirror may have it
	if sent {
		if lost := <-shipped; lost == nil {
			d.acked.Store(rec.LSN)
		} else {
			var alone error
			exposed, alone = d.continueWithout(w, rec, lost)
			err = errors.Join(err, alone)
			sent = !storage.IsNoRoom(lost) // its own transaction failed
		}
	}
	if err == nil {
		exposed, err = d.newForkIfOwed(w, rec, exposed)
	}
	if err == nil {
		if d.BeforeCommit != nil {
			d.BeforeCommit(rec)
		}
		if err = d.awaitThaw(); err == nil {
			_, err = w.Commit.Exec()
		}
	}
	if d.diskFull = storage.IsNoRoom(err); err != nil {
		return d.undo(w, rec, sent, err)
	}
	if exposed != nil {
		d.State.Store(exposed)
		d.OwesFork = false
	}
	if err := d.Store.Published(rec); err != nil {
		d.Instance.Log.Error("the objects were not read again", "error", err) // what is committed is committed
	}
	if d.Mirror == nil {
		d.Mirroring.pair.WakeWatch() // an asynchronous mirror may want it
	}
	return nil
}

// ship sends the record to the mirror, if there is one to wait for; it tells when the mirror has it,
// or that it is not known to.
func (d *Database) ship(rec *storage.Record) chan error {
	m := d.Mirror
	if m == nil {
		return nil
	}
	mine := d.State.Load()
	shipped := make(chan error, 1)
	go func() { shipped <- m.deliver(rec, mine) }() // ends by the partner time-out, and harden waits for it
	return shipped
}

// deliver takes the record through the link and the answer back.
func (d *Database) deliver(rec *storage.Record, from *storage.Mirroring) error {
	if err := d.Mirroring.pair.awaitLink(); err != nil {
		return err
	}
	if err := d.Receive(rec, from); err != nil {
		return err
	}
	return d.Mirroring.pair.awaitLink()
}

// Receive makes a record of the principal durable here, unless it is of another reign
// than the mirror's.
func (d *Database) Receive(rec *storage.Record, from *storage.Mirroring) error {
	s := d.Store
	s.Mu.Lock()
	defer s.Mu.Unlock()
	m := d.State.Load()
	switch {
	case s.Main == nil:
		return errLinkCut
	case m.Sequence > from.Sequence:
		return errDeposed
	case m.Role != storage.RoleMirror || m.ForkID() != from.ForkID():
		return errors.New("the mirror is of another reign")
	case rec.LSN != s.LSN.Load()+1:
		return fmt.Errorf("the mirror has commit %d, and can't take %d", s.LSN.Load(), rec.LSN)
	}
	return s.Apply(rec)
}

// goOn decides what becomes of a record that the mirror is not known to have. It is
// committed without the mirror if it may be: then in a reign of its own, because the
// mirror may have another of the same number. The caller holds the turn; the
// transaction is open.
func (d *Database) continueWithout(w *storage.Writer, rec *storage.Record, lost error) (exposed *storage.Mirroring, err error) {
	if err := d.awaitThaw(); err != nil {
		return nil, err
	}
	d.Mirror = nil
	d.Mirroring.linkLost(d, fmt.Errorf("ship commit %d: %w", rec.LSN, lost))
	if errors.Is(lost, errDeposed) {
		d.Shut("the mirror has become principal")
		return nil, errDeposed
	}
	if !d.Mirroring.MayExpose(d) {
		d.Shut("it sees neither mirror nor witness, or its role is out of date")
		return nil, message.ErrKillState()
	}
	m := *d.State.Load()
	m.NewFork(m.Sequence, rec.LSN-1)
	return &m, storage.WriteMirroring(w.Conn, &m)
}

// linkLost: the principal goes on without its mirror, until the link has been
// looked after.
func (s *Session) linkLost(principal *Database, why error) {
	principal.Instance.Log.Warn("mirror lost", "reason", why)
	s.ShowState(StateDisconnected)
	s.pair.WakeWatch()
}

// undo rolls back, because of why, and gives the answer. The mirror may have the
// record: it comes back by way of a resynchronisation, which takes away what only it
// has; or it is principal by then, and has it for good.
func (d *Database) undo(w *storage.Writer, rec *storage.Record, shipped bool, why error) error {
	if err := w.RollBack(); err != nil {
		d.Instance.Log.Error("rollback failed", "error", err)
	}
	if !shipped {
		return d.FailedWrite(why)
	}
	d.acked.Store(min(d.acked.Load(), rec.LSN-1))
	if d.Mirror != nil {
		d.Mirror = nil
		d.Mirroring.linkLost(d, fmt.Errorf("the principal's own commit failed: %w", why))
	}
	if d.Instance.Dead.Load() {
		return message.ErrKillState() // what a killed server leaves is settled at its start
	}
	m := *d.State.Load()
	m.NewFork(m.Sequence, rec.LSN-1)
	if err := w.InTransaction(func() error { return storage.WriteMirroring(w.Conn, &m) }); err != nil {
		d.Instance.Log.Error("a commit in doubt could not be noted", "error", err)
		d.OwesFork = true
	} else {
		d.State.Store(&m)
	}
	if errors.Is(why, errDeposed) {
		return message.ErrKilled(message.ErrMirror(d.Title)) // nothing was done anywhere
	}
	if !d.Mirroring.MayExpose(d) {
		d.Shut("a commit is in doubt, and neither mirror nor witness is there to ask")
	}
	return message.ErrKillState()
}
