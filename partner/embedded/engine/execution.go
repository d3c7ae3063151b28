package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// execution is one call of a procedure, including the calls that it makes: its statements run one after the other in a
// writer's open transaction.
type execution struct {
	s     *session
	d     *mirror.Database
	set   storage.ObjectSet // in the session's own transaction; nil: the committed objects
	rd    *storage.Reader
	w     *storage.Writer // nil: it may only read
	ctx   context.Context
	r     *result
	depth int               // nesting of calls
	left  int               // number of statements that may still run
	lease *mirror.Lease     // its client's transaction; nil: none is open
	turns *mirror.LongTurns // of a long procedure outside of a transaction of its session

	trans  int      // BEGIN TRANSACTION without its end
	saved  []string // savepoints
	named  string   // the outermost transaction's name
	tries  int      // number of TRY blocks around the statement, including the callers'
	abort  bool     // XACT_ABORT
	silent bool     // NOCOUNT

	firing *firing // the innermost running trigger; nil: none
	doomed bool    // a caught error has made the transaction uncommittable

	tried  bool // a TRY block has written
	noRoom bool // the disk has no space for a write in a TRY block, so the write fails there
}

// frame is one procedure's run: its variables, its tables, its cursors.
type frame struct {
	*execution
	of      *procedure
	args    []driver.NamedValue // of the running statement; reused
	b       *batch
	status  int32
	locals  []string      // statements that drop its tables
	hidden  []hiddenLocal // tables of callers that were renamed
	cursors map[string]*cursor
	fetched int64
	caught  []*tds.Error                      // errors of the enclosing CATCH blocks, the innermost last
	values  tsql.Values                       // the values that expressions use
	known   map[*tsql.ColumnHint][]tds.Column // the columns of result sets, by the first hint, if they depend on no values; cached

	returned any // of a function
}

// ending is the way in which a statement ends.
type ending int

const (
	completed ending = iota
	breaks
	continues
	returns
)

// The limits of a call. Source: the manual's "Maximum capacity specifications" (nesting); the others are ours.
const (
	maxNesting    = 32
	maxStatements = 10_000_000
)

// executions are executions of successful calls, for reuse.
var executions = sync.Pool{New: func() any { return &execution{} }}

// invocation is a call of a procedure by a client or a text, which may have to run more than once until it succeeds.
type invocation struct {
	s     *session
	p     *procedure
	d     *mirror.Database
	a     sqlvalue.Arguments
	ctx   context.Context
	set   storage.ObjectSet // in the session's own transaction; nil: the committed objects
	lease *mirror.Lease     // that transaction
	r     *result           // of the last run; nil: none
	ended error             // error of the last run
	tried bool              // a TRY block of the last run has written
	after localTables       // the client's temporary tables as the last run has left them; nil: it has none
}

// runProcedure runs a procedure. An error that ends the procedure undoes an open transaction, but nothing that was done
// before it; and the client also gets the results from before the error.
func (s *session) runProcedure(ctx context.Context, p *procedure, d *mirror.Database, a sqlvalue.Arguments) (*result, error) {
	l, err := s.inTransaction(ctx, d)
	if err != nil {
		return nil, err
	}
	c := &invocation{s: s, p: p, d: d, a: a, ctx: ctx}
	outer := s.at
	defer func() { s.at = outer }()
	switch {
	case l != nil:
		err = c.inLease(l)
	case p.readsFirst:
		if err = c.reads(false); errors.Is(err, errMustWrite) {
			err = c.writes()
		}
	default:
		err = c.writes()
	}
	if len(c.after) > 0 && (err == nil || storage.IsClientError(err)) && (s.callEnded == nil || *s.callEnded) {
		err = errors.Join(err, (&batch{s: s}).keep(c.after))
	}
	return c.r, err
}

// run runs the call once, on a connection for reading, or on one that writes too.
func (c *invocation) run(rd *storage.Reader, w *storage.Writer, noRoom bool, turns *mirror.LongTurns) error {
	s := c.s
	x := executions.Get().(*execution)
	*x = execution{s: s, d: c.d, lease: c.lease, set: c.set, rd: rd, w: w, ctx: c.ctx, r: newResult(), left: maxStatements - s.spent, silent: s.noCount, abort: s.has(optionXactAbort), noRoom: noRoom, turns: turns, tries: s.tries}
	s.at = statementContext{rd: rd, d: c.d, set: c.set, execution: x, ctx: c.ctx}
	open := s.open
	err := c.createLocals(rd)
	var f *frame
	if err == nil {
		f, err = x.call(c.p, c.a)
	}
	err = errors.Join(err, c.dropLocals(rd))
	if err == nil {
		err = x.checkBalance(open)
	}
	c.tried, c.r = x.tried, x.r
	switch {
	case storage.IsClientError(err):
		err = errors.Join(err, x.undo())
	case err != nil:
		c.r = nil
	default:
		c.r.status = f.status
		c.r.outputs, err = f.outputs(c.p)
		f.release()
		*x = execution{}
		executions.Put(x)
	}
	c.ended = err
	return err
}

// inLease runs the call in the session's open transaction.
func (c *invocation) inLease(l *mirror.Lease) (err error) {
	if c.set, err = c.s.visible(c.d); err != nil {
		return err
	}
	c.lease = l
	err = l.Run(func(w *storage.Writer) error {
		if err := c.run(w.Reader, w, false, nil); !storage.IsClientError(err) {
			return err
		}
		return nil
	})
	if lost, over := errors.AsType[*storage.LostTransaction](err); over {
		refused := c.d.FailedWrite(lost.Why)
		l.Abort(refused)
		c.r = nil
		return refused
	}
	if err == nil {
		err = c.ended
	}
	if c.s.callEnded != nil { // the statements after the end of the client's transaction ran in autocommit mode
		c.s.lease = nil
		err = errors.Join(err, l.Commit())
	}
	return err
}

// reads runs the call in parallel with others, on the committed state.
func (c *invocation) reads(noRoom bool) error {
	return c.d.Store.Read(func(rd *storage.Reader) error { return c.run(rd, nil, noRoom, nil) })
}

// writes runs the call in a turn to write, or in several turns if it is long.
func (c *invocation) writes() error {
	if c.p.long {
		return c.d.RunLong(c.ctx, c.s.withLockTimeout, func(w *storage.Writer, l *mirror.LongTurns) error { return c.run(w.Reader, w, false, l) })
	}
	waits, cancel := c.s.withLockTimeout(c.ctx)
	defer cancel()
	err := c.d.Write(waits, func(w *storage.Writer) error { return c.run(w.Reader, w, false, nil) })
	if err != nil && c.ended == nil {
		c.r = nil // the transaction was not committed
	}
	if storage.IsNoRoom(err) && c.tried { // SQLite reports a full disk at the commit, but SQL Server reports it at the write
		err = c.reads(true)
	}
	return err
}

// outputs returns the values of the output parameters, by position; nil: there are none.
func (f *frame) outputs(p *procedure) ([]any, error) {
	if !slices.ContainsFunc(p.params, func(q parameter) bool { return q.output }) {
		return nil, nil
	}
	all := make([]any, len(p.params))
	for i, q := range p.params {
		if !q.output {
			continue
		}
		v := f.b.vars[q.name]
		var err error
		if all[i], err = sqlvalue.ClientValue(v.typ, v.value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// call runs a procedure.
func (x *execution) call(p *procedure, a sqlvalue.Arguments) (f *frame, err error) {
	if x.depth++; x.depth > maxNesting {
		return nil, sqlerror.New(217, 16, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", maxNesting)
	}
	defer func() { x.depth-- }()
	f = p.frame(x)
	for i, q := range p.params {
		v := f.b.vars[q.name]
		if v == nil {
			v = &variable{typ: q.typ}
			f.b.vars[q.name] = v
		}
		v.value = a[i].Stored(q.typ)
	}
	abort, silent := x.abort, x.silent
	defer func() {
		x.abort, x.silent = abort, silent
		err = errors.Join(err, f.dropLocals())
	}()
	_, err = f.runAll(p.text.Body)
	return f, err
}

// frame returns a new frame of the procedure: one that an earlier call has released, if there is one.
func (p *procedure) frame(x *execution) *frame {
	f, _ := p.frames.Get().(*frame)
	if f == nil {
		f = &frame{of: p, b: &batch{vars: map[string]*variable{}}}
		f.b.frame = f
		f.values = tsql.Values{Variable: f.b.valueOf, System: f.b.systemValue}
	}
	f.execution, f.b.s = x, x.s
	return f
}

// release makes the frame available for reuse. The caller must not use it afterwards.
func (f *frame) release() {
	for _, v := range f.b.vars {
		v.value = nil
	}
	clear(f.args)
	f.b.identity = nil
	f.execution, f.b.s, f.status, f.fetched, f.cursors, f.caught, f.returned = nil, nil, 0, 0, nil, nil, nil
	f.of.frames.Put(f)
}

// dropLocals drops the tables of the frame.
func (f *frame) dropLocals() error {
	if f.turns != nil && f.turns.Began.IsZero() {
		return nil // the call has lost the connection: see mirror.RunLong
	}
	for _, text := range f.locals {
		if _, err := f.exec(text, nil); err != nil {
			return err
		}
	}
	f.locals = nil
	return f.showHidden()
}

// runAll runs statements until one ends the procedure.
func (f *frame) runAll(list []tsql.Statement) (ending, error) {
	for _, st := range list {
		if err := f.countStatement(); err != nil {
			return returns, err
		}
		end, err := f.run(st)
		if err != nil {
			if err = f.continuesAfter(st, err); err != nil {
				return returns, err
			}
			continue
		}
		if end != completed {
			return end, nil
		}
	}
	return completed, nil
}

// countStatement counts a statement, or a further iteration of a loop.
func (x *execution) countStatement() error {
	if x.left--; x.left < 0 {
		return sqlerror.NotSupported("A procedure that runs more than %d statements", maxStatements)
	}
	if x.left%64 != 0 {
		return nil
	}
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	if x.turns != nil && x.trans == 0 && x.firing == nil {
		return x.turns.Pause(x.ctx)
	}
	return nil
}

// continuesAfter decides whether the procedure continues after the error of a statement. If so, it adds the error to
// the result and returns nil. It does not continue within TRY, under XACT_ABORT, or after an error that ends the batch.
func (f *frame) continuesAfter(st tsql.Statement, err error) error {
	e, ok := errors.AsType[*tds.Error](err)
	if !ok {
		return err
	}
	setEndLine(err, st.Line())
	if e.Line == 0 {
		e.Line = int32(st.Line())
	}
	if e.Proc == "" {
		e.Proc = f.of.name
	}
	f.s.lastError = e.Number
	if isTriggerError(err) {
		return err
	}
	aborts := f.aborts(st, e)
	if aborts && f.tries > 0 {
		f.markUncommittable()
	}
	if f.s.over || f.abort || f.tries > 0 || endsAll(st, e) {
		f.s.over = f.tries == 0 && (f.abort || !scopeErrors[e.Number])
		f.s.aborts = f.s.aborts || f.s.over && aborts
		return err
	}
	f.r.steps = append(f.r.steps, step{err: e, count: noCount})
	return nil
}

// evaluate evaluates an expression in the open transaction.
func (f *frame) evaluate(e *tsql.Expr) (any, error) {
	if v, ok, err := e.Evaluate(&f.values); ok {
		return v, sqlerror.AsWireError(err)
	}
	args, err := f.bind(&e.Inputs)
	if err != nil {
		return nil, err
	}
	st, err := f.rd.Query(e.Query)
	if err != nil {
		return nil, sqlerror.FromSQLite(err)
	}
	var value any
	err = st.Each(args, func(row []driver.Value) error {
		value = row[0]
		return nil
	})
	return value, sqlerror.FromSQLite(err)
}

// systemValue returns a value that depends on the procedure's run and not only on the session.
func (f *frame) systemValue(name string) (any, bool) {
	switch name {
	case "@@FETCH_STATUS":
		return f.fetched, true
	case "@@NESTLEVEL":
		return int64(f.depth), true
	case "@@TRANCOUNT":
		return f.openTransactions(), true
	case "XACT_STATE":
		if f.uncommittable() {
			return int64(-1), true
		}
		return min(f.openTransactions(), 1), true
	case "TRIGGER_NESTLEVEL":
		return f.triggerLevels(), true
	}
	if !strings.HasPrefix(name, "ERROR_") {
		return nil, false
	}
	return errorValue(name, f.caught), true
}

// bind returns the values of a statement's parameters, by their numbers.
func (f *frame) bind(in *tsql.Inputs) ([]driver.NamedValue, error) {
	args := f.args[:0]
	for _, name := range in.Parameters {
		v, err := f.b.valueOf(name)
		if err != nil {
			return nil, err
		}
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: v})
	}
	for i := range in.System {
		v, err := f.systemOrHoisted(&in.System[i])
		if err != nil {
			return nil, err
		}
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: v})
	}
	f.args = args
	return args, nil
}

// systemOrHoisted returns the value of a system call, which may stand for an expression.
func (f *frame) systemOrHoisted(call *tsql.SystemCall) (any, error) {
	e := call.Hoisted()
	if e == nil {
		return f.b.systemValue(*call)
	}
	v, _, err := e.Evaluate(&f.values)
	return v, sqlerror.AsWireError(err)
}
