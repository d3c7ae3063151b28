package partner

import (
	"context"
	"sync/atomic"
	"time"
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
	pool     pool

	inFlight  atomic.Int64  // calls with an attempt here that are not back yet
	confirmed atomic.Uint64 // how often the hold opened to it
	over      atomic.Bool   // set before its connections are cut
}

// matches says whether an observation is of the same term still. What the
// partner does not say just now (a NULL is no answer) differs from nothing.
func (t *term) matches(o Observation) bool {
	return t.member.name == o.Partner && t.extended == o.Extended && t.epoch == o.Epoch &&
		(o.Grouped || agree(t.sequence, o.Sequence)) && agree(t.session, o.Session) // a group's number counts more than roles
}

// agree says whether two values are the same, as far as both are known.
func agree[T comparable](a, b T) bool {
	var unknown T
	return a == b || a == unknown || b == unknown
}

// end cuts every connection of the term: calls hanging there end now.
func (t *term) end() {
	t.over.Store(true)
	t.pool.cut(errTermOver)
}

// member is one partner with what belongs to it for good.
type member struct {
	name     Name
	address  string
	endpoint endpoint
	breaker  *breaker

	clock   atomic.Int64  // its clock minus ours, in nanoseconds
	readied pool          // with connections for its next term, or nil; owned by the loop of Run
	read    time.Time     // when clock was read; likewise
	within  time.Duration // the round trip it was read in, twice its error at most; likewise
	suspect atomic.Bool   // a call could not reach it: the next probe shall dial
	take    atomic.Value  // string: the name to take the next epoch under; empty: don't
	wake    chan struct{} // ends the pause between two probes
}

// newMember makes a member that nobody watches yet.
func newMember(c PartnerConfig, e endpoint, breakerChanged func(Name, string, string)) *member {
	m := &member{name: c.Name, address: c.Address, endpoint: e, wake: make(chan struct{}, 1)}
	m.breaker = newBreaker(c.Name, func(from, to string) { breakerChanged(c.Name, from, to) })
	m.take.Store("")
	return m
}

// unready gives up the connections made for a term that has not come.
func (m *member) unready() {
	if m.readied != nil {
		m.readied.cut(errTermOver)
		m.readied = nil
	}
}

// poke makes the next probe begin now.
func (m *member) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// onItsClock turns one of our times into the partner's.
func (m *member) onItsClock(t time.Time) time.Time {
	return t.Add(time.Duration(m.clock.Load())).UTC()
}

// clockLife is how long a good reading of a partner's clock stands against worse ones.
const clockLife = 30 * time.Second

// readClock takes a reading of the clock, unless its round trip was much longer than
// that of one not long ago: half a round trip is how wrong it may be.
func (m *member) readClock(o Observation, now time.Time) {
	if m.within > 0 && o.Latency > 2*m.within+time.Millisecond && now.Sub(m.read) < clockLife {
		return
	}
	m.clock.Store(int64(o.Clock))
	m.read, m.within = now, o.Latency
}

// observe probes once, and tells the breaker.
func (m *member) observe(ctx context.Context, cfg *Config, asked uint64) Observation {
	began := time.Now()
	take := m.take.Load().(string)
	o := m.endpoint.probe(ctx, ask{fresh: m.suspect.Swap(false), take: take})
	if ctx.Err() != nil {
		return o
	}
	if o.Err == nil && o.Opens {
		m.take.CompareAndSwap(take, "")
	}
	o.Partner, o.Address, o.Began, o.Asked = m.name, m.address, began, asked
	o.GoodUntil = time.Now().Add(cfg.MonitorSteady + cfg.Budgets.Login + 2*cfg.Budgets.Probe)
	m.breaker.record(o.Reachable, o.Fresh)
	return o
}

// How the pause between probes grows in a long trouble.
const (
	slackenAfter = 3 * time.Second
	slackenOver  = 7 * time.Second
	slackenTo    = 10
)

// pause is how long to wait between two probes of a partner. trouble is how
// long there has been no principal; negative: there is one.
func pause(cfg *Config, trouble time.Duration) time.Duration {
	if trouble < 0 {
		return cfg.MonitorSteady
	}
	late := min(max(trouble-slackenAfter, 0), slackenOver)
	most := slackenTo * cfg.MonitorTrouble
	grown := cfg.MonitorTrouble + time.Duration(float64(most-cfg.MonitorTrouble)*float64(late)/float64(slackenOver))
	return min(grown, cfg.MonitorSteady)
}
