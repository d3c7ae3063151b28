package hold

import "sync/atomic"

// Call is what the hold takes a call by.
type Call struct {
	Caller    string // who it is for: each caller has a share of what is bounded
	HoldsLock bool   // its caller holds a session's lock: it has places of its own and drains first
	Write     bool   // it may change data
	Bytes     int64  // memory that it keeps while it waits
}

// Term is one partner's time as principal, as the hold knows it. on is what the calls run on.
type Term[T any] struct {
	Target T

	opened     atomic.Uint64 // how often the hold opened to it
	unfinished atomic.Int64  // calls with an attempt here that are not back yet
}

// Times returns how often the hold opened to the term.
func (t *Term[T]) Openings() uint64 { return t.opened.Load() }

// Pass is what the hold knows of one call. One goroutine at a time uses it.
type CallState[T any] struct {
	call    Call
	ticket  uint64   // its place in the order of arrival; kept when it waits again
	drained bool     // the drain released it, and waits for its completion
	term    *Term[T] // where its last attempt ran, until the call is back or has ended
}

// NewPass returns the pass of a new call.
func NewCallState[T any](c Call) CallState[T] { return CallState[T]{call: c} }

// Call returns the call.
func (cs *CallState[T]) Call() *Call { return &cs.call }

// Released reports whether the drain released the call, and its attempt has not completed.
func (cs *CallState[T]) Released() bool { return cs.drained }

// Start notes that an attempt begins on t.
func (cs *CallState[T]) Start(t *Term[T]) {
	cs.Finish()
	t.unfinished.Add(1)
	cs.term = t
}

// Leave notes that the call is back from its last attempt, or has ended.
func (cs *CallState[T]) Finish() {
	if cs.term != nil {
		cs.term.unfinished.Add(-1)
		cs.term = nil
	}
}
