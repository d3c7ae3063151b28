package partner

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// isGroup says whether the pair is known as an availability group.
func (p *Pair) isGroup() bool {
	p.mu.Lock()
	v := p.view
	p.mu.Unlock()
	return v.obs[0].Grouped || v.obs[1].Grouped || groupSession(v.accepted.Session)
}

// operateGroup carries out a verb on an availability group, and waits until the pair serves again.
func (p *Pair) operateGroup(ctx context.Context, verb string, allowDataLoss bool) error {
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	servers := map[operate.Side]operate.Server{}
	var seen [2]*operate.Found
	for i, m := range p.members {
		s, ok := m.endpoint.(*server)
		if !ok {
			return errors.New("the partners have no consoles")
		}
		c := s.console()
		defer c.Close()
		side := operate.Side(m.name)
		servers[side] = c
		seen[i] = operate.Look(ctx, side, m.address, c, p.cfg.Database)
	}
	plan, err := operate.NewPlan(verb, operate.Options{Database: p.cfg.Database, AllowDataLoss: allowDataLoss, Patience: p.cfg.Budgets.Admin}, seen)
	if err != nil {
		return asRefused(err)
	}
	p.cfg.Logger.Info("operator's verb", "verb", verb, "topology", plan.Topology, "principal", plan.Principal)
	r := operate.Runner{Servers: servers, Transient: p.cfg.Budgets.Admin / 2}
	if err := r.Run(ctx, plan); err != nil {
		return fmt.Errorf("%s: %w", verb, asRefused(err))
	}
	want := Name(plan.Principal)
	if verb == operate.Failover || verb == operate.Force {
		want = p.members[1-want.Index()].name
	}
	p.wake()
	return p.await(ctx, true, func(v view) bool { return v.serves(want) })
}

// asRefused makes a RefusedError of a refusal of package operate.
func asRefused(err error) error {
	if r, ok := errors.AsType[*operate.Refusal](err); ok {
		return &RefusedError{Number: r.Number, Message: r.Message, Advice: r.Advice}
	}
	return err
}
