package aspstate

import (
	"errors"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// callError is a failed call as an error of the domain.
type callError struct {
	kind    error // one of session's sentinels, or nil
	outcome session.Outcome
	cause   error // what the pair said
}

// Error returns the cause's text, which says what failed and where.
func (e *callError) Error() string { return e.cause.Error() }

// Unwrap returns the domain's kind and the cause.
func (e *callError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.cause}
	}
	return []error{e.kind, e.cause}
}

// Outcome returns the outcome of the call.
func (e *callError) Outcome() session.Outcome { return e.outcome }

// DomainError turns the errors of the pair into the domain's. Errors of the domain are returned as they are: the
// database gave them as an answer.
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

// domainKind returns the domain's sentinel for what the pair says of a call, or nil.
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
	case errors.Is(err, partner.ErrLate), errors.Is(err, partner.ErrMoved): // ran out of tries; nothing was done
		return session.ErrNoPrincipal
	case errors.Is(err, session.ErrCollision):
		return session.ErrCollision
	}
	return nil
}

// answers are the errors that a procedure's answer becomes.
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
