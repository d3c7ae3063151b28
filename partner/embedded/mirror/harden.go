package mirror

import (
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// harden makes the record durable on both partners, so that an acknowledged write survives a
// failover. write makes the record's changes in the open transaction of w; harden ends the
// transaction. The caller holds the turn and the store's lock.
//
// The order: both partners work in parallel, but the mirror commits before the principal, and the
// principal commits before the client gets an answer. So the mirror has everything that a client has
// seen, in an answer or in a read. No client has seen a record that only the mirror has, so that the
// record may either stay or be discarded.
//
// If the mirror does not acknowledge the record, the principal may commit without it only if the
// mirror cannot take over without the principal: see [Session.MayExpose].
func (d *Database) harden(w *storage.Writer, rec *storage.Record, write func() error) error {
	if len(rec.Changes) == 0 && len(rec.Schema) == 0 {
		_, err := w.Commit.Exec() // temporary tables stay: a long call continues to use them
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
	sent := shipped != nil // the mirror may have the record
	if sent {
		if lost := <-shipped; lost == nil {
			d.acked.Store(rec.LSN)
		} else {
			var alone error
			exposed, alone = d.continueWithout(w, rec, lost)
			err = errors.Join(err, alone)
			sent = !storage.IsNoRoom(lost) // a mirror with a full disk does not have the record
		}
	}
	if err == nil {
		exposed, err = d.forkIfPending(w, rec, exposed)
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
		return d.rollBackRecord(w, rec, sent, err)
	}
	if exposed != nil {
		d.State.Store(exposed)
		d.ForkPending = false
	}
	if err := d.Store.Published(rec); err != nil {
		d.Instance.Log.Error("objects not read after the commit", "error", err) // the commit itself is done
	}
	if d.Mirror == nil {
		d.Mirroring.pair.WakeWatch() // an asynchronous mirror may need the commit
	}
	return nil
}

// ship sends the record to the mirror, if there is a mirror for which the principal must wait. The channel receives nil
// when the mirror has the record, and an error if it is not known whether the mirror has it.
func (d *Database) ship(rec *storage.Record) chan error {
	m := d.Mirror
	if m == nil {
		return nil
	}
	mine := d.State.Load()
	shipped := make(chan error, 1)
	go func() { shipped <- m.deliver(rec, mine) }() // the partner timeout ends this goroutine, and harden waits for it
	return shipped
}

// deliver sends the record over the link and waits for the answer.
func (d *Database) deliver(rec *storage.Record, from *storage.Mirroring) error {
	if err := d.Mirroring.pair.awaitLink(); err != nil {
		return err
	}
	if err := d.Receive(rec, from); err != nil {
		return err
	}
	return d.Mirroring.pair.awaitLink()
}

// Receive writes a record of the principal durably on this mirror, unless the record is of another
// recovery fork than the mirror's.
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
		return errors.New("the mirror has another recovery fork")
	case rec.LSN != s.LSN.Load()+1:
		return fmt.Errorf("the mirror has commit %d and cannot apply commit %d", s.LSN.Load(), rec.LSN)
	}
	return s.Apply(rec)
}

// continueWithout decides about a record that the mirror has not acknowledged. The principal commits
// it without the mirror if it may. The commit then begins a recovery fork, because the mirror may
// have another record of the same number. The caller holds the turn, and the transaction is open.
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
		d.Shut("the principal reaches neither mirror nor witness, or its role is out of date")
		return nil, sqlerror.ErrKillState()
	}
	m := *d.State.Load()
	m.NewFork(m.Sequence, rec.LSN-1)
	return &m, storage.WriteMirroring(w.Conn, &m)
}

// linkLost makes the principal continue without its mirror, until watchLinks has checked the link.
func (s *Session) linkLost(principal *Database, why error) {
	principal.Instance.Log.Warn("mirror lost", "reason", why)
	s.ShowState(StateDisconnected)
	s.pair.WakeWatch()
}

// rollBackRecord rolls the transaction back because of why, and returns the error for the client. The mirror may have
// the record. Then the resynchronisation discards it, or the mirror has become principal and keeps it.
func (d *Database) rollBackRecord(w *storage.Writer, rec *storage.Record, shipped bool, why error) error {
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
		return sqlerror.ErrKillState() // the next start of the server resolves the commits of a killed server
	}
	m := *d.State.Load()
	m.NewFork(m.Sequence, rec.LSN-1)
	if err := w.InTransaction(func() error { return storage.WriteMirroring(w.Conn, &m) }); err != nil {
		d.Instance.Log.Error("commit in doubt not recorded", "error", err)
		d.ForkPending = true
	} else {
		d.State.Store(&m)
	}
	if errors.Is(why, errDeposed) {
		return sqlerror.ErrKilled(sqlerror.ErrMirror(d.Title)) // the transaction was rolled back on both partners
	}
	if !d.Mirroring.MayExpose(d) {
		d.Shut("a commit is in doubt, and the principal reaches neither mirror nor witness")
	}
	return sqlerror.ErrKillState()
}
