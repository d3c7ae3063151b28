package partner

import (
	"context"
	"errors"
	"fmt"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// adviceAccept is the advice of every refusal of Accept.
const adviceAccept = "accept a partner that answers and whose database is open for writing; make sure that it has the data you want to keep"

// Accept makes partner n the accepted principal because an operator says so. It overrides what is remembered
// and the claim of the other partner. That claim and older ones are ignored until the other partner becomes a
// mirror or makes a newer claim. If the epoch of n is not the highest one known, n takes a higher epoch, so
// that other proxies follow. reason is logged and must not be empty.
//
// Accept returns nil when n serves. It returns a *RefusedError if n does not answer or is not a writable
// principal. It changes nothing if n already serves and the other partner makes no claim. Safe for concurrent
// use.
func (p *Pair) Accept(ctx context.Context, n choose.Name, reason string) error {
	if n != choose.A && n != choose.B {
		return &RefusedError{Message: fmt.Sprintf("no such partner: %q", n), Advice: "name a or b"}
	}
	if reason == "" {
		return &RefusedError{Message: "accepting a principal needs a reason", Advice: "give a short reason; it is logged"}
	}
	ctx, cancel := p.adminContext(ctx)
	defer cancel()
	i := n.Index()
	obs, err := p.checkClaim(ctx, i)
	if err != nil {
		return fmt.Errorf("accept %s: %w", n, err)
	}
	p.mu.Lock()
	acc := p.view.Accepted
	p.mu.Unlock()
	over := choose.Overrule(obs[1-i], acc, time.Now())
	p.cfg.Logger.Warn("operator's verb", "verb", "accept", "partner", n, "reason", reason,
		"claim", choose.ClaimOf(obs[i]), "against", choose.ClaimOf(obs[1-i]), "accepted_before", acc)
	if above, raise := choose.RaiseAbove(obs[i], over, acc); raise {
		if err := p.raiseEpoch(ctx, i, choose.NamesOf(obs[i], obs[1-i]).Own, above); err != nil {
			return fmt.Errorf("accept %s: take an epoch above %d: %w", n, above, err)
		}
		if obs, err = p.checkClaim(ctx, i); err != nil {
			return fmt.Errorf("accept %s: %w", n, err)
		}
	}
	acc = choose.Accept(obs[i], choose.Accepted{Overruled: over})
	return p.apply(ctx, acc, reason)
}

// checkClaim probes both partners and checks that partner i is a writable principal.
func (p *Pair) checkClaim(ctx context.Context, i int) ([2]choose.Observation, error) {
	obs, err := p.probeBoth(ctx)
	if err != nil {
		return obs, err
	}
	if why := obs[i].Refusal(time.Now()); why != "" {
		return obs, &RefusedError{Message: fmt.Sprintf("partner %s %s", p.members[i].name, why), Advice: adviceAccept}
	}
	return obs, nil
}

// raiseEpoch takes an epoch above the given one on partner i. If the procedure is missing there, it returns a
// *RefusedError.
func (p *Pair) raiseEpoch(ctx context.Context, i int, server string, above int64) error {
	err := p.members[i].endpoint.Raise(ctx, server, above)
	if e, ok := errors.AsType[mssql.Error](err); ok && e.Number == link.ErrNoProcedure {
		return &RefusedError{Number: link.ErrNoProcedure, Message: e.Message, Advice: "run mirrorstate install on that partner, then accept it again"}
	}
	return err
}

// apply gives the accepted principal to the loop of Run, and waits until it serves.
func (p *Pair) apply(ctx context.Context, acc choose.Accepted, reason string) error {
	n := acc.Partner
	select {
	case p.accepts <- acc:
	case <-ctx.Done():
		return fmt.Errorf("accept %s: %w", n, context.Cause(ctx))
	case <-p.closed:
		return fmt.Errorf("accept %s: %w", n, Closed)
	}
	p.count(func(s *Stats) { s.Accepts++ })
	p.publish(Event{At: time.Now(), Kind: "accepted", Partner: n, Epoch: acc.Epoch, Reason: reason})
	err := p.await(ctx, true, func(v choose.View) bool { return v.Serving && v.Accepted.Partner == n })
	if err != nil {
		return fmt.Errorf("accept %s: the partner does not serve: %w", n, err)
	}
	return nil
}

// applyAccept makes acc the accepted principal. Only the loop of Run calls it.
func (p *Pair) applyAccept(acc choose.Accepted) {
	before := p.view
	v := before
	v.Accepted = acc
	p.decideAndAct(before, v, -1)
}
