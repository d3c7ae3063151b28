package session

import (
	"errors"
	"fmt"
	"time"
)

// Outcome says what became of a call that failed.
type Outcome int

// The outcomes. A read is NotApplied whatever happened to it.
const (
	NotApplied Outcome = iota // nothing was changed, and nothing will be
	Applied                   // the change was made
	Unknown                   // it was sent, nobody answered, and the row can't tell
)

// String is the outcome as problem details spell it.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Unknown:
		return "unknown"
	}
	return "not-applied"
}

// The kinds of failure a Store answers with; errors.Is finds them through any wrapping.
var (
	// ErrNotFound: no such session, or it has expired. An answer, not a failure.
	ErrNotFound = errors.New("no such session")

	// ErrLocked: somebody else holds the lock; a *LockedError says for how long.
	ErrLocked = errors.New("session is locked")

	// ErrLockLost: the lock is not the caller's (any more). Nothing was written.
	ErrLockLost = errors.New("the lock is not held any more")

	// ErrPrecondition: the session exists, or is not the version the caller named. Nothing was written.
	ErrPrecondition = errors.New("precondition failed")

	// ErrNoPrincipal: no partner became principal while the call could wait. Nothing was applied.
	ErrNoPrincipal = errors.New("no principal within the hold window")

	// ErrOverloaded: too many calls are waiting already, or were served before this one
	// for as long as it could wait. Nothing was applied.
	ErrOverloaded = errors.New("too many calls are waiting")

	// ErrOutcomeUnknown: the call was sent, nobody answered, and the row can't tell.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrCollision: the application can't be registered, because another one has the id that its name makes.
	// Nothing was applied. Only another name helps.
	ErrCollision = errors.New("another application has the id that this name makes")

	// ErrUnsupported: this store can't do that, for a reason its message gives (a stock schema, mostly).
	ErrUnsupported = errors.New("not supported by this store")
)

// LockedError is ErrLocked with the age of the lock in the way.
type LockedError struct {
	// Age is how long the item has been locked, in whole seconds by the
	// database's clock. It counts second boundaries, so 5 ms may read 1 s.
	// Source: @lockAge of TempGetStateItemExclusive3.
	Age time.Duration

	// Version is the version of the session that is locked, for [Operation.Waited]; empty where the
	// store does not tell it.
	Version Tag
}

// Error gives the age.
func (e *LockedError) Error() string { return fmt.Sprintf("session is locked for %v", e.Age) }

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// InvalidError is bad input: What is wrong with which thing, in words for the caller.
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

// OutcomeOf says what became of a call that returned err. An error may carry its
// outcome by a method Outcome() Outcome; ErrOutcomeUnknown is Unknown; of the rest
// nothing was applied.
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
