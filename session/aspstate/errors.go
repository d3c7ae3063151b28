package aspstate

import (
	"errors"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// callError is the error of a failed call, in terms of package session.
type callError struct {
	kind    error // one of session's sentinels, or nil
	outcome session.Outcome
	cause   error // the pair's error
}

// Error returns the text of the cause.
func (e *callError) Error() string { return e.cause.Error() }

// Unwrap returns the kind and the cause.
func (e *callError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.cause}
	}
	return []error{e.kind, e.cause}
}

// Outcome returns the outcome of the call.
func (e *callError) Outcome() session.Outcome { return e.outcome }

// DomainError turns an error of the pair into one of package session. Errors of package session, which are answers of
// the database, are returned unchanged.
func DomainError(err error) error {
	if err == nil || isAnswer(err) {
		return err
	}
	if own, ok := errors.AsType[*refusedError](err); ok {
		return own
	}
	e := &callError{cause: err}
	if partner.OutcomeOf(err) == partner.Unknown {
		e.outcome = session.Unknown
	}
	e.kind = domainKind(err)
	return e
}

// domainKind returns the sentinel of package session for an error of the pair, or nil.
func domainKind(err error) error {
	switch kind, _ := errors.AsType[partner.Kind](err); kind {
	case partner.OutcomeUnknown:
		return session.ErrOutcomeUnknown
	case partner.Busy:
		return session.ErrOverloaded
	case partner.NoPrincipal, partner.Closed:
		return session.ErrNoPrincipal
	}
	if _, ok := errors.AsType[*partner.HoldFullError](err); ok {
		return session.ErrOverloaded
	}
	switch {
	case errors.Is(err, partner.ErrLate), errors.Is(err, partner.ErrMoved): // after the last retry; nothing was done
		return session.ErrNoPrincipal
	case errors.Is(err, session.ErrCollision):
		return session.ErrCollision
	}
	return nil
}

// answers are the errors that mean an answer of the database.
var answers = []error{session.ErrNotFound, session.ErrLocked, session.ErrLockLost, session.ErrPrecondition,
	session.ErrOutcomeUnknown, session.ErrUnsupported}

func isAnswer(err error) bool {
	for _, answer := range answers {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// errorNumbers returns SQL Server's error numbers in the order in which they arrived: first the cause, then its
// consequences. The driver's error itself has only the last one.
func errorNumbers(err error) (numbers []int32) {
	if e, ok := errors.AsType[mssql.Error](err); ok && len(e.All) > 0 {
		for _, one := range e.All {
			numbers = append(numbers, one.Number)
		}
		return numbers
	}
	if n := errorNumber(err); n != 0 {
		numbers = append(numbers, n)
	}
	return numbers
}

// errorNumber returns SQL Server's number of an error; 0 if SQL Server did not send the error.
func errorNumber(err error) int32 {
	if e, ok := errors.AsType[interface {
		error
		SQLErrorNumber() int32
	}](err); ok {
		return e.SQLErrorNumber()
	}
	return 0
}
