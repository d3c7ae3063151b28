package hold

import "time"

// Open begins to release calls to t, and reports whether the hold was shut or released to another term. It
// does nothing if t was doubted after the probe numbered asked began. Calls cut off on the term before go
// first; if there was none and t was used before, those cut off on t.
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

// Doubt shuts the hold to t until a probe that begins from now on: next numbers it. It does nothing, and returns false, if t
// was confirmed again since the caller saw it confirmed for the gen-th time.
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

// Shut shuts the hold, whichever term it is open to, and reports whether it was open to one.
func (h *Hold[T]) Shut() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.state != shut
	h.shutLocked()
	return was
}

// Expose notes whether the principal commits without its mirror. Writes that are kept apart wait as long as it does.
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

// Close ends the hold: every waiter gets errHoldClosed.
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
