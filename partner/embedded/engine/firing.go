package engine

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// firing is a statement whose triggers are running.
type firing struct {
	outer   *firing // the firing of the trigger that contains the statement; nil: none
	trigger *trigger
	kind    tsql.QueryKind
	sets    []string // the columns that an UPDATE sets
	cascade bool     // a foreign key wrote the rows, not the statement itself
	point   string   // the savepoint before the statement
	rows    *captured
	trans   int // BEGIN TRANSACTION without its end, when the trigger began
	// alone: the statement runs in autocommit mode.
	alone bool
	// undone: a ROLLBACK of a trigger has ended the transaction; gone: the ROLLBACK has also removed the savepoint.
	undone, gone bool
	doomed       bool // the trigger has caught an error that makes the transaction uncommittable
}

// triggeringWrite is a write that may fire triggers.
type triggeringWrite struct {
	s     *session
	d     *mirror.Database
	w     *storage.Writer
	x     *execution // the execution of the statement; nil: a batch
	b     *batch
	table string
	kinds []tsql.QueryKind
	sets  []string
	rows  tsql.Name // the table as it was written, if the statement returns rows with OUTPUT; else zero
	into  tsql.Name // the table of OUTPUT INTO; else zero
}

// run runs a write, and its triggers. counted returns the number of rows it has changed. steps are the results of the
// triggers, also with an error.
func (f *triggeringWrite) run(write func() error, counted func() int64) (steps []step, err error) {
	set, err := triggersNow(f.w, f.d)
	if err != nil {
		return nil, err
	}
	table := strings.ToLower(f.table)
	if slices.ContainsFunc(set.of[strings.ToLower(f.into.Object)], func(t *trigger) bool { return !t.disabled }) {
		return nil, sqlerror.New(331, 16, "The target table '%s' of the OUTPUT INTO clause cannot have any enabled triggers.", f.into)
	}
	if set.of == nil || set.of[table] == nil && !set.cascades {
		return nil, write()
	}
	if f.rows.Object != "" && slices.ContainsFunc(set.of[table], func(t *trigger) bool {
		return !t.disabled && t.err == nil && slices.ContainsFunc(f.kinds, t.compiled.trigger.Fires)
	}) {
		return nil, sqlerror.New(334, 16, "The target table '%s' of the DML statement cannot have any enabled triggers if the statement contains an OUTPUT clause without INTO clause.", f.rows)
	}
	x := f.execution()
	point := fmt.Sprintf("fires_%d", x.depth)
	if err := f.w.RunCached("SAVEPOINT " + point); err != nil {
		return nil, err
	}
	seen := &rowCapture{set: set}
	err = f.w.ObserveRows(seen.note, write)
	if err == nil {
		before := len(x.r.steps)
		err = f.fire(x, set, seen, point, counted())
		steps = slices.Clone(x.r.steps[before:])
		x.r.steps = x.r.steps[:before]
	}
	return steps, f.finish(x, point, err)
}

// execution returns the execution in which the triggers run.
func (f *triggeringWrite) execution() *execution {
	if f.x != nil {
		return f.x
	}
	s := f.s
	x := &execution{s: s, d: f.d, rd: f.w.Reader, w: f.w, ctx: s.at.ctx, r: &result{}, left: maxStatements - s.ran, depth: f.b.depth, silent: s.noCount, tries: f.b.tries}
	if f.w.Gathered.ObjectsWritten {
		x.set, _ = f.w.ObjectSet() // the set was read just before, so there is no error
	}
	return x
}

// finish releases the savepoint of the statement.
func (f *triggeringWrite) finish(x *execution, point string, err error) error {
	if f.x == nil {
		f.s.ran = maxStatements - x.left
	}
	ended, over := errors.AsType[*endedInTrigger](err)
	lost, _ := errors.AsType[*storage.LostTransaction](err)
	switch {
	case lost != nil && f.x == nil:
		return f.d.FailedWrite(lost.Why)
	case lost != nil:
		return err
	case over:
		if x.firing == nil && !ended.gone {
			return joinErrors(err, f.w.RunCached("RELEASE "+point))
		}
		return err
	case err != nil:
		return joinErrors(err, errors.Join(f.w.RunCached("ROLLBACK TO "+point), f.w.RunCached("RELEASE "+point)))
	}
	return f.w.RunCached("RELEASE " + point)
}

// joinErrors returns err joined with other, if there is another.
func joinErrors(err, other error) error {
	if other == nil {
		return err
	}
	return errors.Join(err, other)
}

// fire runs the triggers of the written tables: first those of tables that foreign keys have written, in the opposite
// order.
func (f *triggeringWrite) fire(x *execution, set *triggerSet, seen *rowCapture, point string, count int64) error {
	own := seen.of(strings.ToLower(f.table))
	for _, c := range slices.Backward(seen.tables) {
		for kind := tsql.Insert; kind <= tsql.Delete && c != own; kind++ {
			if n := max(len(c.inserted[kind-tsql.Insert]), len(c.deleted[kind-tsql.Insert])); n > 0 {
				if err := f.runTriggers(x, set.of[c.table], &firing{kind: kind, rows: c, point: point, cascade: true}, int64(n)); err != nil {
					return err
				}
			}
		}
	}
	for _, kind := range f.kinds {
		if err := f.runTriggers(x, set.of[own.table], &firing{kind: kind, rows: own, point: point, sets: f.sets}, count); err != nil {
			return err
		}
	}
	return nil
}

// runTriggers runs the triggers that fire after one kind of write of one table.
func (f *triggeringWrite) runTriggers(x *execution, list []*trigger, one *firing, count int64) error {
	for _, t := range list {
		if t.disabled || x.firing != nil && x.firing.trigger.name == t.name {
			continue
		}
		if t.err != nil {
			return &triggerError{t.err}
		}
		if !t.compiled.trigger.Fires(one.kind) {
			continue
		}
		again := *one
		again.trigger, again.outer, again.trans = t, x.firing, x.trans
		again.alone = x.firing == nil && f.s.open+x.trans == 0 || x.firing != nil && x.firing.alone
		if err := x.runTrigger(&again, count); err != nil {
			return err
		}
	}
	return nil
}

// runTrigger runs one trigger.
func (x *execution) runTrigger(one *firing, count int64) error {
	if err := x.fillTriggerTables(one); err != nil {
		return err
	}
	at, abort, silent, outerCount, saved := x.s.at, x.abort, x.silent, x.s.rowCount, len(x.saved)
	x.s.at = statementContext{rd: x.rd, d: x.d, set: x.set, execution: x, ctx: x.ctx}
	x.firing, x.abort, x.s.rowCount = one, true, count
	defer func() { x.s.at, x.abort, x.silent, x.firing, x.s.rowCount = at, abort, silent, one.outer, outerCount }()
	before := len(x.r.steps)
	frame, err := x.call(one.trigger.compiled, nil)
	x.saved = x.saved[:min(saved, len(x.saved))]
	if err == nil && !one.undone && x.trans != one.trans {
		err = sqlerror.NotSupported("A trigger that leaves a transaction open")
	}
	if err == nil && !one.undone && one.doomed {
		err = sqlerror.New(3616, 16, "An error was raised during trigger execution. The batch has been aborted and the user transaction, if any, has been rolled back.")
	}
	if !one.undone {
		x.trans = one.trans
	}
	switch {
	case one.undone:
		if one.outer != nil {
			one.outer.undone, one.outer.gone = true, one.gone
		}
		return joinErrors(&endedInTrigger{&triggerError{x.ended(before, err)}, one.gone}, x.dropTriggerTables())
	case err != nil && storage.IsClientError(err) && !isTriggerError(err):
		return &triggerError{err}
	case err != nil:
		return err
	}
	frame.release()
	if err := x.dropTriggerTables(); err != nil {
		return err
	}
	if one.outer != nil {
		return x.fillTriggerTables(one.outer)
	}
	return nil
}

// updates reports whether the statement that fired the trigger sets a column.
func (x *execution) updates(column string) bool {
	if x.firing == nil || x.firing.kind != tsql.Update {
		return x.firing != nil && x.firing.kind == tsql.Insert
	}
	if x.firing.cascade {
		at := slices.IndexFunc(x.firing.trigger.compiled.trigger.Columns, func(c tsql.Column) bool { return strings.EqualFold(c.Name, column) })
		return at >= 0 && x.firing.rows.changed(at)
	}
	return slices.ContainsFunc(x.firing.sets, func(s string) bool { return strings.EqualFold(s, column) })
}

// triggerLevels returns the number of running triggers.
func (x *execution) triggerLevels() (n int64) {
	for one := x.firing; one != nil; one = one.outer {
		n++
	}
	return n
}

// mayFire reports whether a write may fire a trigger.
func mayFire(w *storage.Writer, d *mirror.Database) bool {
	return w.Gathered.ObjectsWritten || d != nil && committedTriggers(d.Store.Objects.Load()).of != nil
}

// runWithTriggers runs a write of a procedure, and its triggers. The results of the triggers precede its own.
func (f *frame) runWithTriggers(q *tsql.Query, args []driver.NamedValue) error {
	write := func() error {
		if q.Output != nil {
			return f.withOutput(q, args)
		}
		return f.plain(q, args)
	}
	if f.uncommittable() {
		return errUncommittable()
	}
	if f.firing != nil && f.firing.undone && f.s.open > 0 {
		return sqlerror.NotSupported("A write after ROLLBACK in a trigger, within a transaction of the client")
	}
	return f.appendInOrder(&triggeringWrite{s: f.s, d: f.d, w: f.w, x: f.execution, table: q.Key, kinds: []tsql.QueryKind{q.Kind}, sets: q.Sets, rows: outputTable(q), into: outputInto(q)}, write)
}

// outputTable returns the written table of a statement that returns rows with OUTPUT; zero for another statement.
func outputTable(q *tsql.Query) tsql.Name {
	if q.Output == nil || len(q.Output.Items) == 0 || q.Output.Into != "" {
		return tsql.Name{}
	}
	return q.Tables[0]
}

// outputInto returns the table of a statement's OUTPUT INTO; zero if it has none.
func outputInto(q *tsql.Query) tsql.Name {
	if q.Output == nil {
		return tsql.Name{}
	}
	return q.Output.Target
}

// runMergeWithTriggers is runWithTriggers for MERGE.
func (f *frame) runMergeWithTriggers(st *tsql.Merge, write func() error) error {
	if f.uncommittable() {
		return errUncommittable()
	}
	return f.appendInOrder(mergeFires(&triggeringWrite{s: f.s, d: f.d, w: f.w, x: f.execution}, st), write)
}

// appendInOrder runs a write with its triggers, and appends its own results after theirs.
func (f *frame) appendInOrder(one *triggeringWrite, write func() error) error {
	var own []step
	count := int64(0)
	steps, err := one.run(func() error {
		before := len(f.r.steps)
		err := write()
		own = slices.Clone(f.r.steps[before:])
		f.r.steps, count = f.r.steps[:before], f.s.rowCount
		return err
	}, func() int64 { return count })
	f.r.steps = append(f.r.steps, steps...)
	if err == nil {
		f.r.steps, f.s.rowCount = append(f.r.steps, own...), count
	}
	return err
}

// mergeFires returns the triggering write of a MERGE, with each kind once.
func mergeFires(f *triggeringWrite, st *tsql.Merge) *triggeringWrite {
	f.table = st.Key
	for _, q := range st.Writes {
		if !slices.Contains(f.kinds, q.Kind) {
			f.kinds = append(f.kinds, q.Kind)
		}
		if q.Kind == tsql.Update {
			f.sets = append(f.sets, q.Sets...)
		}
	}
	return f
}

// runWithTriggers runs a write of a batch, and its triggers.
func (m *modification) runWithTriggers(w *storage.Writer) error {
	write := func() error {
		if m.q.Output != nil {
			return m.withOutput(w)
		}
		return m.plain(w)
	}
	f := &triggeringWrite{s: m.b.s, d: m.d, w: w, b: m.b, table: m.q.Key, kinds: []tsql.QueryKind{m.q.Kind}, sets: m.q.Sets, rows: outputTable(m.q), into: outputInto(m.q)}
	var err error
	m.steps, err = f.run(write, func() int64 { return m.changed })
	m.ended, err = splitEnd(err)
	return err
}

// sendTriggerResults sends the results of triggers.
func (b *batch) sendTriggerResults(steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	b.w.InProcedure(true)
	defer b.w.InProcedure(b.depth > 0)
	return b.s.send(b.w, &procedure{}, &result{steps: steps})
}
