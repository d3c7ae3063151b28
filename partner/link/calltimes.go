package link

import (
	"sync/atomic"
	"time"
)

// Evidence is what a partner's calls say of it while a probe waits for its answer. A call that succeeded proves that
// the partner was principal after the call was sent, and nothing about earlier or later. Safe for concurrent use; it
// costs a call three atomic operations. A nil one knows of no calls.
type CallTimes struct {
	start        time.Time    // what follows counts from it, so that a clock that is set changes nothing
	lastSent     atomic.Int64 // when the newest call that succeeded was sent; 0: none
	lastAnswered atomic.Int64 // and when it was answered
	waitingSince atomic.Int64 // when the first call after that was sent, and none has succeeded since; 0: none
}

// NewEvidence returns the evidence of a partner that nobody has called yet.
func NewCallTimes() *CallTimes { return &CallTimes{start: time.Now()} }

// Begin notes that a call is sent.
func (e *CallTimes) Sent(now time.Time) {
	if e.waitingSince.Load() == 0 {
		e.waitingSince.CompareAndSwap(0, max(1, int64(now.Sub(e.start))))
	}
}

// Success notes that a call that was sent then has just succeeded.
func (e *CallTimes) Succeeded(sent time.Time) {
	if s := int64(sent.Sub(e.start)); s >= e.lastSent.Load() {
		e.lastSent.Store(s)
		e.lastAnswered.Store(int64(time.Since(e.start)))
	}
	e.waitingSince.Store(0)
}

// Forget is called where a new term begins: the calls of the last one prove nothing in it.
func (e *CallTimes) Reset() {
	e.lastSent.Store(0)
	e.lastAnswered.Store(0)
	e.waitingSince.Store(0)
}

// Last is when the newest call that succeeded was sent; the zero time: none was.
func (e *CallTimes) LastSuccess() time.Time {
	if s := e.lastSent.Load(); s != 0 {
		return e.start.Add(time.Duration(s))
	}
	return time.Time{}
}

// patience is how long calls may be without a success before that says something: where they take long, longer.
func (e *CallTimes) timeout(least time.Duration) time.Duration {
	return max(least, 2*time.Duration(e.lastAnswered.Load()-e.lastSent.Load()))
}

// SucceededSince reports whether a call that was sent after asked has succeeded, and lately.
func (e *CallTimes) SucceededSince(asked, now time.Time, least time.Duration) bool {
	return e != nil && e.LastSuccess().After(asked) && now.Sub(e.start)-time.Duration(e.lastAnswered.Load()) <= e.timeout(least)
}

// hangs reports whether calls are waiting and none has succeeded for too long.
func (e *CallTimes) stalled(now time.Time, least time.Duration) bool {
	if e == nil {
		return false
	}
	w := e.waitingSince.Load()
	return w > 0 && now.Sub(e.start)-time.Duration(w) > e.timeout(least)
}
