package aspstate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"

	"github.com/mirrorstate/mirrorstate/partner"
)

// arg returns a named argument of a procedure; the name has no "@".
func arg(name string, value any) driver.NamedValue {
	return driver.NamedValue{Name: name, Value: value}
}

// lastRow calls a procedure of the extended schema, reads every row, and returns the last one. It reads to the end of the
// reply, because OUTPUT rows are sent before the commit: the row counts only if no error follows.
//
// It uses the driver directly: database/sql would start a goroutine for each call, and copy each item once more.
func lastRow[T any](ctx context.Context, a *partner.Attempt, procedure string, args []driver.NamedValue, read func(row *row) T) (T, error) {
	var none, last T
	got := false
	err := a.Conn.Raw(func(conn any) error {
		return query(ctx, conn.(queryable), procedure, args, func(r *row) error {
			got = true
			last = read(r)
			return r.err
		})
	})
	if err != nil {
		return none, fmt.Errorf("call %s on %s: %w", procedure, a.Partner, earlierVersion(err))
	}
	if !got {
		return none, fmt.Errorf("%s on %s returned no row", procedure, a.Partner)
	}
	return last, nil
}

// queryable is a connection of go-mssqldb.
type queryable interface {
	driver.ConnPrepareContext
	driver.NamedValueChecker
}

// query runs a statement and reads all its rows.
func query(ctx context.Context, conn queryable, text string, args []driver.NamedValue, read func(*row) error) (err error) {
	for i := range args {
		args[i].Ordinal = i + 1
		if err := conn.CheckNamedValue(&args[i]); err != nil {
			return fmt.Errorf("argument %s: %w", args[i].Name, err)
		}
	}
	stmt, err := conn.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	defer stmt.Close() // the driver prepares nothing on the server
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer func() {
		if late := rows.Close(); err == nil {
			err = late
		}
	}()
	for {
		if err := readRows(rows, read); err != nil {
			return err
		}
		more, ok := rows.(driver.RowsNextResultSet)
		if !ok || !more.HasNextResultSet() {
			return nil
		}
		if err := more.NextResultSet(); err != nil {
			return err
		}
	}
}

// readRows reads the rows of one result set.
func readRows(rows driver.Rows, read func(*row) error) error {
	r := row{values: make([]driver.Value, len(rows.Columns()))}
	for {
		switch err := rows.Next(r.values); err {
		case nil:
			r.at = 0
			if err := read(&r); err != nil {
				return err
			}
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// row is a row that is read column by column. The reader may keep its bytes.
type row struct {
	values []driver.Value
	at     int
	err    error
}

// next returns the next column. T is the driver's type for it: int64, bool, time.Time or []byte.
func next[T any](r *row) (v sql.Null[T]) {
	if r.err != nil {
		return v
	}
	if r.at == len(r.values) {
		r.err = fmt.Errorf("the answer has only %d columns", len(r.values))
		return v
	}
	value := r.values[r.at]
	r.at++
	if value == nil {
		return v
	}
	if v.V, v.Valid = value.(T); !v.Valid {
		r.err = fmt.Errorf("column %d of the answer is a %T, not a %T", r.at, value, v.V)
	}
	return v
}
