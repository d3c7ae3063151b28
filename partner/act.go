package partner

import "time"

// take notes what one probe learned, decides, and acts. Others can read the
// decision before the first call runs by it.
func (p *Pair) take(o Observation) {
	now := time.Now()
	before := p.view // nobody else writes it
	i := o.Partner.Index()
	v := before.with(i, o, now)
	if o.Known {
		p.members[i].readClock(o, now)
	}
	p.settle(before, v, i)
}

// settle decides on what v knows, and acts. i is whose answer is new; negative: nobody's.
func (p *Pair) settle(before, v view, i int) {
	now := time.Now()
	if r := v.accepted.Overruled; r.Partner != "" && r.lifted(v.obs[r.Partner.Index()]) {
		v.accepted.Overruled = Overruled{}
	}
	v.decision = decide(now, v.obs, v.accepted)
	v.decision.Take = v.decision.Take && !p.cfg.Observe
	v.judgeClaims(now, v.accepted)
	old, admit := p.act(&v)

	p.mu.Lock()
	p.view = v
	p.mu.Unlock()
	if v.accepted != before.accepted {
		p.remember(v)
	}
	if admit {
		// What is cut off on the old term finds the new one, and goes before everybody else.
		p.confirm(v.obs[v.decision.Serve.Index()], old)
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

// remember hands what is accepted to the memory.
func (p *Pair) remember(v view) {
	i := v.accepted.Partner.Index()
	p.memory.note(func(r *record) {
		r.Partner, r.Extended, r.Epoch = v.accepted.Partner, v.accepted.Extended, v.accepted.Epoch
		r.Sequence, r.Session, r.Overruled = v.accepted.Sequence, v.accepted.Session, v.accepted.Overruled
		r.Address, r.Server = p.members[i].address, v.obs[i].ServerName
	})
}

// act prepares what a decision asks for, and notes in v whether its choice
// serves and has been accepted. It gives the term that is over, if one is, and
// says whether calls may be let go to the current one.
func (p *Pair) act(v *view) (old *term, admit bool) {
	d := v.decision
	v.serving = false
	for _, m := range p.members {
		if m.name != d.Serve {
			m.unready()
		}
	}
	if d.Drop && p.current != nil && p.current.member.name == v.accepted.Partner && d.Serve != v.accepted.Partner {
		old, p.current = p.current, nil
	}
	if d.Serve == "" {
		p.stop()
		return old, false
	}
	i := d.Serve.Index()
	o, m := v.obs[i], p.members[i]
	p.members[1-i].take.Store("")
	if d.Take {
		// The watcher's connection is the watcher's: it takes the epoch with its next probe.
		m.take.Store(namesOf(o, v.obs[1-i]).own)
		p.stop()
		m.poke()
		p.ready(m)
		return old, false
	}
	if p.current == nil || !p.current.matches(o) {
		if p.current != nil {
			old = p.current
		}
		p.current = p.newTerm(m, o)
	}
	if d.SplitBrain && v.accepted.Partner != d.Serve {
		p.members[1-i].poke()
	}
	v.serving, v.accepted = true, accept(o, v.accepted)
	return old, true
}

// ready makes the first connections of the term to come, while its epoch is being taken.
func (p *Pair) ready(m *member) {
	if m.readied == nil {
		pool := m.endpoint.newPool()
		p.running.Go(func() { pool.warm(drainFirst) })
		m.readied = pool
	}
}

// newTerm begins a term with connections of its own.
func (p *Pair) newTerm(m *member, o Observation) *term {
	m.breaker.reset()
	m.calls.forget()
	t := &term{member: m, extended: o.Extended, epoch: o.Epoch, sequence: o.Sequence, session: o.Session, pool: m.readied, began: time.Now()}
	if m.readied = nil; t.pool == nil {
		t.pool = m.endpoint.newPool()
	}
	t.turn.on = t
	return t
}

// confirm opens the hold to the current term, unless a call doubted it after the probe began;
// to those first who were cut off on the term before, if there was one just now.
func (p *Pair) confirm(o Observation, before *term) {
	p.hold.expose(!o.mirrors())
	var cutOff *turn[*term]
	if before != nil {
		cutOff = &before.turn
	}
	p.hold.open(&p.current.turn, cutOff, o.Asked)
	if p.hold.serving() == &p.current.turn {
		p.trouble.Store(0) // a doubt that comes just now has woken the watchers itself
	} else {
		p.trouble.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// stop shuts the hold. The term, if there is one, may yet be confirmed: calls
// running there are left alone.
func (p *Pair) stop() {
	p.hold.shut()
	if p.trouble.CompareAndSwap(0, time.Now().UnixNano()) {
		p.wake()
	}
}

// announceRole logs and tells what changed at one partner.
func (p *Pair) announceRole(before, now view, i int) {
	o, was := now.obs[i], before.obs[i]
	if was.Began.IsZero() || o.Role != was.Role {
		p.tell(Event{At: time.Now(), Kind: "role", Partner: o.Partner, Reason: string(o.Role)})
		p.cfg.Logger.Info("role seen", "partner", o.Partner, "role", o.Role, "state", o.Mirroring)
	}
	if o.Unseen != "" && o.Unseen != was.Unseen {
		p.cfg.Logger.Warn("role not visible", "partner", o.Partner, "reason", o.Unseen)
	}
	if o.Err != nil && (was.Err == nil || o.Reachable != was.Reachable) {
		p.cfg.Logger.Warn("partner in trouble", "partner", o.Partner, "reachable", o.Reachable, "error", errorText(o.Err))
	}
}

// announce logs, counts and tells what changed for the pair.
func (p *Pair) announce(before, now view) {
	p.announceClaims(before, now)
	switch a := now.accepted; {
	case now.serving && (!before.serving || a != before.accepted):
		p.tell(Event{At: time.Now(), Kind: "principal", Partner: a.Partner, Epoch: a.Epoch, Reason: now.decision.Reason})
		p.cfg.Logger.Info("principal", "partner", a.Partner, "epoch", a.Epoch, "role_sequence", a.Sequence, "reason", now.decision.Reason)
		if !a.Extended {
			p.stock.Do(func() {
				p.cfg.Logger.Warn("the schema is the stock one: no epoch fences a former principal, and what became of a call whose answer "+
					"was lost can't always be told; extend it with mirrorstate install", "database", p.cfg.Database)
			})
		}
	case before.serving && !now.serving:
		p.tell(Event{At: time.Now(), Kind: "no-principal", Reason: now.decision.Reason})
		p.cfg.Logger.Warn("no principal", "reason", now.decision.Reason)
	}
}

// announceClaims is announce for a split brain, and for claims nobody believes.
func (p *Pair) announceClaims(before, now view) {
	split := now.decision.SplitBrain
	if split && now.claims != before.claims {
		p.tell(Event{At: time.Now(), Kind: "split-brain", Partner: now.decision.Serve, Reason: now.decision.Reason})
		p.cfg.Logger.Error("both partners claim to be principal", "serving", now.decision.Serve, "reason", now.decision.Reason,
			"a", now.claims[0], "b", now.claims[1])
	}
	if !split && before.decision.SplitBrain {
		p.cfg.Logger.Info("only one partner claims to be principal again, or none", "reason", now.decision.Reason)
	}
	p.count(func(s *Stats) {
		if split && !before.decision.SplitBrain {
			s.SplitBrains++
		}
	})
	for i, kind := range now.fenced {
		if kind == "" || kind == before.fenced[i] {
			continue
		}
		_, why := stale(now.obs[i], before.accepted)
		p.count(func(s *Stats) { s.Fenced[kind]++ })
		p.tell(Event{At: time.Now(), Kind: "fenced", Partner: now.obs[i].Partner, Epoch: now.obs[i].Epoch, Reason: why})
		p.cfg.Logger.Warn("a former principal's claim is not believed", "partner", now.obs[i].Partner, "why", why, "claim", claimOf(now.obs[i]))
	}
}

// tell gives an event to every subscriber that has room for it.
func (p *Pair) tell(e Event) {
	if e.Kind == "breaker" {
		p.cfg.Logger.Info("breaker changed", "partner", e.Partner, "change", e.Reason)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Told[happening(e)]++
	for s := range p.subscribers {
		select {
		case s <- e:
		default:
		}
	}
}
