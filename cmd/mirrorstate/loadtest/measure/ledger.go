package measure

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// Integrity is what the ledger found. All of it counts from the first session that was
// made, the warm-up included.
type Integrity struct {
	AcknowledgedWrites  int64 `json:"acknowledged_writes"`  // items that a server said it had stored
	LostWrites          int64 `json:"lost_writes"`          // of these, those a later reader did not find
	DoubleGrants        int64 `json:"double_grants"`        // locks granted while another client held them
	UnknownOutcomes     int64 `json:"unknown_outcomes"`     // mutations of which nobody could say whether they were applied
	ResurrectedSessions int64 `json:"resurrected_sessions"` // seen after their removal was acknowledged
	GhostWrites         int64 `json:"ghost_writes"`         // refused, or out of time, and seen nevertheless
	DamagedItems        int64 `json:"damaged_items"`        // that nobody wrote
	ReadBack            int64 `json:"read_back"`            // sessions read at the end, removed ones included
	UnreadSessions      int64 `json:"unread_sessions"`      // that could not be read at the end
}

// Ledger knows what every session must hold, from what was acknowledged. Any number of
// goroutines may use it and its entries.
//
// What a client does is noted before it is sent where that narrows what others may
// see, and after it is answered where that widens it. So the ledger is never ahead of the
// truth, and what it calls lost is lost.
type Ledger struct {
	stamps atomic.Uint64

	mu    sync.Mutex
	found Integrity // owned by mu
}

// Found is what was found so far.
func (l *Ledger) Found() Integrity {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found
}

// count changes what was found.
func (l *Ledger) count(change func(*Integrity)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.found)
}

// ReadAtEnd counts a session that was read back at the end, or could not be.
func (l *Ledger) ReadAtEnd(read bool) {
	l.count(func(i *Integrity) {
		if read {
			i.ReadBack++
		} else {
			i.UnreadSessions++
		}
	})
}

// Entry is what is known of one session.
//
// Writes happen under the session's lock, and each is derived from the item that its
// writer was given with the lock. So those that took effect are a line, and whoever reads
// must find the end of that line as it was known when the read began, or what came after.
// A write is known to have taken effect when it is acknowledged, or when it was seen.
type Entry struct {
	ID     session.ID
	ledger *Ledger

	mu     sync.Mutex        // guards all below
	head   *Write            // the newest write that is known to have taken effect; nil: none yet
	writes map[uint64]*Write // by stamp: those that may yet be seen for the first time, and the last few on the line
	recent []*Write          // the last few on the line, oldest first

	holders int  // clients that were granted the lock and have not begun to give it up
	active  int  // clients that may hold the lock, as far as they know themselves
	entered int  // how many ever were
	leaving bool // its removal is wanted, and nobody else's business

	removing    int  // removals that were begun and not refused
	removed     bool // one was acknowledged
	resurrected bool // it was counted so
	vanished    bool // it was counted as lost as a whole
}

// NewEntry is a session that is about to be made.
func (l *Ledger) NewEntry(id session.ID) *Entry {
	return &Entry{ID: id, ledger: l, writes: map[uint64]*Write{}}
}

// view is what was known of a session when a call began.
type view struct {
	began   time.Time
	head    *Write
	removed bool
	others  bool // somebody else may hold the lock
	entered int
}

// BeginCall notes that a call begins that may meet the lock.
func (e *Entry) BeginCall(now time.Time) view {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.viewLocked(now)
}

// BeginAcquire is Begins for a call that wants the lock.
func (e *Entry) BeginAcquire(now time.Time) view {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.viewLocked(now)
	e.active++
	e.entered++
	v.entered = e.entered
	return v
}

func (e *Entry) viewLocked(now time.Time) view {
	return view{began: now, head: e.head, removed: e.removed, others: e.active > 0, entered: e.entered}
}

// LockGranted notes that the lock was granted.
func (e *Entry) LockGranted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holders > 0 {
		e.ledger.count(func(i *Integrity) { i.DoubleGrants++ })
	}
	e.holders++
}

// BeginRelease notes that a client is about to give the lock up.
func (e *Entry) BeginRelease() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holders--
}

// EndHold notes that a client holds no lock that it knows of any more.
func (e *Entry) EndHold() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active--
}

// Unknown counts a mutation whose outcome nobody knows.
func (l *Ledger) Unknown(err error) {
	if OutcomeUnknown(err) {
		l.count(func(i *Integrity) { i.UnknownOutcomes++ })
	}
}

// CheckAlive notes that a call was answered that tells of the session no more than that it is there.
func (e *Entry) CheckAlive(v view) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checkAliveLocked(v)
}

func (e *Entry) checkAliveLocked(v view) {
	if v.removed && !e.resurrected {
		e.resurrected = true
		e.ledger.count(func(i *Integrity) { i.ResurrectedSessions++ })
	}
}

// CheckMissing notes that there was no such session, and says whether that was to be expected.
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

// Contended tells whether somebody else can have held the lock while a call was under way.
func (e *Entry) Contended(v view) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return v.others || e.entered > v.entered
}

// ClaimRemoval marks the session as one that is to be removed by the caller alone; false: it is another's.
func (e *Entry) ClaimRemoval() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaving {
		return false
	}
	e.leaving = true
	return true
}

// UnclaimRemoval takes Wants back.
func (e *Entry) UnclaimRemoval() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaving = false
}

// RemovalClaimed tells whether the session is one that is to be removed.
func (e *Entry) RemovalClaimed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leaving
}

// BeginRemoval notes that the session is about to be removed.
func (e *Entry) BeginRemoval() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removing++
}

// EndRemoval ends a removal with its answer.
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

// Gone tells whether a removal of the session was acknowledged, and whether one was begun at all.
func (e *Entry) Removal() (acknowledged, begun bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removed, e.removing > 0
}

// Classify says what became of a call that met a session, from its error. What the ledger can
// explain is an answer; everything else is a failure: a session that nobody has
// removed must be there, and a lock that nobody holds must be granted.
func (e *Entry) Classify(v view, err error) (Status, string) {
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
