package engine

import (
	"maps"
	"slices"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// COMMIT and ROLLBACK of a procedure that end its client's transaction.

// endsClientTransaction runs a COMMIT or ROLLBACK of a procedure that applies to its client's transaction; false: it
// does not. The statements after it run as without a transaction, but become durable only when the call ends.
func (f *frame) endsClientTransaction(st *tsql.Transaction, name string) (bool, error) {
	s := f.s
	switch {
	case s.open == 0:
		return false, nil
	case st.Action == tsql.CommitTransaction && f.trans == 0:
		if s.doomed {
			return true, errUncommittable()
		}
		if s.open > 1 {
			s.open--
			return true, nil
		}
		return true, f.endClientTransaction(true)
	case st.Action != tsql.RollbackTransaction:
		return false, nil
	case name == "" || name == s.transactionName:
		return true, f.endClientTransaction(false)
	case slices.Contains(f.saved, name):
		return false, nil
	case s.hasSavepoint(name):
		return true, sqlerror.NotSupported("ROLLBACK in a procedure to a savepoint of its client")
	}
	return true, errNoSavepoint(name)
}

// endClientTransaction ends the client's transaction, including all nested ones.
func (f *frame) endClientTransaction(commit bool) error {
	s := f.s
	err := f.lease.Restart(commit)
	commit = commit && err == nil
	if !commit {
		s.locals = maps.Clone(s.before)
	}
	f.trans, f.saved, f.doomed = 0, nil, false
	s.open, s.doomed, s.saved, s.transactionName = 0, false, nil, ""
	s.callEnded = &commit
	return err
}

// sendTransactionEnd tells the client that a call has ended its transaction.
func (s *session) sendTransactionEnd(w *tds.Response) {
	if s.callEnded != nil {
		w.TransactionEnded(*s.callEnded)
		s.callEnded = nil
	}
}

// checkBalance returns the error of a call that does not leave as many transactions open as there were before.
func (x *execution) checkBalance(open int) error {
	switch {
	case x.trans > 0: // SQL Server leaves the transaction open, and sends 266
		return sqlerror.NotSupported("A procedure that leaves a transaction open")
	case x.s.open == open || x.firing != nil:
		return nil
	}
	err := errUnbalanced(int64(open), int64(x.s.open))
	if x.tries > 0 {
		return err
	}
	x.r.steps = append(x.r.steps, step{err: err, count: noCount})
	return nil
}

// errUnbalanced is the error for a procedure with a mismatching number of BEGIN and COMMIT (266).
func errUnbalanced(before, now int64) *tds.Error {
	return sqlerror.New(266, 16, "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = %d, current count = %d.", before, now)
}

// aborts reports whether an error rolls back the open transaction, or makes it uncommittable.
func (f *frame) aborts(st tsql.Statement, e *tds.Error) bool {
	_, raised := st.(*tsql.RaiseError)
	return !raised && e.Number != unsupported && (f.abort || abortingErrors[e.Number])
}

// uncommittable reports whether the open transaction can only be rolled back.
func (x *execution) uncommittable() bool {
	return x.doomed || x.s.doomed || x.firing != nil && x.firing.doomed && !x.firing.undone
}

// markUncommittable makes ROLLBACK the only allowed end of the open transaction. Source: the manual's XACT_STATE.
func (f *frame) markUncommittable() {
	switch {
	case f.firing != nil:
		f.firing.doomed = true
	case f.s.open > 0:
		f.s.doomed = true
	case f.trans > 0:
		f.doomed = true
	}
}
