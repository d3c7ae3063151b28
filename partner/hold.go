package partner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/shares"
)

// How a drain begins: drainFirst calls at once, drainPerDone more for each call that
// completes, and drainPerTick more every drainInterval.
const (
	drainFirst    = 8
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

// hold is where calls wait for a principal. In the state open a call reads one atomic pointer and touches
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
type hold[T any] struct {
	cfg   HoldConfig
	apart bool // writes are kept apart

	// gate is the term that calls start on at once; nil unless the state is open. writeGate is the same
	// for writes that are kept apart, and nil while the principal is exposed. Both are written under mu.
	gate, writeGate atomic.Pointer[turn[T]]

	// drainable wakes the goroutine in drain.
	drainable chan struct{}

	mu        sync.Mutex      // guards all below; held only while list entries move
	state     state           // shut, settling, draining or open
	term      *turn[T]        // where calls are released to; nil while shut
	cutOff    cutOff[T]       // the calls that the state settling waits for
	doubted   *turn[T]        // the last term that a call doubted
	doubtedAt uint64          // a probe asked before this number can't open the hold to it again
	tokens    int             // calls that may be released now
	tickets   uint64          // the last ticket given to a call
	lanes     [ranks]lanes[T] // by rank
	exposed   bool            // the principal commits without its mirror: writes that are kept apart wait
	stats     HoldStats       // Held and Bytes are filled in when read
	closed    bool
}

// lanes are the queues of one rank. reads holds every call where writes are not kept apart.
type lanes[T any] struct{ reads, writes lane[T] }

// cutOff stands for the calls that had an attempt under way on a term when the hold opened again. What they
// began may be done already, and a session remembers an operation only until others have followed it.
// So these calls go first. The zero value stands for no calls.
type cutOff[T any] struct {
	from  *turn[T]
	until time.Time // the others wait no longer than that
}

// back reports whether none of the calls is on its way back any more, or their time is over.
func (c cutOff[T]) back(now time.Time) bool {
	return c.from == nil || c.from.underWay.Load() <= 0 || now.After(c.until)
}

// turn is one partner's time as principal, as the hold knows it. on is what the calls run on.
type turn[T any] struct {
	on T

	confirmed atomic.Uint64 // how often the hold opened to it
	underWay  atomic.Int64  // calls with an attempt here that are not back yet
}

// times returns how often the hold opened to the term.
func (t *turn[T]) times() uint64 { return t.confirmed.Load() }

// heldCall is what the hold takes a call by.
type heldCall struct {
	Caller    string // who it is for: each caller has a share of what is bounded
	HoldsLock bool   // its caller holds a session's lock: it has places of its own and drains first
	Write     bool   // it may change data
	Bytes     int64  // memory that it keeps while it waits
}

// Why a wait in the hold ends without a principal, besides the error of the caller's context.
var (
	// errExpired: no partner was principal within the limit.
	errExpired = errors.New("no partner was principal in time")
	// errTurn: a partner was principal, and the call's turn did not come within the limit.
	errTurn = errors.New("a partner is principal, and the call's turn did not come in time")
	// ErrHoldFull: too many calls, or too many bytes, wait already. See HoldFullError.
	ErrHoldFull = errors.New("the hold is full")
	// errHoldClosed: the hold is closed.
	errHoldClosed = errors.New("the hold is closed")
)

// newHold returns a hold that is shut. apart says whether writes are kept apart.
func newHold[T any](cfg HoldConfig, apart bool) *hold[T] {
	return &hold[T]{cfg: cfg, apart: apart, drainable: make(chan struct{}, 1)}
}

// gateOf returns the gate that the call passes.
func (h *hold[T]) gateOf(c *heldCall) *atomic.Pointer[turn[T]] {
	if h.apart && c.Write {
		return &h.writeGate
	}
	return &h.gate
}

// ready returns the term that the call starts on at once, or nil if it must wait.
func (h *hold[T]) ready(ps *pass[T]) *turn[T] { return h.gateOf(&ps.call).Load() }

// lane returns the queue that the call waits in.
func (h *hold[T]) lane(c *heldCall, sent bool) *lane[T] {
	rank := rankOther
	switch {
	case sent:
		rank = rankSent
	case c.HoldsLock:
		rank = rankLock
	}
	if h.apart && c.Write {
		return &h.lanes[rank].writes
	}
	return &h.lanes[rank].reads
}

// pass is what the hold knows of one call. One goroutine at a time uses it.
type pass[T any] struct {
	call   heldCall
	ticket uint64   // its place in the order of arrival; kept when it waits again
	queued bool     // the drain released it, and waits for its completion
	from   *turn[T] // where its last attempt ran, until the call is back or has ended
}

// newPass returns the pass of a new call.
func newPass[T any](c heldCall) pass[T] { return pass[T]{call: c} }

// Call returns the call.
func (ps *pass[T]) Call() *heldCall { return &ps.call }

// Released reports whether the drain released the call, and its attempt has not completed.
func (ps *pass[T]) Released() bool { return ps.queued }

// start notes that an attempt begins on t.
func (ps *pass[T]) start(t *turn[T]) {
	ps.leave()
	t.underWay.Add(1)
	ps.from = t
}

// leave notes that the call is back from its last attempt, or has ended.
func (ps *pass[T]) leave() {
	if ps.from != nil {
		ps.from.underWay.Add(-1)
		ps.from = nil
	}
}

// wait returns the term to run on, as soon as there is one. It returns ctx's error when ctx ends. After limit
// it returns errTurn where a principal serves, and errExpired otherwise. A sent call, which may have
// had an effect already, is let in although the hold is full: there are no more of these than connections.
func (h *hold[T]) wait(ctx context.Context, ps *pass[T], limit time.Duration, sent bool) (*turn[T], error) {
	w, t, err := h.enter(ps, sent)
	if w == nil {
		return t, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t, ok := <-w.released:
		return w.result(ps, t, ok)
	case <-timer.C:
		err = errExpired
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err, left := h.leave(w, &ps.call, err); left {
		return nil, err
	}
	// It was released at the same moment: it goes, and the caller's context decides.
	t, ok := <-w.released
	return w.result(ps, t, ok)
}

// result returns the term that the waiter was released to, or why it was refused.
func (w *waiter[T]) result(ps *pass[T], t *turn[T], ok bool) (*turn[T], error) {
	if !ok {
		return nil, w.refused
	}
	ps.queued = true
	return t, nil
}

// enter returns the term where the gate is open, and otherwise a place in the queue, or an error.
func (h *hold[T]) enter(ps *pass[T], sent bool) (*waiter[T], *turn[T], error) {
	c := &ps.call
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, errHoldClosed
	}
	defer ps.leave()
	if t := h.gateOf(c).Load(); t != nil {
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
	w := &waiter[T]{ticket: ps.ticket, part: shares.Part[*waiter[T]]{Bytes: c.Bytes}, since: time.Now(), released: make(chan *turn[T], 1)}
	l.insert(w, c.Caller)
	h.stats.Total++
	h.advanceLocked()
	return w, nil, nil
}

// roomLocked makes room for a call in a lane, where another caller has more of it.
func (h *hold[T]) roomLocked(l *lane[T], c *heldCall) error {
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

// makeRoom makes room for a call in a pool that has the hold's bounds. It returns the parts that must go, and the
// error for their callers. Where there is no room, that error is the call's own.
func makeRoom[P any](pool *shares.Pool[P], cfg *HoldConfig, c *heldCall) (gone []*shares.Part[P], full error, ok bool) {
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

// leave removes a waiter and returns why it went: errTurn where its time was over and
// others are released. left is false if the waiter was released before.
func (h *hold[T]) leave(w *waiter[T], c *heldCall, why error) (err error, left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.in == nil {
		return why, false
	}
	switch {
	case why != context.Canceled && h.servesLocked(c):
		why = errTurn
		h.stats.Late++
	case why == errExpired:
		h.stats.Expired++
	default:
		h.stats.Left++
	}
	w.in.remove(w)
	h.advanceLocked()
	return why, true
}

// open begins to release calls to t, and reports whether the hold was shut or released to another term. It
// does nothing if t was doubted after the probe numbered asked began. Calls cut off on the term before go
// first; if there was none and t was used before, those cut off on t.
func (h *hold[T]) open(t, before *turn[T], asked uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.term == t || t == h.doubted && asked < h.doubtedAt {
		return false
	}
	if before == nil && t.confirmed.Load() > 0 {
		before = t
	}
	h.term, h.cutOff = t, cutOff[T]{from: before, until: time.Now().Add(settleTime)}
	t.confirmed.Add(1)
	h.beginLocked()
	return true
}

// beginLocked begins a drain.
func (h *hold[T]) beginLocked() {
	h.shutGatesLocked()
	h.tokens, h.state = drainFirst, settling
	h.advanceLocked()
	if h.state != open {
		select {
		case h.drainable <- struct{}{}:
		default:
		}
	}
}

// advanceLocked releases as many calls as the state and the tokens allow, and takes the next state where nobody is left to wait for.
func (h *hold[T]) advanceLocked() {
	if h.state == settling {
		h.releaseLocked(&h.lanes[rankSent])
		if !h.cutOff.back(time.Now()) {
			return
		}
		h.state, h.cutOff = draining, cutOff[T]{}
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
func (h *hold[T]) releaseLocked(l *lanes[T]) {
	h.releaseLaneLocked(&l.reads)
	if !h.exposed {
		h.releaseLaneLocked(&l.writes)
	}
}

func (h *hold[T]) releaseLaneLocked(l *lane[T]) {
	for ; l.head != nil && h.tokens > 0; h.tokens-- {
		w := l.head
		l.remove(w)
		h.stats.Drained++
		h.stats.MaxWait = max(h.stats.MaxWait, time.Since(w.since))
		w.released <- h.term
	}
}

// waitingLocked returns how many calls wait for nothing but their turn.
func (h *hold[T]) waitingLocked() (n int) {
	for i := range h.lanes {
		n += h.lanes[i].reads.n()
		if !h.exposed {
			n += h.lanes[i].writes.n()
		}
	}
	return n
}

// expose notes whether the principal commits without its mirror. Writes that are kept apart wait as long as it does.
func (h *hold[T]) expose(exposed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.apart || h.exposed == exposed {
		return
	}
	h.exposed = exposed
	if h.state != shut {
		h.beginLocked()
	}
}

// doubt shuts the hold to t until a probe that begins from now on: next numbers it. It does nothing, and returns false, if t
// was confirmed again since the caller saw it confirmed for the gen-th time.
func (h *hold[T]) doubt(t *turn[T], gen uint64, next func() uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term != t || t.confirmed.Load() != gen {
		return false
	}
	h.shutLocked()
	h.doubted, h.doubtedAt = t, next()
	return true
}

// shut shuts the hold, whichever term it is open to, and reports whether it was open to one.
func (h *hold[T]) shut() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.state != shut
	h.shutLocked()
	return was
}

func (h *hold[T]) shutLocked() {
	h.state, h.term, h.tokens = shut, nil, 0
	h.shutGatesLocked()
}

func (h *hold[T]) shutGatesLocked() {
	h.gate.Store(nil)
	h.writeGate.Store(nil)
}

// close ends the hold: every waiter gets errHoldClosed.
func (h *hold[T]) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.shutLocked()
	for i := range h.lanes {
		h.lanes[i].reads.refuseAll(errHoldClosed)
		h.lanes[i].writes.refuseAll(errHoldClosed)
	}
}

// completed notes that an attempt has ended, well or not. If the drain released the call to it, others follow.
func (h *hold[T]) completed(ps *pass[T]) {
	if ps.queued {
		ps.queued = false
		h.more(drainPerDone)
	}
}

// more releases up to n more calls, and reports whether the drain must go on.
func (h *hold[T]) more(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == settling || h.state == draining {
		h.tokens += n
		h.advanceLocked()
	}
	return h.state == settling || h.state == draining
}

// drain releases a few more calls every drainInterval while the hold settles or drains. It runs until ctx ends.
func (h *hold[T]) drain(ctx context.Context) {
	tick := time.NewTimer(drainInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.drainable:
		}
		for goesOn := true; goesOn; {
			tick.Reset(drainInterval)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				goesOn = h.more(drainPerTick)
			}
		}
	}
}

// read returns the counters.
func (h *hold[T]) read() HoldStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Held, s.Bytes = 0, 0
	for i := range h.lanes {
		for _, l := range []*lane[T]{&h.lanes[i].reads, &h.lanes[i].writes} {
			size := l.held.Size()
			s.Held += size.Count
			s.Bytes += size.Bytes
		}
	}
	return s
}

// holding reports whether calls are held, or only writes. It takes no lock.
func (h *hold[T]) holding() bool {
	return h.gate.Load() == nil || h.apart && h.writeGate.Load() == nil
}

// serves reports whether calls like c are released to a partner, each in its turn.
func (h *hold[T]) serves(c *heldCall) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.servesLocked(c)
}

func (h *hold[T]) servesLocked(c *heldCall) bool { return h.state != shut && !(h.exposed && c.Write) }

// serving returns the term that calls are released to, or nil.
func (h *hold[T]) serving() *turn[T] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term
}

// HoldStats counts what the hold did since the start.
type HoldStats struct {
	Held     int           `json:"held"`        // waiting now, of all kinds: [HoldConfig] bounds each of them, and those that were sent before not at all
	Bytes    int64         `json:"bytes"`       // theirs
	Total    uint64        `json:"total"`       // ever let in
	Rejected uint64        `json:"rejected"`    // turned away because the hold was full
	Evicted  uint64        `json:"evicted"`     // refused after they were let in, to make room for a caller with less in the hold
	Expired  uint64        `json:"expired"`     // given up because the window was over
	Late     uint64        `json:"late"`        // given up because the window was over, although a principal served
	Left     uint64        `json:"left"`        // gone because their caller was
	Drained  uint64        `json:"drained"`     // let go to a principal
	MaxWait  time.Duration `json:"max_wait_ns"` // longest wait of a drained call
}

// HoldConfig bounds the hold. Calls that carry a lock (Call.HoldsLock) have
// places and bytes of their own, as many again; so have reads and writes where
// writes wait while the mirror is away. Calls that were sent before have no bound.
type HoldConfig struct {
	Window time.Duration // longest time one call waits for a principal; default 30 s
	Size   int           // calls waiting at once; default 10,000
	Bytes  int64         // sum of Call.Bytes of those; default 64 MiB
}

// HoldFullError is an ErrHoldFull that says which bound was met. Outcome NotApplied.
type HoldFullError struct {
	Bound string // "size" or "bytes"
	Limit int64  // its value, in calls or bytes
}

// Error implements error.
func (e *HoldFullError) Error() string {
	return fmt.Sprintf("%v: %s %d", ErrHoldFull, e.Bound, e.Limit)
}

// Is makes it an ErrHoldFull.
func (e *HoldFullError) Is(target error) bool { return target == ErrHoldFull }

// HoldOutcome says why a call is not in the hold any more.
type HoldOutcome int

// The outcomes.
const (
	HoldDrained  HoldOutcome = iota // let go to a principal
	HoldExpired                     // the window was over, without a principal
	HoldLeft                        // its caller left, or the server ended
	HoldRejected                    // the hold was full
	HoldLate                        // the window was over, and a principal served: too many were before it
)

// String is the word used in metrics.
func (o HoldOutcome) String() string {
	return [...]string{"drained", "expired", "left", "rejected", "late"}[o]
}

// holdOutcome is the outcome of a wait that ended with err.
func holdOutcome(err error) HoldOutcome {
	switch {
	case err == nil:
		return HoldDrained
	case errors.Is(err, ErrHoldFull):
		return HoldRejected
	case errors.Is(err, errTurn):
		return HoldLate
	case errors.Is(err, errExpired):
		return HoldExpired
	}
	return HoldLeft
}
