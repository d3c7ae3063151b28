package partner

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
)

// term is one partner's time as principal, as this proxy sees it: from being
// accepted until another is, or until it says that it is none any more. It has
// connections of its own, so nothing of an old term is ever used in a new one.
type term struct {
	member   *member
	extended bool
	epoch    int64
	sequence int64
	session  string
	pool     link.Pool
	began    time.Time // when this proxy accepted it, on our clock

	held  hold.Term[*term] // what the hold knows of it
	ended atomic.Bool      // set before its connections are cut
}

// matches says whether an observation is of the same term still. What the
// partner does not say just now (a NULL is no answer) differs from nothing.
func (t *term) matches(o choose.Observation) bool {
	return t.member.name == o.Partner && t.extended == o.Extended && t.epoch == o.Epoch &&
		(o.InGroup || choose.Agree(t.sequence, o.Sequence)) && choose.Agree(t.session, o.Session) // a group's number counts more than roles
}

// end cuts every connection of the term: calls hanging there end now.
func (t *term) end() {
	t.ended.Store(true)
	t.pool.Abort(link.ErrTermOver)
}

// member is one partner with what belongs to it for good.
type member struct {
	name     choose.Name
	address  string
	endpoint link.Endpoint
	breaker  *breaker
	calls    *link.CallTimes

	clock       atomic.Pointer[clockReading] // stored by the loop of Run
	nextPool    link.Pool                    // with connections for its next term, or nil; owned by the loop of Run
	suspect     atomic.Bool                  // a call could not reach it: the next probe shall dial
	takeEpochAs atomic.Value                 // string: the name to take the next epoch under; empty: don't
	wakeUp      chan struct{}                // ends the pause between two probes
}

// newMember makes a member that nobody watches yet.
func newMember(c link.PartnerConfig, e link.Endpoint, breakerChanged func(choose.Name, string, string)) *member {
	m := &member{name: c.Name, address: c.Address, endpoint: e, calls: link.NewCallTimes(), wakeUp: make(chan struct{}, 1)}
	m.breaker = newBreaker(c.Name, func(from, to string) { breakerChanged(c.Name, from, to) })
	m.takeEpochAs.Store("")
	m.clock.Store(new(clockReading))
	return m
}

// unready gives up the connections made for a term that has not come.
func (m *member) dropNextPool() {
	if m.nextPool != nil {
		m.nextPool.Abort(link.ErrTermOver)
		m.nextPool = nil
	}
}

// poke makes the next probe begin now.
func (m *member) probeNow() {
	select {
	case m.wakeUp <- struct{}{}:
	default:
	}
}

// reading is what is known of a partner's clock. It never changes.
type clockReading struct {
	at     time.Time     // zero: it was never read
	offset time.Duration // its clock minus ours
	width  time.Duration // how far apart the least and the most are that ahead can have been then
}

// clockDrift: two clocks come apart by one part in so many at the most.
const clockDrift = 5000

// error is how wrong the reading may be by now: by half of within, and by what the clocks may have come apart since.
func (r *clockReading) maxError(now time.Time) time.Duration {
	if r.at.IsZero() {
		return 0
	}
	return r.width/2 + now.Sub(r.at)/clockDrift
}

// earliest is what the partner's clock showed at t at the least: a time from which on nothing is missed.
func (r *clockReading) earliest(t time.Time) time.Time {
	return t.Add(r.offset - r.maxError(t)).UTC()
}

// readClock adds what an observation tells of the clock. The server read it at some time within the round trip, so that
// each observation has a least and a most, and what holds is what all of them allow: where answers are slow and questions
// quick, or the other way round by turns, that is far less than any one round trip. An observation that contradicts the
// ones before says that the clock was set, and stands alone.
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

// earliest is what any partner's clock showed at t at the least: what was executed since, on whichever of them, is dated later.
func (p *Pair) earliest(t time.Time) time.Time {
	first := p.members[0].clock.Load().earliest(t)
	if other := p.members[1].clock.Load(); !other.at.IsZero() && other.earliest(t).Before(first) {
		return other.earliest(t)
	}
	return first
}

// observe probes once, and tells the breaker. The question's answer may be missing: then what its calls say counts.
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
		return o // it is reached, though not by the probe
	}
	m.breaker.record(o.Reachable, o.Fresh)
	return o
}

// How the pause between probes grows in a long trouble.
const (
	slowDownAfter  = 3 * time.Second
	slowDownOver   = 7 * time.Second
	slowDownFactor = 10
)

// pause is how long to wait between two probes of a partner. trouble is how
// long there has been no principal; negative: there is one.
func probePause(cfg *Config, without time.Duration) time.Duration {
	if without < 0 {
		return cfg.MonitorSteady
	}
	late := min(max(without-slowDownAfter, 0), slowDownOver)
	most := slowDownFactor * cfg.MonitorTrouble
	grown := cfg.MonitorTrouble + time.Duration(float64(most-cfg.MonitorTrouble)*float64(late)/float64(slowDownOver))
	return min(grown, cfg.MonitorSteady)
}
