package partner

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// term is the period in which one partner is principal, as this proxy sees it. It ends when another principal
// is accepted, or the partner reports that it is no longer principal. Each term has its own connections, so
// no connection of an old term is used in a new one.
type term struct {
	member   *member
	extended bool
	epoch    int64
	sequence int64
	session  string
	pool     link.Pool
	began    time.Time // when this proxy accepted it, by its own clock

	held  hold.Term[*term] // the term in the hold
	ended atomic.Bool      // set before its connections are closed
}

// matches reports whether o is an observation of the same term. Unknown values, such as a NULL, match
// everything.
func (t *term) matches(o choose.Observation) bool {
	return t.member.name == o.Partner && t.extended == o.Extended && t.epoch == o.Epoch &&
		(o.InGroup || choose.Agree(t.sequence, o.Sequence)) && choose.Agree(t.session, o.Session) // the sequence number of a group also counts changes of its configuration
}

// end closes every connection of the term. Calls that wait on them end now.
func (t *term) end() {
	t.ended.Store(true)
	t.pool.Abort(link.ErrTermOver)
}

// member is one partner, with what it keeps across terms.
type member struct {
	name     choose.Name
	address  string
	endpoint link.Endpoint
	breaker  *breaker
	calls    *link.CallTimes

	clock       atomic.Pointer[clockReading] // stored only by the loop of Run
	nextPool    link.Pool                    // the connections for its next term, or nil; used only by the loop of Run
	suspect     atomic.Bool                  // a call could not reach the partner: the next probe uses a new connection
	takeEpochAs atomic.Value                 // string: the server name under which the next probe takes the epoch; empty: it takes none
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

// clockReading is what is known about a partner's clock. It never changes. The zero value means that the clock
// was never read.
type clockReading struct {
	at     time.Time     // when it was read; zero if never
	offset time.Duration // the partner's clock minus ours, as estimated
	width  time.Duration // difference between the largest and the smallest possible offset at that time
}

// clockDrift bounds how fast two clocks drift apart: by one part in clockDrift.
const clockDrift = 5000

// maxError returns the largest error of the offset at now: half the width, plus the drift since the clock was
// read.
func (r *clockReading) maxError(now time.Time) time.Duration {
	if r.at.IsZero() {
		return 0
	}
	return r.width/2 + now.Sub(r.at)/clockDrift
}

// earliest returns the earliest time (UTC) that the partner's clock can have shown at t.
func (r *clockReading) earliest(t time.Time) time.Time {
	return t.Add(r.offset - r.maxError(t)).UTC()
}

// addClockReading narrows the clock's offset by one observation.
//
// The server read its clock at some time within the round trip, so each observation gives a smallest and a
// largest offset. The true offset lies in the range that all observations share. This range is often much
// smaller than any round trip. If an observation contradicts the earlier ones, the clock was set, and only the
// new observation counts.
func (m *member) addClockReading(o choose.Observation, now time.Time) {
	is := &clockReading{at: now, offset: o.ClockOffset, width: o.Latency}
	if was := m.clock.Load(); !was.at.IsZero() {
		least := max(was.offset-was.maxError(now), is.offset-is.width/2)
		most := min(was.offset+was.maxError(now), is.offset+is.width/2)
		if least <= most {
			is.offset, is.width = least+(most-least)/2, most-least
		}
	}
	m.clock.Store(is)
}

// earliest returns the earliest time (UTC) that the clock of either partner can have shown at t. Everything
// executed after t, on either partner, is dated later.
func (p *Pair) earliest(t time.Time) time.Time {
	first := p.members[0].clock.Load().earliest(t)
	if other := p.members[1].clock.Load(); !other.at.IsZero() && other.earliest(t).Before(first) {
		return other.earliest(t)
	}
	return first
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

// probePause returns the pause between two probes of a partner. without is how long there has been no
// principal; negative while one serves.
func probePause(cfg *Config, without time.Duration) time.Duration {
	if without < 0 {
		return cfg.MonitorSteady
	}
	late := min(max(without-slowDownAfter, 0), slowDownOver)
	most := slowDownFactor * cfg.MonitorTrouble
	grown := cfg.MonitorTrouble + time.Duration(float64(most-cfg.MonitorTrouble)*float64(late)/float64(slowDownOver))
	return min(grown, cfg.MonitorSteady)
}
