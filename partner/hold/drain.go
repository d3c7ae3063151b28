package hold

import (
	"context"
	"time"
)

// How a drain begins: drainFirst calls at once, drainPerDone more for each call that
// completes, and drainPerTick more every drainInterval.
const (
	DrainFirst    = 8
	drainPerDone  = 2
	drainPerTick  = 8
	drainInterval = 2 * time.Millisecond
)

// settleTime is how long calls that were cut off may take to come back before others are released.
const settleTime = 250 * time.Millisecond

// cutOff stands for the calls that had an attempt under way on a term when the hold opened again. What they
// began may be done already, and a session remembers an operation only until others have followed it.
// So these calls go first. The zero value stands for no calls.
type interrupted[T any] struct {
	from  *Term[T]
	until time.Time // the others wait no longer than that
}

// back reports whether none of the calls is on its way back any more, or their time is over.
func (c interrupted[T]) returned(now time.Time) bool {
	return c.from == nil || c.from.unfinished.Load() <= 0 || now.After(c.until)
}

// beginLocked begins a drain.
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

// advanceLocked releases as many calls as the state and the tokens allow, and takes the next state where nobody is left to wait for.
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

// releaseLocked releases calls of one rank while there are tokens.
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

// waitingLocked returns how many calls wait for nothing but their turn.
func (h *Hold[T]) waitingLocked() (n int) {
	for i := range h.lanes {
		n += h.lanes[i].reads.count()
		if !h.exposed {
			n += h.lanes[i].writes.count()
		}
	}
	return n
}

// Completed notes that an attempt has ended, well or not. If the drain released the call to it, others follow.
func (h *Hold[T]) AttemptDone(cs *CallState[T]) {
	if cs.drained {
		cs.drained = false
		h.releaseMore(drainPerDone)
	}
}

// more releases up to n more calls, and reports whether the drain must go on.
func (h *Hold[T]) releaseMore(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == settling || h.state == draining {
		h.tokens += n
		h.advanceLocked()
	}
	return h.state == settling || h.state == draining
}

// Drain releases a few more calls every drainInterval while the hold settles or drains. It runs until ctx ends.
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
