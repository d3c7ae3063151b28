package hold

import (
	"errors"
	"fmt"
)

// The errors of a wait in the hold. It can also end with the error of the call's context.
var (
	// ErrExpired means that no partner was principal within the limit.
	ErrExpired = errors.New("no partner was principal in time")
	// ErrBusy means that a partner was principal, but too many other calls were released first.
	ErrBusy = errors.New("a partner is principal, but too many calls waited before this one")
	// ErrFull means that too many calls or too many bytes wait already. The error is a *FullError.
	ErrFull = errors.New("the hold is full")
	// ErrClosed means that the hold is closed.
	ErrClosed = errors.New("the hold is closed")
)

// FullError is an ErrFull that says which bound was reached. Nothing was sent.
type FullError struct {
	Bound string // "size" or "bytes"
	Limit int64  // the bound's value, in calls or bytes
}

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("%v: %s %d", ErrFull, e.Bound, e.Limit)
}

// Is reports whether target is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Outcome says how a wait in the hold ended.
type Outcome int

// The outcomes.
const (
	Drained  Outcome = iota // released to a principal
	Expired                 // the time limit was over, and there was no principal
	Left                    // its caller left, or the hold was closed
	Rejected                // the hold was full
	Late                    // the time limit was over although a principal served: too many calls were released first
)

// String returns the name used in metrics.
func (o Outcome) String() string {
	return [...]string{"drained", "expired", "left", "rejected", "late"}[o]
}

// OutcomeOf returns the outcome of a wait that ended with err.
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
