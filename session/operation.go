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

// Operation identifies one call of a mutation, and has its options. The zero value is for a call that its caller does
// not repeat: the store makes an id, so that it can send the call again itself.
type Operation struct {
	// ID is the same in every call of one operation. If the caller sets it, the call may have been made before, perhaps
	// through another server, and may be made again.
	ID OperationID

	// Call distinguishes the calls of one operation. One call may use the store several times, for example while it waits
	// for a lock. Zero: each use of the store is a call of its own.
	Call OperationID

	// Began is when the call began. If another call of the operation was answered after that, this call gets the same
	// answer. Zero: the time when the store is used.
	Began time.Time

	// AsksAgain is true for a call that waits for a lock: "locked" is not its final answer. All other refusals are.
	AsksAgain bool

	// Waited is a version of the session for whose lock the call has waited. A Put without condition, an Acquire with
	// Create and a Remove without lock use it. If that session was removed meanwhile, a Put or Acquire returns
	// ErrNotFound: it neither creates a session nor overwrites a new one. A Remove returns nil, and does not remove a
	// new session. A stock schema does not record removals, and no schema records those by .NET.
	Waited Tag

	// Break lets a Remove without a lock remove the session although another caller holds its lock: the holder's next
	// call gets ErrLockLost. No other verb uses it.
	Break bool

	// Timeout and Seconds, of an Acquire, a Release or a Touch, set the session's timeout, as in [Write]. Zeros keep
	// the session's own.
	Timeout, Seconds int

	// Create makes an Acquire create a missing session and lock it. The session is uninitialized, with [EmptyContent],
	// and has the timeout above or its application's default. If the session was removed during the call, it is not
	// created again: ErrNotFound.
	Create bool
}

// NewOperation returns an operation with a random id.
func NewOperation() Operation { return Operation{ID: NewOperationID()} }
