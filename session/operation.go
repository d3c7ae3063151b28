package session

import (
	"crypto/rand"
	"time"
)

// OperationID is the 16 bytes that make a mutation repeatable: repeating it with the same id has no further effect.
// The zero value means that there is no id yet.
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

// Operation is one call of a mutation. The zero value is a call that its caller does not repeat: the store makes an
// id for it, and sends it again by itself if it must.
type Operation struct {
	// ID is the same in every call of one operation. A caller that sets it says that the call may have been made
	// before, perhaps on another server, and may be made again.
	ID OperationID

	// Call tells the calls of one operation apart. One call may use the store several times, such as a call that
	// waits for a lock. Zero: each use of the store is a call.
	Call OperationID

	// Began is when the call began. What another call of the operation was answered after that is the answer to this
	// call too. Zero: when the store is used.
	Began time.Time

	// AsksAgain is true for a call that waits for a lock: "locked" is not its final answer. Every other refusal is.
	AsksAgain bool

	// Waited is used by a Put without condition, an Acquire with Create and a Remove without lock. It is a version of
	// the session that the call met while it waited for the lock. If that session has been removed since, it stays
	// removed: the call creates no new session, and a Put overwrites none; the error is ErrNotFound. A Remove is then
	// done, and removes no other session. A stock schema does not know of removals, and no schema knows of .NET's.
	Waited Tag

	// Break lets a Remove without a lock remove the session although another caller holds its lock: the holder's next
	// call gets ErrLockLost. No other verb uses it.
	Break bool

	// Timeout and Seconds, of an Acquire, a Release or a Touch, set the session's timeout, as in [Write]. Zeros keep
	// the session's own.
	Timeout, Seconds int

	// Create has an Acquire create a missing session, with the lock on it. The session is uninitialized, with
	// [EmptyContent], and has the timeout above or its application's default. A session that was removed during the
	// call stays removed: ErrNotFound.
	Create bool
}

// NewOperation returns an operation with a random id.
func NewOperation() Operation { return Operation{ID: NewOperationID()} }
