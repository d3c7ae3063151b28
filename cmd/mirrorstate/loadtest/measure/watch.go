package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// Event is an event of the pair. Its time is on the run's clock.
type Event struct {
	At      time.Duration // when it happened
	Servers bool          // from a database server; false: from a proxy
	Kind    string        // one of the constants below, or another one
	Partner string        // the partner that it is about; may be empty
	Detail  string        // what it says, depending on the kind
}

// The kinds of events that the load test uses.
const (
	EventPrincipal   = "principal"    // from a proxy: this partner is its principal from now on
	EventNoPrincipal = "no-principal" // from a proxy: it has no principal
	EventRole        = "role"         // from a server; the detail is "PRINCIPAL: reason" or "MIRROR: reason"
	EventState       = "state"        // from a server; the detail "open" means that this principal serves again
	EventFault       = "fault"        // from a server
)

// becamePrincipal reports whether a server says that it serves as principal.
func (e *Event) becamePrincipal() bool {
	return e.Servers && (e.Kind == EventRole && strings.HasPrefix(e.Detail, "PRINCIPAL") || e.Kind == EventState && e.Detail == "open")
}

// pollEvery is the time between two polls of the pair's state.
const pollEvery = 100 * time.Millisecond

// Watcher follows the events of one operators' listener and polls the pair's state. Its methods may
// be called concurrently.
type Watcher struct {
	Operator
	polls bool // the listener belongs to a proxy, which can hold calls

	mu        sync.Mutex // guards all fields below
	received  []received
	skew      time.Duration // shortest time from an event to its arrival
	skewed    bool          // skew is known
	slowest   time.Duration // longest time that a poll took
	principal string
	holding   int
	held      []heldAt
	started   chan struct{} // closed at the first event
	once      sync.Once
}

// received is an event with the time of its arrival.
type received struct {
	client.Event
	arrived time.Time
}

// heldAt is how many calls were held at a time.
type heldAt struct {
	at time.Time
	n  int
}

// NewWatcher returns a watcher of an operators' listener. With polls it also polls how many calls
// the proxy holds.
func NewWatcher(c *client.Client, polls bool) *Watcher {
	return &Watcher{Operator: Operator{c}, polls: polls, started: make(chan struct{})}
}

// Run watches until ctx ends. It starts goroutines and returns after they have ended.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { w.follow(ctx) })
	if w.polls {
		wg.Go(func() { w.poll(ctx) })
	}
	wg.Wait()
}

// WaitBegun waits until the first event has arrived, so that no later event is missed. It waits 30
// s at most.
func (w *Watcher) WaitBegun(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	select {
	case <-w.started:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the operators' listener sends no events: %w", ctx.Err())
	}
}

// follow reads the events, and connects again when the connection ends.
func (w *Watcher) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for e, err := range w.Client.Events(ctx) {
			if err != nil {
				break
			}
			w.take(e)
		}
		_ = SleepUntil(ctx, time.Now().Add(pollEvery)) // the loop checks ctx
	}
}

func (w *Watcher) take(e client.Event) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.once.Do(func() { close(w.started) })
	if e.State != nil {
		w.snapshotLocked(e.State, now)
		return
	}
	if late := now.Sub(e.At); !w.skewed || late < w.skew {
		w.skew, w.skewed = late, true
	}
	w.received = append(w.received, received{e, now})
	if e.Kind == EventPrincipal || e.Kind == EventRole && strings.HasPrefix(e.Detail, "PRINCIPAL") {
		w.principal = e.Partner
	}
}

// snapshotLocked takes the first event of a stream, the pair's state. After a lost connection it
// may show a new principal.
func (w *Watcher) snapshotLocked(text json.RawMessage, now time.Time) {
	var s PairState
	if json.Unmarshal(text, &s) != nil {
		return
	}
	if s.Principal != "" && s.Principal != w.principal {
		w.received = append(w.received, received{client.Event{Kind: EventPrincipal, At: now.Add(-w.skew), Partner: s.Principal}, now})
	}
	w.principal, w.holding = s.Principal, s.Holding
}

// poll polls the pair's state.
func (w *Watcher) poll(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		s, err := w.State(ctx)
		if err != nil {
			continue
		}
		w.mu.Lock()
		w.slowest = max(w.slowest, time.Since(now))
		w.principal, w.holding = s.Principal, s.Holding
		w.held = append(w.held, heldAt{now, s.Holding})
		w.mu.Unlock()
	}
}

// Now returns the current principal (empty: none) and how many calls are held.
func (w *Watcher) Now() (principal string, holding int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.principal, w.holding
}

// sameMachine is how late even the fastest event may arrive before the watcher assumes that the
// listener's clock differs.
const sameMachine = 50 * time.Millisecond

// Events returns the events so far. If the listener's clock differs from ours, their times are
// corrected by the shortest time from an event to its arrival. A long time is not taken for another
// clock if polls took as long: then the machine or the network is slow.
func (w *Watcher) Events(c Clock) (list []Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var correction time.Duration
	if w.skew < -sameMachine || w.skew > max(sameMachine, w.slowest) {
		correction = w.skew
	}
	for _, h := range w.received {
		e := Event{At: c.At(h.At) + correction, Kind: h.Kind, Partner: h.Partner, Detail: h.Detail}
		switch h.Kind {
		case EventFault, EventState:
			e.Servers = true
		case EventRole:
			e.Servers = strings.HasPrefix(h.Detail, "PRINCIPAL") || strings.HasPrefix(h.Detail, "MIRROR")
		}
		list = append(list, e)
	}
	return list
}

// Held returns the largest number of held calls in each step of the timeline.
func (w *Watcher) Held(c Clock, step, length time.Duration) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := make([]int, length/step)
	for _, h := range w.held {
		if at := c.At(h.at); at >= 0 && int(at/step) < len(line) {
			line[at/step] = max(line[at/step], h.n)
		}
	}
	return line
}
