package measure

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// ProblemOf returns the name that a failed call is counted under: the name of the API's problem if
// there was one, or else a name for what is known.
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

// OutcomeUnknown reports whether a mutation that ended with err may or may not have been applied.
// That includes calls that were cancelled or timed out.
func OutcomeUnknown(err error) bool {
	return session.OutcomeOf(err) == session.Unknown || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isClients reports whether the error comes from the client of mirrorstate's API.
func isClients(err error) bool {
	_, is := errors.AsType[*client.Error](err)
	return is
}

// ProblemError is a failed call of a via that is not mirrorstate's API. The outcome of the call is
// unknown.
type ProblemError struct {
	Name string // the problem's name, such as sql-1205
	Err  error  // the driver's error
}

// Error implements error.
func (e *ProblemError) Error() string { return e.Err.Error() }

// Unwrap returns the driver's error.
func (e *ProblemError) Unwrap() error { return e.Err }

// Outcome implements the interface that [session.OutcomeOf] looks for.
func (e *ProblemError) Outcome() session.Outcome { return session.Unknown }
