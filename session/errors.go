package session

import (
	"errors"
	"fmt"
	"time"
)

// Outcome says whether a call that failed was applied.
type Outcome int

// The outcomes. A read is always NotApplied.
const (
	NotApplied Outcome = iota // nothing was changed, and nothing will be changed
	Applied                   // the change was made
	Unknown                   // the call was sent and not answered, and the row does not show whether it was applied
)

// String returns the name used in problem details.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Unknown:
		return "unknown"
	}
	return "not-applied"
}

// The errors of a Store; errors.Is finds them through any wrapping.
var (
	// ErrNotFound: there is no such session, or it has expired. An answer, not a failure.
	ErrNotFound = errors.New("no such session")

	// ErrLocked: another caller holds the lock; a *LockedError has the lock's age.
	ErrLocked = errors.New("session is locked")

	// ErrLockLost: the caller does not hold the lock, or no longer holds it. Nothing was written.
	ErrLockLost = errors.New("the lock is not held any more")

	// ErrPrecondition: the session exists, or does not have the version that the caller named. Nothing was written.
	ErrPrecondition = errors.New("precondition failed")

	// ErrNoPrincipal: no partner became the principal while the call could wait. Nothing was applied.
	ErrNoPrincipal = errors.New("no principal within the hold window")

	// ErrOverloaded: too many calls are waiting, or the call could not wait longer while others were served before it.
	// Nothing was applied.
	ErrOverloaded = errors.New("too many calls are waiting")

	// ErrOutcomeUnknown: the call was sent and not answered, and the row does not show whether it was applied.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrCollision: the application cannot be registered, because another one has its id. Nothing was applied. The
	// application needs another name.
	ErrCollision = errors.New("another application has the id of this name")

	// ErrUnsupported: this store cannot do that. The message has the reason, usually a stock schema.
	ErrUnsupported = errors.New("not supported by this store")
)

// LockedError is an ErrLocked that has the age of the lock.
type LockedError struct {
	// Age is how long the item has been locked, in whole seconds by the
	// database's clock. It counts second boundaries, so 5 ms may read 1 s.
	// Source: @lockAge of TempGetStateItemExclusive3.
	Age time.Duration

	// Version is the version of the locked session, for [Operation.Waited]; empty if the store does not know it.
	Version Tag
}

// Error returns the age.
func (e *LockedError) Error() string { return fmt.Sprintf("session is locked for %v", e.Age) }

// Is reports whether target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// InvalidError is the error of bad input. Its text is for the caller.
type InvalidError struct {
	What   string // the thing, such as "session id"
	Reason string // what is wrong with it, such as "is empty"
}

// Error joins both to a sentence.
func (e *InvalidError) Error() string { return e.What + " " + e.Reason }

func invalid(what, reason string) error { return &InvalidError{What: what, Reason: reason} }

// TooLargeError is the error of an item above its application's limit.
type TooLargeError struct {
	Limit int // bytes
}

// Error names the limit.
func (e *TooLargeError) Error() string { return fmt.Sprintf("item is larger than %d bytes", e.Limit) }

// OutcomeOf returns the outcome of a call that returned err. If err has a method Outcome() Outcome, that decides.
// Otherwise it is Unknown for ErrOutcomeUnknown, and NotApplied for all other errors.
func OutcomeOf(err error) Outcome {
	var o interface{ Outcome() Outcome }
	switch {
	case errors.As(err, &o):
		return o.Outcome()
	case errors.Is(err, ErrOutcomeUnknown):
		return Unknown
	}
	return NotApplied
}
