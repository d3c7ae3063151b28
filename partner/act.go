package partner

import (
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
)

// handleObservation records the observation of one probe, decides and acts. Only the loop of Run calls it.
func (p *Pair) handleObservation(o choose.Observation) {
	now := time.Now()
	before := p.view // only the loop of Run writes it
	i := o.Partner.Index()
	v := before.With(i, o, now)
	if o.Known {
		p.members[i].addClockReading(o, now)
	}
	p.decideAndAct(before, v, i)
}

// decideAndAct decides on the view v, acts and publishes what changed. i is the partner whose observation is
// new, or negative.
func (p *Pair) decideAndAct(before, v choose.View, i int) {
	now := time.Now()
	if r := v.Accepted.Overruled; r.Partner != "" && r.LiftedBy(v.Observed[r.Partner.Index()]) {
		v.Accepted.Overruled = choose.Overruled{}
	}
	v.Decision = choose.Decide(now, v.Observed, v.Accepted)
	v.Decision.TakeEpoch = v.Decision.TakeEpoch && !p.cfg.Observe
	v.NoteClaims(now, v.Accepted)
	old, mayOpen := p.act(&v)

	p.mu.Lock()
	p.view = v
	p.mu.Unlock()
	if v.Accepted != before.Accepted {
		p.remember(v)
	}
	if mayOpen {
		// The hold opens before the old term ends: interrupted calls then find the new term, and are released
		// first.
		p.openHold(v.Observed[v.Decision.Serve.Index()], old)
	}
	if old != nil {
		old.end()
	}
	p.mu.Lock()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	if i >= 0 {
		p.announceRole(before, v, i)
	}
	p.announce(before, v)
}

// remember gives the accepted principal to the memory.
func (p *Pair) remember(v choose.View) {
	i := v.Accepted.Partner.Index()
	p.memory.update(func(r *record) {
		r.Partner, r.Extended, r.Epoch = v.Accepted.Partner, v.Accepted.Extended, v.Accepted.Epoch
		r.Sequence, r.Session, r.Overruled = v.Accepted.Sequence, v.Accepted.Session, v.Accepted.Overruled
		r.Address, r.Server = p.members[i].address, v.Observed[i].ServerName
	})
}

// act does what the decision in v asks for. It sets v.Serving and v.Accepted. It returns the term that has
// ended, or nil, and whether the hold may open to the current term.
func (p *Pair) act(v *choose.View) (old *term, mayOpen bool) {
	d := v.Decision
	v.Serving = false
	for _, m := range p.members {
		if m.name != d.Serve {
			m.dropNextPool()
		}
	}
	if d.EndTerm && p.current != nil && p.current.member.name == v.Accepted.Partner && d.Serve != v.Accepted.Partner {
		old, p.current = p.current, nil
	}
	if d.Serve == "" {
		p.shutHold()
		return old, false
	}
	i := d.Serve.Index()
	o, m := v.Observed[i], p.members[i]
	p.members[1-i].takeEpochAs.Store("")
	if d.TakeEpoch {
		// Only the partner's prober uses its connection, so the epoch is taken with the next probe.
		m.takeEpochAs.Store(choose.NamesOf(o, v.Observed[1-i]).Own)
		p.shutHold()
		m.probeNow()
		p.prepareTerm(m)
		return old, false
	}
	if p.current == nil || !p.current.matches(o) {
		if p.current != nil {
			old = p.current
		}
		p.current = p.newTerm(m, o)
	}
	if d.SplitBrain && v.Accepted.Partner != d.Serve {
		p.members[1-i].probeNow()
	}
	v.Serving, v.Accepted = true, choose.Accept(o, v.Accepted)
	return old, true
}

// prepareTerm makes the first connections of the next term while its epoch is being taken.
func (p *Pair) prepareTerm(m *member) {
	if m.nextPool == nil {
		pool := m.endpoint.NewPool()
		p.running.Go(func() { pool.Warm(hold.DrainFirst) })
		m.nextPool = pool
	}
}

// newTerm returns a new term with its own connections.
func (p *Pair) newTerm(m *member, o choose.Observation) *term {
	m.breaker.reset()
	m.calls.Reset()
	t := &term{member: m, extended: o.Extended, epoch: o.Epoch, sequence: o.Sequence, session: o.Session, pool: m.nextPool, began: time.Now()}
	if m.nextPool = nil; t.pool == nil {
		t.pool = m.endpoint.NewPool()
	}
	t.held.Target = t
	return t
}

// openHold opens the hold to the current term, unless a call doubted it after the probe began. Calls
// interrupted on the term before, if there is one, are released first.
func (p *Pair) openHold(o choose.Observation, before *term) {
	p.hold.SetExposed(!o.MirrorSynchronized())
	var interrupted *hold.Term[*term]
	if before != nil {
		interrupted = &before.held
	}
	p.hold.Open(&p.current.held, interrupted, o.Request)
	if p.hold.Serving() == &p.current.held {
		p.noPrincipalSince.Store(0) // a doubt at this moment starts the fast probes itself
	} else {
		p.noPrincipalSince.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// shutHold shuts the hold. It leaves the calls on the current term alone, because a later probe may confirm the
// term.
func (p *Pair) shutHold() {
	p.hold.Shut()
	if p.noPrincipalSince.CompareAndSwap(0, time.Now().UnixNano()) {
		p.probeNow()
	}
}
