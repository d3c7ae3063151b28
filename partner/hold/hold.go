package hold

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// Config bounds the hold. Calls that carry a lock (Call.HoldsLock) have
// places and bytes of their own, as many again; so have reads and writes where
// writes wait while the mirror is away. Calls that were sent before have no bound.
type Config struct {
	Window time.Duration // longest time one call waits for a principal; default 30 s
	Size   int           // calls waiting at once; default 10,000
	Bytes  int64         // sum of Call.Bytes of those; default 64 MiB
}

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

// The ranks of the calls in the hold, in the order in which they drain.
const (
	rankSent  = iota // calls that may have had an effect already
	rankLock         // calls that carry a lock: they free others
	rankOther        // the rest
	ranks
)

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

// lanes are the queues of one rank. reads holds every call where writes are not kept apart.
type lanes[T any] struct{ reads, writes lane[T] }

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

// New returns a hold that is shut. apart says whether writes are kept apart.
func New[T any](cfg Config, separateWrites bool) *Hold[T] {
	return &Hold[T]{cfg: cfg, separateWrites: separateWrites, drainWake: make(chan struct{}, 1)}
}

// gateOf returns the gate that the call passes.
func (h *Hold[T]) gateOf(c *Call) *atomic.Pointer[Term[T]] {
	if h.separateWrites && c.Write {
		return &h.writeGate
	}
	return &h.gate
}

// Ready returns the term that the call starts on at once, or nil if it must wait.
func (h *Hold[T]) OpenTerm(cs *CallState[T]) *Term[T] { return h.gateOf(&cs.call).Load() }

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

// roomLocked makes room for a call in a lane, where another caller has more of it.
func (h *Hold[T]) makeRoomLocked(l *lane[T], c *Call) error {
	evicted, full, ok := makeRoom(&l.pool, &h.cfg, c)
	for _, part := range evicted {
		l.refuse(part.Value, full)
	}
	h.stats.Evicted += uint64(len(evicted))
	if !ok {
		return full
	}
	return nil
}

// makeRoom makes room for a call in a pool that has the hold's bounds. It returns the parts that must go, and the
// error for their callers. Where there is no room, that error is the call's own.
func makeRoom[P any](pool *shares.Pool[P], cfg *Config, c *Call) (evicted []*shares.Part[P], full error, ok bool) {
	more, limit := shares.Size{Count: 1, Bytes: c.Bytes}, shares.Size{Count: cfg.Size, Bytes: cfg.Bytes}
	switch short := pool.Short(more, limit); short {
	case shares.Enough:
		return nil, nil, true
	case shares.Count:
		full = &FullError{string(short), int64(cfg.Size)}
	default:
		full = &FullError{string(short), cfg.Bytes}
	}
	evicted, ok = pool.Room(c.Caller, more, limit)
	return evicted, full, ok
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

func (h *Hold[T]) shutLocked() {
	h.state, h.term, h.tokens = shut, nil, 0
	h.shutGatesLocked()
}

func (h *Hold[T]) shutGatesLocked() {
	h.gate.Store(nil)
	h.writeGate.Store(nil)
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

// Stats returns the counters.
func (h *Hold[T]) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Held, s.Bytes = 0, 0
	for i := range h.lanes {
		for _, l := range []*lane[T]{&h.lanes[i].reads, &h.lanes[i].writes} {
			size := l.pool.Size()
			s.Held += size.Count
			s.Bytes += size.Bytes
		}
	}
	return s
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
