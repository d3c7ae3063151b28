package memory

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// ringSize is how many operations a session remembers.
const ringSize = 4

// row is one session: the columns of the extended schema that one process needs.
type row struct {
	id       session.ID
	created  time.Time
	expires  time.Time
	timeout  int // minutes, rounded up
	seconds  int // the timeout in seconds if it was given in seconds; otherwise 0
	lockDate time.Time
	cookie   int32
	locked   bool

	item          []byte // never changed in place, so it may be read without the store's mutex
	uninitialized bool

	lockOp            session.OperationID // the operation id of the acquire that got the newest lock
	lockCall          session.OperationID // the call of that acquire that may give the lock back; zero: no call may
	lockUninitialized bool                // Uninitialized as that acquire returns it: the flag at the grant, or as the holder stored it later

	ring   [ringSize]session.OperationID // newest first
	madeBy session.OperationID           // the operation that made the session
}

// live reports whether the row has not expired, regardless of its lock.
func (r *row) live(c call) bool { return r.expires.After(c.now) }

// held reports whether the row is locked and the lock is not abandoned.
func (r *row) held(c call) bool { return r.locked && r.lockDate.After(c.abandoned) }

// holder reports whether lock is the row's lock, abandoned or not. In this package, code that changes the cookie also
// sets lockOp or removes the lock.
func (r *row) holder(lock session.Lock) bool {
	return r.locked && r.cookie == lock.Cookie && r.lockOp == lock.Operation
}

// lockedError returns the error for other callers. Like DATEDIFF, it counts second boundaries.
func (r *row) lockedError(c call) error {
	seconds := max(0, c.now.Unix()-r.lockDate.Unix())
	return &session.LockedError{Age: time.Duration(seconds) * time.Second, Version: r.tag()}
}

// slide renews the expiry if less than the full timeout is left. It then adds five percent, as the database does, so
// that most reads write nothing.
func (r *row) slide(c call) {
	if !r.expires.Before(c.now.Add(r.life())) {
		return
	}
	if r.expires = c.now.Add(time.Duration(r.timeout) * 63 * time.Second); r.seconds != 0 { // no five percent
		r.expires = c.now.Add(r.life())
	}
}

// life returns the timeout.
func (r *row) life() time.Duration {
	if r.seconds != 0 {
		return time.Duration(r.seconds) * time.Second
	}
	return time.Duration(r.timeout) * time.Minute
}

// setTimeout sets the timeout if one is given, and the expiry of a row that is used now.
func (r *row) setTimeout(c call, timeout, seconds int) {
	if timeout != 0 || seconds != 0 {
		r.timeout, r.seconds = session.SplitTimeout(timeout, seconds)
	}
	r.expires = c.now.Add(r.life())
}

// grant gives the lock to op.
func (r *row) grant(c call, op session.Operation) {
	r.setTimeout(c, op.Timeout, op.Seconds)
	r.locked, r.lockDate = true, c.now
	r.cookie++
	r.lockOp, r.lockCall = op.ID, op.Call
	r.lockUninitialized, r.uninitialized = r.uninitialized, false
	r.remember(op.ID)
}

// makeLocked creates the session, or replaces an expired one, and gives the lock to op.
func (r *row) makeLocked(c call, op session.Operation) {
	w := session.Write{Timeout: op.Timeout, Seconds: op.Seconds, Uninitialized: true}
	minutes, _ := session.SplitTimeout(op.Timeout, op.Seconds)
	if minutes == 0 {
		minutes = c.app.Timeout
	}
	w.Item = session.EmptyContent(minutes)
	r.store(c, w, true)
	r.madeBy = op.ID
	r.grant(c, op)
}

// forget replaces the id of an operation that was undone by a new id.
func (r *row) forget(op session.OperationID) {
	if i := slices.Index(r.ring[:], op); i >= 0 {
		r.ring[i] = session.NewOperationID()
	}
	r.lockOp = session.OperationID{}
}

// allows returns nil if a Put may store, and otherwise its error. r is nil if there is no row.
func (r *row) allows(c call, cond session.Condition) error {
	switch {
	case r == nil && cond.Match != "":
		return session.ErrPrecondition
	case r == nil:
		return nil
	case r.held(c) && cond.OnlyCreate:
		return session.ErrPrecondition
	case r.held(c):
		return r.lockedError(c)
	case cond.OnlyCreate && r.live(c):
		return session.ErrPrecondition
	case cond.Match != "" && (!r.live(c) || r.tag() != cond.Match):
		return session.ErrPrecondition
	}
	return nil
}

// store writes without a lock. It changes the cookie, so that no older lock matches.
func (r *row) store(c call, w session.Write, made bool) {
	if made {
		r.created, r.timeout, r.seconds = c.created, c.app.Timeout, 0
	}
	r.setTimeout(c, w.Timeout, w.Seconds)
	r.locked, r.lockDate = false, c.now
	r.cookie++
	r.item, r.uninitialized = w.Item, w.Uninitialized
}

// remember adds op at the head of the ring; the oldest is dropped.
func (r *row) remember(op session.OperationID) {
	copy(r.ring[1:], r.ring[:])
	r.ring[0] = op
}

func (r *row) remembers(op session.OperationID) bool { return slices.Contains(r.ring[:], op) }

// session returns the row as a session, without the item.
func (r *row) session() session.Session {
	return session.Session{
		Timeout:       r.timeout,
		Seconds:       r.seconds,
		Expires:       r.expires,
		Uninitialized: r.uninitialized,
		Tag:           r.tag(),
	}
}

// stored returns the answer to the write of operation op. Its tag is made with op as the newest operation. If the write
// is sent again, other writes may have followed, and its caller must not get the tag of their version.
func (r *row) stored(op session.OperationID) session.Session {
	out := r.session()
	out.Tag = r.tagOf(op)
	return out
}

// createdOf returns the time at which the session of a tag was created; ok is false for an invalid tag.
func createdOf(t session.Tag) (nanoseconds int64, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(string(t))
	if err != nil || len(b) < 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b)), true
}

// tag returns the row's version.
func (r *row) tag() session.Tag { return r.tagOf(r.ring[0]) }

// tagOf returns the tag made of the creation time, the lock cookie, the lock and the newest operation.
func (r *row) tagOf(newest session.OperationID) session.Tag {
	b := make([]byte, 0, 8+4+1+len(session.OperationID{}))
	b = binary.BigEndian.AppendUint64(b, uint64(r.created.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, uint32(r.cookie))
	if r.locked {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, newest[:]...)
	return session.Tag(base64.RawURLEncoding.EncodeToString(b))
}
