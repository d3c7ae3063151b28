package hold

import (
	"context"
	"time"
)

// How fast the hold drains. DrainFirst calls are released at once. Each completed call releases drainPerDone
// more, and each drainInterval releases drainPerTick more.
const (
	// DrainFirst is the number of calls released at once, so the number of connections to make in advance.
	DrainFirst    = 8
	drainPerDone  = 2
	drainPerTick  = 8
	drainInterval = 2 * time.Millisecond
)

// settleTime is the longest time that the hold waits for interrupted calls to come back before it releases other
// calls.
const settleTime = 250 * time.Millisecond

// interrupted are the calls that had an attempt on a term when the hold opened again. They may have been
// executed already. The database remembers an operation only until a few others have followed, so these calls
// are released first. The zero value means that there are none.
type interrupted[T any] struct {
	from  *Term[T]
	until time.Time // other calls wait no longer than this time
}

// returned reports whether every interrupted call has come back, or the time for that is over.
func (c interrupted[T]) returned(now time.Time) bool {
	return c.from == nil || c.from.unfinished.Load() <= 0 || now.After(c.until)
}

// startDrainLocked starts a drain to the current term.
func (h *Hold[T]) startDrainLocked() {
	h.shutGatesLocked()
	h.tokens, h.state = DrainFirst, settling
	h.advanceLocked()
	if h.state != open {
		select {
		case h.drainWake <- struct{}{}:
		default:
		}
	}
}

// advanceLocked releases as many calls as the state and the tokens allow. It changes the state when no call is
// left that the state waits for.
func (h *Hold[T]) advanceLocked() {
	if h.state == settling {
		h.releaseLocked(&h.lanes[rankSent])
		if !h.interrupted.returned(time.Now()) {
			return
		}
		h.state, h.interrupted = draining, interrupted[T]{}
	}
	if h.state != draining {
		return
	}
	for i := range h.lanes {
		h.releaseLocked(&h.lanes[i])
	}
	if h.waitingLocked() == 0 {
		h.state = open
		h.gate.Store(h.term)
		if !h.exposed {
			h.writeGate.Store(h.term)
		}
	}
}

// releaseLocked releases calls of one rank while there are tokens. It releases separate writes only if the
// principal is not exposed.
func (h *Hold[T]) releaseLocked(l *lanes[T]) {
	h.releaseLaneLocked(&l.reads)
	if !h.exposed {
		h.releaseLaneLocked(&l.writes)
	}
}

func (h *Hold[T]) releaseLaneLocked(l *lane[T]) {
	for ; l.head != nil && h.tokens > 0; h.tokens-- {
		w := l.head
		l.remove(w)
		h.stats.Drained++
		h.stats.MaxWait = max(h.stats.MaxWait, time.Since(w.since))
		w.released <- h.term
	}
}

// waitingLocked returns the number of calls that wait only for their turn. Writes that wait for the mirror do
// not count.
func (h *Hold[T]) waitingLocked() (n int) {
	for i := range h.lanes {
		n += h.lanes[i].reads.count()
		if !h.exposed {
			n += h.lanes[i].writes.count()
		}
	}
	return n
}

// AttemptDone records that an attempt has ended, successfully or not. If the drain released the call to it,
// more calls follow.
func (h *Hold[T]) AttemptDone(cs *CallState[T]) {
	if cs.drained {
		cs.drained = false
		h.releaseMore(drainPerDone)
	}
}

// releaseMore releases up to n more calls, and reports whether the hold still settles or drains.
func (h *Hold[T]) releaseMore(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == settling || h.state == draining {
		h.tokens += n
		h.advanceLocked()
	}
	return h.state == settling || h.state == draining
}

// Drain releases more calls every drainInterval while the hold settles or drains. It runs until ctx ends. Only
// one goroutine may run it.
func (h *Hold[T]) Drain(ctx context.Context) {
	tick := time.NewTimer(drainInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.drainWake:
		}
		for more := true; more; {
			tick.Reset(drainInterval)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				more = h.releaseMore(drainPerTick)
			}
		}
	}
}
