package engine

import (
	"errors"
	"slices"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// triggerError is an error in a trigger: it ends the batch, and rolls back the transaction.
type triggerError struct{ err error }

func (e *triggerError) Error() string { return e.err.Error() }
func (e *triggerError) Unwrap() error { return e.err }

// isTriggerError reports whether an error occurred in a trigger.
func isTriggerError(err error) bool {
	_, ok := errors.AsType[*triggerError](err)
	return ok
}

// endedInTrigger: a trigger has rolled back the transaction. What it wrote after the ROLLBACK stays.
type endedInTrigger struct {
	err  error
	gone bool // the statement's savepoint was rolled back too
}

// isEndedInTrigger reports whether an error is an endedInTrigger.
func isEndedInTrigger(err error) bool {
	_, ok := errors.AsType[*endedInTrigger](err)
	return ok
}

func (e *endedInTrigger) Error() string { return e.err.Error() }
func (e *endedInTrigger) Unwrap() error { return e.err }

// ended returns the error for a transaction that a trigger has ended, after the errors that the trigger raised.
func (x *execution) ended(before int, err error) error {
	over := sqlerror.New(transactionEnded, 16, "The transaction ended in the trigger. The batch has been aborted.")
	var all tds.Errors
	for _, st := range x.r.steps[before:] {
		if st.err != nil && st.err.Class > 10 {
			all = append(all, st.err)
		}
	}
	x.r.steps = slices.DeleteFunc(x.r.steps, func(st step) bool { return st.err != nil && slices.Contains(all, st.err) })
	if several, ok := errors.AsType[tds.Errors](err); ok {
		return append(all, several...)
	}
	if e, ok := errors.AsType[*tds.Error](err); ok {
		all = append(all, e)
	}
	if err == nil { // otherwise the error has ended the batch
		all = append(all, over)
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// transactionInTrigger runs a BEGIN, COMMIT or ROLLBACK TRANSACTION that has another effect in a trigger; false: it has
// the usual effect.
func (f *frame) transactionInTrigger(st *tsql.Transaction, name string) (bool, error) {
	one := f.firing
	if st.Action == tsql.RollbackTransaction {
		switch {
		case name == "" || one.trans > 0 && name == f.named || f.s.open > 0 && name == f.s.transactionName:
			return true, f.rollbackInTrigger()
		case slices.Contains(f.saved, name):
			return false, nil
		case f.s.hasSavepoint(name):
			return true, sqlerror.NotSupported("ROLLBACK in a trigger to a savepoint of the client")
		}
		return true, errNoSavepoint(name)
	}
	switch {
	case one.undone && st.Action == tsql.BeginTransaction:
		return true, sqlerror.NotSupported("BEGIN TRANSACTION after ROLLBACK in a trigger")
	case !one.undone && st.Action == tsql.CommitTransaction && f.trans <= one.trans:
		return true, sqlerror.NotSupported("COMMIT of the enclosing transaction in a trigger")
	}
	return false, nil
}

// rollbackInTrigger runs ROLLBACK TRANSACTION in a trigger: it undoes everything that the statement and the enclosing
// transaction have done.
func (f *frame) rollbackInTrigger() error {
	if f.firing.undone {
		return errNoTransaction()
	}
	outermost := f.firing
	for one := f.firing; one != nil; one = one.outer {
		one.undone, outermost = true, one
	}
	if f.trans > 0 {
		if err := f.undo(); err != nil {
			return err
		}
		for one := f.firing; one != nil; one = one.outer {
			one.gone = true
		}
	} else if err := f.w.RunCached("ROLLBACK TO " + outermost.point); err != nil {
		return err
	}
	f.s.endedInTrigger = f.s.open > 0
	f.locals = nil // they were created after the savepoint
	return f.fillTriggerTables(f.firing)
}

// openTransactions returns @@TRANCOUNT.
func (x *execution) openTransactions() int64 {
	if x.firing == nil {
		return int64(x.s.open + x.trans)
	}
	if x.firing.undone {
		return int64(x.trans)
	}
	n := int64(x.s.open + x.trans)
	if x.firing.alone {
		n++
	}
	return n
}

// setEndLine sets the line of the error for a transaction that a trigger has ended to the line of the firing statement.
func setEndLine(err error, line int) {
	if many, ok := errors.AsType[tds.Errors](err); ok {
		for _, e := range many {
			setEndLine(e, line)
		}
	} else if e, ok := errors.AsType[*tds.Error](err); ok && e.Number == transactionEnded && e.Line == 0 {
		e.Line = int32(line)
	}
}

// doomAfterTrigger makes the transaction uncommittable if the caught error came from a trigger.
func (f *frame) doomAfterTrigger(err error) {
	if !isTriggerError(err) {
		return
	}
	if f.trans > 0 {
		f.doomed = true
	} else if f.s.open > 0 {
		f.s.doomed = true
	}
}

// transactionEnded is the number of the error for a transaction that a trigger has ended.
const transactionEnded = 3609

// splitEnd separates endedInTrigger from the other errors of a write: what the trigger wrote after its ROLLBACK stays.
func splitEnd(err error) (ended, other error) {
	if e, ok := errors.AsType[*endedInTrigger](err); ok {
		return e, nil
	}
	return nil, err
}

// endAfterTriggerError ends a batch because of an error in a trigger.
func (b *batch) endAfterTriggerError(err error) error {
	s := b.s
	switch {
	case s.endedInTrigger || b.tries == 0:
		s.rollback(b.w)
	case s.open > 0:
		s.doomed = true
	}
	s.endedInTrigger = false
	return err
}
