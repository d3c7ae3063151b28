package engine

import (
	"errors"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// run runs one statement of a procedure.
func (f *frame) run(st tsql.Statement) (ending, error) {
	switch st := st.(type) {
	case *tsql.Query:
		return completed, f.query(st)
	case *tsql.Assign:
		v, err := f.b.evaluate(st.Value)
		if err == nil {
			err = f.b.set(st.Variable, v)
		}
		f.s.rowCount = 1
		return completed, err
	case *tsql.Declare:
		return completed, f.declare(st)
	case *tsql.If:
		yes, err := f.evaluateCondition(st.Condition)
		switch f.s.rowCount = 0; {
		case err != nil:
			return completed, err
		case yes:
			return f.runAll(st.Then)
		}
		return f.runAll(st.Else)
	case *tsql.While:
		return f.loop(st)
	case *tsql.Break:
		return breaks, nil
	case *tsql.Continue:
		return continues, nil
	case *tsql.Return:
		return returns, f.leaves(st)
	case *tsql.Exec:
		return completed, f.callProcedure(st)
	case *tsql.Try:
		return f.try(st)
	case *tsql.Throw:
		return completed, f.throw(st)
	case *tsql.RaiseError:
		return completed, f.raise(st)
	case *tsql.Print:
		v, err := f.b.evaluate(st.Value)
		if err == nil {
			text, _ := sqlvalue.TextOf(v)
			f.r.steps = append(f.r.steps, step{err: &tds.Error{Message: text, Proc: f.of.name, Line: int32(st.Line())}, count: noCount})
		}
		return completed, err
	case *tsql.Transaction:
		return completed, f.transaction(st)
	case *tsql.SetOption:
		return completed, f.option(st)
	case *tsql.Definition:
		if f.w == nil {
			return completed, errMustWrite
		}
		c, err := openCatalogue(f.w, f.d)
		if err == nil {
			err = c.object(st, "")
		}
		return completed, err
	case *tsql.Merge:
		return completed, f.merge(st)
	case *tsql.CreateLocal:
		return completed, f.createLocal(st)
	case *tsql.DropLocal:
		return completed, f.dropLocal(st.Name)
	case *tsql.DeclareCursor:
		if f.cursors == nil {
			f.cursors = map[string]*cursor{}
		}
		f.cursors[st.Name] = &cursor{query: st.Query}
		return completed, nil
	case *tsql.CursorAction:
		return completed, f.cursor(st)
	}
	return completed, sqlerror.NotSupported("This statement in a procedure")
}

// evaluateCondition evaluates a condition.
func (f *frame) evaluateCondition(e tsql.Expr) (bool, error) {
	v, err := f.b.evaluate(e)
	if err != nil {
		return false, err
	}
	n, ok := sqlvalue.IntegerOf(v, 0, 1)
	return ok && n == 1, nil
}

func (f *frame) loop(st *tsql.While) (ending, error) {
	for {
		if err := f.countStatement(); err != nil {
			return returns, err
		}
		yes, err := f.evaluateCondition(st.Condition)
		if err != nil || !yes {
			return completed, err
		}
		switch end, err := f.runAll(st.Body); {
		case err != nil || end == returns:
			return end, err
		case end == breaks:
			return completed, nil
		}
	}
}

func (f *frame) leaves(st *tsql.Return) error {
	if st.Status == nil {
		return nil
	}
	v, err := f.b.evaluate(*st.Status)
	if f.of.function != nil {
		f.returned = v
		return err
	}
	if n, ok := sqlvalue.IntegerOf(v, -1<<31, 1<<31-1); ok {
		f.status = int32(n)
	}
	return err
}

// find returns another procedure of the database; nil: no such procedure.
func (x *execution) find(name string) (*procedure, error) {
	return x.s.procedureIn(x.d, x.set, name)
}

// callProcedure runs EXEC of another procedure.
func (f *frame) callProcedure(st *tsql.Exec) error {
	p, err := f.find(st.Procedure.Object)
	if err != nil {
		return err
	}
	if p == nil {
		if done, err := f.callFunction(st); done || err != nil {
			return err
		}
		if systemProcedures[strings.ToLower(st.Procedure.Object)] != 0 {
			return sqlerror.NotSupported("EXECUTE %s in a procedure", st.Procedure.Object)
		}
		return sqlerror.ErrNoProcedure(st.Procedure.String())
	}
	if f.of.function != nil {
		return sqlerror.New(557, 16, "Only functions and some extended stored procedures can be executed from within a function.")
	}
	list, err := f.b.execArguments(st)
	if err != nil {
		return err
	}
	a, err := p.bindArguments(list)
	if err != nil {
		return err
	}
	open := f.openTransactions()
	inner, err := f.call(p, a)
	if err != nil {
		return err
	}
	defer inner.release()
	if now := f.openTransactions(); now != open {
		return errUnbalanced(open, now)
	}
	r := result{status: inner.status}
	if r.outputs, err = inner.outputs(p); err != nil {
		return err
	}
	return f.b.takeOutputs(st, p, &r)
}

// noObject is the error number for a table that does not exist. A TRY of the same procedure or text does not catch it.
// Source: the manual's TRY...CATCH, "Errors Unaffected by a TRY…CATCH Construct".
const noObject = 208

func (f *frame) try(st *tsql.Try) (ending, error) {
	f.tries++
	end, err := f.runAll(st.Body)
	f.tries--
	if err == nil {
		return end, nil
	}
	e, ok := errors.AsType[*tds.Error](err)
	if !ok || e.Class >= 20 || e.Number == noObject && e.Proc == f.of.name || f.firing != nil && f.firing.undone || f.s.endedInTrigger {
		return returns, err
	}
	f.doomAfterTrigger(err)
	f.s.over = false
	f.caught = append(f.caught, e)
	defer func() { f.caught = f.caught[:len(f.caught)-1] }()
	return f.runAll(st.Catch)
}

func (f *frame) throw(st *tsql.Throw) error {
	if st.Number == nil {
		if len(f.caught) == 0 {
			return sqlerror.New(10704, 15, "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.")
		}
		return f.caught[len(f.caught)-1]
	}
	return thrown(f.b, st)
}

// raise runs RAISERROR: below severity 11 a message, which has no other effect.
func (f *frame) raise(st *tsql.RaiseError) error {
	v, err := f.b.evaluateAll(append([]tsql.Expr{st.Message, st.Severity, st.State}, st.Args...)...)
	if err != nil {
		return err
	}
	e, err := sqlvalue.Raised(v, int32(st.Line()))
	if err != nil {
		return err
	}
	e.Proc = f.of.name
	if f.tries > 0 && e.Class > 10 {
		return e
	}
	if f.s.lastError = e.Number; e.Class <= 10 {
		f.s.lastError = errorNumber(st, e)
	}
	f.r.steps = append(f.r.steps, step{err: e, count: noCount})
	return nil
}

// transaction runs BEGIN, COMMIT and ROLLBACK within a call, on the savepoint that the outermost BEGIN sets. Writes of
// the call outside of that BEGIN stay in any case.
func (f *frame) transaction(st *tsql.Transaction) error {
	name, err := f.b.transactionName(st.Name)
	if err != nil {
		return err
	}
	if f.firing != nil {
		if done, err := f.transactionInTrigger(st, name); done || err != nil {
			return err
		}
	}
	if f.lease != nil && f.firing == nil {
		if done, err := f.endsClientTransaction(st, name); done || err != nil {
			return err
		}
	}
	switch st.Action {
	case tsql.BeginTransaction:
		if f.trans++; f.trans > 1 {
			return nil
		}
		f.named = name
		_, err := f.exec("SAVEPOINT t", nil)
		return err
	case tsql.CommitTransaction:
		if f.doomed {
			return errUncommittable()
		}
		switch f.trans {
		case 0:
			return sqlerror.New(3902, 16, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
		case 1:
			if _, err := f.exec("RELEASE t", nil); err != nil {
				return err
			}
			f.saved = nil
		}
		f.trans--
		return nil
	case tsql.SaveTransaction:
		return f.saveTransaction(name)
	}
	if name != "" {
		if back, err := f.rollbackToSaved(name); back || err != nil {
			return err
		}
	}
	switch {
	case f.trans == 0:
		return errNoTransaction()
	case name != "" && name != f.named:
		return errNoSavepoint(name)
	}
	return f.undo()
}

// undo rolls back to the outermost BEGIN TRANSACTION.
func (x *execution) undo() error {
	if x.trans == 0 {
		return nil
	}
	x.trans, x.saved, x.doomed = 0, nil, false
	if _, err := x.exec("ROLLBACK TO t", nil); err != nil {
		return err
	}
	_, err := x.exec("RELEASE t", nil)
	return err
}

func (f *frame) option(st *tsql.SetOption) error {
	switch st.Option {
	case "XACT_ABORT":
		f.abort = strings.EqualFold(st.Value, "ON")
	case "NOCOUNT":
		f.silent = strings.EqualFold(st.Value, "ON")
	default:
		return f.otherOption(st)
	}
	return nil
}

// otherOption accepts the options that keep their value, or have no effect in a procedure.
func (f *frame) otherOption(st *tsql.SetOption) error {
	value, err := f.b.optionText(st)
	switch {
	case err != nil:
		return err
	case st.Option == "QUOTED_IDENTIFIER", st.Option == "ARITHABORT", st.Option == "ARITHIGNORE", strings.HasPrefix(st.Option, "ANSI_NULL_DFLT"):
		return nil // the option has the value from the creation of the procedure, or no effect in a procedure
	case value == "OFF" && (bitOptions[st.Option] == optionImplicit || st.Option == "FMTONLY" || st.Option == "NOEXEC" || st.Option == "PARSEONLY"),
		value == "ON" && st.Option == "ANSI_PADDING",
		value == "0" && st.Option == "ROWCOUNT" && f.s.set.rowLimit == 0:
		return nil
	}
	if refusedOption(st.Option, value) != nil {
		return sqlerror.NotSupported("SET %s %s in a procedure", st.Option, value)
	}
	return nil
}
