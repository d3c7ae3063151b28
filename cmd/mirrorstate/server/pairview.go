package server

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// PairStatus is the answer of GET /v1/pair: the pair, the expiry job, and for an embedded pair its own status.
type PairStatus struct {
	partner.Status
	Sweep    aspstate.SweepStatus `json:"sweep"`
	Embedded *EmbeddedStatus      `json:"embedded,omitempty"`
}

// EmbeddedStatus is the status that only an embedded pair has.
type EmbeddedStatus struct {
	Witness bool                `json:"witness"`
	Faults  map[string][]string `json:"faults"` // in force, by partner
}

// EmbeddedStatusOf returns the status of an embedded pair; nil if servers is nil.
func EmbeddedStatusOf(servers *embedded.Pair) *EmbeddedStatus {
	if servers == nil {
		return nil
	}
	st := &EmbeddedStatus{Witness: servers.Witness(), Faults: map[string][]string{}}
	for _, name := range []string{"a", "b"} {
		st.Faults[name] = append([]string{}, servers.Partner(name).Faults()...)
	}
	return st
}

// pairView shows a pair to the operators' listener.
type pairView struct {
	*partner.Pair
	sweep   *sweeping
	servers *embedded.Pair // nil: no embedded pair
}

var _ proxy.PairView = pairView{}

// Status implements proxy.PairView.
func (v pairView) Status() any { return v.status() }

func (v pairView) status() PairStatus {
	return PairStatus{Status: v.Pair.Status(), Sweep: v.sweep.sweeper.Status(), Embedded: EmbeddedStatusOf(v.servers)}
}

// Ready implements proxy.PairView.
func (v pairView) Ready() (bool, string) {
	st := v.Pair.Status()
	switch {
	case st.Principal != "":
		return true, "partner " + string(st.Principal) + " is principal"
	case v.Pair.Ready():
		return true, "no principal; calls are held for one: " + st.Reason
	}
	return false, "no principal for longer than the hold window: " + st.Reason
}

// Failover implements proxy.PairView.
func (v pairView) Failover(ctx context.Context) error {
	return aspstate.DomainError(v.Pair.Failover(ctx))
}

// ForceService implements proxy.PairView.
func (v pairView) ForceService(ctx context.Context, allowDataLoss bool) error {
	return aspstate.DomainError(v.Pair.ForceService(ctx, allowDataLoss))
}

// Suspend implements proxy.PairView.
func (v pairView) Suspend(ctx context.Context) error {
	return aspstate.DomainError(v.Pair.Suspend(ctx))
}

// Resume implements proxy.PairView.
func (v pairView) Resume(ctx context.Context) error {
	return aspstate.DomainError(v.Pair.Resume(ctx))
}

// Accept implements proxy.PairView.
func (v pairView) Accept(ctx context.Context, name, reason string) error {
	return aspstate.DomainError(v.Pair.Accept(ctx, partner.Name(name), reason))
}

// Sweep implements proxy.PairView.
func (v pairView) Sweep(ctx context.Context) error { return v.sweep.now(ctx) }
