package embedded

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// programs are the procedures of session/aspstate/schema, parsed, by name in lower case.
var programs = sync.OnceValues(func() (map[string]*tsql.Procedure, error) {
	texts, err := procedureTexts()
	if err != nil {
		return nil, err
	}
	columns, err := declaredColumns()
	if err != nil {
		return nil, err
	}
	all := map[string]*tsql.Procedure{}
	for name, text := range texts {
		if name == "createtemptables" { // it defines tables, which have twins
			continue
		}
		p, err := tsql.ParseProcedure(text, func(n tsql.Name) []tsql.Column { return columns[strings.ToLower(n.Table())] })
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, lineOf(err), err)
		}
		all[name] = p
	}
	return all, nil
})

// declaredColumns are the columns of the tables that schemaText makes, by table in lower case.
func declaredColumns() (map[string][]tsql.Column, error) {
	connector, err := sqlite.NewConnector(":memory:")
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := &conn{c: raw}
	defer c.close()
	if err := c.script(schemaText); err != nil {
		return nil, err
	}
	columns, err := c.prepare("SELECT name, type FROM pragma_table_info(?1)")
	if err != nil {
		return nil, err
	}
	all := map[string][]tsql.Column{}
	v := make([]driver.Value, 2)
	for _, t := range tables {
		key := strings.ToLower(t.String())
		err := columns.rows(v, func() bool {
			name, _ := v[0].(string)
			typ, _ := v[1].(string)
			all[key] = append(all[key], tsql.Column{Name: name, Type: declaredSpec(typ)})
			return true
		}, t.String())
		if err != nil {
			return nil, err
		}
	}
	return all, columns.close()
}

// program is one call of a procedure, and of those that it calls: its statements run one after the other on
// a writer's open transaction.
type program struct {
	s     *session
	rd    *reader
	w     *writer // nil: it may only read
	ctx   context.Context
	r     *result
	depth int // of calls within calls
	left  int // statements that may still run

	trans  int      // BEGIN TRANSACTION without its end
	saved  []string // savepoints
	named  string   // the outermost transaction's name
	tries  int      // TRY around the statement, the callers' included
	abort  bool     // XACT_ABORT
	silent bool     // NOCOUNT

	tried  bool // a TRY has written
	noRoom bool // there was no room for what a TRY wrote: it fails there
}

// frame is one procedure's run: its variables, its tables, its cursors.
type frame struct {
	*program
	name    string
	b       *batch
	status  int32
	locals  []string // how to drop its tables
	cursors map[string]*cursor
	fetched int64
	caught  []*tds.Error // of the CATCH around, the innermost last
	values  tsql.Values  // what expressions are computed from
}

// How a statement ends.
type ending int

const (
	goesOn ending = iota
	breaks
	continues
	returns
)

// The bounds of a call. Source: the manual's "Maximum capacity specifications" (nesting), and ours.
const (
	maxNesting    = 32
	maxStatements = 10_000_000
)

// runText runs a procedure as its text says, with values for all its parameters as SQLite has them. What it did before
// an error that ends it stays done, but for an open transaction. readsFirst says that most calls write nothing.
func (s *session) runText(ctx context.Context, text *tsql.Procedure, d *database, values []any, readsFirst bool) (r *result, err error) {
	l, err := s.inTransaction(ctx, d)
	if err != nil {
		return nil, err
	}
	tried := false
	run := func(rd *reader, w *writer, noRoom bool) (*result, error) {
		x := &program{s: s, rd: rd, w: w, ctx: ctx, r: &result{}, left: maxStatements - s.spent, silent: s.noCount, abort: s.has(optionXactAbort), noRoom: noRoom}
		f, err := x.call(text, values)
		tried = x.tried
		if isTold(err) {
			return nil, errors.Join(err, x.undo())
		}
		if err != nil {
			return nil, err
		}
		x.r.status = f.status
		x.r.outputs, err = f.outputs(text)
		return x.r, err
	}
	if l != nil {
		var refused error
		err := l.run(func(w *writer) error {
			if r, refused = run(w.reader, w, false); refused != nil && !isTold(refused) {
				return refused
			}
			return nil
		})
		return r, errors.Join(err, refused)
	}
	reads := func(noRoom bool) error {
		return d.store.read(func(rd *reader) (err error) {
			r, err = run(rd, nil, noRoom)
			return err
		})
	}
	if readsFirst {
		if err := reads(false); !errors.Is(err, errMustWrite) {
			return r, err
		}
	}
	waits, cancel := s.patient(ctx)
	defer cancel()
	r, err = d.writeText(waits, func(w *writer) (*result, error) { return run(w.reader, w, false) })
	if isNoRoom(err) && tried { // SQLite says so when it commits, SQL Server when it writes
		err = reads(true)
	}
	return r, err
}

// outputs are the values of the parameters, by position.
func (f *frame) outputs(text *tsql.Procedure) ([]any, error) {
	all := make([]any, len(text.Params))
	for i, q := range text.Params {
		v := f.b.vars[q.Name]
		var err error
		if all[i], err = clientValue(v.typ, v.value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// call runs a procedure with values for all its parameters.
func (x *program) call(text *tsql.Procedure, values []any) (f *frame, err error) {
	if x.depth++; x.depth > maxNesting {
		return nil, message(217, 16, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", maxNesting)
	}
	defer func() { x.depth-- }()
	f = &frame{program: x, name: text.Name.Object, b: &batch{s: x.s, vars: map[string]*variable{}}}
	f.b.program = f
	f.values = tsql.Values{Variable: f.b.valueOf, System: f.b.systemValue}
	for i, q := range text.Params {
		typ, ok := typeOf(q.Type)
		if !ok {
			return nil, message(2715, 16, "Column, parameter, or variable #%d: Cannot find data type %s.", i+1, q.Type.Name)
		}
		f.b.vars[q.Name] = &variable{typ: typ}
		if err := f.b.set(q.Name, values[i]); err != nil {
			return nil, err
		}
	}
	abort, silent := x.abort, x.silent
	defer func() {
		x.abort, x.silent = abort, silent
		err = errors.Join(err, f.dropLocals())
	}()
	_, err = f.runAll(text.Body)
	return f, err
}

// dropLocals ends the tables of the frame.
func (f *frame) dropLocals() error {
	for _, text := range f.locals {
		if _, err := f.exec(text, nil); err != nil {
			return err
		}
	}
	f.locals = nil
	return nil
}

// runAll runs statements until one ends them.
func (f *frame) runAll(list []tsql.Statement) (ending, error) {
	for _, st := range list {
		if err := f.spend(); err != nil {
			return returns, err
		}
		end, err := f.run(st)
		if err != nil {
			if err = f.passes(st, err); err != nil {
				return returns, err
			}
			continue
		}
		if end != goesOn {
			return end, nil
		}
	}
	return goesOn, nil
}

// spend counts a statement, or one more time round a loop.
func (x *program) spend() error {
	if x.left--; x.left < 0 {
		return notSupported("A procedure that runs more than %d statements", maxStatements)
	}
	if x.left%256 == 0 && x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	return nil
}

// passes decides whether the procedure goes on after the error of a statement: then the client is told, and nil is
// returned. Within TRY it does not, nor under XACT_ABORT, nor after an error that ends the batch.
func (f *frame) passes(st tsql.Statement, err error) error {
	e, ok := errors.AsType[*tds.Error](err)
	if !ok {
		return err
	}
	if e.Line == 0 {
		e.Line = int32(st.Line())
	}
	if e.Proc == "" {
		e.Proc = f.name
	}
	f.s.lastError = e.Number
	if f.abort || f.tries > 0 || e.Class > 16 || !endsStatementOnly[e.Number] {
		return err
	}
	f.r.steps = append(f.r.steps, step{err: e, count: noCount})
	return nil
}

// endsStatementOnly are the errors after which a batch goes on with its next statement, where
// XACT_ABORT is off and no TRY is around. Source: the manual's SET XACT_ABORT, and Database engine events and errors.
var endsStatementOnly = map[int32]bool{515: true, 547: true, 2601: true, 2627: true, 50000: true}

// evaluate computes an expression on the open transaction.
func (f *frame) evaluate(e *tsql.Expr) (any, error) {
	if v, ok, err := e.Evaluate(&f.values); ok {
		if e, failed := errors.AsType[*tsql.Error](err); failed {
			err = fromTSQL(e)
		}
		return v, err
	}
	args, err := f.bind(&e.Inputs)
	if err != nil {
		return nil, err
	}
	rows, err := f.rows("SELECT "+e.SQL, args)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0][0], nil
}

// systemValue is a value that a procedure's run knows better than its session.
func (f *frame) systemValue(name string) (any, bool) {
	switch name {
	case "@@FETCH_STATUS":
		return f.fetched, true
	case "@@NESTLEVEL":
		return int64(f.depth), true
	case "@@TRANCOUNT":
		return int64(f.s.open + f.trans), true
	case "XACT_STATE":
		return int64(min(f.s.open+f.trans, 1)), true
	}
	if !strings.HasPrefix(name, "ERROR_") {
		return nil, false
	}
	return errorValue(name, f.caught), true
}

// lineOf is the line of a mistake in a text.
func lineOf(err error) int {
	if e, ok := errors.AsType[*tsql.Error](err); ok {
		return e.Line
	}
	return 0
}

// bind finds the values of a statement's parameters, by their numbers.
func (f *frame) bind(in *tsql.Inputs) ([]driver.NamedValue, error) {
	args := make([]driver.NamedValue, 0, len(in.Parameters)+len(in.System))
	for _, name := range in.Parameters {
		v, err := f.b.valueOf(name)
		if err != nil {
			return nil, err
		}
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: v})
	}
	for _, call := range in.System {
		v, err := f.b.systemValue(call)
		if err != nil {
			return nil, err
		}
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: v})
	}
	return args, nil
}
