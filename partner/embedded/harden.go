package embedded

import (
	"errors"
	"fmt"
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
func (d *database) harden(w *writer, rec *record, write func() error) error {
	if len(rec.changes) == 0 && len(rec.schema) == 0 {
		_, err := w.rollback.exec()
		return err
	}
	if err := d.stand(); err != nil {
		_, undo := w.rollback.exec()
		return errors.Join(err, undo)
	}
	rec.lsn = d.store.lsn.Load() + 1
	rec.trim = d.acked.Load()
	made, err := d.cramped(w, write)
	if err != nil {
		return err
	}
	shipped := d.ship(rec)
	if !made {
		err = write()
	}
	var exposed *mirroring
	sent := shipped != nil // the mirror may have it
	if sent {
		if lost := <-shipped; lost == nil {
			d.acked.Store(rec.lsn)
		} else {
			var alone error
			exposed, alone = d.goOn(w, rec, lost)
			err = errors.Join(err, alone)
			sent = !isNoRoom(lost) // its own transaction failed
		}
	}
	if err == nil {
		exposed, err = d.newReignIfOwed(w, rec, exposed)
	}
	if err == nil {
		if d.beforeCommit != nil {
			d.beforeCommit(rec)
		}
		if err = d.stand(); err == nil {
			_, err = w.commit.exec()
		}
	}
	if d.tight = isNoRoom(err); err != nil {
		return d.undo(w, rec, sent, err)
	}
	if exposed != nil {
		d.state.Store(exposed)
		d.owesReign = false
	}
	if err := d.store.published(rec); err != nil {
		d.instance.log.Error("the objects were not read again", "error", err) // what is committed is committed
	}
	if d.mirror == nil {
		d.mirroring.pair.poke() // an asynchronous mirror may want it
	}
	return nil
}

// ship sends the record to the mirror, if there is one to wait for; it tells when the mirror has it,
// or that it is not known to.
func (d *database) ship(rec *record) chan error {
	m := d.mirror
	if m == nil {
		return nil
	}
	mine := d.state.Load()
	shipped := make(chan error, 1)
	go func() { shipped <- m.deliver(rec, mine) }() // ends by the partner time-out, and harden waits for it
	return shipped
}

// deliver takes the record through the link and the answer back.
func (d *database) deliver(rec *record, from *mirroring) error {
	if err := d.mirroring.pair.pass(); err != nil {
		return err
	}
	if err := d.receive(rec, from); err != nil {
		return err
	}
	return d.mirroring.pair.pass()
}

// receive makes a record of the principal durable here, unless it is of another reign
// than the mirror's.
func (d *database) receive(rec *record, from *mirroring) error {
	s := d.store
	s.mu.Lock()
	defer s.mu.Unlock()
	m := d.state.Load()
	switch {
	case s.main == nil:
		return errLinkCut
	case m.sequence > from.sequence:
		return errDeposed
	case m.role != roleMirror || m.reign() != from.reign():
		return errors.New("the mirror is of another reign")
	case rec.lsn != s.lsn.Load()+1:
		return fmt.Errorf("the mirror has commit %d, and can't take %d", s.lsn.Load(), rec.lsn)
	}
	return s.apply(rec)
}

// goOn decides what becomes of a record that the mirror is not known to have. It is
// committed without the mirror if it may be: then in a reign of its own, because the
// mirror may have another of the same number. The caller holds the turn; the
// transaction is open.
func (d *database) goOn(w *writer, rec *record, lost error) (exposed *mirroring, err error) {
	if err := d.stand(); err != nil {
		return nil, err
	}
	d.mirror = nil
	d.mirroring.linkLost(d, fmt.Errorf("ship commit %d: %w", rec.lsn, lost))
	if errors.Is(lost, errDeposed) {
		d.shut("the mirror has become principal")
		return nil, errDeposed
	}
	if !d.mirroring.mayExpose(d) {
		d.shut("it sees neither mirror nor witness, or its role is out of date")
		return nil, errKillState()
	}
	m := *d.state.Load()
	m.newReign(m.sequence, rec.lsn-1)
	return &m, writeMirroring(w.conn, &m)
}

// linkLost: the principal goes on without its mirror, until the link has been
// looked after.
func (s *mirroringSession) linkLost(principal *database, why error) {
	principal.instance.log.Warn("mirror lost", "reason", why)
	s.showState(stateDisconnected)
	s.pair.poke()
}

// undo rolls back, because of why, and gives the answer. The mirror may have the
// record: it comes back by way of a resynchronisation, which takes away what only it
// has; or it is principal by then, and has it for good.
func (d *database) undo(w *writer, rec *record, shipped bool, why error) error {
	if err := w.rollBack(); err != nil {
		d.instance.log.Error("rollback failed", "error", err)
	}
	if !shipped {
		return d.failedWrite(why)
	}
	d.acked.Store(min(d.acked.Load(), rec.lsn-1))
	if d.mirror != nil {
		d.mirror = nil
		d.mirroring.linkLost(d, fmt.Errorf("the principal's own commit failed: %w", why))
	}
	if d.instance.dead.Load() {
		return errKillState() // what a killed server leaves is settled at its start
	}
	m := *d.state.Load()
	m.newReign(m.sequence, rec.lsn-1)
	if err := w.inTransaction(func() error { return writeMirroring(w.conn, &m) }); err != nil {
		d.instance.log.Error("a commit in doubt could not be noted", "error", err)
		d.owesReign = true
	} else {
		d.state.Store(&m)
	}
	if errors.Is(why, errDeposed) {
		return errKilled(errMirror(d.title)) // nothing was done anywhere
	}
	if !d.mirroring.mayExpose(d) {
		d.shut("a commit is in doubt, and neither mirror nor witness is there to ask")
	}
	return errKillState()
}
