package partner

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// member is one partner, with the state that lasts across terms.
type member struct {
	name     choose.Name
	address  string
	endpoint link.Endpoint
	breaker  *breaker
	calls    *link.CallTimes

	clock       atomic.Pointer[clockReading] // stored only by the loop of Run
	nextPool    link.Pool                    // the connections for its next term, or nil; used only by the loop of Run
	suspect     atomic.Bool                  // a call could not reach the partner: the next probe uses a new connection
	takeEpochAs atomic.Value                 // string: the server name under which the next probe takes the epoch; empty: the probe takes no epoch
	wakeUp      chan struct{}                // ends the pause between two probes
}

// newMember returns a member. The caller starts watch for it.
func newMember(c link.PartnerConfig, e link.Endpoint, breakerChanged func(choose.Name, string, string)) *member {
	m := &member{name: c.Name, address: c.Address, endpoint: e, calls: link.NewCallTimes(), wakeUp: make(chan struct{}, 1)}
	m.breaker = newBreaker(c.Name, func(from, to string) { breakerChanged(c.Name, from, to) })
	m.takeEpochAs.Store("")
	m.clock.Store(new(clockReading))
	return m
}

// dropNextPool closes the connections made for a term that did not come.
func (m *member) dropNextPool() {
	if m.nextPool != nil {
		m.nextPool.Abort(link.ErrTermOver)
		m.nextPool = nil
	}
}

// probeNow makes the next probe begin now.
func (m *member) probeNow() {
	select {
	case m.wakeUp <- struct{}{}:
	default:
	}
}

// observe probes once and records the result in the breaker. If the probe has no answer, successful calls may
// still confirm the partner.
func (m *member) observe(ctx context.Context, cfg *Config, request uint64) choose.Observation {
	began := time.Now()
	take := m.takeEpochAs.Load().(string)
	a := m.endpoint.Probe(ctx, link.ProbeRequest{Fresh: m.suspect.Swap(false), TakeEpochAs: take, Number: request, Calls: m.calls})
	o := a.Observation
	if ctx.Err() != nil {
		return o
	}
	if !a.Late {
		o.Began, o.Request, a.TakenAs = began, request, take
	}
	if o.Err == nil && o.Opens {
		m.takeEpochAs.CompareAndSwap(a.TakenAs, "")
	}
	now := time.Now()
	o.Partner, o.Address, o.LastCall = m.name, m.address, m.calls.LastSuccess()
	o.ValidUntil = now.Add(cfg.MonitorSteady + cfg.Budgets.Login + cfg.Budgets.Probe + max(cfg.Budgets.Probe, a.Timeout))
	o.ConfirmedByCalls = !o.PendingSince.IsZero() && m.calls.SucceededSince(o.PendingSince, now, cfg.Budgets.Probe)
	if o.ConfirmedByCalls {
		return o // calls reach the partner, although the probe did not
	}
	m.breaker.record(o.Reachable, o.Fresh)
	return o
}

// How the pause between probes grows while there is no principal.
const (
	slowDownAfter  = 3 * time.Second
	slowDownOver   = 7 * time.Second
	slowDownFactor = 10
)

// probePause returns the pause between two probes of a partner. without is the time without a principal; negative
// while one serves.
func probePause(cfg *Config, without time.Duration) time.Duration {
	if without < 0 {
		return cfg.MonitorSteady
	}
	late := min(max(without-slowDownAfter, 0), slowDownOver)
	most := slowDownFactor * cfg.MonitorTrouble
	grown := cfg.MonitorTrouble + time.Duration(float64(most-cfg.MonitorTrouble)*float64(late)/float64(slowDownOver))
	return min(grown, cfg.MonitorSteady)
}
