package measure

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// ProblemOf is the name under which a failure is counted: the API's own where there was an
// answer, and otherwise what is known.
func ProblemOf(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Name != "" {
		return e.Name
	} else if ok && e.Status != 0 {
		return fmt.Sprintf("status-%d", e.Status)
	}
	for _, p := range []struct {
		is   error
		name string
	}{
		{context.DeadlineExceeded, "time-out"},
		{session.ErrNotFound, "session-not-found"},
		{session.ErrLocked, "session-locked"},
		{session.ErrLockLost, "lock-lost"},
		{session.ErrPrecondition, "precondition-failed"},
		{session.ErrNoPrincipal, "no-principal"},
		{session.ErrOverloaded, "overloaded"},
	} {
		if errors.Is(err, p.is) {
			return p.name
		}
	}
	if e, ok := errors.AsType[*ProblemError](err); ok {
		return e.Name
	}
	if errors.Is(err, session.ErrOutcomeUnknown) && !isClients(err) {
		return "outcome-unknown"
	}
	return "no-answer"
}

// OutcomeUnknown tells whether nobody knows what became of a mutation. A call whose caller went
// away or ran out of time may have been applied, too.
func OutcomeUnknown(err error) bool {
	return session.OutcomeOf(err) == session.Unknown || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isClients tells whether the error is of the client of our API.
func isClients(err error) bool {
	_, is := errors.AsType[*client.Error](err)
	return is
}

// ProblemError is a failure of the driver. Nobody knows whether the call was applied.
type ProblemError struct {
	Name string
	Err  error
}

// Error implements error.
func (e *ProblemError) Error() string { return e.Err.Error() }

// Unwrap gives the driver's error.
func (e *ProblemError) Unwrap() error { return e.Err }

// Outcome implements what session.OutcomeOf looks for.
func (e *ProblemError) Outcome() session.Outcome { return session.Unknown }
