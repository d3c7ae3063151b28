package aspstate

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// refusedError is the refusal of a call's permission during the call. It passes to the caller as it is.
//
// An earlier attempt that was sent and never answered is not sent again: if it was not executed, the second attempt
// would execute it for a caller who has no permission any more. So its outcome stays unknown, and the error says so.
// If the caller regains the permission and repeats the operation id, it is answered as usual.
type refusedError struct {
	cause   error
	outcome session.Outcome
}

// Error returns the refusal's text.
func (e *refusedError) Error() string { return e.cause.Error() }

// Unwrap returns the refusal.
func (e *refusedError) Unwrap() error { return e.cause }

// Outcome returns the outcome of the earlier attempts.
func (e *refusedError) Outcome() session.Outcome { return e.outcome }

// refused returns the error of an attempt that was not permitted.
func refused(err error, what partner.Call, a *partner.Attempt) error {
	e := &refusedError{cause: err}
	if what.Write && a.Resent {
		e.outcome = session.Unknown
	}
	return e
}

// permitted asks the call's permission before an attempt.
func permitted(ctx context.Context, what partner.Call, a *partner.Attempt) error {
	if err := session.Permitted(ctx); err != nil {
		return refused(err, what, a)
	}
	return nil
}
