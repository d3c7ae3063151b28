package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"
)

// Ref names one session of one application.
type Ref struct {
	App *Application // not nil; its name as ParseApplicationName gives it, its rules with defaults
	ID  ID
}

// Tag names one version of a session. Two equal tags of one session mean that nothing was stored, locked or released
// between them. A read or touch does not change it. It is opaque: only the store that made it can compare it. Empty
// means none.
type Tag string

// Session is a session as a store returns it.
type Session struct {
	// Item is the serialized session, nil if the call does not read it. It belongs to the caller.
	Item []byte

	// Timeout is the session's sliding timeout in minutes, 0 if the store does not know it (a stock schema has only
	// what the item itself says).
	Timeout int

	// Seconds is the timeout in seconds if it was set in seconds, else 0. Timeout is then rounded up.
	Seconds int

	// Expires is when the session expires unless it is used, in UTC by the database's clock; zero if the store does
	// not know it.
	Expires time.Time

	// Uninitialized is true while the session was created without content: reads report it, the first acquire reports
	// and clears it.
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
	// up. A stock schema cannot keep seconds: it takes those that are whole minutes as minutes, and refuses others
	// with ErrUnsupported.
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

// EmptyContent returns an item that .NET reads as it reads [EmptyItem], and never writes: a collection that exists
// and has no members, eleven bytes. It tells a session that a caller stored without content from one that .NET
// emptied, whatever happened to its flag since. Source: facts, session-item-format §6, the odd blobs.
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
	Peek        bool // do not slide the expiry
	AllowLocked bool // read the last committed item beside a lock's holder
	NoItem      bool // leave the item out
}

// Store keeps sessions. Its verbs are those of ASP.NET's session-state store.
//
// Every method may be called by any number of goroutines. Every method ends by ctx's deadline, or by the store's own
// if ctx has none. If the caller cancels ctx, the call ends with ctx's error, and may have been applied. A lock that
// was granted to such a call, and not yet returned, is released in the background if the database answers in time;
// otherwise it ends by its age.
//
// Every mutation takes an [Operation]. Repeating it with the same id, whenever and however often, has no further
// effect and gives the first answer, as long as the session remembers the id (it remembers the last four). Once a
// call of an operation was answered, calls of that operation that began earlier have no effect any more: they get the
// same answer. A store on the stock schema remembers no operations; see its documentation.
//
// A call whose ctx has a [Permission] asks it before each attempt. If the permission is refused, that is the answer,
// and an earlier attempt that was not answered is not sent again: the refusal's outcome is then [Unknown].
//
// A read or touch of a session whose timeout is in minutes may extend it by up to five percent, so that most write
// nothing. A session whose timeout is in seconds is not extended further.
//
// Errors: besides those that each method names, [ErrNoPrincipal], [ErrOverloaded] and [ErrOutcomeUnknown] can end any
// call; [OutcomeOf] returns the outcome. Input is checked: a bad timeout or an item above the application's limit is
// an [*InvalidError] or [*TooLargeError], and nothing is sent.
//
// A session whose expiry has passed is ErrNotFound to every method, whether it was swept or not, unless its lock is
// held and not abandoned. A lock older than the application's LockTimeout is abandoned: it no longer stops anybody
// but its holder.
type Store interface {
	// Get reads a session without locking it and renews its expiry. ErrNotFound; *LockedError while another caller
	// holds the lock, unless allowed.
	Get(ctx context.Context, ref Ref, opts GetOptions) (Session, error)

	// Acquire takes the exclusive lock, reads the session and renews its expiry. The operation may set the timeout.
	// It may also have a missing session created; Made is then true for every call of the operation that gets the
	// lock. The same operation id again gets the same lock while it is held, with the session as it is then, and
	// ErrLockLost after. ErrNotFound; *LockedError while another caller holds the lock.
	Acquire(ctx context.Context, ref Ref, op Operation) (Session, Lock, error)

	// Update stores under a lock and releases it, or keeps it and renews its age. ErrLockLost, also if there is no
	// such session.
	Update(ctx context.Context, ref Ref, lock Lock, w Write, keep bool, op Operation) (Session, error)

	// Put stores without a lock, and creates the session if there is none (an expired session counts as none: the new
	// one has nothing of it). A condition may forbid either. *LockedError while another caller holds the lock;
	// ErrPrecondition. A session that was removed during the call stays removed: ErrNotFound if the removal came
	// before the call's own effect.
	Put(ctx context.Context, ref Ref, w Write, cond Condition, op Operation) (Session, error)

	// Release releases the lock. It changes only the expiry, which it renews, and the timeout if the operation has
	// one. ErrLockLost, also if there is no such session.
	Release(ctx context.Context, ref Ref, lock Lock, op Operation) error

	// GiveBack undoes an acquire whose caller has left. It releases the lock if the lock was granted to that call of
	// the acquire, and no other call of the same operation has got it since, and has the session forget the
	// operation. Zero call: the call of an operation that has one call. ErrLockLost if there is nothing to give back.
	GiveBack(ctx context.Context, ref Ref, lock Lock, call OperationID) error

	// Remove removes the session: as the lock's holder, or with a zero lock unless another caller holds the lock
	// (*LockedError), or in any case if the operation says so. ErrLockLost if the given lock is not the session's.
	// Removing a missing session is no error.
	Remove(ctx context.Context, ref Ref, lock Lock, op Operation) error

	// Touch renews the expiry, locked or not, and sets the timeout if the operation has one. ErrNotFound. Touching
	// twice is harmless, so the operation's id makes no difference: during the call a touch may take effect more than
	// once, but never after the answer.
	Touch(ctx context.Context, ref Ref, op Operation) (Session, error)
}

// Entry is one session in a listing.
type Entry struct {
	ID            ID        `json:"id"`
	Created       time.Time `json:"created"`
	Expires       time.Time `json:"expires"`
	Expired       bool      `json:"expired"`             // by the database's clock; false while an unabandoned lock keeps the session
	Timeout       int       `json:"timeout"`             // minutes, rounded up
	Seconds       int       `json:"timeout_s,omitempty"` // the timeout in seconds if it was set in seconds, else 0
	Locked        bool      `json:"locked"`
	LockAge       int       `json:"lock_age_s"` // seconds, while locked
	Uninitialized bool      `json:"uninitialized"`
	Size          int       `json:"size"` // bytes of the item
}

// Lister is a Store that can list its sessions, for operators.
type Lister interface {
	// List returns up to limit sessions of app in the order of their ids, from the first one after the given id (""
	// from the start), including expired ones.
	List(ctx context.Context, app *Application, after ID, limit int) ([]Entry, error)
}
