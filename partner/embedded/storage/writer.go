package storage

import (
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// Run runs a call in the open transaction. refused is an error for the client; broken means that nothing in the
// transaction can be kept.
func (w *Writer) Run(call func(w *Writer) error) (refused, broken error) {
	written := w.Gathered.count
	err := RecoverPanic(func() error { return call(w) })
	if lost, over := errors.AsType[*LostTransaction](err); over {
		return nil, lost.Why
	}
	_, panicked := errors.AsType[*PanicError](err)
	if panicked || err != nil && !IsClientError(err) && w.Gathered.count > written {
		return nil, err
	}
	return err, nil
}

// RunCached runs a statement without parameters and keeps it prepared.
func (w *Writer) RunCached(text string) error {
	st, err := w.Query(text)
	if err == nil {
		_, err = st.Exec()
	}
	if err == nil {
		w.NoteSavepoint(text)
	}
	return err
}

// NoteSavepoint updates the gathered changes of the schema after a savepoint statement.
func (w *Writer) NoteSavepoint(text string) {
	g := &w.Gathered
	if name, ok := strings.CutPrefix(text, "SAVEPOINT "); ok {
		if g.saved == nil {
			g.saved = map[string]int{}
		}
		g.saved[name] = len(g.schema)
	} else if name, ok := strings.CutPrefix(text, "ROLLBACK TO "); ok {
		g.Objects = nil
		if g.saved[name] < len(g.schema) {
			g.schema = g.schema[:g.saved[name]]
			w.schemaChanged()
		}
	}
}

// IsClientError reports whether an error is one of SQL Server's, to be sent to the client.
func IsClientError(err error) bool {
	_, told := errors.AsType[*tds.Error](err)
	return told
}

// LostTransaction is the error for a transaction that SQLite has ended itself because the disk was full. TRY…CATCH must
// not catch it.
type LostTransaction struct{ Why error }

// Error implements error.
func (e *LostTransaction) Error() string { return "the transaction was rolled back: " + e.Why.Error() }

// CheckTransaction returns the error of a statement, or a [LostTransaction] if it has ended the whole transaction.
func (w *Writer) CheckTransaction(err error) error {
	if !IsNoRoom(err) {
		return err
	}
	if _, outside := w.begin.Exec(); outside != nil {
		return err
	}
	return &LostTransaction{err}
}

// DropLocals drops the temporary tables and table variables of procedures.
func (w *Writer) DropLocals() error {
	st, err := w.Query("SELECT name FROM temp.sqlite_schema WHERE type = 'table' AND substr(name, 1, 1) IN ('#', '@')")
	if err != nil {
		return err
	}
	var text strings.Builder
	v := w.Buffer[:1]
	err = st.Rows(v, func() bool {
		name, _ := v[0].(string)
		text.WriteString("DROP TABLE temp." + Quoted(name) + ";")
		return true
	})
	if err != nil || text.Len() == 0 {
		return err
	}
	return w.Script(text.String())
}

// Define changes the schema of SQLite in the open transaction, and adds the change to the record for the mirror.
func (w *Writer) Define(texts ...string) error {
	defer w.schemaChanged()
	for _, text := range texts {
		if err := w.Script(text); err != nil {
			return sqlerror.FromSQLite(err)
		}
		w.Gathered.schema = append(w.Gathered.schema, text)
	}
	return nil
}

// Checks runs a SELECT and returns only its error.
func (w *Writer) Checks(text string) error {
	st, err := w.Prepare(text)
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	_, err = st.All(nil)
	return errors.Join(sqlerror.FromSQLite(err), st.Close())
}

// Merge runs the statements of a MERGE, and returns the number of rows it changed. It calls inserted for its INSERT,
// with the number of rows and the last rowid.
func (w *Writer) Merge(st *tsql.Merge, args []driver.NamedValue, inserted func(q *tsql.Query, rows, rowid int64)) (changed int64, err error) {
	var last driver.Result
	run := func(text string, args []driver.NamedValue) (int64, error) {
		one, err := w.Query(text)
		if err != nil {
			return 0, err
		}
		r, err := one.Run(args)
		if err != nil {
			return 0, err
		}
		last = r
		return r.RowsAffected()
	}
	if _, err := run(st.Snapshot, args); err != nil {
		return 0, err
	}
	defer func() {
		if _, undo := run(st.Drop, nil); undo != nil {
			err = errors.Join(err, undo)
		}
	}()
	if err := w.Checks(st.Check); err != nil {
		return 0, err
	}
	for _, q := range st.Writes {
		n, err := run(q.SQL, nil)
		if err != nil {
			return 0, err
		}
		changed += n
		if q.Identity {
			rowid, err := last.LastInsertId()
			if err != nil {
				return 0, err
			}
			inserted(q, n, rowid)
		}
	}
	return changed, nil
}

// IsNoRoom reports whether a write failed because the disk, or the file, is full.
func IsNoRoom(err error) bool { return AsNoRoom(err) != nil }

// AsNoRoom returns the SQL Server error for a full disk, or nil if err is another error.
func AsNoRoom(err error) *tds.Error {
	if e, ok := errors.AsType[*tds.Error](sqlerror.FromSQLite(err)); ok && e.Number == sqlerror.NoRoom {
		return e
	}
	return nil
}

// RollBack ends the open transaction of w. SQLite may have ended it already when the disk was full.
func (w *Writer) RollBack() error {
	_, err := w.Rollback.Exec()
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		return nil
	}
	return err
}
