package partner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// Pair runs calls on whichever of two partners is the principal. New returns a Pair, and Run makes it work. All
// its methods may be called concurrently.
type Pair struct {
	cfg     Config
	members [2]*member
	hold    *hold.Hold[*term]

	probeRequests    atomic.Uint64 // the number of the last probe request; code that needs a probe that begins from now on takes the next number
	noPrincipalSince atomic.Int64  // when the last principal stopped serving, in Unix nanoseconds; 0 while one serves
	started          atomic.Bool
	closed           chan struct{} // closed when Run ends
	reports          chan choose.Observation
	breakers         chan Event // breaker changes, which the loop of Run publishes

	accepts chan choose.Accepted // the result of Accept, which the loop of Run applies
	memory  *memory
	queued  atomic.Int64 // number of calls that wait for a connection
	queue   *hold.Queue  // where calls wait while all connections are in use

	current *term          // owned by the loop of Run
	running sync.WaitGroup // all goroutines that Run starts

	mu          sync.Mutex // guards the fields below
	view        choose.View
	changed     chan struct{} // closed and replaced after every observation
	subscribers map[chan Event]struct{}
	stats       Stats
	watchdog    WatchdogStatus

	stockWarning sync.Once // the warning about a stock schema is logged once
}

// New checks the configuration and returns a Pair. It starts nothing and dials nothing: until Run runs, calls
// are held.
func New(cfg Config) (*Pair, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("pair: %w", err)
	}
	var ends [2]link.Endpoint
	for i := range cfg.Partners {
		s, err := link.NewServer(&cfg.Partners[i], cfg.Database, cfg.Budgets, cfg.MaxConns)
		if err != nil {
			return nil, fmt.Errorf("pair: partner %s: %w", cfg.Partners[i].Name, err)
		}
		ends[i] = s
	}
	m, err := openMemory(&cfg)
	if err != nil {
		return nil, fmt.Errorf("pair: %w", err)
	}
	return newPair(cfg, ends, m), nil
}

// newPair returns a Pair of two endpoints and a memory. cfg is complete.
func newPair(cfg Config, ends [2]link.Endpoint, m *memory) *Pair {
	p := &Pair{
		cfg:         cfg,
		hold:        hold.New[*term](cfg.Hold, cfg.Exposed == ExposedRefuse),
		queue:       hold.NewQueue(cfg.Hold, cfg.MaxConns),
		closed:      make(chan struct{}),
		reports:     make(chan choose.Observation),
		breakers:    make(chan Event, 16),
		changed:     make(chan struct{}),
		subscribers: make(map[chan Event]struct{}),
		accepts:     make(chan choose.Accepted),
		memory:      m,
		stats:       Stats{Fenced: make(map[string]uint64), Watchdog: make(map[string]uint64), Published: make(map[EventKey]uint64)},
		watchdog:    WatchdogStatus{Enabled: cfg.Watchdog.Enabled, DryRun: cfg.Watchdog.DryRun, Action: string(choose.WatchdogOff), LastForced: m.read().Forced},
	}
	p.view.Accepted = m.read().accepted()
	for i := range ends {
		p.members[i] = newMember(cfg.Partners[i], ends[i], p.breakerChanged)
	}
	p.noPrincipalSince.Store(time.Now().UnixNano())
	return p
}

// breakerChanged records a change. It runs under the breaker's lock. A trial is counted but not published.
func (p *Pair) breakerChanged(n choose.Name, from, to string) {
	e := Event{At: time.Now(), Kind: "breaker", Partner: n, Reason: from + " to " + to}
	if isTrial(from, to) {
		p.count(func(s *Stats) { s.Published[keyOf(e)]++ })
		return
	}
	select {
	case p.breakers <- e:
	default: // before Run nothing reads the channel; the breaker itself keeps the state
	}
}

// Run probes both partners and serves Do until ctx ends. Then it closes every connection, and returns nil after
// all its goroutines have ended. Calls that are still running end with Closed or OutcomeUnknown, so let
// them end first. Run may be called once.
func (p *Pair) Run(ctx context.Context) error {
	if !p.started.CompareAndSwap(false, true) {
		return errors.New("pair: Run was called twice")
	}
	p.noPrincipalSince.Store(time.Now().UnixNano())
	for _, m := range p.members {
		p.running.Go(func() { p.watch(ctx, m) })
	}
	p.running.Go(func() { p.hold.Drain(ctx) })
	p.running.Go(func() { p.memory.writeLoop(ctx) })
	if p.cfg.Watchdog.Enabled {
		p.running.Go(func() { p.runWatchdog(ctx) })
	}
	p.loop(ctx)
	// The hold closes before the connections: an interrupted call must find it closed.
	p.hold.Close()
	close(p.closed)
	if p.current != nil {
		p.current.end()
	}
	for _, m := range p.members {
		m.dropNextPool()
	}
	p.running.Wait()
	for _, m := range p.members {
		m.endpoint.Close()
	}
	_ = p.memory.flush() // flush logs and counts its error; nothing is left to repeat it
	return nil
}

// loop handles observations, breaker changes and accepts until ctx ends. Only this goroutine decides and acts.
func (p *Pair) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-p.reports:
			p.handleObservation(o)
		case e := <-p.breakers:
			p.publish(e)
		case acc := <-p.accepts:
			p.applyAccept(acc)
		}
	}
}

// watch probes one partner until ctx ends: every second while a principal serves, and every few milliseconds
// otherwise. It runs once for each partner, so a partner that does not answer does not delay the other.
func (p *Pair) watch(ctx context.Context, m *member) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		o := m.observe(ctx, &p.cfg, p.probeRequests.Load())
		select {
		case <-ctx.Done():
			return
		case p.reports <- o:
		}
		if o.ConfirmedByCalls {
			continue // the probe's answer is still awaited
		}
		timer.Reset(probePause(&p.cfg, p.withoutPrincipal()))
		select {
		case <-ctx.Done():
			return
		case <-m.wakeUp:
		case <-timer.C:
		}
	}
}

// withoutPrincipal returns how long no principal has served; negative while one serves.
func (p *Pair) withoutPrincipal() time.Duration {
	since := p.noPrincipalSince.Load()
	if since == 0 {
		return -1
	}
	return time.Since(time.Unix(0, since))
}

// startSearch makes both partners be probed now, and then every few milliseconds.
func (p *Pair) startSearch() {
	p.noPrincipalSince.CompareAndSwap(0, time.Now().UnixNano())
	p.probeNow()
}

// probeNow makes both partners be probed now.
func (p *Pair) probeNow() {
	for _, m := range p.members {
		m.probeNow()
	}
}

// WaitForPrincipal waits until a principal serves. It returns Closed if Run has ended, and ctx's cause if
// ctx ends.
func (p *Pair) WaitForPrincipal(ctx context.Context) error {
	return p.await(ctx, false, func(choose.View) bool { return p.hold.Serving() != nil })
}

// await waits until cond is true for the view. With probing, both partners are probed every few milliseconds
// meanwhile.
func (p *Pair) await(ctx context.Context, probing bool, cond func(choose.View) bool) error {
	tick := time.NewTicker(p.cfg.MonitorTrouble)
	defer tick.Stop()
	for {
		p.mu.Lock()
		v, changed := p.view, p.changed
		p.mu.Unlock()
		if cond(v) {
			return nil
		}
		beat := tick.C
		if !probing {
			beat = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.closed:
			return Closed
		case <-changed:
		case <-beat:
			p.probeNow()
		}
	}
}
