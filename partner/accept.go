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

// adviceAccept goes with every refusal of Accept.
const adviceAccept = "accept a partner that answers and opens its database for writing; make sure that it has the data you want to keep"

// Accept makes a partner the accepted principal by the operator's word, against
// what is remembered and against the other's claim: that claim, and older ones,
// do not count again until that partner is a mirror, or makes a newer one. Where
// the partner's epoch is not above every other known, it takes one that is, so
// that other proxies follow. The reason is for the log and must not be empty.
//
// It returns nil when the partner serves. A *RefusedError means that it can't:
// it must answer, and be a writable principal. Accepting the one that serves
// already, unchallenged, changes nothing.
func (p *Pair) Accept(ctx context.Context, n choose.Name, reason string) error {
	if n != choose.A && n != choose.B {
		return &RefusedError{Message: fmt.Sprintf("there is no partner %q", n), Advice: "name a or b"}
	}
	if reason == "" {
		return &RefusedError{Message: "accepting a principal needs a reason", Advice: "say in a few words why; it goes to the log"}
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

// claimant asks both partners and checks that the i-th is a writable principal.
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

// raise takes the epoch, and says what is missing where it can't.
func (p *Pair) raiseEpoch(ctx context.Context, i int, server string, above int64) error {
	err := p.members[i].endpoint.Raise(ctx, server, above)
	if e, ok := errors.AsType[mssql.Error](err); ok && e.Number == link.ErrNoProcedure {
		return &RefusedError{Number: link.ErrNoProcedure, Message: e.Message, Advice: "run mirrorstate install on that partner, then accept it again"}
	}
	return err
}

// impose hands the word to the loop and waits until it serves.
func (p *Pair) apply(ctx context.Context, acc choose.Accepted, reason string) error {
	n := acc.Partner
	select {
	case p.accepts <- acc:
	case <-ctx.Done():
		return fmt.Errorf("accept %s: %w", n, context.Cause(ctx))
	case <-p.closed:
		return fmt.Errorf("accept %s: %w", n, ErrClosed)
	}
	p.count(func(s *Stats) { s.Accepts++ })
	p.publish(Event{At: time.Now(), Kind: "accepted", Partner: n, Epoch: acc.Epoch, Reason: reason})
	err := p.await(ctx, true, func(v choose.View) bool { return v.Serving && v.Accepted.Partner == n })
	if err != nil {
		return fmt.Errorf("accept %s: it does not serve: %w", n, err)
	}
	return nil
}

// obey makes the operator's word what is accepted. The loop calls it.
func (p *Pair) applyAccept(acc choose.Accepted) {
	before := p.view
	v := before
	v.Accepted = acc
	p.decideAndAct(before, v, -1)
}
