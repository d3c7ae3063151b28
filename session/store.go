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

// Tag names one version of a session: two equal tags of one session mean that
// nothing was stored, locked or released between them. A read or touch does not
// change it. Opaque; only the store that made it can compare it. Empty means none.
type Tag string

// Session is what a store tells about a session.
type Session struct {
	// Item is the serialized session, nil where the call does not read it.
	// It belongs to the caller.
	Item []byte

	// Timeout is the sliding life of the session in minutes, 0 where the store
	// can't know (a stock schema tells only what the item itself says).
	Timeout int

	// Seconds is the same to the second, where it was set in seconds; else 0. Timeout
	// is then rounded up.
	Seconds int

	// Expires is when the session ends unless it is used, UTC by the database's
	// clock; zero where the store can't know.
	Expires time.Time

	// Uninitialized is true while the session was created without content:
	// reads report it, the first acquire reports and clears it.
	Uninitialized bool

	// Tag is the session's version after the call.
	Tag Tag

	// Made is true if this very call made the session.
	Made bool
}

// Write is content to store.
type Write struct {
	// Item is the serialized session. Not kept and not changed by the store.
	Item []byte

	// Timeout in minutes; 0 keeps the session's own, and gives a new session
	// its application's default.
	Timeout int

	// Seconds is the timeout to the second, instead of Timeout, which is not looked at then; 0: Timeout
	// says it. To .NET the session has the minutes, rounded up. A stock schema can't keep seconds: it takes those that
	// are whole minutes as minutes, and refuses others, ErrUnsupported.
	Seconds int

	// Uninitialized marks a session that has no content yet; Item is then EmptyItem or EmptyContent.
	Uninitialized bool
}

// EmptyItem is the item ASP.NET keeps for a session without content: the timeout
// and the end mark, seven bytes. Source: facts, session-item-format V1.
func EmptyItem(timeout int) []byte {
	item := make([]byte, 7)
	binary.LittleEndian.PutUint32(item, uint32(timeout))
	item[6] = 0xFF
	return item
}

// EmptyContent is an item that .NET reads as it reads [EmptyItem], and never writes: a
// collection that is there and has no members, eleven bytes. It tells a session that a
// caller stored without content from one that .NET emptied, whatever became of its flag
// since. Source: facts, session-item-format §6, the odd blobs.
func EmptyContent(timeout int) []byte {
	item := make([]byte, emptyContentLength)
	binary.LittleEndian.PutUint32(item, uint32(timeout))
	item[4], item[10] = 1, 0xFF
	return item
}

// emptyContentLength counts the timeout, whether there is a collection and static objects, the number of
// members, and the end mark.
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
// Every method may be called by any number of goroutines. Every method ends by
// ctx's deadline, or by one of the store's own where ctx has none. A ctx that the
// caller cancelled ends the call with ctx's error; what was under way then may
// have been applied. A lock that was granted to such a call, and not yet returned, is
// released in the background if the database answers in time; otherwise it ends by its age.
//
// Every mutation takes an [Operation]. The same id again, whenever and however
// often, has the effect of once and answers as the first did, as long as the
// session remembers it (it remembers the last four). Once a call of an operation
// was answered, none of that operation's calls that began before has an effect any
// more: it answers what was answered then. A store on the stock schema remembers no
// operations; see its documentation.
//
// A call whose ctx has a [Permission] asks it before each attempt, and answers its refusal. An earlier attempt that
// was not answered is not sent again then: the refusal's outcome is [Unknown].
//
// A read or touch of a session whose timeout is in minutes may give it up to five percent more, so that most write
// nothing. One whose timeout is in seconds has no second more.
//
// Errors: besides those each method names, [ErrNoPrincipal], [ErrOverloaded] and
// [ErrOutcomeUnknown] can end any call; [OutcomeOf] tells what became of it.
// Input is checked: a bad timeout or an item above the application's limit is an
// [*InvalidError] or [*TooLargeError], and nothing is sent.
//
// A session whose expiry has passed is ErrNotFound to every method, swept or not,
// unless its lock is held and not abandoned. A lock older than the application's
// LockTimeout is abandoned: to everybody but its holder it is no lock any more.
type Store interface {
	// Get reads a session without locking it and slides its expiry.
	// ErrNotFound; *LockedError while somebody holds the lock, unless allowed.
	Get(ctx context.Context, ref Ref, opts GetOptions) (Session, error)

	// Acquire takes the exclusive lock and reads the session, sliding its expiry. The operation
	// may set its timeout, and have a session made where there is none, which Made then tells, to
	// every call of the operation that finds the lock.
	// The same operation id again finds the same lock while it is held, and the session as
	// it is then, and ErrLockLost after. ErrNotFound; *LockedError while somebody else holds it.
	Acquire(ctx context.Context, ref Ref, op Operation) (Session, Lock, error)

	// Update stores under a lock and releases it, or keeps it and renews its age.
	// ErrLockLost, also if there is no such session.
	Update(ctx context.Context, ref Ref, lock Lock, w Write, keep bool, op Operation) (Session, error)

	// Put stores without a lock, making the session if there is none (an expired
	// one counts as none: its successor has nothing of it). A condition may forbid
	// either. *LockedError while somebody holds the lock; ErrPrecondition.
	// A session that was removed while the call was under way stays removed:
	// ErrNotFound if that came before the call's own effect.
	Put(ctx context.Context, ref Ref, w Write, cond Condition, op Operation) (Session, error)

	// Release gives the lock back and changes nothing else but the expiry, which
	// it slides, and the timeout, where the operation has one. ErrLockLost, also if there is no such session.
	Release(ctx context.Context, ref Ref, lock Lock, op Operation) error

	// GiveBack undoes an acquire whose caller has left: it releases the lock if it was
	// granted to that call of the acquire and no other call of the same operation has
	// found it since, and has the session forget the operation. Zero call: that of an
	// operation that has one call. ErrLockLost where there is nothing to give back.
	GiveBack(ctx context.Context, ref Ref, lock Lock, call OperationID) error

	// Remove ends the session: as the lock's holder, or with a zero lock unless
	// somebody holds it (*LockedError), or whoever holds it where the operation says so.
	// ErrLockLost if the lock given is not the session's. To remove what is not there is
	// done already, and no error.
	Remove(ctx context.Context, ref Ref, lock Lock, op Operation) error

	// Touch slides the expiry, locked or not, and sets the timeout, where the operation has
	// one. ErrNotFound. Touching twice is harmless, so the operation's id makes no difference:
	// while it is under way a touch may take effect more than once, and never once it was answered.
	Touch(ctx context.Context, ref Ref, op Operation) (Session, error)
}

// Entry is one session in a listing.
type Entry struct {
	ID            ID        `json:"id"`
	Created       time.Time `json:"created"`
	Expires       time.Time `json:"expires"`
	Expired       bool      `json:"expired"`             // by the database's clock; false while a lock that is not abandoned keeps the session
	Timeout       int       `json:"timeout"`             // minutes, rounded up
	Seconds       int       `json:"timeout_s,omitempty"` // the same to the second, where it was set in seconds; else 0
	Locked        bool      `json:"locked"`
	LockAge       int       `json:"lock_age_s"` // seconds, while locked
	Uninitialized bool      `json:"uninitialized"`
	Size          int       `json:"size"` // bytes of the item
}

// Lister is a Store whose sessions can be listed, for operators.
type Lister interface {
	// List returns up to limit sessions of app in the order of their ids, from
	// the first one after the id given ("" from the start), expired ones included.
	List(ctx context.Context, app *Application, after ID, limit int) ([]Entry, error)
}
