package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"
)

// Ref names one session of one application.
type Ref struct {
	App *Application // not nil; with a name that ParseApplicationName returned, and with defaults for zero rules
	ID  ID
}

// Tag names one version of a session. If two tags of a session are equal, nothing was stored, locked or released between
// them. A read or touch does not change the tag. A tag is opaque: only the store that made it can compare it. Empty
// means that there is no tag.
type Tag string

// Session is a session as a store returns it.
type Session struct {
	// Item is the serialized session, nil if the call does not read it. It belongs to the caller.
	Item []byte

	// Timeout is the session's sliding timeout in minutes; 0 if the store does not know it. On a stock schema a store
	// knows only the timeout in the item.
	Timeout int

	// Seconds is the timeout in seconds if it was set in seconds; Timeout is then rounded up. Otherwise 0.
	Seconds int

	// Expires is when the session expires unless it is used, in UTC by the database's clock; zero if the store does
	// not know it.
	Expires time.Time

	// Uninitialized is true if the session was stored without content and not locked since. The first acquire still
	// returns true, and clears it.
	Uninitialized bool

	// Tag is the session's version after the call.
	Tag Tag

	// Made is true if this call created the session.
	Made bool
}

// Write is content to store.
type Write struct {
	// Item is the serialized session. The store neither keeps nor changes it.
	Item []byte

	// Timeout is in minutes. 0 keeps the session's own, and gives a new session its application's default.
	Timeout int

	// Seconds is the timeout in seconds; Timeout is then ignored. 0: Timeout applies. .NET sees the minutes, rounded
	// up. A stock schema cannot keep seconds: it stores whole minutes as minutes, and other values return
	// ErrUnsupported.
	Seconds int

	// Uninitialized marks a session without content; Item is then EmptyItem or EmptyContent.
	Uninitialized bool
}

// EmptyItem returns the item that ASP.NET keeps for a session without content: the timeout and the end mark, seven
// bytes. Source: facts, session-item-format V1.
func EmptyItem(timeout int) []byte {
	item := make([]byte, 7)
	binary.LittleEndian.PutUint32(item, uint32(timeout))
	item[6] = 0xFF
	return item
}

// EmptyContent returns an item of eleven bytes that .NET reads like [EmptyItem] but never writes: a collection without
// members. By this item, a session that a caller stored without content differs from one that .NET emptied, even after
// its flag was cleared. Source: facts, session-item-format §6, the odd blobs.
func EmptyContent(timeout int) []byte {
	item := make([]byte, emptyContentLength)
	binary.LittleEndian.PutUint32(item, uint32(timeout))
	item[4], item[10] = 1, 0xFF
	return item
}

// emptyContentLength is the length of the timeout, two flags (a collection, static objects), the number of members,
// and the end mark.
const emptyContentLength = 4 + 1 + 1 + 4 + 1

// IsEmptyContent reports whether the item is one that [EmptyContent] made.
func IsEmptyContent(item []byte) bool {
	if len(item) != emptyContentLength {
		return false
	}
	return bytes.Equal(item, EmptyContent(int(binary.LittleEndian.Uint32(item))))
}

// Condition limits a Put.
type Condition struct {
	OnlyCreate bool // store only if there is no such session
	Match      Tag  // if not empty: store only if the session's version is this one
}

// GetOptions chooses how a session is read.
type GetOptions struct {
	Peek        bool // do not renew the expiry
	AllowLocked bool // read the last committed item even if another caller holds the lock
	NoItem      bool // do not read the item
}

// Store keeps sessions. Its verbs are those of ASP.NET's session-state store.
//
// Every method may be called by any number of goroutines. Every method ends by ctx's deadline, or by the store's own
// if ctx has none. If the caller cancels ctx, the call ends with ctx's error, and may have been applied. If such a call
// was granted a lock, the lock is released in the background if the database answers in time; otherwise it ends by its
// age.
//
// Every mutation takes an [Operation]. Repeating it with the same id has no further effect and returns the first answer,
// as long as the session remembers the id; it remembers the last four. After a call of an operation was answered, calls
// of that operation that began earlier have no effect: they get the same answer. A store on the stock schema remembers
// no operations; see its documentation.
//
// A store asks the [Permission] in ctx, if there is one, before each attempt. A refusal is the answer of the call, and
// nothing is sent again. If an earlier attempt was sent and not answered, the outcome of the refusal is [Unknown].
//
// A read or touch may extend a session by up to five percent more than its timeout in minutes, so that most reads write
// nothing. A session whose timeout is in seconds is not extended further.
//
// The comment of each method names its errors. Besides these, any call can return [ErrNoPrincipal], [ErrOverloaded] and
// [ErrOutcomeUnknown]; [OutcomeOf] returns the outcome. A bad timeout returns an [*InvalidError], and an item above the
// application's limit a [*TooLargeError]; nothing is sent then.
//
// For an expired session every method returns ErrNotFound, whether the session was swept or not, unless its lock is held
// and not abandoned. A lock older than the application's LockTimeout is abandoned: it no longer stops other callers, but
// its holder may still use it until another caller takes the lock or stores.
type Store interface {
	// Get reads a session without locking it and renews its expiry. Errors: ErrNotFound; *LockedError while another
	// caller holds the lock, unless AllowLocked is set.
	Get(ctx context.Context, ref Ref, opts GetOptions) (Session, error)

	// Acquire takes the exclusive lock, reads the session and renews its expiry. The operation may set the timeout, and
	// may create a missing session; Made is then true for every call of the operation that gets the lock. Another call
	// with the same operation id gets the same lock while it is held, with the current session, and ErrLockLost later.
	// Errors: ErrNotFound; *LockedError while another caller holds the lock.
	Acquire(ctx context.Context, ref Ref, op Operation) (Session, Lock, error)

	// Update stores under a lock. It releases the lock, or with keep keeps it and renews its age. Errors: ErrLockLost,
	// also if there is no such session.
	Update(ctx context.Context, ref Ref, lock Lock, w Write, keep bool, op Operation) (Session, error)

	// Put stores without a lock, or creates the session if it does not exist. An expired session counts as missing: the
	// new one keeps nothing of it. A condition may forbid storing or creating. Errors: *LockedError while another caller
	// holds the lock; ErrPrecondition; ErrNotFound if the session was removed during the call, before the call had its
	// effect.
	Put(ctx context.Context, ref Ref, w Write, cond Condition, op Operation) (Session, error)

	// Release releases the lock. It renews the expiry, and sets the timeout if the operation has one. Errors:
	// ErrLockLost, also if there is no such session.
	Release(ctx context.Context, ref Ref, lock Lock, op Operation) error

	// GiveBack undoes an acquire whose caller has left. It releases the lock and makes the session forget the operation.
	// Errors: ErrLockLost if the lock was not granted to that call, or another call of the operation has got it since. A
	// zero call means the only call of an operation.
	GiveBack(ctx context.Context, ref Ref, lock Lock, call OperationID) error

	// Remove removes the session. With a zero lock it returns a *LockedError while another caller holds the lock, unless
	// the operation has Break. With a lock it returns ErrLockLost if that is not the session's lock. Removing a missing
	// session is not an error.
	Remove(ctx context.Context, ref Ref, lock Lock, op Operation) error

	// Touch renews the expiry, even if the session is locked, and sets the timeout if the operation has one. Errors:
	// ErrNotFound. Touching twice is harmless, so the operation's id is ignored: a touch may take effect more than once
	// during the call, but never after the answer.
	Touch(ctx context.Context, ref Ref, op Operation) (Session, error)
}

// Entry is one session in a listing.
type Entry struct {
	ID            ID        `json:"id"`
	Created       time.Time `json:"created"`
	Expires       time.Time `json:"expires"`
	Expired       bool      `json:"expired"`             // by the database's clock; false while an unabandoned lock keeps the session
	Timeout       int       `json:"timeout"`             // minutes, rounded up
	Seconds       int       `json:"timeout_s,omitempty"` // the timeout in seconds if it was set in seconds; otherwise 0
	Locked        bool      `json:"locked"`
	LockAge       int       `json:"lock_age_s"` // seconds, while locked
	Uninitialized bool      `json:"uninitialized"`
	Size          int       `json:"size"` // bytes of the item
}

// Lister is a Store that can list its sessions, for operators.
type Lister interface {
	// List returns up to limit sessions of app in the order of their ids, including expired ones. It begins after the
	// given id; an empty id means the start.
	List(ctx context.Context, app *Application, after ID, limit int) ([]Entry, error)
}
