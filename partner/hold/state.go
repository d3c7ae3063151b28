package hold

import "time"

// state is what the hold does with calls. It changes in this order: shut, settling, draining, open. It can change
// to shut from every state. SetExposed makes it settle and drain again.
type state int

const (
	// shut means that no principal is known. Every call waits.
	shut state = iota
	// settling means that a principal is known, and interrupted calls may still come back. Only calls that may
	// have been executed already are released.
	settling
	// draining means that waiting calls are released, a few at a time. New calls wait behind them.
	draining
	// open means that no call waits. New calls start at once.
	open
)

// Open begins to release calls to t. It returns false if the hold releases calls to t already, or must not open.
//
// request is the number of the probe that found t. If a call doubted t after that probe began, Open does nothing.
// Calls that were interrupted on the term before are released first. If before is nil and the hold was open to t
// earlier, these are the calls interrupted on t.
func (h *Hold[T]) Open(t, before *Term[T], request uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.term == t || t == h.doubted && request < h.doubtedAt {
		return false
	}
	if before == nil && t.opened.Load() > 0 {
		before = t
	}
	h.term, h.interrupted = t, interrupted[T]{from: before, until: time.Now().Add(settleTime)}
	t.opened.Add(1)
	h.startDrainLocked()
	return true
}

// Doubt shuts the hold after a call on t failed. Only a probe that begins later can open it to t again; next
// returns the request number of that probe. openings is the number of openings of t that the caller saw before its
// attempt. If the hold has opened to t again since, Doubt does nothing and returns false.
func (h *Hold[T]) Doubt(t *Term[T], openings uint64, next func() uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term != t || t.opened.Load() != openings {
		return false
	}
	h.shutLocked()
	h.doubted, h.doubtedAt = t, next()
	return true
}

// Shut shuts the hold. It reports whether the hold was open to a term.
func (h *Hold[T]) Shut() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.state != shut
	h.shutLocked()
	return was
}

// SetExposed sets whether the principal commits without its mirror. Separate writes wait as long as it does.
func (h *Hold[T]) SetExposed(exposed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.separateWrites || h.exposed == exposed {
		return
	}
	h.exposed = exposed
	if h.state != shut {
		h.startDrainLocked()
	}
}

// Close closes the hold. Every waiting call and every later one gets ErrClosed.
func (h *Hold[T]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.shutLocked()
	for i := range h.lanes {
		h.lanes[i].reads.refuseAll(ErrClosed)
		h.lanes[i].writes.refuseAll(ErrClosed)
	}
}

func (h *Hold[T]) shutLocked() {
	h.state, h.term, h.tokens = shut, nil, 0
	h.shutGatesLocked()
}

func (h *Hold[T]) shutGatesLocked() {
	h.gate.Store(nil)
	h.writeGate.Store(nil)
}
