package session

import (
	"errors"
	"fmt"
	"time"
)

// Outcome says what became of a call that failed.
type Outcome int

// The outcomes. A read is always NotApplied.
const (
	NotApplied Outcome = iota // nothing was changed, and nothing will be changed
	Applied                   // the change was made
	Unknown                   // the call was sent and not answered, and the row does not tell whether it was applied
)

// String returns the outcome as problem details spell it.
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

	// ErrPrecondition: the session exists, or has not the version that the caller named. Nothing was written.
	ErrPrecondition = errors.New("precondition failed")

	// ErrNoPrincipal: no partner became the principal while the call could wait. Nothing was applied.
	ErrNoPrincipal = errors.New("no principal within the hold window")

	// ErrOverloaded: too many calls are waiting, or others were served before this call for as long as it could wait.
	// Nothing was applied.
	ErrOverloaded = errors.New("too many calls are waiting")

	// ErrOutcomeUnknown: the call was sent and not answered, and the row does not tell whether it was applied.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrCollision: the application cannot be registered, because another one has its id. Nothing was applied. Only
	// another name helps.
	ErrCollision = errors.New("another application has the id that this name makes")

	// ErrUnsupported: this store cannot do that. The message has the reason, which is mostly a stock schema.
	ErrUnsupported = errors.New("not supported by this store")
)

// LockedError is ErrLocked with the age of the lock.
type LockedError struct {
	// Age is how long the item has been locked, in whole seconds by the
	// database's clock. It counts second boundaries, so 5 ms may read 1 s.
	// Source: @lockAge of TempGetStateItemExclusive3.
	Age time.Duration

	// Version is the version of the locked session, for [Operation.Waited]; empty if the store does not tell it.
	Version Tag
}

// Error returns the age.
func (e *LockedError) Error() string { return fmt.Sprintf("session is locked for %v", e.Age) }

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// InvalidError is bad input. It says what is wrong with which thing, in words for the caller.
type InvalidError struct {
	What   string // the thing, such as "session id"
	Reason string // what is wrong with it, such as "is empty"
}

// Error joins both to a sentence.
func (e *InvalidError) Error() string { return e.What + " " + e.Reason }

func invalid(what, reason string) error { return &InvalidError{What: what, Reason: reason} }

// TooLargeError is an item above its application's limit.
type TooLargeError struct {
	Limit int // bytes
}

// Error names the limit.
func (e *TooLargeError) Error() string { return fmt.Sprintf("item is larger than %d bytes", e.Limit) }

// OutcomeOf returns the outcome of a call that returned err. An error may have its outcome in a method Outcome()
// Outcome. Of the other errors ErrOutcomeUnknown is Unknown, and the rest are NotApplied.
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
