package embedded

import (
	"database/sql/driver"
	"errors"
	"fmt"
)

// writer is a connection that writes, and reads what it wrote.
type writer struct {
	*reader
	begin, commit, rollback             *statement
	updateSession, insertSession        *statement
	deleteSession                       *statement
	putApplication, deleteApplication   *statement
	putEpoch, deleteEpoch               *statement
	putTombstone, deleteTombstone       *statement
	putSweep, deleteSweep               *statement
	putSettled, deleteSettled           *statement
	putObject, deleteObject             *statement
	change, lsn, trimChanges, trimStart *statement
	values                              []driver.Value
	gathered                            gathered
}

func newWriter(c *conn) (*writer, error) {
	r, err := newReader(c)
	if err != nil {
		return nil, err
	}
	w := &writer{reader: r}
	return w, c.prepareAll(map[**statement]string{
		&w.begin: "BEGIN IMMEDIATE", &w.commit: "COMMIT", &w.rollback: "ROLLBACK",
		&w.updateSession: updateSession, &w.insertSession: insertSession, &w.deleteSession: deleteSession,
		&w.putApplication: putApplication, &w.deleteApplication: deleteApplication,
		&w.putEpoch: putEpoch, &w.deleteEpoch: deleteEpoch,
		&w.putTombstone: putTombstone, &w.deleteTombstone: deleteTombstone, &w.putSweep: putSweep, &w.deleteSweep: deleteSweep,
		&w.putSettled: putSettled, &w.deleteSettled: deleteSettled,
		&w.putObject: putObject, &w.deleteObject: deleteObject,
		&w.change: writeChange, &w.lsn: writeLSN, &w.trimChanges: trimChanges, &w.trimStart: trimLog,
	})
}

// put makes the change in its table.
func (w *writer) put(c change) error {
	if err := w.putRow(c); err != nil {
		return fmt.Errorf("write %s: %w", c.table, err)
	}
	return nil
}

func (w *writer) putRow(c change) (err error) {
	switch r := c.row.(type) {
	case *sessionRow:
		return w.putSession(r)
	case *applicationRow:
		_, err = w.putApplication.exec(int64(r.id), r.name)
	case *epochRow:
		_, err = w.putEpoch.exec(int64(r.id), r.epoch, r.server, blobValue(r.secret))
	case *tombstoneRow:
		_, err = w.putTombstone.exec(r.id, []byte(r.op), r.removed.text(), r.ops[0].value(), r.ops[1].value(), r.ops[2].value(), r.ops[3].value(), date2Value(r.forgotten), dateValue(r.created))
	case *sweepRow:
		_, err = w.putSweep.exec(int64(r.id), opValue(r.owner), date2Value(r.leased), date2Value(r.lastRun), r.deleted)
	case *settledRow:
		_, err = w.putSettled.exec([]byte(r.op), []byte(r.call), r.settled.text(), int64(r.result))
	case *objectRow:
		_, err = w.putObject.exec(r.kind, r.name, r.detail)
	default:
		return w.remove(c)
	}
	return err
}

func (w *writer) putSession(r *sessionRow) error {
	w.values = r.values(w.values[:0])
	defer func() { clear(w.values) }()
	n, err := w.updateSession.exec(w.values...)
	if err == nil && n == 0 {
		_, err = w.insertSession.exec(w.values...)
	}
	return err
}

func (w *writer) remove(c change) (err error) {
	switch c.table {
	case tableSessions:
		_, err = w.deleteSession.exec(c.key)
	case tableApplications:
		_, err = w.deleteApplication.exec(c.key)
	case tableEpoch:
		_, err = w.deleteEpoch.exec(c.key)
	case tableSweep:
		_, err = w.deleteSweep.exec(c.key)
	case tableObjects:
		kind, name := splitObjectKey(c.key)
		_, err = w.deleteObject.exec(kind, name)
	case tableSettled:
		var op, call operation
		if op, call, err = splitSettledKey(c.key); err == nil {
			_, err = w.deleteSettled.exec([]byte(op), []byte(call))
		}
	default:
		var id string
		var op operation
		if id, op, err = splitTombstoneKey(c.key); err == nil {
			_, err = w.deleteTombstone.exec(id, []byte(op))
		}
	}
	return err
}

// note writes the record's number and which rows it changes.
func (w *writer) note(rec *record) error {
	for i, c := range rec.changes {
		if _, err := w.change.exec(rec.lsn, int64(i), int64(c.table), c.key); err != nil {
			return fmt.Errorf("write changes: %w", err)
		}
	}
	if _, err := w.lsn.exec(rec.lsn); err != nil {
		return fmt.Errorf("write lsn: %w", err)
	}
	return nil
}

// trim forgets which rows the commits up to lsn changed.
func (w *writer) trim(lsn int64) error {
	if _, err := w.trimChanges.exec(lsn); err != nil {
		return err
	}
	_, err := w.trimStart.exec(lsn)
	return err
}

// inTransaction runs f between BEGIN and COMMIT, or ROLLBACK if it fails.
func (w *writer) inTransaction(f func() error) error {
	if _, err := w.begin.exec(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := f()
	if err == nil {
		if _, err = w.commit.exec(); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	if _, undo := w.rollback.exec(); undo != nil {
		err = errors.Join(err, fmt.Errorf("rollback: %w", undo))
	}
	return err
}
