package hold

import "sync/atomic"

// Call describes a call to the hold.
type Call struct {
	Caller    string // for whom the call is made; each caller gets a share of the bounds
	HoldsLock bool   // its caller holds a session's lock: it has places of its own and is released first
	Write     bool   // the call may change data
	Bytes     int64  // memory in bytes that the call keeps while it waits
}

// Term is the period in which one partner is principal, as the hold sees it. Target is what calls run on. The
// zero value is ready to use. A Term must not be copied.
type Term[T any] struct {
	Target T // what calls run on; set before the hold opens to the term

	opened     atomic.Uint64 // how often the hold opened to this term
	unfinished atomic.Int64  // calls whose last attempt ran on this term and that have not come back yet
}

// Openings returns how often the hold opened to the term. Safe for concurrent use.
func (t *Term[T]) Openings() uint64 { return t.opened.Load() }

// CallState is what the hold records about one call. Only one goroutine at a time may use it.
type CallState[T any] struct {
	call    Call
	ticket  uint64   // the call's number in the order of arrival; 0 before its first wait, then unchanged
	drained bool     // the drain released the call, and its attempt has not ended yet
	term    *Term[T] // where the last attempt ran; nil if the call waits or has ended
}

// NewCallState returns the state of a new call.
func NewCallState[T any](c Call) CallState[T] { return CallState[T]{call: c} }

// Call returns the description of the call. It must not be changed.
func (cs *CallState[T]) Call() *Call { return &cs.call }

// Released reports whether the drain released the call and its attempt has not ended yet.
func (cs *CallState[T]) Released() bool { return cs.drained }

// Start records that an attempt begins on t. It implies Finish for the attempt before.
func (cs *CallState[T]) Start(t *Term[T]) {
	cs.Finish()
	t.unfinished.Add(1)
	cs.term = t
}

// Finish records that the call has come back from its last attempt: it waits again, or has ended. A second call
// does nothing.
func (cs *CallState[T]) Finish() {
	if cs.term != nil {
		cs.term.unfinished.Add(-1)
		cs.term = nil
	}
}
