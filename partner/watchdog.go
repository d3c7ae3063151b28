package partner

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// WatchdogStatus is the watchdog's part of the status.
type WatchdogStatus struct {
	Enabled bool      `json:"enabled"` // WatchdogConfig.Enabled
	DryRun  bool      `json:"dry_run"` // WatchdogConfig.DryRun
	Action  string    `json:"action"`  // off, watch, wait, block, would-force or force
	Reason  string    `json:"reason"`  // why the watchdog decided so
	Since   time.Time `json:"since"`   // when the watchdog first decided so; the zero time while off
	// Forced is how often service was forced since the start. LastForced is when this was last tried; it is
	// kept across restarts in Config.Memory. LastError is the error of the last try; empty if it succeeded or
	// there was none.
	Forced     uint64    `json:"forced"`
	LastForced time.Time `json:"last_forced"`
	LastError  string    `json:"last_error"`
	// Observers are the observers' last answers, in the configured order.
	Observers []choose.Sighting `json:"observers"`
}

// refusedPause is how long the watchdog waits after the mirror refused or could not be reached. Nothing was done,
// and a later try may succeed.
const refusedPause = time.Second

// runWatchdog runs the watchdog until ctx ends.
func (p *Pair) runWatchdog(ctx context.Context) {
	tick := time.NewTicker(min(p.cfg.MonitorSteady, choose.SightingMaxAge))
	defer tick.Stop()
	g := &watchdog{p: p}
	if forced := p.memory.read().Forced; !forced.IsZero() {
		g.holdOff(forced.Add(p.cfg.Watchdog.CoolDown), pauseForced)
	}
	for ctx.Err() == nil {
		p.mu.Lock()
		v, changed := p.view, p.changed
		p.mu.Unlock()
		if g.step(ctx, v) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-tick.C:
		}
	}
}

// Why the watchdog waits after it has acted.
const (
	pauseForced  = "service was forced recently: the cool-down is not over"
	pauseRefused = "the mirror just refused or could not be reached"
)

// watchdog is what the watchdog keeps between decisions.
type watchdog struct {
	p           *Pair
	sightings   []choose.Sighting
	notBefore   time.Time
	pauseReason string
	action      choose.WatchdogAction
	reason      string
}

// holdOff makes the watchdog wait for the given reason until a time.
func (g *watchdog) holdOff(until time.Time, why string) { g.notBefore, g.pauseReason = until, why }

// step decides once and acts. It reports whether to decide again at once.
func (g *watchdog) step(ctx context.Context, v choose.View) (again bool) {
	in := choose.SituationOf(g.p.cfg.Watchdog, v)
	in.Sightings, in.NotBefore, in.PauseReason = g.sightings, g.notBefore, g.pauseReason
	action, reason := choose.DecideWatchdog(time.Now(), in)
	if action == choose.WatchdogAsk {
		g.sightings = g.p.askObservers(ctx, v.Accepted.Partner)
		return ctx.Err() == nil
	}
	g.record(action, reason, in)
	if action == choose.WatchdogForce {
		g.force(ctx, in)
	}
	return false
}

// record records a decision and its reasons, if it differs from the last one.
func (g *watchdog) record(action choose.WatchdogAction, reason string, in choose.Situation) {
	p := g.p
	changed := action != g.action || reason != g.reason
	g.action, g.reason = action, reason
	p.mu.Lock()
	if changed {
		p.watchdog.Action, p.watchdog.Reason, p.watchdog.Since = string(action), reason, time.Now()
		p.stats.Watchdog[string(action)]++
	}
	p.watchdog.Observers = g.sightings
	p.mu.Unlock()
	if !changed {
		return
	}
	a, m := in.Sides()
	p.publish(Event{At: time.Now(), Kind: "watchdog", Partner: in.Accepted.Partner, Epoch: in.Accepted.Epoch, Reason: string(action) + ": " + reason})
	level := slog.LevelInfo
	if action == choose.WatchdogForce || action == choose.WatchdogWouldForce {
		level = slog.LevelWarn
	}
	p.cfg.Logger.Log(context.Background(), level, "watchdog", "action", action, "reason", reason,
		"principal", in.Accepted.Partner, "principal_error", link.ErrorText(in.Observed[a].Err), "principal_lost", in.UnreachableSince[a],
		"mirror_role", in.Observed[m].Role, "mirror_state", in.Observed[m].Mirroring, "mirror_error", link.ErrorText(in.Observed[m].Err),
		"epoch", in.Accepted.Epoch, "role_sequence", in.Accepted.Sequence, "synchronized_before", in.Synchronized,
		"witness", in.Witness, "observers", g.sightings, "dry_run", in.Config.DryRun)
}

// force makes the mirror principal. The cool-down begins before anything is sent, also on disk: a process that
// fails now must not force again after its restart. If several proxies decide this at the same time, only the
// first statement succeeds: after it the server is no longer a mirror. No proxy sends the statement to the other
// partner meanwhile.
func (g *watchdog) force(ctx context.Context, in choose.Situation) {
	p := g.p
	now := time.Now()
	_, m := in.Sides()
	before := p.memory.read().Forced
	p.memory.update(func(r *record) { r.Forced = now })
	if err := p.memory.flush(); err != nil {
		p.memory.update(func(r *record) { r.Forced = before })
		g.holdOff(now.Add(refusedPause), "the cool-down could not be written to the memory file")
		return
	}
	g.holdOff(now.Add(p.cfg.Watchdog.CoolDown), pauseForced)
	p.mu.Lock()
	p.watchdog.LastForced = now
	p.mu.Unlock()
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	mirror := p.members[m].name
	err := p.execute(ctx, "force service", m, operate.Force, func(v choose.View) bool { return v.Serves(mirror) })
	_, refused := errors.AsType[*RefusedError](err)
	_, unsent := errors.AsType[*link.LoginError](err)
	if refused || unsent {
		p.memory.update(func(r *record) { r.Forced = before })
		g.holdOff(time.Now().Add(refusedPause), pauseRefused)
	}
	g.sightings = nil
	p.mu.Lock()
	p.watchdog.LastError = link.ErrorText(err)
	if err == nil {
		p.watchdog.Forced++
	}
	p.mu.Unlock()
	if err != nil {
		p.cfg.Logger.Error("watchdog: service was not forced", "sent_to", mirror, "error", err)
		return
	}
	p.cfg.Logger.Warn("watchdog: service was forced", "principal", mirror, "took", time.Since(now))
}

// askObservers asks all observers at the same time, within the probe budget.
func (p *Pair) askObservers(ctx context.Context, n choose.Name) []choose.Sighting {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Budgets.Probe)
	defer cancel()
	all := make([]choose.Sighting, len(p.cfg.Watchdog.Observers))
	var wg sync.WaitGroup
	for i, o := range p.cfg.Watchdog.Observers {
		wg.Go(func() {
			reachable, since, err := o.Sees(ctx, n)
			all[i] = choose.Sighting{Partner: n, Reachable: reachable, Since: since, Error: link.ErrorText(err)}
		})
	}
	wg.Wait()
	for i := range all {
		all[i].At = time.Now() // all answers get the time of the last one, so that a slow observer does not make the others look old
	}
	return all
}
