package mirror

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The kinds of faults.
const (
	FaultCrash     = "crash"
	FaultStop      = "stop"
	FaultStart     = "start"
	FaultFreeze    = "freeze"
	faultSever     = "sever"
	FaultPartition = "partition"
	FaultIsolate   = "isolate"
	faultSlow      = "slow"
	FaultNone      = "none"
)

// Fault is what is done to a partner: one of those below, or what [Slow] and [ParseFault] give. The zero Fault is none of them,
// and is refused.
type Fault struct {
	Kind          string
	delay, jitter time.Duration // of slow
	app           string        // whose connections alone are hit; "": everything
}

// The faults, beside [Slow]. Freeze, Isolate, Partition and Slow last until Heal; Crash and Stop until Start or Heal; Sever is over at once.
var (
	// Crash ends the server as kill -9 does.
	Crash = Fault{Kind: FaultCrash}
	// Stop ends it in good order.
	Stop = Fault{Kind: FaultStop}
	// Start starts a server that is down, and lifts no fault.
	Start = Fault{Kind: FaultStart}
	// Freeze has the server stand still: it takes connections and never answers; what waits in its sockets goes on when it is lifted.
	Freeze = Fault{Kind: FaultFreeze}
	// Sever resets every connection.
	Sever = Fault{Kind: faultSever}
	// Partition has the partners lose each other; clients and witness see both.
	Partition = Fault{Kind: FaultPartition}
	// Isolate has nobody reach the partner, which lives.
	Isolate = Fault{Kind: FaultIsolate}
	// Heal lifts all faults of the partner, and starts it.
	Heal = Fault{Kind: FaultNone}
)

// Slow has each write to a client wait for delay, plus or minus up to jitter. One of them must be above 0.
func Slow(delay, jitter time.Duration) Fault {
	return Fault{Kind: faultSlow, delay: delay, jitter: jitter}
}

// Of is the fault for the connections of one application alone, by the name in their LOGIN7: of Freeze, Sever, Isolate and Slow. The
// server itself goes on then.
func (f Fault) Of(app string) Fault {
	f.app = app
	return f
}

// String is the fault's kind: crash, stop, start, freeze, sever, partition, isolate, slow or none (Heal).
func (f Fault) String() string { return f.Kind }

// ParseFault is the fault of that kind, as [Fault.String] writes it. delay and jitter are of slow alone, app is as for [Fault.Of]. The
// error says what is wrong.
func ParseFault(kind string, delay, jitter time.Duration, app string) (Fault, error) {
	f := Fault{kind, delay, jitter, app}
	return f, f.check()
}

// check says what is wrong with the fault.
func (f Fault) check() error {
	switch f.Kind {
	case FaultCrash, FaultStop, FaultStart, FaultPartition, FaultNone:
		if f.app != "" {
			return fmt.Errorf("fault %s hits the whole partner, not one application", f.Kind)
		}
	case FaultFreeze, faultSever, FaultIsolate:
	case faultSlow:
		if f.delay < 0 || f.jitter < 0 || f.delay == 0 && f.jitter == 0 {
			return fmt.Errorf("fault slow needs a positive delay or jitter, not %v and %v", f.delay, f.jitter)
		}
	default:
		return fmt.Errorf("unknown fault %q: it is crash, stop, start, freeze, sever, partition, isolate, slow or none", f.Kind)
	}
	return nil
}

// Inject does the fault to the partner, and returns when it is in force. Faults add
// up; one of the same kind and application replaces the former. If ctx ends first, the
// fault may be half done: inject it, or none, again.
func (i *Instance) Inject(ctx context.Context, f Fault) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("partner %s: %w", i.Letter, err)
	}
	select {
	case i.injecting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-i.injecting }()
	if err := i.inject(ctx, f); err != nil {
		return fmt.Errorf("%s partner %s: %w", f.Kind, i.Letter, err)
	}
	i.Log.Info("fault", "kind", f.Kind, "app", f.app, "delay", f.delay, "jitter", f.jitter)
	i.Pair.events.publish("fault", i.Letter, f.Kind)
	return nil
}

func (i *Instance) inject(ctx context.Context, f Fault) error {
	switch f.Kind {
	case FaultCrash, FaultStop:
		return i.halt(ctx, f.Kind)
	case FaultStart:
		return i.start(ctx)
	case faultSever:
		i.gate.sever(f.app)
		return nil
	case FaultNone:
		i.applyFaults(ctx, nil)
		return i.start(ctx)
	}
	faults := slices.DeleteFunc(i.lastingFaults(), func(o Fault) bool { return o.Kind == f.Kind && o.app == f.app })
	i.applyFaults(ctx, append(faults, f))
	return nil
}

// sufferings are the lasting faults in force, but for crash and stop.
func (i *Instance) lastingFaults() []Fault {
	w := &i.Pair.Links
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return slices.Clone(i.faults)
}

// suffer puts these faults in force, instead of those that were.
//
// A principal that was frozen for longer than the partner time-out serves nothing, not even
// what waits in its sockets, before it has looked who is principal by now.
func (i *Instance) applyFaults(ctx context.Context, faults []Fault) {
	pair := i.Pair
	sky := pair.viewLinks()
	w := &pair.Links
	w.Mu.Lock()
	slept := false
	for _, d := range i.Sorted() {
		if i.frozen.Load() && d.State.Load().Role == storage.RolePrincipal && (sky.lost[LinkPartners] || sky.lost[i.witnessLink()]) {
			slept = true
			d.Closed.Store(true)
		}
	}
	i.faults = faults
	pair.updateLinks()
	awake := !i.frozen.Load()
	w.Mu.Unlock()
	if slept && awake {
		if err := pair.Reconcile(ctx); err != nil {
			i.Log.Warn("still closed after a freeze", "error", err) // the link is tried again
		}
	}
	i.gate.set(slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return f.Kind == FaultPartition }))
}

// Faults are the kinds of faults in force on this partner, sorted, each once. One
// that is down shows crash or stop.
func (i *Instance) Faults() []string {
	w := &i.Pair.Links
	w.Mu.Lock()
	defer w.Mu.Unlock()
	kinds := []string{}
	if i.down != "" {
		kinds = append(kinds, i.down)
	}
	for _, f := range i.faults {
		kinds = append(kinds, f.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Mirror is the name of the partner that is not [Pair.Principal]; "" if there is none.
func (p *Pair) Mirror() string {
	switch p.Principal() {
	case PartnerNames[0]:
		return PartnerNames[1]
	case PartnerNames[1]:
		return PartnerNames[0]
	}
	return ""
}
