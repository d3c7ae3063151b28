package engine

import (
	"context"
	"fmt"
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

var _ tds.TransactionNester = (*session)(nil)

// savepoint is a SAVE TRANSACTION of the open transaction.
type savepoint struct {
	name string
	// held: the transaction had used a database, and SQLite has the savepoint under its position. Otherwise all writes
	// of the transaction came after it.
	held   bool
	locals localTables // as they were at the savepoint
}

// maxSavepoints limits the savepoints of one transaction, and maxTransactionName the length of their names. Source of
// the second: the manual.
const (
	maxSavepoints      = 1000
	maxTransactionName = 32
)

// hasSavepoint reports whether the client's transaction has a savepoint of that name.
func (s *session) hasSavepoint(name string) bool {
	return slices.ContainsFunc(s.saved, func(one savepoint) bool { return one.name == name })
}

// errUncommittable refuses a write or a commit of an uncommittable transaction.
func errUncommittable() *tds.Error {
	return sqlerror.New(3930, 16, "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.")
}

// savepointName returns the name in SQLite of the savepoint at a position, from 0.
func savepointName(place int) string { return fmt.Sprintf("saved_%d", place) }

// save runs SAVE TRANSACTION.
func (s *session) save(name string) error {
	switch {
	case s.open == 0:
		return sqlerror.New(628, 16, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
	case s.doomed:
		return errUncommittable()
	case len([]rune(name)) > maxTransactionName:
		return sqlerror.New(103, 15, "The identifier that starts with '%s' is too long. Maximum length is %d.", string([]rune(name)[:maxTransactionName]), maxTransactionName)
	case len(s.saved) == maxSavepoints:
		return sqlerror.NotSupported("A transaction of more than %d savepoints", maxSavepoints)
	}
	if s.lease != nil {
		err := s.lease.Run(func(w *storage.Writer) error { return w.RunCached("SAVEPOINT " + savepointName(len(s.saved))) })
		if err != nil {
			return err
		}
	}
	s.saved = append(s.saved, savepoint{name, s.lease != nil, maps.Clone(s.locals)})
	return nil
}

// rollbackTo rolls back to the last savepoint of the name, or ends the transaction of that name. Names are
// case-sensitive, as in SQL Server. w, if not nil, receives the end of the transaction.
func (s *session) rollbackTo(name string, w *tds.Response) error {
	if s.open == 0 {
		return errNoTransaction()
	}
	place := -1
	for i, one := range slices.Backward(s.saved) {
		if one.name == name {
			place = i
			break
		}
	}
	switch {
	case place < 0 && name == s.transactionName:
		s.rollback(w)
		return nil
	case place < 0:
		return errNoSavepoint(name)
	case s.doomed:
		return sqlerror.New(3931, 16, "The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the entire transaction.")
	}
	if s.lease != nil {
		if !s.saved[place].held { // before the database was used
			s.lease.Abort(mirror.ErrLeaseDone)
			s.lease = nil
		} else if err := s.lease.Run(func(w *storage.Writer) error { return w.RunCached("ROLLBACK TO " + savepointName(place)) }); err != nil {
			return err
		}
	}
	s.locals = maps.Clone(s.saved[place].locals)
	s.saved = s.saved[:place+1]
	return nil
}

func errNoTransaction() *tds.Error {
	return sqlerror.New(3903, 16, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
}

func errNoSavepoint(name string) *tds.Error {
	return sqlerror.New(6401, 16, "Cannot roll back %s. No transaction or savepoint of that name was found.", name)
}

// Save implements [tds.TransactionNester].
func (s *session) Save(_ context.Context, name string) error {
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	return s.reportError(s.save(name))
}

// RollbackTo implements [tds.TransactionNester].
func (s *session) RollbackTo(_ context.Context, name string) error {
	if err := s.Enter(); err != nil {
		s.rollback(nil)
		return err
	}
	defer s.Leave()
	return s.reportError(s.rollbackTo(name, nil))
}

// InTransaction implements [tds.TransactionNester].
func (s *session) InTransaction() bool { return s.open > 0 }

// transaction runs BEGIN, COMMIT, ROLLBACK and SAVE TRANSACTION.
func (b *batch) transaction(st *tsql.Transaction) error {
	s := b.s
	if st.IfOpen && s.open == 0 {
		return nil
	}
	name, err := b.transactionName(st.Name)
	if err != nil {
		return err
	}
	switch st.Action {
	case tsql.BeginTransaction:
		s.begin()
		if s.open == 1 {
			s.transactionName = name
			b.w.TransactionBegan(s.id)
		}
		return nil
	case tsql.CommitTransaction:
		return s.commit(b.w)
	case tsql.SaveTransaction:
		return s.save(name)
	}
	switch {
	case s.open == 0:
		return errNoTransaction()
	case name != "":
		return s.rollbackTo(name, b.w)
	}
	s.rollback(b.w)
	return nil
}

// transactionName returns the name of a transaction, from a variable if the statement names one.
func (b *batch) transactionName(written string) (string, error) {
	if !strings.HasPrefix(written, "@") {
		return written, nil
	}
	v, err := b.valueOf(strings.ToLower(written))
	name, _ := sqlvalue.TextOf(v)
	return name, err
}

// saveTransaction runs SAVE TRANSACTION within a call.
func (f *frame) saveTransaction(name string) error {
	if f.openTransactions() == 0 {
		return sqlerror.New(628, 16, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
	}
	if len(f.saved) == maxSavepoints {
		return sqlerror.NotSupported("A transaction of more than %d savepoints", maxSavepoints)
	}
	if _, err := f.exec("SAVEPOINT call_"+savepointName(len(f.saved)), nil); err != nil {
		return err
	}
	f.saved = append(f.saved, name)
	return nil
}

// rollbackToSaved rolls back to a savepoint of the call; false: it has none of that name.
func (f *frame) rollbackToSaved(name string) (bool, error) {
	for i, one := range slices.Backward(f.saved) {
		if one == name {
			f.saved = f.saved[:i+1]
			_, err := f.exec("ROLLBACK TO call_"+savepointName(i), nil)
			return true, err
		}
	}
	return false, nil
}
