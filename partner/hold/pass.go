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
	On T

	confirmed atomic.Uint64 // how often the hold opened to it
	underWay  atomic.Int64  // calls with an attempt here that are not back yet
}

// Times returns how often the hold opened to the term.
func (t *Term[T]) Times() uint64 { return t.confirmed.Load() }

// Pass is what the hold knows of one call. One goroutine at a time uses it.
type Pass[T any] struct {
	call   Call
	ticket uint64   // its place in the order of arrival; kept when it waits again
	queued bool     // the drain released it, and waits for its completion
	from   *Term[T] // where its last attempt ran, until the call is back or has ended
}

// NewPass returns the pass of a new call.
func NewPass[T any](c Call) Pass[T] { return Pass[T]{call: c} }

// Call returns the call.
func (ps *Pass[T]) Call() *Call { return &ps.call }

// Released reports whether the drain released the call, and its attempt has not completed.
func (ps *Pass[T]) Released() bool { return ps.queued }

// Start notes that an attempt begins on t.
func (ps *Pass[T]) Start(t *Term[T]) {
	ps.Leave()
	t.underWay.Add(1)
	ps.from = t
}

// Leave notes that the call is back from its last attempt, or has ended.
func (ps *Pass[T]) Leave() {
	if ps.from != nil {
		ps.from.underWay.Add(-1)
		ps.from = nil
	}
}
