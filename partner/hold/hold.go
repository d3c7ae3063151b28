package hold

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
)

// Hold is where calls wait for a principal. All methods may be called concurrently. If the hold is open, a call
// only reads one atomic pointer.
//
// Calls are released by rank, and in order of arrival within a rank. They are released a few at a time, so that
// a server that has just become principal is not overloaded.
//
// If a lane is full, the newest calls of the caller with the most waiting calls are refused. They make room for
// callers with fewer. Each lane has the whole bound, so calls without a lock take no place from calls with one.
// Calls that may have been executed already are never refused.
//
// If writes are separate, they have a gate and lanes of their own. These stay shut while the principal is
// exposed.
type Hold[T any] struct {
	cfg            Config
	separateWrites bool // writes have their own gate and lanes

	// gate is the term that calls start on at once. It is nil unless the state is open. writeGate is the same
	// for separate writes, and is also nil while the principal is exposed. Both are written under mu.
	gate, writeGate atomic.Pointer[Term[T]]

	// drainWake wakes the goroutine in Drain.
	drainWake chan struct{}

	mu          sync.Mutex      // guards all fields below; held only while list entries move
	state       state           // shut, settling, draining or open
	term        *Term[T]        // the term that calls are released to; nil while shut
	interrupted interrupted[T]  // calls that the state settling waits for
	doubted     *Term[T]        // the term that a call doubted last
	doubtedAt   uint64          // only a probe with this request number or a later one may open the hold to doubted
	tokens      int             // number of calls that may be released now
	tickets     uint64          // the last ticket given out
	lanes       [ranks]lanes[T] // by rank
	exposed     bool            // the principal commits without its mirror: separate writes wait
	stats       Stats           // Held and Bytes are computed when read
	closed      bool
}

// lanes are the queues of one rank. If writes are not separate, reads holds every call.
type lanes[T any] struct{ reads, writes lane[T] }

// The ranks of calls, in the order in which they are released.
const (
	rankSent  = iota // calls that may have been executed already
	rankLock         // calls that hold a session's lock: others wait for them
	rankOther        // all other calls
	ranks
)

// New returns a hold that is shut. separateWrites says whether writes have their own gate, so that SetExposed
// can shut it.
func New[T any](cfg Config, separateWrites bool) *Hold[T] {
	return &Hold[T]{cfg: cfg, separateWrites: separateWrites, drainWake: make(chan struct{}, 1)}
}

// OpenTerm returns the term that the call may start on at once, or nil if the call must wait. It takes no lock.
func (h *Hold[T]) OpenTerm(cs *CallState[T]) *Term[T] { return h.gateOf(&cs.call).Load() }

// gateOf returns the gate for the call.
func (h *Hold[T]) gateOf(c *Call) *atomic.Pointer[Term[T]] {
	if h.separateWrites && c.Write {
		return &h.writeGate
	}
	return &h.gate
}

// lane returns the queue for the call; sent means that the call may have been executed already.
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

// Wait waits until the call may run, and returns the term to run on. It returns
//
//   - ctx's error if ctx ends first,
//   - ErrBusy after limit if a principal serves, and ErrExpired if none does,
//   - a *FullError if the hold is full,
//   - ErrClosed if the hold is closed.
//
// sent means that the call may have been executed already. Such a call is accepted even if the hold is full:
// there are never more of them than connections.
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
	// The call was released at the same moment. It runs, and ctx decides then.
	t, ok := <-w.released
	return w.result(cs, t, ok)
}

// result returns the term that the waiter was released to, or the error that it was refused with.
func (w *waiter[T]) result(cs *CallState[T], t *Term[T], ok bool) (*Term[T], error) {
	if !ok {
		return nil, w.refused
	}
	cs.drained = true
	return t, nil
}

// enter returns the term if the gate is open. Otherwise it returns a place in a lane, or an error.
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
	w := &waiter[T]{ticket: cs.ticket, part: fairshare.Part[*waiter[T]]{Bytes: c.Bytes}, since: time.Now(), released: make(chan *Term[T], 1)}
	l.insert(w, c.Caller)
	h.stats.Total++
	h.advanceLocked()
	return w, nil, nil
}

// leave removes a waiter and returns the error for its call: why, or ErrBusy if the time is over while calls are
// being released. left is false if the waiter was released before.
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

// Holding reports whether calls have to wait, or only separate writes have to. It takes no lock.
func (h *Hold[T]) Holding() bool {
	return h.gate.Load() == nil || h.separateWrites && h.writeGate.Load() == nil
}

// Serves reports whether calls like c are being released to a partner.
func (h *Hold[T]) Serves(c *Call) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.servesLocked(c)
}

func (h *Hold[T]) servesLocked(c *Call) bool { return h.state != shut && !(h.exposed && c.Write) }

// Serving returns the term that calls are released to, or nil if the hold is shut.
func (h *Hold[T]) Serving() *Term[T] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term
}
