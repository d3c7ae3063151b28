package embedded

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// run runs one statement of a procedure.
func (f *frame) run(st tsql.Statement) (ending, error) {
	switch st := st.(type) {
	case *tsql.Query:
		return goesOn, f.query(st)
	case *tsql.Assign:
		v, err := f.b.evaluate(st.Value)
		if err == nil {
			err = f.b.set(st.Variable, v)
		}
		f.s.rowCount = 1
		return goesOn, err
	case *tsql.Declare:
		return goesOn, f.declare(st)
	case *tsql.If:
		yes, err := f.truth(st.Condition)
		switch f.s.rowCount = 0; {
		case err != nil:
			return goesOn, err
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
		return goesOn, f.calls(st)
	case *tsql.Try:
		return f.try(st)
	case *tsql.Throw:
		return goesOn, f.throw(st)
	case *tsql.RaiseError:
		return goesOn, f.raise(st)
	case *tsql.Transaction:
		return goesOn, f.transaction(st)
	case *tsql.SetOption:
		return goesOn, f.option(st)
	case *tsql.Definition:
		if f.w == nil {
			return goesOn, errMustWrite
		}
		c, err := openCatalogue(f.w, f.d)
		if err == nil {
			err = c.object(st)
		}
		return goesOn, err
	case *tsql.CreateLocal:
		return goesOn, f.createLocal(st)
	case *tsql.DropLocal:
		return goesOn, f.dropLocal(st.Name)
	case *tsql.DeclareCursor:
		if f.cursors == nil {
			f.cursors = map[string]*cursor{}
		}
		f.cursors[st.Name] = &cursor{query: st.Query}
		return goesOn, nil
	case *tsql.CursorAction:
		return goesOn, f.cursor(st)
	}
	return goesOn, notSupported("This statement in a procedure")
}

// truth evaluates a condition.
func (f *frame) truth(e tsql.Expr) (bool, error) {
	v, err := f.b.evaluate(e)
	if err != nil {
		return false, err
	}
	n, ok := integerOf(v, 0, 1)
	return ok && n == 1, nil
}

func (f *frame) loop(st *tsql.While) (ending, error) {
	for {
		if err := f.spend(); err != nil {
			return returns, err
		}
		yes, err := f.truth(st.Condition)
		if err != nil || !yes {
			return goesOn, err
		}
		switch end, err := f.runAll(st.Body); {
		case err != nil || end == returns:
			return end, err
		case end == breaks:
			return goesOn, nil
		}
	}
}

func (f *frame) leaves(st *tsql.Return) error {
	if st.Status == nil {
		return nil
	}
	v, err := f.b.evaluate(*st.Status)
	if n, ok := integerOf(v, -1<<31, 1<<31-1); ok {
		f.status = int32(n)
	}
	return err
}

// calls runs EXEC of another procedure.
func (f *frame) calls(st *tsql.Exec) error {
	p := findProcedure(st.Procedure.Object)
	if p == nil {
		return errNoProcedure(st.Procedure.String())
	}
	list, err := f.b.given(st)
	if err != nil {
		return err
	}
	a, err := p.bindArguments(list)
	if err != nil {
		return err
	}
	inner, err := f.call(p, a)
	if err != nil {
		return err
	}
	defer inner.release()
	r := result{status: inner.status}
	if r.outputs, err = inner.outputs(p); err != nil {
		return err
	}
	return f.b.take(st, p, &r)
}

func (f *frame) try(st *tsql.Try) (ending, error) {
	f.tries++
	end, err := f.runAll(st.Body)
	f.tries--
	if err == nil {
		return end, nil
	}
	e, ok := errors.AsType[*tds.Error](err)
	if !ok || e.Class >= 20 {
		return returns, err
	}
	f.caught = append(f.caught, e)
	defer func() { f.caught = f.caught[:len(f.caught)-1] }()
	return f.runAll(st.Catch)
}

func (f *frame) throw(st *tsql.Throw) error {
	if st.Number == nil {
		if len(f.caught) == 0 {
			return message(10704, 15, "To rethrow an error, a THROW statement must be used inside a CATCH block.")
		}
		return f.caught[len(f.caught)-1]
	}
	v, err := f.evaluateAll(*st.Number, *st.Message, *st.State)
	if err != nil {
		return err
	}
	number, _ := integerOf(v[0], 50000, 1<<31-1)
	text, _ := textOf(v[1])
	state, _ := integerOf(v[2], 0, 255)
	return &tds.Error{Number: int32(number), Class: 16, State: uint8(state), Message: text}
}

// evaluateAll computes expressions one after the other.
func (f *frame) evaluateAll(list ...tsql.Expr) ([]any, error) {
	values := make([]any, len(list))
	for i, e := range list {
		var err error
		if values[i], err = f.b.evaluate(e); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// raise is RAISERROR: below severity 11 a message, which changes nothing.
func (f *frame) raise(st *tsql.RaiseError) error {
	v, err := f.evaluateAll(append([]tsql.Expr{st.Message, st.Severity, st.State}, st.Args...)...)
	if err != nil {
		return err
	}
	args := v[3:]
	for i := range args {
		if args[i] == nil {
			args[i] = "(null)"
		}
	}
	text, _ := textOf(v[0])
	class, _ := integerOf(v[1], 0, 25)
	number, _ := integerOf(v[2], 0, 255)
	e := &tds.Error{Number: 50000, Class: uint8(class), State: uint8(number), Message: fmt.Sprintf(text, args...), Proc: f.of.name, Line: int32(st.Line())}
	if f.tries > 0 && class > 10 {
		return e
	}
	f.s.lastError = e.Number
	f.r.steps = append(f.r.steps, step{err: e, count: noCount})
	return nil
}

// transaction is BEGIN, COMMIT and ROLLBACK within a call, on the savepoint that the outermost BEGIN makes: what the
// call wrote outside of it is the call's in any case.
func (f *frame) transaction(st *tsql.Transaction) error {
	switch st.Action {
	case tsql.BeginTransaction:
		if f.trans++; f.trans > 1 {
			return nil
		}
		_, err := f.exec("SAVEPOINT t", nil)
		return err
	case tsql.CommitTransaction:
		switch f.trans {
		case 0:
			return message(3902, 16, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
		case 1:
			if _, err := f.exec("RELEASE t", nil); err != nil {
				return err
			}
		}
		f.trans--
		return nil
	case tsql.RollbackTransaction:
		if f.trans == 0 {
			return message(3903, 16, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
		}
		return f.undo()
	}
	return notSupported("Statement 'SAVE TRANSACTION'")
}

// undo rolls back to the outermost BEGIN TRANSACTION.
func (x *program) undo() error {
	if x.trans == 0 {
		return nil
	}
	x.trans = 0
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
	case "DEADLOCK_PRIORITY": // nobody deadlocks here: one writes at a time
	default:
		return notSupported("SET %s in a procedure", st.Option)
	}
	return nil
}
