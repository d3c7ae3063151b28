package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/load"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
)

// Run runs a load test and returns its report. An error means that there is no report; what failed
// under load is in the report. If ctx ends, the report covers the time until then.
func Run(ctx context.Context, o Options, env Environment) (found *report.Report, err error) {
	progress := &progress{out: env.Progress, terminal: env.Terminal}
	defer progress.end()
	s, err := openSystem(ctx, &o, &env)
	if err != nil {
		return nil, err
	}
	defer func() {
		ended := s.close()
		if found != nil && ended != nil { // the report is more important than this error
			found.Notes, ended = append(found.Notes, ended.Error()), nil
		}
		err = errors.Join(err, ended)
	}()
	if s.operator != nil {
		if err := checkKinds(ctx, s.operator, o.Failovers); err != nil {
			return nil, err
		}
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer stop()
	for _, w := range s.watchers {
		watchers.Go(func() { w.Run(watching) })
	}
	progress.print("creating %d sessions", o.Sessions*len(s.vias))
	for _, v := range s.vias {
		if err := v.Prepare(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	for _, w := range s.watchers {
		if err := w.WaitBegun(ctx); err != nil {
			return nil, err
		}
	}
	r := &run{Options: o, system: s, progress: progress, tested: tested(&o)}
	askBefore(ctx, &r.tested, s.observer())
	r.measure(ctx)
	return r.report(ctx, env.Version), nil
}

// run is the state of the measured part of a load test.
type run struct {
	Options
	*system
	progress *progress
	tested   report.Tested
	clock    measure.Clock

	attempts  []measure.Attempt
	underLoad map[string]time.Duration // by via: how long it was under load while the run was measured
	costs     map[string]measure.Cost
	ended     time.Duration // when measuring ended
}

// startDelay is the time until the first arrival. By then all goroutines have started.
const startDelay = 200 * time.Millisecond

// measure runs the loads and the planned failovers.
func (r *run) measure(ctx context.Context) {
	r.clock = measure.Clock{Zero: time.Now().Add(startDelay + r.Warmup)}
	r.progress.clock = r.clock
	loading, over := context.WithCancel(ctx)
	var loads, beside sync.WaitGroup
	inTurn := r.Rate == 0 && len(r.vias) > 1
	for _, v := range r.vias {
		if inTurn {
			v.Shut()
		}
		loads.Go(func() { v.Run(ctx, r.clock.Zero) })
	}
	if inTurn {
		beside.Go(func() { r.takeTurns(loading) })
	}
	runner := &planRunner{clock: r.clock, say: r.progress.print}
	if r.operator != nil {
		runner.Operator = *r.operator
	}
	beside.Go(func() { r.attempts = runner.run(ctx, r.Failovers) })
	beside.Go(func() { r.meter(loading) })
	beside.Go(func() { r.showProgress(loading) })
	loads.Wait()
	over()
	beside.Wait()
}

// turnTime is the length of a turn of one via in a comparison at full speed. Under load at the same time the vias would
// compete.
const turnTime = time.Second

// takeTurns runs the load on one via after the other.
func (r *run) takeTurns(ctx context.Context) {
	r.underLoad = map[string]time.Duration{}
	for i := 0; ctx.Err() == nil && r.clock.Now() < r.Duration; i++ {
		v := r.vias[i%len(r.vias)]
		from := r.clock.Now()
		v.Open()
		_ = r.clock.Wait(ctx, min(r.Duration, max(from, -r.Warmup)+turnTime)) // the loop checks ctx
		v.Shut()
		r.underLoad[v.name] += max(0, min(r.clock.Now(), r.Duration)-max(0, from))
	}
	for _, v := range r.vias {
		v.Open() // now its clients see that the run is over
	}
}

// meter measures the resources of the processes, and notes when measuring ended.
func (r *run) meter(ctx context.Context) {
	if r.clock.Wait(ctx, 0) != nil {
		return
	}
	var meters []measure.Meter
	for _, p := range r.processes {
		meters = append(meters, measure.StartMeter(p.name, p.pid))
	}
	from := r.clock.Now()
	_ = r.clock.Wait(ctx, r.Duration) // an interrupt ends measuring too
	now := r.clock.Now()
	r.ended, r.costs = min(now, r.Duration), map[string]measure.Cost{}
	for _, m := range meters {
		if cost, ok := m.Read(now - from); ok {
			r.costs[m.Name] = cost
		}
	}
}

// shareCosts relates the resources of vias that took turns to the time of their turns.
func (r *run) shareCosts() {
	for name, underLoad := range r.underLoad {
		if cost, ok := r.costs[name]; ok && underLoad > 0 {
			cost.Cores *= r.ended.Seconds() / underLoad.Seconds()
			r.costs[name] = cost
		}
	}
}

// showProgress shows the progress, and drops old samples.
func (r *run) showProgress(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		r.progress.update(r.vias, r.watcher())
		for _, v := range r.vias {
			v.recorder.Compact(r.clock.Now(), r.keeps)
		}
	}
}

// watcher returns the watcher that knows the current principal; nil: there is none.
func (r *run) watcher() *measure.Watcher {
	if r.proxy != nil || len(r.watchers) == 0 {
		return r.proxy
	}
	return r.watchers[0]
}

// keepBefore and keepAfter are the times around a failover whose samples are kept until the end.
const (
	keepBefore = 2 * time.Second
	keepAfter  = time.Minute
)

// keeps reports whether requests that were due between two times may belong to a failover.
func (r *run) keeps(from, to time.Duration) bool {
	near := func(at time.Duration) bool { return to > at-keepBefore && from < at+keepAfter }
	return slices.ContainsFunc(r.Failovers, func(p Planned) bool { return near(p.At) }) ||
		slices.ContainsFunc(r.events(), func(e measure.Event) bool { return near(e.At) })
}

// events returns the events of all watchers.
func (r *run) events() (list []measure.Event) {
	for _, w := range r.watchers {
		list = append(list, w.Events(r.clock)...)
	}
	return list
}

// report reads all sessions back and returns the report.
func (r *run) report(ctx context.Context, version string) *report.Report {
	interrupted := ctx.Err() != nil
	r.shareCosts()
	ctx = context.WithoutCancel(ctx)
	askAfter(ctx, &r.tested, r.observer())
	r.progress.print("reading all sessions back")
	rep := report.New(r.Duration)
	rep.Version, rep.Tested, rep.Began, rep.Interrupted = version, r.tested, r.clock.Zero.UTC(), interrupted
	rep.Load, rep.Processes = r.offered(), r.costs
	for _, v := range r.vias {
		found := v.ReadBack(ctx)
		if r.external {
			v.Clean(ctx)
		}
		rep.Add(v.name, v.recorder, found, r.measured(v.name), r.ended)
	}
	rep.Finish(measure.Outages(r.attempts, r.events(), r.servers, r.ended), r.Compared)
	if r.proxy != nil {
		rep.Held = r.proxy.Held(r.clock, rep.Step(), r.ended)
	}
	rep.Evaluate(r.Tolerate, r.Limits)
	r.note(rep)
	return rep
}

// measured returns how long a via was under load.
func (r *run) measured(name string) time.Duration {
	if r.underLoad != nil {
		return r.underLoad[name]
	}
	return r.ended
}

// note adds notes to the report.
func (r *run) note(rep *report.Report) {
	add := func(format string, args ...any) { rep.Notes = append(rep.Notes, fmt.Sprintf(format, args...)) }
	if rep.Interrupted {
		add("interrupted after %.1f s; the report covers the time until then", rep.Seconds)
	}
	for _, m := range r.attempts {
		if m.NotLifted != "" {
			add("the fault %s on partner %s was not lifted: %s", m.Kind, m.Partner, m.NotLifted)
		}
	}
	rep.Each(func(name string, res *report.Result) {
		if n := res.FailedByProblem[load.NotStarted]; n > 0 {
			add("%s: %d visits were not made within %v after the end, because no client was free: the server is slower than --rate %g, or --clients %d is too low",
				name, n, load.CatchUp, r.Rate, r.Clients)
		}
	})
	if rep.StartedLateMS != nil && rep.StartedLateMS.P90 > lateGenerator {
		add("the generator sent one request in ten late, by %s or more: this machine is overloaded, and part of the latencies is its own", report.ShortMS(rep.StartedLateMS.P90))
	}
	if r.operator == nil {
		add("without --admin the load test recognises no failovers")
	}
}

// lateGenerator is the delay in milliseconds from which a note is added: by that much the generator
// itself sends one request in ten late.
const lateGenerator = 2
