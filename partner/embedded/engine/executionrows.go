package engine

import (
	"database/sql/driver"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// rows runs a query and returns its rows.
func (x *execution) rows(text string, args []driver.NamedValue) (all [][]driver.Value, err error) {
	all, err = x.rawRows(text, args)
	return all, sqlerror.FromSQLite(err)
}

// rawRows is rows with the error of SQLite.
func (x *execution) rawRows(text string, args []driver.NamedValue) ([][]driver.Value, error) {
	st, err := x.rd.Query(text)
	if err != nil {
		return nil, err
	}
	return st.All(args)
}

// exec runs a statement that returns no rows.
func (x *execution) exec(text string, args []driver.NamedValue) (int64, error) {
	if x.w == nil {
		return 0, errMustWrite
	}
	st, err := x.w.Query(text)
	if err != nil {
		return 0, sqlerror.FromSQLite(err)
	}
	r, err := st.Run(args)
	if err != nil {
		return 0, sqlerror.FromSQLite(err)
	}
	x.w.NoteSavepoint(text)
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
	if q.Assigns == nil {
		return f.answersQuery(q, args)
	}
	rows, err := f.rows(q.SQL, args)
	if err != nil {
		return err
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

// write runs an INSERT, UPDATE or DELETE. A failed one has written nothing.
func (f *frame) write(q *tsql.Query, args []driver.NamedValue) (err error) {
	f.tried = f.tried || f.tries > 0
	switch {
	case f.noRoom && f.tries > 0:
		return sqlerror.New(sqlerror.NoRoom, 17, "Could not allocate space: the 'PRIMARY' filegroup is full due to lack of storage space or database files reaching the maximum allowed size.")
	case f.w == nil:
		return errMustWrite
	}
	if err := f.s.checkIdentityInsert(q); err != nil {
		return err
	}
	before := len(f.w.Gathered.Order)
	switch {
	case f.uncommittable() || mayFire(f.w, f.d):
		err = f.runWithTriggers(q, args)
	case q.Output != nil:
		err = f.withOutput(q, args)
	default:
		err = f.plain(q, args)
	}
	if err == nil || isEndedInTrigger(err) {
		return err
	}
	f.w.Gathered.Truncate(before)
	return f.w.CheckTransaction(err)
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
	return f.runMergeWithTriggers(st, func() error {
		n, err := f.w.Merge(st, args, f.b.inserted)
		if err != nil {
			return refusal(f.d, err, f.set, tsql.Update, st.Key)
		}
		f.noteCount(n)
		return nil
	})
}

// plain runs a write without an OUTPUT clause.
func (f *frame) plain(q *tsql.Query, args []driver.NamedValue) error {
	st, err := f.w.Query(q.SQL)
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	r, err := st.Run(args)
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
	f.noteCount(n)
	return nil
}

// noteCount stores the number of rows that a write has changed.
func (f *frame) noteCount(n int64) {
	f.s.rowCount = n
	if !f.silent {
		f.r.steps = append(f.r.steps, step{count: n})
	}
}

// answersQuery runs a query whose rows go to the client.
func (f *frame) answersQuery(q *tsql.Query, args []driver.NamedValue) error {
	st, err := f.rd.Query(q.SQL)
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	a := answer{f: f, hints: q.Columns}
	if slices.ContainsFunc(q.Columns, func(h tsql.ColumnHint) bool { return h.Star }) {
		a.expanded = func() []tsql.ColumnHint { return q.Hints(st.Names()) }
	}
	err = st.Each(args, func(row []driver.Value) error {
		a.begin(row)
		return a.add(row)
	})
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	a.end()
	return nil
}

// answer collects rows for the client.
type answer struct {
	f     *frame
	hints []tsql.ColumnHint
	step  step

	expanded func() []tsql.ColumnHint // the hints without *, once the query has run; nil: there is no *
}

// begin determines the types of the columns, if that is not done yet. first is the first row; nil: there is none.
func (a *answer) begin(first []driver.Value) {
	if a.step.columns != nil {
		return
	}
	if a.expanded != nil {
		a.hints = a.expanded()
	}
	a.step.columns = a.f.columns(a.hints, first)
}

// add adds a row.
func (a *answer) add(row []driver.Value) (err error) {
	values := make([]any, len(row))
	for i, v := range row {
		if values[i], err = sqlvalue.ClientValue(a.step.columns[i].Type, v); err != nil {
			return err
		}
	}
	a.step.rows = append(a.step.rows, values)
	return nil
}

// end adds the result set to the result.
func (a *answer) end() {
	a.begin(nil)
	a.step.count = noCount
	if a.f.s.rowCount = int64(len(a.step.rows)); !a.f.silent {
		a.step.count = a.f.s.rowCount
	}
	a.f.r.steps = append(a.f.r.steps, a.step)
}

// columns returns the columns of a result set with the first row first.
func (f *frame) columns(hints []tsql.ColumnHint, first []driver.Value) []tds.Column {
	if len(hints) == 0 {
		return []tds.Column{}
	}
	if known := f.known[&hints[0]]; known != nil {
		return known
	}
	columns := make([]tds.Column, len(hints))
	declared := true
	for i, h := range hints {
		t, ok := f.declaredColumn(h)
		if !ok {
			declared = false
			if t = tds.Int; first != nil {
				t = sqlvalue.TypeOfValue(first[i])
			}
		}
		columns[i] = tds.Column{Name: h.Name, Type: t}
	}
	if declared {
		if f.known == nil {
			f.known = map[*tsql.ColumnHint][]tds.Column{}
		}
		f.known[&hints[0]] = columns
	}
	return columns
}

// declaredColumn returns the type of a result column that does not depend on its values.
func (f *frame) declaredColumn(h tsql.ColumnHint) (tds.Type, bool) {
	if h.Type.Name != "" {
		if t, ok := sqlvalue.TypeOf(h.Type); ok {
			return t, true
		}
	}
	if v := f.b.vars[h.Variable]; v != nil {
		return v.typ, true
	}
	if len(f.s.locals) > 0 && h.Column != "" {
		for _, c := range f.s.locals.schema()(h.Table) {
			if strings.EqualFold(c.Name, h.Column) {
				return sqlvalue.TypeOf(c.Type)
			}
		}
	}
	return tds.Type{}, false
}

// withOutput runs a write with an OUTPUT clause, or one that sets variables.
func (f *frame) withOutput(q *tsql.Query, args []driver.NamedValue) error {
	o := q.Output
	var before map[driver.Value][]driver.Value
	var last []driver.Value
	if o.Before != "" {
		before = map[driver.Value][]driver.Value{}
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
		f.noteCount(int64(len(after)))
		return nil
	}
	rows := make([][]driver.Value, len(after))
	for i, row := range after {
		rows[i] = make([]driver.Value, len(o.Items))
		for j, item := range o.Items {
			from := row
			if item.Before {
				from = before[row[0]]
			}
			rows[i][j] = from[item.At]
		}
	}
	if o.Into == "" {
		a := answer{f: f, hints: o.Columns}
		for _, row := range rows {
			a.begin(row)
			if err := a.add(row); err != nil {
				return err
			}
		}
		a.end()
		return nil
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
	f.noteCount(int64(len(rows)))
	return nil
}
