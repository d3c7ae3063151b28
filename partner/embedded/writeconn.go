package embedded

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
)

// writer is a connection that writes, and reads what it wrote.
type writer struct {
	*reader
	begin, commit, rollback                  *statement
	writeChange, lsn, trimChanges, trimStart *statement
	putObjectRow, dropObjectRow              *statement
	values                                   []driver.Value
	gathered                                 gathered
	keys                                     bool // foreign keys are looked at
}

// The statements of a writer.
const (
	writeChange = `INSERT INTO partner_changes VALUES (?1, ?2, ?3, ?4)`
	writeLSN    = `UPDATE partner_log SET lsn = ?1`
	trimChanges = `DELETE FROM partner_changes WHERE lsn <= ?1`
	trimLog     = `UPDATE partner_log SET start_lsn = max(start_lsn, ?1)`
	putObject   = `INSERT INTO partner_objects VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, name) DO UPDATE SET name = ?2, detail = ?3, id = ?4`
	dropObject  = `DELETE FROM partner_objects WHERE kind = ?1 AND name = ?2`
)

func newWriter(c *conn, version *atomic.Int64) (*writer, error) {
	r, err := newReader(c, version)
	if err != nil {
		return nil, err
	}
	w := &writer{reader: r, gathered: gathered{known: map[rowKey]struct{}{}}}
	if err := w.gathered.hook(c); err != nil {
		return nil, err
	}
	return w, c.prepareAll(map[**statement]string{
		&w.begin: "BEGIN IMMEDIATE", &w.commit: "COMMIT", &w.rollback: "ROLLBACK",
		&w.writeChange: writeChange, &w.lsn: writeLSN, &w.trimChanges: trimChanges, &w.trimStart: trimLog,
		&w.putObjectRow: putObject, &w.dropObjectRow: dropObject,
	})
}

// openWriter opens a connection that writes.
func openWriter(path string, version *atomic.Int64) (*writer, error) {
	c, err := openConn(path)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(c, version)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), c.close())
	}
	return w, nil
}

// putObject makes or changes an object in the open transaction.
func (w *writer) putObject(o *objectRow) error {
	_, err := w.putObjectRow.exec(o.kind, o.name, o.detail, o.id)
	return err
}

// dropObject removes one, if it is there.
func (w *writer) dropObject(kind, name string) error {
	_, err := w.dropObjectRow.exec(kind, name)
	return err
}

// note writes the record's number and which rows it changes.
func (w *writer) note(rec *record) error {
	if len(rec.schema) > 0 { // who has not got it is to get everything: see transferred.copy
		if _, err := w.writeChange.exec(rec.lsn, int64(-1), "", int64(0)); err != nil {
			return fmt.Errorf("write changes: %w", err)
		}
	}
	for i, c := range rec.changes {
		if _, err := w.writeChange.exec(rec.lsn, int64(i), c.table, c.rowid); err != nil {
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

// open begins a transaction whose writes are gathered.
func (w *writer) open() error {
	if err := w.foreignKeys(true); err != nil {
		return err
	}
	_, err := w.begin.exec()
	w.gathered.on = err == nil
	return err
}

// inTransaction runs f between BEGIN and COMMIT, or ROLLBACK if it fails.
func (w *writer) inTransaction(f func() error) error {
	if err := w.foreignKeys(false); err != nil { // rows are repeated as they are
		return err
	}
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

// foreignKeys has SQLite look at foreign keys, or not. It does nothing within a transaction.
func (w *writer) foreignKeys(on bool) error {
	if w.keys == on {
		return nil
	}
	text := "PRAGMA foreign_keys = OFF"
	if on {
		text = "PRAGMA foreign_keys = ON"
	}
	err := w.script(text)
	if err == nil {
		w.keys = on
	}
	return err
}
