package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// localTable is a temporary table of a session or a table variable of a batch. It keeps its rows here, and copies them
// into a connection's schema temp for each statement that names it: a session has no connection of its own, and it
// writes through another connection than it reads. So each statement costs time in proportion to the number of rows. A
// localTable is never changed: a write creates another one, so that a rollback only has to restore the old ones.
type localTable struct {
	st   *tsql.CreateLocal
	rows [][]driver.Value
	size int64
}

// localTables holds tables by name in lower case.
type localTables map[string]*localTable

// maxLocalBytes limits the size of a session's temporary tables, and of a batch's table variables.
const maxLocalBytes = 32 << 20

// schema returns the columns of the tables as a [tsql.Schema].
func (t localTables) schema() tsql.Schema {
	return func(n tsql.Name) []tsql.Column {
		if one := t[strings.ToLower(n.Object)]; one != nil {
			return one.st.Columns
		}
		return nil
	}
}

// withSchema returns the columns of the tables, and of those of another schema.
func (t localTables) withSchema(other tsql.Schema) tsql.Schema {
	own := t.schema()
	return func(n tsql.Name) []tsql.Column {
		if columns := own(n); columns != nil {
			return columns
		}
		return other(n)
	}
}

// signature returns a text that determines the columns of all tables.
func (t localTables) signature() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t)) {
		b.WriteString("\x00" + t[name].st.SQL)
	}
	return b.String()
}

// names returns the tables' names.
func (t localTables) names() map[string]bool {
	if len(t) == 0 {
		return nil
	}
	all := map[string]bool{}
	for name := range t {
		all[name] = true
	}
	return all
}

// id returns OBJECT_ID of a temporary table, by its name with or without tempdb in front; 0: no such table.
func (t localTables) id(name string) int64 {
	name = strings.ToLower(name)
	if at := strings.LastIndexByte(name, '.'); at >= 0 {
		if !strings.HasPrefix(strings.Trim(name, "["), "tempdb") {
			return 0
		}
		name = name[at+1:]
	}
	name = strings.Trim(name, "[]")
	if t[name] == nil {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return -int64(h.Sum32()>>1) - 1
}

// dropLocals drops the temporary tables that are not in known, because a procedure or sp_executesql has created them.
func (s *session) dropLocals(known map[string]bool) {
	maps.DeleteFunc(s.locals, func(name string, _ *localTable) bool { return !known[name] })
}

// localsFor returns the map that holds a table of that name.
func (b *batch) localsFor(name string) *localTables {
	if strings.HasPrefix(name, "@") {
		return &b.tables
	}
	return &b.s.locals
}

// local returns the table of that name.
func (b *batch) local(name string) *localTable { return (*b.localsFor(name))[strings.ToLower(name)] }

// checkLocals checks that the tables exist.
func (b *batch) checkLocals(names []tsql.Name) error {
	for _, n := range names {
		switch {
		case b.local(n.Object) != nil:
		case strings.HasPrefix(n.Object, "@"):
			return sqlerror.New(1087, 15, `Must declare the table variable "%s".`, n.Object)
		default:
			return sqlerror.New(208, 16, "Invalid object name '%s'.", n.Object)
		}
	}
	return nil
}

// createLocal creates a temporary table or a table variable.
func (b *batch) createLocal(st *tsql.CreateLocal) error {
	known := b.local(st.Name)
	switch {
	case known != nil && st.Name[0] == '@' && known.st == st: // in a loop the table is declared once, and keeps its rows
		return nil
	case known != nil && st.Name[0] == '@':
		return sqlerror.New(134, 15, "The variable name '%s' has already been declared. Variable names must be unique within a query batch or stored procedure.", st.Name)
	case known != nil:
		return sqlerror.New(2714, 16, "There is already an object named '%s' in the database.", st.Name)
	}
	err := b.reading(nil, func(r *storage.Reader) error {
		return sqlerror.FromSQLite(errors.Join(r.Script(st.SQL), r.Script(st.DropSQL)))
	})
	if err != nil {
		return err
	}
	tables := b.localsFor(st.Name)
	if *tables == nil {
		*tables = localTables{}
	}
	(*tables)[strings.ToLower(st.Name)] = &localTable{st: st}
	if st.Name[0] == '#' {
		b.w.DoneCommand(tds.CommandCreateTable, noCount)
	}
	return nil
}

func (b *batch) dropLocal(st *tsql.DropLocal) error {
	if b.local(st.Name) == nil {
		if st.IfExists {
			return nil
		}
		return sqlerror.New(3701, 11, "Cannot drop the table '%s', because it does not exist or you do not have permission.", st.Name)
	}
	delete(b.s.locals, strings.ToLower(st.Name))
	return nil
}

// fillLocals creates the tables on the connection; empty drops them.
func (b *batch) fillLocals(r *storage.Reader, names []tsql.Name) (empty func() error, err error) {
	var made []*localTable
	empty = func() error {
		var errs []error
		for _, t := range made {
			errs = append(errs, r.Script(t.st.DropSQL))
		}
		return errors.Join(errs...)
	}
	for _, n := range names {
		t := b.local(n.Object)
		if err := r.Script(t.st.SQL); err != nil {
			return nil, errors.Join(fmt.Errorf("create %s: %w", n.Object, err), empty())
		}
		made = append(made, t)
		if err := t.fill(r); err != nil {
			return nil, errors.Join(fmt.Errorf("fill %s: %w", n.Object, err), empty())
		}
	}
	return empty, nil
}

// quoted returns the table's name in SQLite.
func (t *localTable) quoted() string {
	return "temp.[" + strings.ReplaceAll(t.st.Name, "]", "]]") + "]"
}

func (t *localTable) fill(r *storage.Reader) error {
	if len(t.rows) == 0 {
		return nil
	}
	st, err := r.Prepare("INSERT INTO " + t.quoted() + " VALUES (?" + strings.Repeat(", ?", len(t.st.Columns)-1) + ")")
	if err != nil {
		return err
	}
	for _, row := range t.rows {
		if _, err = st.Exec(row...); err != nil {
			break
		}
	}
	return errors.Join(err, st.Close())
}

// readBack reads the tables as a statement has left them.
func (b *batch) readBack(r *storage.Reader, names []tsql.Name) (localTables, error) {
	after := localTables{}
	for _, n := range names {
		t := &localTable{st: b.local(n.Object).st}
		if err := t.read(r); err != nil {
			return nil, err
		}
		after[strings.ToLower(n.Object)] = t
	}
	return after, nil
}

func (t *localTable) read(r *storage.Reader) error {
	items := make([]string, len(t.st.Columns))
	for i, c := range t.st.Columns {
		items[i] = "+[" + strings.ReplaceAll(c.Name, "]", "]]") + "]" // the plus hides the declared type, so that the driver does not convert the value
	}
	st, err := r.Prepare("SELECT " + strings.Join(items, ", ") + " FROM " + t.quoted() + " ORDER BY rowid")
	if err != nil {
		return err
	}
	v := make([]driver.Value, len(items))
	err = st.Rows(v, func() bool {
		row := make([]driver.Value, len(v))
		for i, one := range v {
			if blob, ok := one.([]byte); ok {
				one = append([]byte{}, blob...)
			}
			row[i] = one
			t.size += 16
			switch one := one.(type) {
			case string:
				t.size += int64(len(one))
			case []byte:
				t.size += int64(len(one))
			}
		}
		t.rows = append(t.rows, row)
		return t.size <= maxLocalBytes
	})
	return errors.Join(err, st.Close())
}

// keep stores the tables as a statement has left them.
func (b *batch) keep(after localTables) error {
	for name, t := range after {
		total := t.size
		for other, one := range *b.localsFor(name) {
			if other != name {
				total += one.size
			}
		}
		if total > maxLocalBytes {
			return sqlerror.NotSupported("More than %d bytes of temporary tables or table variables", maxLocalBytes)
		}
	}
	for name, t := range after {
		(*b.localsFor(name))[name] = t
	}
	return nil
}

// modify runs an INSERT, UPDATE or DELETE, and mirrors its changes of tables that are not local.
func (b *batch) modify(ctx context.Context, d *mirror.Database, q *tsql.Query, args []driver.NamedValue) error {
	local := b.isLocal(q.Key)
	if d == nil && !local { // an INSERT … DEFAULT without a table: the parser rejects it
		return sqlerror.NotSupported("This statement")
	}
	if err := b.s.checkIdentityInsert(q); err != nil {
		return err
	}
	run := &modification{b: b, d: d, q: q, args: args, r: &result{}}
	var err error
	if local {
		err = b.reading(d, func(r *storage.Reader) error {
			return b.s.withRowLimit(q, &run.changed, run.write)(&storage.Writer{Reader: r})
		})
	} else {
		err = b.s.writing(ctx, d, b.s.withRowLimit(q, &run.changed, run.write))
	}
	if told := b.sendTriggerResults(run.steps); told != nil {
		return told
	}
	if err == nil {
		err = run.ended
	}
	if err == nil {
		err = b.keep(run.after)
	}
	if err != nil {
		return err
	}
	if len(run.r.steps) > 0 && run.r.steps[0].columns != nil {
		return b.sendOutput(run.r.steps[0], commandOf(q))
	}
	b.s.rowCount = run.changed
	b.w.DoneCommand(commandOf(q), b.s.counted(run.changed))
	return nil
}

// isLocal reports whether the name is that of a temporary table or a table variable.
func (b *batch) isLocal(name string) bool { return name != "" && (name[0] == '#' || name[0] == '@') }

// sendOutput sends the rows of an OUTPUT clause.
func (b *batch) sendOutput(st step, c tds.Command) error {
	b.w.Columns(st.columns...)
	for _, row := range st.rows {
		if err := b.w.Row(row...); err != nil {
			return err
		}
	}
	b.s.rowCount = int64(len(st.rows))
	b.w.DoneCommand(c, b.s.counted(b.s.rowCount))
	return nil
}

// modification is a running write.
type modification struct {
	b       *batch
	d       *mirror.Database // nil: it writes a local table
	q       *tsql.Query
	args    []driver.NamedValue
	r       *result
	changed int64
	after   localTables
	steps   []step // of its triggers
	ended   error  // a trigger has rolled back the transaction
}

// write runs the modification on a connection. A write of a local table uses only the reader of w.
func (m *modification) write(w *storage.Writer) (err error) {
	b, q := m.b, m.q
	b.s.at.rd = w.Reader
	if err := b.s.fillViews(w.Reader, q.Tables); err != nil {
		return err
	}
	empty, err := b.fillLocals(w.Reader, q.Locals)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, empty()) }()
	switch {
	case m.d != nil && !b.isLocal(q.Key) && mayFire(w, m.d):
		err = m.runWithTriggers(w)
	case q.Output != nil:
		err = m.withOutput(w)
	default:
		err = m.plain(w)
	}
	if err == nil {
		m.after, err = b.readBack(w.Reader, q.Locals)
	}
	return err
}

func (m *modification) plain(w *storage.Writer) error {
	st, err := w.Query(m.q.SQL)
	if err != nil {
		return sqlerror.FromSQLite(err)
	}
	r, err := st.Run(m.args)
	if err != nil {
		return m.refusal(w, err)
	}
	if m.changed, err = r.RowsAffected(); err != nil {
		return err
	}
	rowid, err := r.LastInsertId()
	m.b.inserted(m.q, m.changed, rowid)
	return err
}

// refusal returns the SQL Server error of the write.
func (m *modification) refusal(w *storage.Writer, err error) error {
	if m.d == nil {
		return sqlerror.FromSQLite(err)
	}
	set, unread := w.ObjectSet()
	if unread != nil {
		return errors.Join(err, unread)
	}
	return refusal(m.d, err, set, m.q.Kind, m.q.Key)
}

// withOutput runs the modification as a statement of a procedure.
func (m *modification) withOutput(w *storage.Writer) error {
	f := &frame{execution: &execution{s: m.b.s, d: m.d, rd: w.Reader, w: w, ctx: context.Background(), r: m.r}, b: m.b}
	hints := *m.q
	output := *m.q.Output
	hints.Output = &output
	output.Columns = nil
	for _, c := range m.q.Output.Columns {
		if c.Type.Name == "" && c.Column != "" && c.Variable == "" {
			c.Type = declaredIn(w.Reader, m.q.Key, c.Column)
		}
		output.Columns = append(output.Columns, c)
	}
	if err := f.withOutput(&hints, m.args); err != nil {
		return err
	}
	m.changed = m.b.s.rowCount
	return nil
}

// declaredIn returns the declared type of a column; zero if there is none.
func declaredIn(r *storage.Reader, table, column string) tsql.TypeSpec {
	st, err := r.Query("SELECT type FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE")
	if err != nil {
		return tsql.TypeSpec{}
	}
	v := make([]driver.Value, 1)
	if found, err := st.Row(v, table, column); err != nil || !found {
		return tsql.TypeSpec{}
	}
	text, _ := v[0].(string)
	return sqlvalue.DeclaredSpec(text)
}
