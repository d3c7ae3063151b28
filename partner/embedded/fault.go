package embedded

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The kinds of faults.
const (
	faultCrash     = "crash"
	faultStop      = "stop"
	faultStart     = "start"
	faultFreeze    = "freeze"
	faultSever     = "sever"
	faultPartition = "partition"
	faultIsolate   = "isolate"
	faultSlow      = "slow"
	faultNone      = "none"
)

// Fault is what is done to a partner.
//
// Kinds that last until none: freeze (the server stands still: it takes connections and
// never answers; what waits in its sockets goes on when it is lifted), isolate (nobody
// reaches the partner, but it lives), partition (the partners lose each other; clients
// and witness see both), slow (each write to a client waits). Until start: crash (as kill
// -9) and stop. At once and over: sever (every connection is reset). none lifts all
// faults of the partner and starts it, start only starts it.
type Fault struct {
	// Kind is crash, stop, start, freeze, sever, partition, isolate, slow or none.
	Kind string
	// Delay and Jitter are of slow: each answer waits Delay, plus or minus up to Jitter.
	Delay, Jitter time.Duration
	// App, if not empty, is the LOGIN7 application name whose connections alone are
	// hit: of freeze, sever, isolate and slow. The server itself goes on then.
	App string
}

// check says what is wrong with the fault.
func (f Fault) check() error {
	switch f.Kind {
	case faultCrash, faultStop, faultStart, faultPartition, faultNone:
		if f.App != "" {
			return fmt.Errorf("fault %s hits the whole partner, not one application", f.Kind)
		}
	case faultFreeze, faultSever, faultIsolate:
	case faultSlow:
		if f.Delay < 0 || f.Jitter < 0 || f.Delay == 0 && f.Jitter == 0 {
			return fmt.Errorf("fault slow needs a positive delay or jitter, not %v and %v", f.Delay, f.Jitter)
		}
	default:
		return fmt.Errorf("unknown fault %q: it is crash, stop, start, freeze, sever, partition, isolate, slow or none", f.Kind)
	}
	return nil
}

// Inject does the fault to the partner, and returns when it is in force. Faults add
// up; one of the same kind and application replaces the former. If ctx ends first, the
// fault may be half done: inject it, or none, again.
func (p *Partner) Inject(ctx context.Context, f Fault) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("partner %s: %w", p.name, err)
	}
	select {
	case p.injecting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.injecting }()
	if err := p.inject(ctx, f); err != nil {
		return fmt.Errorf("%s partner %s: %w", f.Kind, p.name, err)
	}
	p.log.Info("fault", "kind", f.Kind, "app", f.App, "delay", f.Delay, "jitter", f.Jitter)
	p.pair.events.tell("fault", p.name, f.Kind)
	return nil
}

func (p *Partner) inject(ctx context.Context, f Fault) error {
	switch f.Kind {
	case faultCrash, faultStop:
		return p.halt(ctx, f.Kind)
	case faultStart:
		return p.start(ctx)
	case faultSever:
		p.gate.sever(f.App)
		return nil
	case faultNone:
		p.suffer(ctx, nil)
		return p.start(ctx)
	}
	faults := slices.DeleteFunc(p.sufferings(), func(o Fault) bool { return o.Kind == f.Kind && o.App == f.App })
	p.suffer(ctx, append(faults, f))
	return nil
}

// sufferings are the lasting faults in force, but for crash and stop.
func (p *Partner) sufferings() []Fault {
	w := &p.pair.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(p.faults)
}

// suffer puts these faults in force, instead of those that were.
//
// A principal that was frozen for longer than the partner time-out serves nothing, not even
// what waits in its sockets, before it has looked who is principal by now.
func (p *Partner) suffer(ctx context.Context, faults []Fault) {
	pair := p.pair
	sky := pair.see()
	w := &pair.weather
	w.mu.Lock()
	slept := false
	for _, d := range p.sorted() {
		if p.frozen.Load() && d.state.Load().role == rolePrincipal && (sky.lost[linkPartners] || sky.lost[p.witnessLink()]) {
			slept = true
			d.closed.Store(true)
		}
	}
	p.faults = faults
	pair.forecast()
	awake := !p.frozen.Load()
	w.mu.Unlock()
	if slept && awake {
		if err := pair.tend(ctx); err != nil {
			p.log.Warn("still closed after a freeze", "error", err) // the link is tried again
		}
	}
	p.gate.set(slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return f.Kind == faultPartition }))
}

// Faults are the kinds of faults in force on this partner, sorted, each once. One
// that is down shows crash or stop.
func (p *Partner) Faults() []string {
	w := &p.pair.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := []string{}
	if p.down != "" {
		kinds = append(kinds, p.down)
	}
	for _, f := range p.faults {
		kinds = append(kinds, f.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Mirror is the name of the partner that is not [Pair.Principal]; "" if there is none.
func (p *Pair) Mirror() string {
	switch p.Principal() {
	case partnerNames[0]:
		return partnerNames[1]
	case partnerNames[1]:
		return partnerNames[0]
	}
	return ""
}
