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

// Event is something that the pair said of itself, on the clock of the run.
type Event struct {
	At      time.Duration
	Servers bool // the servers' own word, and not what a proxy has seen
	Kind    string
	Partner string
	Detail  string
}

// The kinds of events that mean something here.
const (
	EventPrincipal   = "principal"    // of a proxy: it serves on this partner from now on
	EventNoPrincipal = "no-principal" // of a proxy
	eventRole        = "role"         // of the servers: PRINCIPAL: why; or MIRROR: why
	eventState       = "state"        // of the servers: open, of a principal that serves again
	eventFault       = "fault"        // of the servers
)

// becamePrincipal tells whether a server says that it serves.
func (e *Event) becamePrincipal() bool {
	return e.Servers && (e.Kind == eventRole && strings.HasPrefix(e.Detail, "PRINCIPAL") || e.Kind == eventState && e.Detail == "open")
}

// pollEvery is how often the pair is asked who is principal and how many calls are held.
const pollEvery = 100 * time.Millisecond

// Watcher follows the events of one operators' listener, and asks it for the pair's state.
type Watcher struct {
	Operator
	polls bool // it is a proxy, and has calls to hold

	mu        sync.Mutex // guards all below
	received  []received
	skew      time.Duration // least time from an event to its arrival
	skewed    bool          // skew is known
	slowest   time.Duration // the longest that the listener took to answer a question
	principal string
	holding   int
	held      []heldAt
	started   chan struct{} // closed at the first event
	once      sync.Once
}

// received is an event and when it arrived.
type received struct {
	client.Event
	arrived time.Time
}

// heldAt is how many calls were held at a moment.
type heldAt struct {
	at time.Time
	n  int
}

// NewWatcher makes a watcher of a listener. With polls it asks how many calls are held.
func NewWatcher(c *client.Client, polls bool) *Watcher {
	return &Watcher{Operator: Operator{c}, polls: polls, started: make(chan struct{})}
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { w.follow(ctx) })
	if w.polls {
		wg.Go(func() { w.poll(ctx) })
	}
	wg.Wait()
}

// WaitBegun waits until the watcher hears the listener, so that nothing that follows is missed.
func (w *Watcher) WaitBegun(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	select {
	case <-w.started:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the operators' listener does not tell its events: %w", ctx.Err())
	}
}

// follow follows the events, and connects again where that ends.
func (w *Watcher) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for e, err := range w.Client.Events(ctx) {
			if err != nil {
				break
			}
			w.take(e)
		}
		_ = SleepUntil(ctx, time.Now().Add(pollEvery)) // the loop looks
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
	if e.Kind == EventPrincipal || e.Kind == eventRole && strings.HasPrefix(e.Detail, "PRINCIPAL") {
		w.principal = e.Partner
	}
}

// snapshotLocked is the first event of a stream. It tells who is principal, which after a
// break may be news.
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

// poll asks for the state.
func (w *Watcher) poll(ctx context.Context) {
	beat := time.NewTicker(pollEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
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

// Now is who is principal, and how many calls are held.
func (w *Watcher) Now() (principal string, holding int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.principal, w.holding
}

// sameMachine is how late an event may arrive at the least where both clocks are one.
const sameMachine = 50 * time.Millisecond

// Events are what was heard so far. The times of a listener on a machine with another
// clock are corrected by the least time that any event took to arrive here. Where answers took as
// long, that is no sign of another clock: the machine is busy, or the way is long.
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
		case eventFault, eventState:
			e.Servers = true
		case eventRole:
			e.Servers = strings.HasPrefix(h.Detail, "PRINCIPAL") || strings.HasPrefix(h.Detail, "MIRROR")
		}
		list = append(list, e)
	}
	return list
}

// Held is the most calls that were held in each step of the timeline.
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
