package aspstate

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
)

// refusedError is what a call's permission refused in the midst of the call. It passes to the caller as it is.
//
// An attempt that was sent before and never answered is not sent again: if it was not executed, the
// second one would execute it for a caller who may not any more. So nobody finds out what became of
// it, and the outcome says that. What a caller who may again then asks for with the same operation id is
// answered as ever.
type refusedError struct {
	cause   error
	outcome session.Outcome
}

// Error is the refusal's own text.
func (e *refusedError) Error() string { return e.cause.Error() }

// Unwrap gives the refusal.
func (e *refusedError) Unwrap() error { return e.cause }

// Outcome says what became of the attempts before.
func (e *refusedError) Outcome() session.Outcome { return e.outcome }

// refused is the error of an attempt that its call's permission refused.
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
