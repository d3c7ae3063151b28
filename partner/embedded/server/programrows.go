package server

import (
	"context"
	"database/sql/driver"

	"github.com/mirrorstate/mirrorstate/partner/embedded/message"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// rows runs a query and keeps what it answers.
func (x *program) rows(text string, args []driver.NamedValue) (all [][]driver.Value, err error) {
	all, err = x.rawRows(text, args)
	return all, message.InWords(err)
}

// rawRows is rows whose error is SQLite's.
func (x *program) rawRows(text string, args []driver.NamedValue) ([][]driver.Value, error) {
	st, err := x.rd.Query(text)
	if err != nil {
		return nil, err
	}
	return st.All(args)
}

// exec runs a statement that answers no rows.
func (x *program) exec(text string, args []driver.NamedValue) (int64, error) {
	if x.w == nil {
		return 0, errMustWrite
	}
	st, err := x.w.Query(text)
	if err != nil {
		return 0, message.InWords(err)
	}
	r, err := st.E.ExecContext(context.Background(), args)
	if err != nil {
		return 0, message.InWords(err)
	}
	x.w.Said(text)
	return r.RowsAffected()
}

// query runs a SELECT, INSERT, UPDATE or DELETE.
func (f *frame) query(q *tsql.Query) error {
	args, err := f.bind(&q.Inputs)
	if err != nil {
		return err
	}
	if q.Kind != tsql.Select {
		return f.write(q, args)
	}
	rows, err := f.rows(q.SQL, args)
	if err != nil {
		return err
	}
	if q.Assigns == nil {
		return f.answers(q.Columns, rows)
	}
	f.s.rowCount = int64(len(rows))
	if len(rows) > 0 {
		for i, name := range q.Assigns {
			if err := f.b.set(name, rows[len(rows)-1][i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// write runs an INSERT, UPDATE or DELETE. One that fails has written nothing.
func (f *frame) write(q *tsql.Query, args []driver.NamedValue) (err error) {
	f.tried = f.tried || f.tries > 0
	switch {
	case f.noRoom && f.tries > 0:
		return message.New(message.NoRoom, 17, "Could not allocate space: the 'PRIMARY' filegroup is full due to lack of storage space or database files reaching the maximum allowed size.")
	case f.w == nil:
		return errMustWrite
	}
	if err := f.s.mayInsert(q); err != nil {
		return err
	}
	before := len(f.w.Gathered.Order)
	switch {
	case f.doomed || f.s.doomed || mayFire(f.w, f.d):
		err = f.fired(q, args)
	case q.Output != nil:
		err = f.withOutput(q, args)
	default:
		err = f.plain(q, args)
	}
	if err == nil || isEnded(err) {
		return err
	}
	f.w.Gathered.Cut(before)
	return f.w.StillInside(err)
}

// merge runs MERGE.
func (f *frame) merge(st *tsql.Merge) error {
	if f.w == nil {
		return errMustWrite
	}
	args, err := f.bind(&st.Inputs)
	if err != nil {
		return err
	}
	return f.firedByMerge(st, func() error {
		n, err := f.w.Merge(st, args)
		if err != nil {
			return refusal(f.d, err, f.set, tsql.Update, st.Key)
		}
		f.counts(n)
		return nil
	})
}

// plain runs a write that has no OUTPUT.
func (f *frame) plain(q *tsql.Query, args []driver.NamedValue) error {
	st, err := f.w.Query(q.SQL)
	if err != nil {
		return message.InWords(err)
	}
	r, err := st.E.ExecContext(context.Background(), args)
	if err != nil {
		return refusal(f.d, err, f.set, q.Kind, q.Key)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return err
	}
	if q.Identity {
		rowid, err := r.LastInsertId()
		if err != nil {
			return err
		}
		f.b.inserted(q, n, rowid)
	}
	f.counts(n)
	return nil
}

// counts notes how many rows a write has changed.
func (f *frame) counts(n int64) {
	f.s.rowCount = n
	if !f.silent {
		f.r.steps = append(f.r.steps, step{count: n})
	}
}

// answers notes rows for the client.
func (f *frame) answers(hints []tsql.ColumnHint, rows [][]driver.Value) error {
	st := step{columns: make([]tds.Column, len(hints)), count: noCount}
	for i, h := range hints {
		st.columns[i] = tds.Column{Name: h.Name, Type: f.columnType(h, rows, i)}
	}
	for _, row := range rows {
		values := make([]any, len(row))
		for i, v := range row {
			var err error
			if values[i], err = sqlvalue.ClientValue(st.columns[i].Type, v); err != nil {
				return err
			}
		}
		st.rows = append(st.rows, values)
	}
	if f.s.rowCount = int64(len(rows)); !f.silent {
		st.count = f.s.rowCount
	}
	f.r.steps = append(f.r.steps, st)
	return nil
}

// columnType is the type of a column of the answer.
func (f *frame) columnType(h tsql.ColumnHint, rows [][]driver.Value, i int) tds.Type {
	if h.Type.Name != "" {
		if t, ok := sqlvalue.TypeOf(h.Type); ok {
			return t
		}
	}
	if v := f.b.vars[h.Variable]; v != nil {
		return v.typ
	}
	if len(rows) == 0 {
		return tds.Int
	}
	return sqlvalue.TypeOfValue(rows[0][i])
}

// withOutput runs a write with an OUTPUT clause, or one that sets variables.
func (f *frame) withOutput(q *tsql.Query, args []driver.NamedValue) error {
	o := q.Output
	before := map[driver.Value][]driver.Value{}
	var last []driver.Value
	if o.Before != "" {
		rows, err := f.rows(o.Before, args)
		if err != nil {
			return err
		}
		for _, row := range rows {
			before[row[0]], last = row, row
		}
	}
	after, err := f.rawRows(q.SQL, args)
	if err != nil {
		return refusal(f.d, err, f.set, q.Kind, q.Key)
	}
	if last != nil {
		for _, v := range o.Variables {
			if err := f.b.set(v.Name, last[v.At]); err != nil {
				return err
			}
		}
	}
	if len(o.Items) == 0 {
		f.counts(int64(len(after)))
		return nil
	}
	rows := make([][]driver.Value, len(after))
	for i, row := range after {
		for _, item := range o.Items {
			from := row
			if item.Before {
				from = before[row[0]]
			}
			rows[i] = append(rows[i], from[item.At])
		}
	}
	if o.Into == "" {
		return f.answers(o.Columns, rows)
	}
	for _, row := range rows {
		values := make([]driver.NamedValue, len(row))
		for i, v := range row {
			values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
		}
		if _, err := f.exec(o.Into, values); err != nil {
			return err
		}
	}
	f.counts(int64(len(rows)))
	return nil
}
