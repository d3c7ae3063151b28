package session

import (
	"crypto/rand"
	"time"
)

// OperationID is the 16 bytes that make a mutation repeatable: the same id again
// has the effect of once. The zero value means "none yet".
type OperationID [16]byte

// NewOperationID returns a random id; it is never zero.
func NewOperationID() OperationID {
	var id OperationID
	for id.IsZero() {
		rand.Read(id[:]) // never fails; see crypto/rand
	}
	return id
}

// IsZero reports whether there is no operation id.
func (id OperationID) IsZero() bool { return id == OperationID{} }

// Operation is one call of a mutation. The zero value is a call that nobody
// sends again: the store makes its id, and re-sends it by itself where it must.
type Operation struct {
	// ID is the same in every call of one operation. Whoever gives one says that the
	// call may have been made before, perhaps on another server, and may be made again.
	ID OperationID

	// Call tells the calls of one operation apart. One call may ask the store several
	// times, as one that waits for a lock does. Zero: each use of the store is a call.
	Call OperationID

	// Began is when the call began: what was answered to another call of the operation
	// since then holds for this one too. Zero: when the store is asked.
	Began time.Time

	// AsksAgain is true of a call that waits for a lock: that somebody holds it is not its
	// answer yet. Every other refusal is.
	AsksAgain bool

	// Waited, of a Put without condition, an Acquire with Create or a Remove without lock: a version of the session that
	// the call met while it waits for the lock. Where that session has been removed since, it stays removed: the call makes no
	// other, and a Put overwrites no other; it is ErrNotFound. A Remove is done then, and removes no other. A stock schema does
	// not know of removals, and none knows of .NET's.
	Waited Tag

	// Break lets a Remove without a lock remove the session though somebody holds its lock:
	// the holder's next call is ErrLockLost. No other verb looks at it.
	Break bool

	// Timeout and Seconds, of an Acquire, a Release or a Touch: the session's timeout from then on, as
	// in [Write]. Zeros keep the session's own.
	Timeout, Seconds int

	// Create, of an Acquire: a session that is not there is made, with the lock on it. It is
	// uninitialized, with [EmptyContent], and has the timeout above or its application's default.
	// One that was removed while the call was under way stays removed: ErrNotFound.
	Create bool
}

// NewOperation returns an operation with a random id.
func NewOperation() Operation { return Operation{ID: NewOperationID()} }
