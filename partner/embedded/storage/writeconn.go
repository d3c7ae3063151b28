package storage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
)

// Writer is a connection that writes, and reads its own writes.
type Writer struct {
	*Reader
	begin, Commit, Rollback                  *statement
	writeChange, lsn, trimChanges, trimStart *statement
	putObjectRow, dropObjectRow              *statement
	values                                   []driver.Value
	Gathered                                 gathered
	keys                                     bool // SQLite checks foreign keys
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

func newWriter(c *Conn, version *atomic.Int64) (*Writer, error) {
	r, err := newReader(c, version)
	if err != nil {
		return nil, err
	}
	w := &Writer{Reader: r, Gathered: gathered{known: map[RowKey]struct{}{}}}
	if err := w.Gathered.hook(c); err != nil {
		return nil, err
	}
	return w, c.prepareAll(map[**statement]string{
		&w.begin: "BEGIN IMMEDIATE", &w.Commit: "COMMIT", &w.Rollback: "ROLLBACK",
		&w.writeChange: writeChange, &w.lsn: writeLSN, &w.trimChanges: trimChanges, &w.trimStart: trimLog,
		&w.putObjectRow: putObject, &w.dropObjectRow: dropObject,
	})
}

// openWriter opens a connection for writing.
func openWriter(path string, version *atomic.Int64) (*Writer, error) {
	c, err := OpenConn(path)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(c, version)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), c.Close())
	}
	return w, nil
}

// PutObject creates or changes an object in the open transaction.
func (w *Writer) PutObject(o *ObjectRow) error {
	_, err := w.putObjectRow.Exec(o.Kind, o.Name, o.Detail, o.ID)
	return err
}

// DropObject removes an object, if it exists.
func (w *Writer) DropObject(kind, name string) error {
	_, err := w.dropObjectRow.Exec(kind, name)
	return err
}

// note writes the record's number and the keys of the rows that it changes.
func (w *Writer) note(rec *Record) error {
	if len(rec.Schema) > 0 { // a copy that lacks this commit must copy everything: see Transferred.Copy
		if _, err := w.writeChange.Exec(rec.LSN, int64(-1), "", int64(0)); err != nil {
			return fmt.Errorf("write changes: %w", err)
		}
	}
	for i, c := range rec.Changes {
		if _, err := w.writeChange.Exec(rec.LSN, int64(i), c.Table, c.Rowid); err != nil {
			return fmt.Errorf("write changes: %w", err)
		}
	}
	if _, err := w.lsn.Exec(rec.LSN); err != nil {
		return fmt.Errorf("write lsn: %w", err)
	}
	return nil
}

// trim deletes the changed keys of the commits up to lsn.
func (w *Writer) trim(lsn int64) error {
	if _, err := w.trimChanges.Exec(lsn); err != nil {
		return err
	}
	_, err := w.trimStart.Exec(lsn)
	return err
}

// Open begins a transaction and gathers its writes.
func (w *Writer) Open() error {
	if err := w.foreignKeys(true); err != nil {
		return err
	}
	_, err := w.begin.Exec()
	w.Gathered.On = err == nil
	return err
}

// InTransaction runs f between BEGIN and COMMIT. If f fails it runs ROLLBACK.
func (w *Writer) InTransaction(f func() error) error {
	if err := w.foreignKeys(false); err != nil { // rows are copied as they are
		return err
	}
	if _, err := w.begin.Exec(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := f()
	if err == nil {
		if _, err = w.Commit.Exec(); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	if _, undo := w.Rollback.Exec(); undo != nil {
		err = errors.Join(err, fmt.Errorf("rollback: %w", undo))
	}
	return err
}

// foreignKeys turns SQLite's foreign-key checks on or off. It has no effect within a
// transaction.
func (w *Writer) foreignKeys(on bool) error {
	if w.keys == on {
		return nil
	}
	text := "PRAGMA foreign_keys = OFF"
	if on {
		text = "PRAGMA foreign_keys = ON"
	}
	err := w.Script(text)
	if err == nil {
		w.keys = on
	}
	return err
}
