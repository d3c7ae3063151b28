package link

import (
	"sync/atomic"
	"time"
)

// Evidence is what a partner's calls say of it while a probe waits for its answer. A call that succeeded proves that
// the partner was principal after the call was sent, and nothing about earlier or later. Safe for concurrent use; it
// costs a call three atomic operations. A nil one knows of no calls.
type Evidence struct {
	born     time.Time    // what follows counts from it, so that a clock that is set changes nothing
	sent     atomic.Int64 // when the newest call that succeeded was sent; 0: none
	answered atomic.Int64 // and when it was answered
	waiting  atomic.Int64 // when the first call after that was sent, and none has succeeded since; 0: none
}

// NewEvidence returns the evidence of a partner that nobody has called yet.
func NewEvidence() *Evidence { return &Evidence{born: time.Now()} }

// Begin notes that a call is sent.
func (e *Evidence) Begin(now time.Time) {
	if e.waiting.Load() == 0 {
		e.waiting.CompareAndSwap(0, max(1, int64(now.Sub(e.born))))
	}
}

// Success notes that a call that was sent then has just succeeded.
func (e *Evidence) Success(sent time.Time) {
	if s := int64(sent.Sub(e.born)); s >= e.sent.Load() {
		e.sent.Store(s)
		e.answered.Store(int64(time.Since(e.born)))
	}
	e.waiting.Store(0)
}

// Forget is called where a new term begins: the calls of the last one prove nothing in it.
func (e *Evidence) Forget() {
	e.sent.Store(0)
	e.answered.Store(0)
	e.waiting.Store(0)
}

// Last is when the newest call that succeeded was sent; the zero time: none was.
func (e *Evidence) Last() time.Time {
	if s := e.sent.Load(); s != 0 {
		return e.born.Add(time.Duration(s))
	}
	return time.Time{}
}

// patience is how long calls may be without a success before that says something: where they take long, longer.
func (e *Evidence) patience(least time.Duration) time.Duration {
	return max(least, 2*time.Duration(e.answered.Load()-e.sent.Load()))
}

// SucceededSince reports whether a call that was sent after asked has succeeded, and lately.
func (e *Evidence) SucceededSince(asked, now time.Time, least time.Duration) bool {
	return e != nil && e.Last().After(asked) && now.Sub(e.born)-time.Duration(e.answered.Load()) <= e.patience(least)
}

// hangs reports whether calls are waiting and none has succeeded for too long.
func (e *Evidence) hangs(now time.Time, least time.Duration) bool {
	if e == nil {
		return false
	}
	w := e.waiting.Load()
	return w > 0 && now.Sub(e.born)-time.Duration(w) > e.patience(least)
}
