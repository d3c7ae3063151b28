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

// Fault is a fault of a partner: one of the variables below, or a result of [Slow] or [ParseFault]. Inject refuses the
// zero Fault.
type Fault struct {
	Kind          string
	delay, jitter time.Duration // of fault slow
	app           string        // the application whose connections are affected; "": all connections
}

// The faults except [Slow]. Freeze, Isolate, Partition and Slow last until Heal. Crash and Stop last until Start or
// Heal. Sever ends at once.
var (
	// Crash ends the server as kill -9 does.
	Crash = Fault{Kind: FaultCrash}
	// Stop shuts the server down in order.
	Stop = Fault{Kind: FaultStop}
	// Start starts a server that is down, and removes no fault.
	Start = Fault{Kind: FaultStart}
	// Freeze stops the server's work: it accepts connections and never answers. When the fault is removed, the server
	// answers the requests that wait in its sockets.
	Freeze = Fault{Kind: FaultFreeze}
	// Sever resets every connection.
	Sever = Fault{Kind: faultSever}
	// Partition cuts the link between the partners; clients and the witness reach both.
	Partition = Fault{Kind: FaultPartition}
	// Isolate makes a running partner unreachable.
	Isolate = Fault{Kind: FaultIsolate}
	// Heal removes all faults of the partner, and starts it.
	Heal = Fault{Kind: FaultNone}
)

// Slow delays each write to a client by delay, plus or minus up to jitter. One of the two must be above 0.
func Slow(delay, jitter time.Duration) Fault {
	return Fault{Kind: faultSlow, delay: delay, jitter: jitter}
}

// Of returns the fault (Freeze, Sever, Isolate or Slow), limited to the connections of one application. It finds them
// by the application name in their LOGIN7. The server itself continues.
func (f Fault) Of(app string) Fault {
	f.app = app
	return f
}

// String returns the fault's kind: crash, stop, start, freeze, sever, partition, isolate, slow or none (Heal).
func (f Fault) String() string { return f.Kind }

// ParseFault returns the fault of that kind, as [Fault.String] writes it. delay and jitter apply only to slow; app is
// as for [Fault.Of]. The error says what is wrong.
func ParseFault(kind string, delay, jitter time.Duration, app string) (Fault, error) {
	f := Fault{kind, delay, jitter, app}
	return f, f.check()
}

// check returns an error if the fault is not valid.
func (f Fault) check() error {
	switch f.Kind {
	case FaultCrash, FaultStop, FaultStart, FaultPartition, FaultNone:
		if f.app != "" {
			return fmt.Errorf("fault %s applies to the whole partner and takes no application", f.Kind)
		}
	case FaultFreeze, faultSever, FaultIsolate:
	case faultSlow:
		if f.delay < 0 || f.jitter < 0 || f.delay == 0 && f.jitter == 0 {
			return fmt.Errorf("fault slow needs a positive delay or jitter; got %v and %v", f.delay, f.jitter)
		}
	default:
		return fmt.Errorf("unknown fault %q: must be crash, stop, start, freeze, sever, partition, isolate, slow or none", f.Kind)
	}
	return nil
}

// Inject applies the fault to the partner, and returns when the fault is in force. Faults accumulate; a fault replaces
// an earlier one of the same kind and application. If ctx ends first, the fault may be applied in part: inject it, or
// Heal, again.
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
		return i.stopServer(ctx, f.Kind)
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

// lastingFaults returns the faults in force except crash and stop.
func (i *Instance) lastingFaults() []Fault {
	w := &i.Pair.Links
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return slices.Clone(i.faults)
}

// applyFaults replaces the faults in force.
//
// A principal that was frozen for longer than the partner timeout must check who is principal before it serves
// anything, including the requests that wait in its sockets.
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
			i.Log.Warn("database stays closed after a freeze", "error", err) // watchLinks retries
		}
	}
	i.gate.set(slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return f.Kind == FaultPartition }))
}

// Faults returns the kinds of faults in force on this partner, sorted, each once. A partner that is down has the fault
// crash or stop.
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

// Mirror returns the name of the partner that is not [Pair.Principal]; "" if there is no principal.
func (p *Pair) Mirror() string {
	switch p.Principal() {
	case PartnerNames[0]:
		return PartnerNames[1]
	case PartnerNames[1]:
		return PartnerNames[0]
	}
	return ""
}
