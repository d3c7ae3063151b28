package hold

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// Hold is where calls wait for a principal. In the state open a call reads one atomic pointer and touches
// nothing else.
//
// Calls drain by rank, and in order of arrival within a rank. The drain is ramped, so that a server that
// has just become principal is not overloaded.
//
// A full lane makes room for a caller that has less in it than another: the newest calls of the caller
// with the most are refused. Each lane has the whole bound, so that calls without a lock take no place from
// calls that carry one. Calls that were sent before have no bound: they are not refused.
//
// Where writes are kept apart, they have a gate and lanes of their own. These stay shut while the
// principal is exposed.
type Hold[T any] struct {
	cfg            Config
	separateWrites bool // writes are kept apart

	// gate is the term that calls start on at once; nil unless the state is open. writeGate is the same
	// for writes that are kept apart, and nil while the principal is exposed. Both are written under mu.
	gate, writeGate atomic.Pointer[Term[T]]

	// drainable wakes the goroutine in drain.
	drainWake chan struct{}

	mu          sync.Mutex      // guards all below; held only while list entries move
	state       state           // shut, settling, draining or open
	term        *Term[T]        // where calls are released to; nil while shut
	interrupted interrupted[T]  // the calls that the state settling waits for
	doubted     *Term[T]        // the last term that a call doubted
	doubtedAt   uint64          // a probe asked before this number can't open the hold to it again
	tokens      int             // calls that may be released now
	tickets     uint64          // the last ticket given to a call
	lanes       [ranks]lanes[T] // by rank
	exposed     bool            // the principal commits without its mirror: writes that are kept apart wait
	stats       Stats           // Held and Bytes are filled in when read
	closed      bool
}

// state says what the hold does with calls.
type state int

const (
	// shut: no principal is known. Every call waits.
	shut state = iota
	// settling: a principal is known, and calls that were cut off are on their way back. Only calls
	// that were sent before are released.
	settling
	// draining: waiting calls are released, a few at a time. New calls queue behind them.
	draining
	// open: nobody waits. Calls start at once.
	open
)

// lanes are the queues of one rank. reads holds every call where writes are not kept apart.
type lanes[T any] struct{ reads, writes lane[T] }

// The ranks of the calls in the hold, in the order in which they drain.
const (
	rankSent  = iota // calls that may have had an effect already
	rankLock         // calls that carry a lock: they free others
	rankOther        // the rest
	ranks
)

// New returns a hold that is shut. apart says whether writes are kept apart.
func New[T any](cfg Config, separateWrites bool) *Hold[T] {
	return &Hold[T]{cfg: cfg, separateWrites: separateWrites, drainWake: make(chan struct{}, 1)}
}

// Ready returns the term that the call starts on at once, or nil if it must wait.
func (h *Hold[T]) OpenTerm(cs *CallState[T]) *Term[T] { return h.gateOf(&cs.call).Load() }

// gateOf returns the gate that the call passes.
func (h *Hold[T]) gateOf(c *Call) *atomic.Pointer[Term[T]] {
	if h.separateWrites && c.Write {
		return &h.writeGate
	}
	return &h.gate
}

// lane returns the queue that the call waits in.
func (h *Hold[T]) lane(c *Call, sent bool) *lane[T] {
	rank := rankOther
	switch {
	case sent:
		rank = rankSent
	case c.HoldsLock:
		rank = rankLock
	}
	if h.separateWrites && c.Write {
		return &h.lanes[rank].writes
	}
	return &h.lanes[rank].reads
}

// Wait returns the term to run on, as soon as there is one. It returns ctx's error when ctx ends. After limit
// it returns errTurn where a principal serves, and errExpired otherwise. A sent call, which may have
// had an effect already, is let in although the hold is full: there are no more of these than connections.
func (h *Hold[T]) Wait(ctx context.Context, cs *CallState[T], limit time.Duration, sent bool) (*Term[T], error) {
	w, t, err := h.enter(cs, sent)
	if w == nil {
		return t, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t, ok := <-w.released:
		return w.result(cs, t, ok)
	case <-timer.C:
		err = ErrExpired
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err, left := h.leave(w, &cs.call, err); left {
		return nil, err
	}
	// It was released at the same moment: it goes, and the caller's context decides.
	t, ok := <-w.released
	return w.result(cs, t, ok)
}

// result returns the term that the waiter was released to, or why it was refused.
func (w *waiter[T]) result(cs *CallState[T], t *Term[T], ok bool) (*Term[T], error) {
	if !ok {
		return nil, w.refused
	}
	cs.drained = true
	return t, nil
}

// enter returns the term where the gate is open, and otherwise a place in the queue, or an error.
func (h *Hold[T]) enter(cs *CallState[T], sent bool) (*waiter[T], *Term[T], error) {
	c := &cs.call
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, ErrClosed
	}
	defer cs.Finish()
	if t := h.gateOf(c).Load(); t != nil {
		return nil, t, nil
	}
	l := h.lane(c, sent)
	if !sent {
		if err := h.makeRoomLocked(l, c); err != nil {
			h.stats.Rejected++
			return nil, nil, err
		}
	}
	if cs.ticket == 0 {
		h.tickets++
		cs.ticket = h.tickets
	}
	w := &waiter[T]{ticket: cs.ticket, part: shares.Part[*waiter[T]]{Bytes: c.Bytes}, since: time.Now(), released: make(chan *Term[T], 1)}
	l.insert(w, c.Caller)
	h.stats.Total++
	h.advanceLocked()
	return w, nil, nil
}

// leave removes a waiter and returns why it went: errTurn where its time was over and
// others are released. left is false if the waiter was released before.
func (h *Hold[T]) leave(w *waiter[T], c *Call, why error) (err error, left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.lane == nil {
		return why, false
	}
	switch {
	case why != context.Canceled && h.servesLocked(c):
		why = ErrBusy
		h.stats.Late++
	case why == ErrExpired:
		h.stats.Expired++
	default:
		h.stats.Left++
	}
	w.lane.remove(w)
	h.advanceLocked()
	return why, true
}

// Holding reports whether calls are held, or only writes. It takes no lock.
func (h *Hold[T]) Holding() bool {
	return h.gate.Load() == nil || h.separateWrites && h.writeGate.Load() == nil
}

// Serves reports whether calls like c are released to a partner, each in its turn.
func (h *Hold[T]) Serves(c *Call) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.servesLocked(c)
}

func (h *Hold[T]) servesLocked(c *Call) bool { return h.state != shut && !(h.exposed && c.Write) }

// Serving returns the term that calls are released to, or nil.
func (h *Hold[T]) Serving() *Term[T] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term
}
