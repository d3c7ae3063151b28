package aspstate

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// refusedError is the error of a call whose permission was refused before one of its attempts.
//
// If an earlier attempt was sent and not answered, it is not sent again: that could execute it for a caller that no
// longer has the permission. So its outcome stays unknown. If the caller gets the permission again and repeats the
// operation id, it is answered as usual.
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
