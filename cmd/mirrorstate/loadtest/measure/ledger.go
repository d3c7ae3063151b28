package measure

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Integrity is the result of the checks of a [Ledger]. All counts include the warm-up.
type Integrity struct {
	AcknowledgedWrites  int64 `json:"acknowledged_writes"`  // writes that a server acknowledged
	LostWrites          int64 `json:"lost_writes"`          // acknowledged writes that a later read did not find
	DoubleGrants        int64 `json:"double_grants"`        // locks granted while another client held them
	UnknownOutcomes     int64 `json:"unknown_outcomes"`     // mutations without an answer that says whether they were applied
	ResurrectedSessions int64 `json:"resurrected_sessions"` // sessions that a call found after their removal was acknowledged
	GhostWrites         int64 `json:"ghost_writes"`         // writes that took effect although they were refused, or after their time was over
	DamagedItems        int64 `json:"damaged_items"`        // items that the load did not write
	ReadBack            int64 `json:"read_back"`            // sessions that were read at the end, removed ones included
	UnreadSessions      int64 `json:"unread_sessions"`      // sessions that could not be read at the end
}

// Ledger checks the answers of the servers against the writes, locks and removals that they
// acknowledged. Its methods, and those of its entries, may be called concurrently.
//
// A client notes what makes the ledger expect more after the answer, and what makes it expect less
// before the call. So the ledger never expects more than the servers have acknowledged, and each
// loss that it counts is a real loss.
type Ledger struct {
	stamps atomic.Uint64

	mu    sync.Mutex
	found Integrity // guarded by mu
}

// Found returns the counts so far.
func (l *Ledger) Found() Integrity {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found
}

// count calls change with the counts, under the lock.
func (l *Ledger) count(change func(*Integrity)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.found)
}

// ReadAtEnd counts one session of the read-back at the end. read is false if the session could not
// be read.
func (l *Ledger) ReadAtEnd(read bool) {
	l.count(func(i *Integrity) {
		if read {
			i.ReadBack++
		} else {
			i.UnreadSessions++
		}
	})
}

// Entry is the ledger's knowledge about one session.
//
// A client writes while it holds the session's lock. It derives each write from the item that came
// with the lock. So the writes that took effect form a chain: each one is based on the one before.
// A read must find the last write of the chain as it was known when the read began, or a later one.
// A write is known to have taken effect once it is acknowledged or once a client has seen it.
type Entry struct {
	ID     session.ID // the session's id
	ledger *Ledger

	mu     sync.Mutex        // guards all fields below
	head   *Write            // last write of the chain; nil: none yet
	writes map[uint64]*Write // by stamp: writes that no client has seen yet, and the last few of the chain
	recent []*Write          // the last few writes of the chain, oldest first

	holders int  // clients that were granted the lock and have not begun to release it
	active  int  // clients that may hold the lock
	entered int  // how many clients have asked for the lock so far
	leaving bool // a client has claimed the removal

	removing    int  // removals that were begun and not refused
	removed     bool // a removal was acknowledged
	resurrected bool // counted as resurrected
	vanished    bool // all its writes are counted as lost
}

// NewEntry returns the entry of a session that does not exist yet.
func (l *Ledger) NewEntry(id session.ID) *Entry {
	return &Entry{ID: id, ledger: l, writes: map[uint64]*Write{}}
}

// View is the ledger's knowledge about a session when a call began. [Entry.BeginCall] returns it, and the check of the
// call's answer uses it.
type View struct {
	began   time.Time
	head    *Write
	removed bool
	others  bool // another client may hold the lock
	entered int
}

// BeginCall notes that a call begins that does not ask for the lock. The answer to the call is checked against the
// returned view.
func (e *Entry) BeginCall(now time.Time) View {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.viewLocked(now)
}

// BeginAcquire notes that a call begins that asks for the lock. [Entry.EndHold] must follow, whatever the answer is.
func (e *Entry) BeginAcquire(now time.Time) View {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.viewLocked(now)
	e.active++
	e.entered++
	v.entered = e.entered
	return v
}

func (e *Entry) viewLocked(now time.Time) View {
	return View{began: now, head: e.head, removed: e.removed, others: e.active > 0, entered: e.entered}
}

// LockGranted notes that the lock was granted. It counts a double grant if another client holds the
// lock.
func (e *Entry) LockGranted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holders > 0 {
		e.ledger.count(func(i *Integrity) { i.DoubleGrants++ })
	}
	e.holders++
}

// BeginRelease notes that a client is about to release the lock. It must be called before the call
// is sent.
func (e *Entry) BeginRelease() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holders--
}

// EndHold notes that a client of [Entry.BeginAcquire] does not hold the lock any more, as far as it
// knows.
func (e *Entry) EndHold() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active--
}

// Unknown counts a mutation if err leaves its outcome unknown.
func (l *Ledger) Unknown(err error) {
	if OutcomeUnknown(err) {
		l.count(func(i *Integrity) { i.UnknownOutcomes++ })
	}
}

// CheckAlive checks an answer which says that the session exists and nothing more.
func (e *Entry) CheckAlive(v View) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checkAliveLocked(v)
}

func (e *Entry) checkAliveLocked(v View) {
	if v.removed && !e.resurrected {
		e.resurrected = true
		e.ledger.count(func(i *Integrity) { i.ResurrectedSessions++ })
	}
}

// CheckMissing checks an answer which says that the session does not exist. It reports whether that was expected; if
// not, it counts the session's writes as lost.
func (e *Entry) CheckMissing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removing > 0 || e.removed {
		return true
	}
	if !e.vanished && e.head != nil {
		e.vanished = true
		e.lose(e.head.seq, 0)
	}
	return false
}

// Contended reports whether another client can have held the lock during the call of this view.
func (e *Entry) Contended(v View) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return v.others || e.entered > v.entered
}

// ClaimRemoval gives the caller the exclusive right to remove the session. It reports false if another client has that
// right.
func (e *Entry) ClaimRemoval() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaving {
		return false
	}
	e.leaving = true
	return true
}

// UnclaimRemoval gives up the right that [Entry.ClaimRemoval] gave.
func (e *Entry) UnclaimRemoval() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaving = false
}

// RemovalClaimed reports whether a client has claimed the removal of the session.
func (e *Entry) RemovalClaimed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leaving
}

// BeginRemoval notes that a removal of the session is about to be sent.
func (e *Entry) BeginRemoval() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removing++
}

// EndRemoval notes the answer to the removal.
func (e *Entry) EndRemoval(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.removed = true
	case !OutcomeUnknown(err) && !errors.Is(err, session.ErrNotFound):
		e.removing--
	}
}

// Removal reports whether a removal was acknowledged, and whether one was begun and not refused.
func (e *Entry) Removal() (acknowledged, begun bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removed, e.removing > 0
}

// Classify returns the status of a call to the session, from its error, and the problem's name if
// it failed. An answer that the ledger can explain is not a failure. A session that nobody has
// removed must exist, and a lock that nobody holds must be granted.
func (e *Entry) Classify(v View, err error) (Status, string) {
	switch {
	case err == nil:
		return Answered, ""
	case errors.Is(err, session.ErrNotFound):
		if e.CheckMissing() {
			return Gone, ""
		}
	case errors.Is(err, session.ErrLocked):
		if e.Contended(v) {
			return Busy, ""
		}
	}
	return Failed, ProblemOf(err)
}
