package partner

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// How a drain begins: so many calls at first, so many more for each that
// completes, and so many more every few milliseconds whatever happens.
const (
	drainFirst    = 8
	drainPerDone  = 2
	drainPerTick  = 8
	drainInterval = 2 * time.Millisecond
)

// settleTime is how long calls that were cut off have for coming back, before others are let go: what they began may be done already, and
// is remembered by its session only until others have done more.
const settleTime = 250 * time.Millisecond

// The ranks of the calls in the hold, in the order they drain. Each has two lanes: one for all
// its calls, or, where writes are refused while the mirror is away, one for its reads and
// one for its writes.
const (
	rankSent  = iota // calls that may have had an effect already
	rankLock         // calls that carry a lock: they free others
	rankOther        // the rest
	ranks
)

// hold is where calls wait for a principal, and the door they go through. While
// the door is open a call looks at one atomic pointer and touches nothing else.
//
// It opens by admit, shuts by doubt or evict, and drains in order of arrival:
// calls that were sent before first, then calls that carry a lock. The drain is ramped, so that a server
// that has just become principal is not stampeded; until it is done, new calls queue behind.
//
// A lane that is full makes room for a caller with less in it than another, of whom the newest calls are then
// refused. Lanes have bounds of their own, so that those who carry no lock take no place of those who do, and
// calls that were sent before have none: they are not refused.
//
// Where writes are kept apart they have a door and lanes of their own, which stay shut
// while the principal is exposed.
type hold struct {
	cfg   HoldConfig
	apart bool // writes are kept apart

	// open is the term calls may start on at once, or nil; openWrites is the same for
	// writes that are kept apart. Written under mu.
	open, openWrites atomic.Pointer[term]

	// draining tells the goroutine in drain that there is something to let go.
	draining chan struct{}

	mu        sync.Mutex      // guards all below; never held for longer than it takes to move list entries
	term      *term           // where calls are let go to; nil: nowhere
	doubted   *term           // the last term a call was disappointed by
	doubtedAt uint64          // a probe asked before this number can't open the door to it again
	tokens    int             // calls that may be let go now
	tickets   uint64          // the last one handed out
	lanes     [2 * ranks]lane // by rank; the odd ones are for writes that are kept apart
	exposed   bool            // the principal commits without its mirror: writes that are kept apart wait
	before    *term           // the term, as a rule the one before, from which calls that were cut off may not be back yet
	settled   time.Time       // when they have had long enough
	stats     HoldStats       // Held and Bytes are filled in when read
	closed    bool
}

// newHold makes a hold, shut. apart says whether writes are kept apart.
func newHold(cfg HoldConfig, apart bool) *hold {
	return &hold{cfg: cfg, apart: apart, draining: make(chan struct{}, 1)}
}

// door is the one that the call goes through.
func (h *hold) door(c *Call) *atomic.Pointer[term] {
	if h.apart && c.Write {
		return &h.openWrites
	}
	return &h.open
}

// lane is the queue that the call waits in.
func (h *hold) lane(c *Call, sent bool) *lane {
	rank := rankOther
	switch {
	case sent:
		rank = rankSent
	case c.HoldsLock:
		rank = rankLock
	}
	if h.apart && c.Write {
		return &h.lanes[2*rank+1]
	}
	return &h.lanes[2*rank]
}

// pass is what a call has from the hold.
type pass struct {
	ticket uint64 // its place in the order of arrival; kept when it has to wait again
	queued bool   // it was let go by the drain, which waits for its completion
	from   *term  // where its last attempt ran, until it is back or has ended
}

// start says that an attempt begins on t.
func (ps *pass) start(t *term) {
	ps.leave()
	t.inFlight.Add(1)
	ps.from = t
}

// leave says that the call is back from its last attempt, or has ended.
func (ps *pass) leave() {
	if ps.from != nil {
		ps.from.inFlight.Add(-1)
		ps.from = nil
	}
}

// wait gives the term to run on, as soon as there is one. It ends with ctx, or
// after limit with ErrNoPrincipal; with ErrBusy, where a principal serves and its
// turn has not come. sent calls, which may have had an effect
// already, are let in although the hold is full: there are no more of them than connections.
func (h *hold) wait(ctx context.Context, c *Call, ps *pass, limit time.Duration, sent bool) (*term, error) {
	w, t, err := h.enter(c, ps, sent)
	if w == nil {
		return t, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t, ok := <-w.let:
		return w.letGo(ps, t, ok)
	case <-timer.C:
		err = ErrNoPrincipal
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err, left := h.leave(w, c, err); left {
		return nil, err
	}
	// It was let go at the same moment: go, and the caller's context decides.
	t, ok := <-w.let
	return w.letGo(ps, t, ok)
}

// letGo is what a waiter does that got its term, or was refused.
func (w *waiter) letGo(ps *pass, t *term, ok bool) (*term, error) {
	if !ok {
		return nil, w.refused
	}
	ps.queued = true
	return t, nil
}

// enter gives either the term, if the door is open, or a place in the queue, or an error.
func (h *hold) enter(c *Call, ps *pass, sent bool) (*waiter, *term, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, ErrClosed
	}
	defer ps.leave()
	if t := h.door(c).Load(); t != nil {
		return nil, t, nil
	}
	l := h.lane(c, sent)
	if !sent {
		if err := h.roomLocked(l, c); err != nil {
			h.stats.Rejected++
			return nil, nil, err
		}
	}
	if ps.ticket == 0 {
		h.tickets++
		ps.ticket = h.tickets
	}
	w := &waiter{ticket: ps.ticket, part: shares.Part[*waiter]{Bytes: c.Bytes}, since: time.Now(), let: make(chan *term, 1)}
	l.insert(w, c.Caller)
	h.stats.Total++
	h.releaseLocked()
	return w, nil, nil
}

// roomLocked makes room for a call in a lane, where others have more of it than its caller.
func (h *hold) roomLocked(l *lane, c *Call) error {
	gone, full, ok := makeRoom(&l.held, &h.cfg, c)
	for _, part := range gone {
		l.refuse(part.Value, full)
	}
	h.stats.Evicted += uint64(len(gone))
	if !ok {
		return full
	}
	return nil
}

// makeRoom makes room for a call in a pool that has the hold's bounds. It gives the parts of those who
// must go, and what they are told; which is what the call itself is told where there is no room.
func makeRoom[T any](pool *shares.Pool[T], cfg *HoldConfig, c *Call) (gone []*shares.Part[T], full error, ok bool) {
	more, limit := shares.Size{Count: 1, Bytes: c.Bytes}, shares.Size{Count: cfg.Size, Bytes: cfg.Bytes}
	switch short := pool.Short(more, limit); short {
	case shares.Enough:
		return nil, nil, true
	case shares.Count:
		full = &HoldFullError{string(short), int64(cfg.Size)}
	default:
		full = &HoldFullError{string(short), cfg.Bytes}
	}
	gone, ok = pool.Room(c.Caller, more, limit)
	return gone, full, ok
}

// leave takes a waiter out, and says why it went: time that is over is ErrBusy where
// others are let go. left is false if it has been let go itself.
func (h *hold) leave(w *waiter, c *Call, why error) (err error, left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.in == nil {
		return why, false
	}
	switch {
	case why != context.Canceled && h.servesLocked(c):
		why = ErrBusy
		h.stats.Late++
	case why == ErrNoPrincipal:
		h.stats.Expired++
	default:
		h.stats.Left++
	}
	w.in.remove(w)
	h.openLocked()
	return why, true
}

// admit opens the door to t, unless it was doubted after the probe numbered
// asked began. Until those are back who were cut off on the term before, or, if there was
// none and t was open before, on t itself, it is open to them only. It says
// whether the door was shut before, or led elsewhere.
func (h *hold) admit(t, before *term, asked uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.term == t || t == h.doubted && asked < h.doubtedAt {
		return false
	}
	if before == nil && t.confirmed.Load() > 0 {
		before = t
	}
	h.term = t
	h.before, h.settled = before, time.Now().Add(settleTime)
	t.confirmed.Add(1)
	h.beginLocked()
	return true
}

// beginLocked begins a drain.
func (h *hold) beginLocked() {
	h.open.Store(nil)
	h.openWrites.Store(nil)
	h.tokens = drainFirst
	h.releaseLocked()
	if h.open.Load() == nil {
		select {
		case h.draining <- struct{}{}:
		default:
		}
	}
}

// expose says whether the principal commits without its mirror. It shuts the door to writes
// that are kept apart, or lets them go on.
func (h *hold) expose(exposed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.apart || h.exposed == exposed {
		return
	}
	h.exposed = exposed
	if h.term != nil {
		h.beginLocked()
	}
}

// doubt shuts the door to t, if t has not been confirmed since the caller saw
// it confirmed for the gen-th time, until a probe that begins from now on: next numbers it.
func (h *hold) doubt(t *term, gen uint64, next func() uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term != t || t.confirmed.Load() != gen {
		return false
	}
	h.shutLocked()
	h.doubted, h.doubtedAt = t, next()
	return true
}

// evict shuts the door, whoever it leads to. It says whether it was open.
func (h *hold) evict() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.term != nil
	h.shutLocked()
	return was
}

func (h *hold) shutLocked() {
	h.term = nil
	h.tokens = 0
	h.open.Store(nil)
	h.openWrites.Store(nil)
}

// close lets every waiter go with ErrClosed.
func (h *hold) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.shutLocked()
	for i := range h.lanes {
		for w := h.lanes[i].head; w != nil; w = h.lanes[i].head {
			h.lanes[i].refuse(w, ErrClosed)
		}
	}
}

// completed says that a call let go by the drain has ended, well or not.
func (h *hold) completed() { h.more(drainPerDone) }

// more lets so many more calls go.
func (h *hold) more(n int) (waiting bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term == nil || h.waitingLocked() == 0 && h.before == nil {
		return false
	}
	h.tokens += n
	h.releaseLocked()
	return h.waitingLocked() > 0 || h.before != nil
}

// shutLane says whether nobody is let go from the lane.
func (h *hold) shutLane(i int) bool { return h.exposed && i%2 == 1 }

// waitingLocked is how many wait for nothing but their turn.
func (h *hold) waitingLocked() (n int) {
	for i := range h.lanes {
		if !h.shutLane(i) {
			n += h.lanes[i].n()
		}
	}
	return n
}

// settlingLocked says whether calls that were cut off may still be on their way back.
func (h *hold) settlingLocked() bool {
	if h.before != nil && (h.before.inFlight.Load() <= 0 || time.Now().After(h.settled)) {
		h.before = nil
	}
	return h.before != nil
}

// releaseLocked lets as many calls go as there are tokens for.
func (h *hold) releaseLocked() {
	if h.term == nil {
		return
	}
	for i := range h.lanes {
		if i/2 > rankSent && h.settlingLocked() {
			return
		}
		if h.shutLane(i) {
			continue
		}
		for l := &h.lanes[i]; l.head != nil && h.tokens > 0; h.tokens-- {
			w := l.head
			l.remove(w)
			h.stats.Drained++
			h.stats.MaxWait = max(h.stats.MaxWait, time.Since(w.since))
			w.let <- h.term
		}
	}
	h.openLocked()
}

// openLocked opens the door for everybody once nobody waits at it.
func (h *hold) openLocked() {
	if h.term != nil && h.waitingLocked() == 0 && !h.settlingLocked() {
		h.open.Store(h.term)
		if !h.exposed {
			h.openWrites.Store(h.term)
		}
	}
}

// drain keeps a drain going that its own completions don't: a few more calls
// every drainInterval. It runs until ctx ends.
func (h *hold) drain(ctx context.Context) {
	tick := time.NewTimer(drainInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.draining:
		}
		for waiting := true; waiting; {
			tick.Reset(drainInterval)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				waiting = h.more(drainPerTick)
			}
		}
	}
}

// read gives the counters.
func (h *hold) read() HoldStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Held, s.Bytes = 0, 0
	for i := range h.lanes {
		size := h.lanes[i].held.Size()
		s.Held += size.Count
		s.Bytes += size.Bytes
	}
	return s
}

// holding says whether calls are held, be they writes only. It takes no lock.
func (h *hold) holding() bool {
	return h.open.Load() == nil || h.apart && h.openWrites.Load() == nil
}

// serves says whether calls like c are let go to a partner, each in its turn.
func (h *hold) serves(c *Call) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.servesLocked(c)
}

func (h *hold) servesLocked(c *Call) bool { return h.term != nil && !(h.exposed && c.Write) }

// serving is the term calls are let go to, or nil.
func (h *hold) serving() *term {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term
}
