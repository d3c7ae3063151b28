package link

import (
	"sync/atomic"
	"time"
)

// CallTimes records when calls to one partner were sent and succeeded. A probe that waits for its answer uses it:
// a successful call proves that the partner was still principal after the call was sent. Safe for concurrent use.
// A call costs three atomic operations. A nil *CallTimes has no calls.
type CallTimes struct {
	start        time.Time    // the times below count from here, so that a change of the system clock does not matter
	lastSent     atomic.Int64 // when the newest successful call was sent; 0 if there was none
	lastAnswered atomic.Int64 // when that call was answered
	waitingSince atomic.Int64 // when the first call after the last success was sent; 0 if there was none
}

// NewCallTimes returns a CallTimes without calls.
func NewCallTimes() *CallTimes { return &CallTimes{start: time.Now()} }

// Sent records that a call is sent now.
func (e *CallTimes) Sent(now time.Time) {
	if e.waitingSince.Load() == 0 {
		e.waitingSince.CompareAndSwap(0, max(1, int64(now.Sub(e.start))))
	}
}

// Succeeded records that the call sent at the given time has just succeeded.
func (e *CallTimes) Succeeded(sent time.Time) {
	if s := int64(sent.Sub(e.start)); s >= e.lastSent.Load() {
		e.lastSent.Store(s)
		e.lastAnswered.Store(int64(time.Since(e.start)))
	}
	e.waitingSince.Store(0)
}

// Reset removes all calls. It is called when a term begins: calls of an earlier term prove nothing.
func (e *CallTimes) Reset() {
	e.lastSent.Store(0)
	e.lastAnswered.Store(0)
	e.waitingSince.Store(0)
}

// LastSuccess returns the time at which the newest successful call was sent, or the zero time if no call
// succeeded.
func (e *CallTimes) LastSuccess() time.Time {
	if s := e.lastSent.Load(); s != 0 {
		return e.start.Add(time.Duration(s))
	}
	return time.Time{}
}

// timeout returns how long calls may go without a success before they count as stalled: at least least, longer
// if calls take long.
func (e *CallTimes) timeout(least time.Duration) time.Duration {
	return max(least, 2*time.Duration(e.lastAnswered.Load()-e.lastSent.Load()))
}

// SucceededSince reports whether a call sent after asked has succeeded, and not too long before now.
func (e *CallTimes) SucceededSince(asked, now time.Time, least time.Duration) bool {
	return e != nil && e.LastSuccess().After(asked) && now.Sub(e.start)-time.Duration(e.lastAnswered.Load()) <= e.timeout(least)
}

// stalled reports whether calls are waiting, and none has succeeded for too long.
func (e *CallTimes) stalled(now time.Time, least time.Duration) bool {
	if e == nil {
		return false
	}
	w := e.waitingSince.Load()
	return w > 0 && now.Sub(e.start)-time.Duration(w) > e.timeout(least)
}
