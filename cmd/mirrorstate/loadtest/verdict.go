package loadtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// problem is the name under which a failure is counted: the API's own where there was an
// answer, and otherwise what is known.
func problem(err error) string {
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
	if e, ok := errors.AsType[*bareError](err); ok {
		return e.name
	}
	if errors.Is(err, session.ErrOutcomeUnknown) && !isClients(err) {
		return "outcome-unknown"
	}
	return "no-answer"
}

// unknown tells whether nobody knows what became of a mutation. A call whose caller went
// away or ran out of time may have been applied, too.
func unknown(err error) bool {
	return session.OutcomeOf(err) == session.Unknown || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isClients tells whether the error is of the client of our API.
func isClients(err error) bool {
	_, is := errors.AsType[*client.Error](err)
	return is
}

// judge says what became of a call that met a session, from its error. What the ledger can
// explain is an answer; everything else is a failure: a session that nobody has
// removed must be there, and a lock that nobody holds must be granted.
func (e *Entry) judge(v view, err error) (Fate, string) {
	switch {
	case err == nil:
		return Answered, ""
	case errors.Is(err, session.ErrNotFound):
		if e.Missing() {
			return Gone, ""
		}
	case errors.Is(err, session.ErrLocked):
		if e.Contended(v) {
			return Busy, ""
		}
	}
	return Failed, problem(err)
}
