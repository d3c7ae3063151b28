package hold

import (
	"errors"
	"fmt"
)

// Why a wait in the hold ends without a principal, besides the error of the caller's context.
var (
	// ErrExpired: no partner was principal within the limit.
	ErrExpired = errors.New("no partner was principal in time")
	// ErrTurn: a partner was principal, and the call's turn did not come within the limit.
	ErrBusy = errors.New("a partner is principal, and the call's turn did not come in time")
	// ErrFull: too many calls, or too many bytes, wait already. See FullError.
	ErrFull = errors.New("the hold is full")
	// ErrClosed: the hold is closed.
	ErrClosed = errors.New("the hold is closed")
)

// FullError is an ErrFull that says which bound was met. Outcome NotApplied.
type FullError struct {
	Bound string // "size" or "bytes"
	Limit int64  // its value, in calls or bytes
}

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("%v: %s %d", ErrFull, e.Bound, e.Limit)
}

// Is makes it an ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Outcome says why a call is not in the hold any more.
type Outcome int

// The outcomes.
const (
	Drained  Outcome = iota // let go to a principal
	Expired                 // the window was over, without a principal
	Left                    // its caller left, or the server ended
	Rejected                // the hold was full
	Late                    // the window was over, and a principal served: too many were before it
)

// String is the word used in metrics.
func (o Outcome) String() string {
	return [...]string{"drained", "expired", "left", "rejected", "late"}[o]
}

// OutcomeOf is the outcome of a wait that ended with err.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Drained
	case errors.Is(err, ErrFull):
		return Rejected
	case errors.Is(err, ErrBusy):
		return Late
	case errors.Is(err, ErrExpired):
		return Expired
	}
	return Left
}
