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

// SQL Server's numbers for the refusals we can foresee, and its text in short.
const (
	refusedNotMirrored = 1416
	refusedNotCaughtUp = 1422
	refusedNobodyThere = 1431
	refusedPartnerDown = 1447
	refusedWrongState  = 1455
	refusedRedoFailed  = 1462
	refusedSafetyOff   = 1477
)

// refused makes a RefusedError.
func refused(number int32, format string, args ...any) *RefusedError {
	return &RefusedError{Number: number, Message: fmt.Sprintf(format, args...), Advice: operate.Advice(number)}
}

// Failover asks the principal to exchange roles with the mirror, losing
// nothing, and returns nil when the new principal serves. A *RefusedError
// carries SQL Server's number, also where our own check refused.
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
		// A login without rights does not see that the old principal is the mirror now.
		return v.Serves(to.name) && v.Observed[from].Reachable && v.Observed[from].Role != choose.RolePrincipal
	})
}

// sides asks both partners which of them is the principal. Where one does not
// answer they are asked once more: a server whose connections have just been
// reset may miss a question, and be there for the next.
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

// ForceService makes the mirror principal although the old one is gone.
// Acknowledged writes may be lost: without allowDataLoss it is refused.
// It returns nil when the new principal serves.
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
		return refused(refusedNobodyThere, "no partner that answers is the mirror")
	}
	o := obs[at]
	switch {
	case o.Mirroring == "SYNCHRONIZED" || o.Mirroring == "SYNCHRONIZING":
		return refused(refusedWrongState, "the mirror %s is %s: it is connected to its principal", o.Partner, o.Mirroring)
	case o.WitnessState == "DISCONNECTED":
		return refused(refusedNobodyThere, "the mirror %s does not see the witness", o.Partner)
	}
	p.cfg.Logger.Warn("operator's verb", "verb", "force service", "sent_to", o.Partner)
	return p.execute(ctx, "force service", at, operate.Force, func(v choose.View) bool { return v.Serves(o.Partner) })
}

// Suspend stops sending the log to the mirror; returns nil when every partner
// that answers says so.
func (p *Pair) Suspend(ctx context.Context) error {
	if p.isGroup() {
		return p.operateGroup(ctx, operate.Suspend, false)
	}
	return p.changeSession(ctx, operate.Suspend, func(state string) bool { return state == "SUSPENDED" })
}

// Resume starts it again; returns nil when no partner that answers is SUSPENDED any more.
func (p *Pair) Resume(ctx context.Context) error {
	if p.isGroup() {
		return p.operateGroup(ctx, operate.Resume, false)
	}
	return p.changeSession(ctx, operate.Resume, func(state string) bool { return state != "SUSPENDED" })
}

// session sends a statement about the session to the principal.
func (p *Pair) changeSession(ctx context.Context, verb string, is func(state string) bool) error {
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
			if o.Reachable && o.HasRole() && !is(o.Mirroring) {
				return false
			}
		}
		return v.Observed[at].Reachable
	})
}

func (p *Pair) adminContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.cfg.Budgets.Admin)
}

// look asks both partners anew and gives their answers.
func (p *Pair) probeBoth(ctx context.Context) (obs [2]choose.Observation, err error) {
	n := p.probeRequests.Add(1)
	p.probeNow()
	err = p.await(ctx, false, func(v choose.View) bool {
		obs = v.Observed
		return obs[0].Request >= n && obs[1].Request >= n
	})
	return obs, err
}

// principalOf finds the one that says it is the principal of a mirrored
// database. Of two it is the one that serves: what is accepted counts more than
// a role sequence.
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
			continue // an old principal that does not know yet
		}
		found = i
	}
	switch {
	case found >= 0:
		return found, nil
	case mirrored || !obs[0].Reachable || !obs[1].Reachable:
		return -1, refused(refusedNobodyThere, "no partner that answers is the principal")
	}
	return -1, refused(refusedNotMirrored, "neither partner says that the database is mirrored")
}

// carryOut sends the statement of a verb of package operate and waits until both partners' answers show what
// it was for. Its own answer decides only where it is a plain refusal: a role
// switch may kill the connection that asked for it, and one that was accepted may yet fail.
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
		return fmt.Errorf("%s was sent to %s, and the partners did not confirm it: %w", title, p.members[at].name, errors.Join(execErr, err))
	}
	return nil
}

// asRefusal makes a RefusedError of an answer that means: nothing was done.
func serverRefusal(err error) *RefusedError {
	e, ok := errors.AsType[mssql.Error](err)
	if !ok || classify.Fatal(err) {
		return nil
	}
	all := classify.Errors(e)
	first := all[0]
	return refused(first.Number, "%s", first.Message)
}

// isGroup says whether the pair is known as an availability group.
func (p *Pair) isGroup() bool {
	p.mu.Lock()
	v := p.view
	p.mu.Unlock()
	return v.Observed[0].InGroup || v.Observed[1].InGroup || choose.GroupSession(v.Accepted.Session)
}

// operateGroup carries out a verb on an availability group, and waits until the pair serves again.
func (p *Pair) operateGroup(ctx context.Context, verb string, allowDataLoss bool) error {
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	servers := map[operate.Side]operate.Server{}
	var seen [2]*operate.Found
	for i, m := range p.members {
		s, ok := m.endpoint.(*link.Server)
		if !ok {
			return errors.New("the partners have no consoles")
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

// asRefused makes a RefusedError of a refusal of package operate.
func fromOperate(err error) error {
	if r, ok := errors.AsType[*operate.Refusal](err); ok {
		return &RefusedError{Number: r.Number, Message: r.Message, Advice: r.Advice}
	}
	return err
}
