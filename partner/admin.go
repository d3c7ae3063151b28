package partner

import (
	"context"
	"errors"
	"fmt"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// SQL Server's error numbers for the refusals that this package foresees.
const (
	refusedNotMirrored = 1416
	refusedNotCaughtUp = 1422
	refusedNoPartner   = 1431
	refusedPartnerDown = 1447
	refusedWrongState  = 1455
	refusedRedoFailed  = 1462
	refusedSafetyOff   = 1477
)

// refused returns a RefusedError with the advice for the number.
func refused(number int32, format string, args ...any) *RefusedError {
	return &RefusedError{Number: number, Message: fmt.Sprintf(format, args...), Advice: operate.Advice(number)}
}

// Failover makes the principal exchange roles with the mirror, without losing data. It returns nil when the new
// principal serves. A *RefusedError has SQL Server's error number, also if a check of this package refused.
// Safe for concurrent use.
func (p *Pair) Failover(ctx context.Context) error {
	if p.isGroup() {
		return p.operateGroup(ctx, operate.Failover, false)
	}
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	obs, from, err := p.findPrincipal(ctx)
	if err != nil {
		return err
	}
	o, to := obs[from], p.members[1-from]
	switch {
	case !obs[1-from].Reachable:
		return refused(refusedPartnerDown, "partner %s does not answer", to.name)
	case o.Safety != "FULL":
		return refused(refusedSafetyOff, "the safety level is %s", o.Safety)
	case o.Mirroring != "SYNCHRONIZED":
		return refused(refusedNotCaughtUp, "the state is %s", o.Mirroring)
	}
	p.cfg.Logger.Info("operator's verb", "verb", "failover", "sent_to", o.Partner)
	return p.execute(ctx, "failover", from, operate.Failover, func(v choose.View) bool {
		// A login without rights does not see that the old principal is now the mirror.
		return v.Serves(to.name) && v.Observed[from].Reachable && v.Observed[from].Role != choose.RolePrincipal
	})
}

// findPrincipal probes both partners and returns the index of the principal. If a partner does not answer, it
// probes once more: a server whose connections were just reset may miss one probe.
func (p *Pair) findPrincipal(ctx context.Context) (obs [2]choose.Observation, from int, err error) {
	for range 2 {
		if obs, err = p.probeBoth(ctx); err != nil {
			return obs, -1, fmt.Errorf("failover: %w", err)
		}
		from, err = p.principalOf(obs)
		if obs[0].Reachable && obs[1].Reachable {
			break
		}
	}
	return obs, from, err
}

// ForceService makes the mirror principal although the old principal is lost. Acknowledged writes may be lost,
// so it is refused without allowDataLoss. It returns nil when the new principal serves. Safe for concurrent
// use.
func (p *Pair) ForceService(ctx context.Context, allowDataLoss bool) error {
	if p.isGroup() {
		return p.operateGroup(ctx, operate.Force, allowDataLoss)
	}
	if !allowDataLoss {
		return &RefusedError{Message: "forcing service may lose acknowledged writes", Advice: "allow data loss explicitly, or use failover"}
	}
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	obs, err := p.probeBoth(ctx)
	if err != nil {
		return fmt.Errorf("force service: %w", err)
	}
	at := -1
	for i, o := range obs {
		if o.Reachable && o.Role == choose.RoleMirror {
			at = i
		}
	}
	if at < 0 {
		return refused(refusedNoPartner, "no partner that answers is the mirror")
	}
	o := obs[at]
	switch {
	case o.Mirroring == "SYNCHRONIZED" || o.Mirroring == "SYNCHRONIZING":
		return refused(refusedWrongState, "the mirror %s is %s: it is connected to its principal", o.Partner, o.Mirroring)
	case o.WitnessState == "DISCONNECTED":
		return refused(refusedNoPartner, "the mirror %s is not connected to the witness", o.Partner)
	}
	p.cfg.Logger.Warn("operator's verb", "verb", "force service", "sent_to", o.Partner)
	return p.execute(ctx, "force service", at, operate.Force, func(v choose.View) bool { return v.Serves(o.Partner) })
}

// Suspend stops sending the log to the mirror. It returns nil when every partner that answers reports
// SUSPENDED. Safe for concurrent use.
func (p *Pair) Suspend(ctx context.Context) error {
	if p.isGroup() {
		return p.operateGroup(ctx, operate.Suspend, false)
	}
	return p.changeSession(ctx, operate.Suspend, func(state string) bool { return state == "SUSPENDED" })
}

// Resume starts sending the log again. It returns nil when no partner that answers reports SUSPENDED. Safe for
// concurrent use.
func (p *Pair) Resume(ctx context.Context) error {
	if p.isGroup() {
		return p.operateGroup(ctx, operate.Resume, false)
	}
	return p.changeSession(ctx, operate.Resume, func(state string) bool { return state != "SUSPENDED" })
}

// changeSession sends a statement about the mirroring session to the principal. It waits until reached reports
// true for the state of every partner that answers.
func (p *Pair) changeSession(ctx context.Context, verb string, reached func(state string) bool) error {
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	obs, err := p.probeBoth(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	at, err := p.principalOf(obs)
	if err != nil {
		return err
	}
	p.cfg.Logger.Info("operator's verb", "verb", verb, "sent_to", obs[at].Partner)
	return p.execute(ctx, verb, at, verb, func(v choose.View) bool {
		for _, o := range v.Observed {
			if o.Reachable && o.HasRole() && !reached(o.Mirroring) {
				return false
			}
		}
		return v.Observed[at].Reachable
	})
}

// adminContext returns a context that ends after the admin budget.
func (p *Pair) adminContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.cfg.Budgets.Admin)
}

// probeBoth probes both partners and returns their observations.
func (p *Pair) probeBoth(ctx context.Context) (obs [2]choose.Observation, err error) {
	n := p.probeRequests.Add(1)
	p.probeNow()
	err = p.await(ctx, false, func(v choose.View) bool {
		obs = v.Observed
		return obs[0].Request >= n && obs[1].Request >= n
	})
	return obs, err
}

// principalOf returns the index of the partner that reports that it is the principal of a mirrored database. If
// both report this, it returns the one that serves, or else the one with the higher role sequence.
func (p *Pair) principalOf(obs [2]choose.Observation) (int, error) {
	found, mirrored := -1, false
	p.mu.Lock()
	v := p.view
	p.mu.Unlock()
	for i, o := range obs {
		if o.Reachable && v.Serves(o.Partner) && o.Role == choose.RolePrincipal {
			return i, nil
		}
		mirrored = mirrored || o.HasRole()
		if !o.Reachable || o.Role != choose.RolePrincipal {
			continue
		}
		if found >= 0 && obs[found].Sequence >= o.Sequence {
			continue // an old principal that does not know of the failover yet
		}
		found = i
	}
	switch {
	case found >= 0:
		return found, nil
	case mirrored || !obs[0].Reachable || !obs[1].Reachable:
		return -1, refused(refusedNoPartner, "no partner that answers is the principal")
	}
	return -1, refused(refusedNotMirrored, "neither partner reports that the database is mirrored")
}

// execute sends the statement of a verb of package operate to partner at, and waits until done reports true for
// the view. An error of the statement ends the wait only if it is a refusal: a role switch may end the connection
// that asked for it, and a switch that was accepted may still fail.
func (p *Pair) execute(ctx context.Context, title string, at int, verb string, done func(choose.View) bool) error {
	execErr := p.members[at].endpoint.Exec(ctx, operate.MirroringStatement(verb, p.cfg.Database))
	if r := serverRefusal(execErr); r != nil {
		return r
	}
	if _, unsent := errors.AsType[*link.LoginError](execErr); unsent {
		return fmt.Errorf("%s was not sent to %s: %w", title, p.members[at].name, execErr)
	}
	n := p.probeRequests.Add(1)
	p.probeNow()
	err := p.await(ctx, true, func(v choose.View) bool { return v.Observed[at].Request >= n && done(v) })
	if err != nil {
		return fmt.Errorf("%s was sent to %s, but the partners did not confirm it: %w", title, p.members[at].name, errors.Join(execErr, err))
	}
	return nil
}

// serverRefusal returns err as a RefusedError if it means that the server did nothing, and nil otherwise.
func serverRefusal(err error) *RefusedError {
	e, ok := errors.AsType[mssql.Error](err)
	if !ok || classify.Fatal(err) {
		return nil
	}
	all := classify.Errors(e)
	first := all[0]
	return refused(first.Number, "%s", first.Message)
}

// isGroup reports whether the database is known to be in an availability group.
func (p *Pair) isGroup() bool {
	p.mu.Lock()
	v := p.view
	p.mu.Unlock()
	return v.Observed[0].InGroup || v.Observed[1].InGroup || choose.GroupSession(v.Accepted.Session)
}

// operateGroup runs a verb of package operate on an availability group, and waits until the pair serves again.
func (p *Pair) operateGroup(ctx context.Context, verb string, allowDataLoss bool) error {
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	servers := map[operate.Side]operate.Server{}
	var seen [2]*operate.Found
	for i, m := range p.members {
		s, ok := m.endpoint.(*link.Server)
		if !ok {
			return errors.New("the partners are not SQL Servers with a console")
		}
		c := s.Console()
		defer c.Close()
		side := operate.Side(m.name)
		servers[side] = c
		seen[i] = operate.Look(ctx, side, m.address, c, p.cfg.Database)
	}
	plan, err := operate.NewPlan(verb, operate.Options{Database: p.cfg.Database, AllowDataLoss: allowDataLoss, Patience: p.cfg.Budgets.Admin}, seen)
	if err != nil {
		return fromOperate(err)
	}
	p.cfg.Logger.Info("operator's verb", "verb", verb, "topology", plan.Topology, "principal", plan.Principal)
	r := operate.Runner{Servers: servers, Transient: p.cfg.Budgets.Admin / 2}
	if err := r.Run(ctx, plan); err != nil {
		return fmt.Errorf("%s: %w", verb, fromOperate(err))
	}
	want := choose.Name(plan.Principal)
	if verb == operate.Failover || verb == operate.Force {
		want = p.members[1-want.Index()].name
	}
	p.probeNow()
	return p.await(ctx, true, func(v choose.View) bool { return v.Serves(want) })
}

// fromOperate returns a refusal of package operate as a RefusedError, and other errors as they are.
func fromOperate(err error) error {
	if r, ok := errors.AsType[*operate.Refusal](err); ok {
		return &RefusedError{Number: r.Number, Message: r.Message, Advice: r.Advice}
	}
	return err
}
