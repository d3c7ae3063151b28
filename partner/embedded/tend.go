package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// doing is what the holder of Pair.verbs does: a change of the faults interrupts it, so
// that nobody waits for a partner that has just gone.
type doing struct {
	mu     sync.Mutex
	cancel context.CancelCauseFunc
}

// verb runs f with the right to change roles and settings. Its ctx ends when the
// partners' links change.
func (p *pair) verb(ctx context.Context, f func(ctx context.Context) error) error {
	if err := p.lockVerbs(ctx); err != nil {
		return err
	}
	defer p.unlockVerbs()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.doing.set(cancel)
	defer p.doing.set(nil)
	return f(ctx)
}

func (d *doing) set(cancel context.CancelCauseFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel = cancel
}

// errInterrupted ends the waiting of a verb when the partners' links change.
var errInterrupted = message(1447, 16, "The command cannot be executed until both partner server instances are up, running, and connected. Start the partner and reissue the command.")

// interrupt ends the waiting of the verb that runs now.
func (p *pair) interrupt() {
	p.doing.mu.Lock()
	defer p.doing.mu.Unlock()
	if p.doing.cancel != nil {
		p.doing.cancel(errInterrupted)
	}
}

// verbsWait is how long a change of roles or settings waits for another.
const verbsWait = 30 * time.Second

// lockVerbs waits until nobody changes a role or a setting of the link.
func (p *pair) lockVerbs(ctx context.Context) error {
	limit := time.NewTimer(verbsWait)
	defer limit.Stop()
	select {
	case p.verbs <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-limit.C:
		return message(1404, 16, "The command failed because the database mirror is busy. Reissue the command later.")
	}
}

func (p *pair) unlockVerbs() { <-p.verbs }

// linkRetry is when a link that could not be brought back is tried again.
const linkRetry = time.Second

// said is the last error that was told of something that is tried again and again.
type said struct{ text string }

// news notes how a try ended, nil if well, and reports whether that is to be told: another error than that of the try before.
func (s *said) news(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	was := s.text
	s.text = text
	return text != "" && text != was
}

// tendLink looks after the links until ctx ends: at each change of the faults, and when a
// silence has lasted for the partner time-out.
func (p *pair) tendLink(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	var said said // of what keeps the link from being brought back
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-p.link.wake:
		}
		if err := p.tend(ctx); err != nil && ctx.Err() == nil {
			if said.news(err) {
				p.log.Warn("mirroring not established", "error", err)
			}
			again.Reset(linkRetry)
			continue
		}
		said.news(nil)
		if next := p.see().next; next > 0 {
			again.Reset(next)
		}
	}
}

// tend does, for each mirrored database, what follows from who sees whom: it settles who is principal and brings
// the mirror up to date, or has the partners go on by themselves.
func (p *pair) tend(ctx context.Context) error {
	return p.verb(ctx, func(ctx context.Context) error {
		s := p.see()
		var errs []error
		for _, m := range p.sessions() {
			switch {
			case !m.mirrored() && s.clear[linkPartners]:
				errs = append(errs, m.meetRemoval(ctx))
			case !m.mirrored():
			case s.clear[linkPartners]:
				errs = append(errs, m.together(ctx))
			case s.lost[linkPartners]:
				errs = append(errs, m.apart(ctx, s))
			}
			// Else it is silent: perhaps not for long.
		}
		return errors.Join(errs...)
	})
}

// together is tend for partners that see each other.
func (s *mirroringSession) together(ctx context.Context) error {
	principal, err := s.settle(ctx)
	if err != nil {
		return err
	}
	principal.unshut()
	s.witness.learn(principal.state.Load().sequence)
	m := principal.state.Load()
	switch {
	case m.suspended || principal.other().state.Load().suspended:
		s.witness.exposes()
		s.showState(stateSuspended)
		return nil
	case m.safetyFull && s.linkState() == stateSynchronized:
		return nil
	}
	return s.catchUp(ctx, principal, m.safetyFull)
}

// apart is tend for partners that have lost each other: with a witness, who is left
// alone closes the database, and the mirror may take over.
func (s *mirroringSession) apart(ctx context.Context, links sky) error {
	s.showState(stateDisconnected)
	for _, q := range s.both() {
		if q.state.Load().role == rolePrincipal && q.instance.acts() {
			s.keepOrClose(q, links)
		}
	}
	for _, q := range s.both() {
		if q.state.Load().role == roleMirror && q.instance.acts() {
			if err := s.takeOver(ctx, q, links); err != nil {
				return err
			}
		}
	}
	return nil
}

// acts tells whether the partner does anything at all.
func (i *instance) acts() bool { return !i.frozen.Load() && i.isDown() == "" }

// sight is what the mirror, or the principal if there is no mirror, can know.
func (s *mirroringSession) sight(mirror *database, links sky) sight {
	m := mirror.state.Load()
	return sight{witness: s.Witness(), partners: !links.lost[linkPartners],
		principal: !links.lost[mirror.other().instance.witnessLink()], mirror: !links.lost[mirror.instance.witnessLink()],
		fit: m.role == roleMirror && !m.diverged && !m.suspended && m.safetyFull && s.witness.fit(m.sequence)}
}

// keepOrClose has a principal without mirror go on if it may.
func (s *mirroringSession) keepOrClose(principal *database, links sky) {
	serve := s.sight(principal.other(), links).judge().serve
	switch {
	case serve && s.Witness() && !links.clear[principal.instance.witnessLink()]:
		return // the witness is silent: perhaps not for long
	case serve && s.mayExpose(principal):
		principal.unshut()
		return
	}
	principal.shut("it sees neither mirror nor witness, or its role is out of date")
}

// takeOver makes the mirror principal if that is for it to do: an automatic failover.
func (s *mirroringSession) takeOver(ctx context.Context, mirror *database, links sky) error {
	v := s.sight(mirror, links).judge()
	if v.unfit {
		s.witness.exposes()
	}
	if !v.promote || !links.clear[mirror.instance.witnessLink()] || !s.witness.elect(mirror.state.Load().sequence) {
		return nil
	}
	err := mirror.become(ctx, func(m *mirroring) {
		m.role, m.forced = rolePrincipal, false
		m.newReign(m.sequence+1, mirror.store.lsn.Load())
	})
	if err != nil {
		s.witness.revoke(mirror.state.Load().sequence)
		return fmt.Errorf("automatic failover to partner %s: %w", mirror.instance.name, err)
	}
	s.tellRole(mirror, "automatic failover")
	return nil
}

// tellRole tells of a new role.
func (s *mirroringSession) tellRole(q *database, reason string) {
	m := q.state.Load()
	q.instance.log.Info("role changed", "to", m.role.String(), "reason", reason, "sequence", m.sequence)
	s.pair.events.tell("role", q.instance.name, fmt.Sprintf("%s: %s, sequence %d", m.role, reason, m.sequence))
}

// settle decides which of two partners that see each other is the principal: the
// one whose role came last. The other becomes its mirror. The caller holds verbs.
func (s *mirroringSession) settle(ctx context.Context) (*database, error) {
	a, b := s.both()[0], s.both()[1]
	sa, sb := a.state.Load(), b.state.Load()
	switch {
	case sa.role == rolePrincipal && sb.role == roleMirror && sa.sequence >= sb.sequence:
		return a, nil
	case sa.role == roleMirror && sb.role == rolePrincipal && sb.sequence >= sa.sequence:
		return b, nil
	case later(sb, sa, b.store.lsn.Load(), a.store.lsn.Load()):
		a, b = b, a
		sa, sb = sb, sa
	}
	if sa.role == roleMirror { // neither is principal: a role switch was torn
		a.instance.log.Warn("no partner was principal; the more recent one takes over")
		err := a.become(ctx, func(m *mirroring) {
			m.role = rolePrincipal
			m.newReign(m.sequence+1, a.store.lsn.Load())
		})
		if err != nil || sb.role == roleMirror {
			return a, err
		}
	}
	// Two principals: a was made one while b could not be asked.
	suspended := sb.suspended || sa.forced
	sequence := a.state.Load().sequence
	err := b.become(ctx, func(m *mirroring) {
		m.role, m.sequence, m.diverged, m.forced, m.suspended = roleMirror, sequence, true, false, suspended
	})
	if err != nil {
		return nil, err
	}
	s.tellRole(b, "the partner's role is newer")
	return a, a.become(ctx, func(m *mirroring) { m.suspended, m.forced = suspended, false })
}

// later tells whether state a is more recent than b.
func later(a, b *mirroring, lsnA, lsnB int64) bool {
	if a.sequence != b.sequence {
		return a.sequence > b.sequence
	}
	return lsnA > lsnB
}

// become alters the partner's state: durably, and then in truth. A partner that stops
// being principal drops the sessions in its database. The caller holds verbs.
func (d *database) become(ctx context.Context, alter func(m *mirroring)) error {
	defer d.noLeases(errKilled(errMirror(d.title)))()
	return d.alone(ctx, true, func() error { return d.becomeInTurn(alter) })
}

// becomeInTurn is become for who holds the partner's turn. A mirror takes nothing from
// its principal meanwhile.
func (d *database) becomeInTurn(alter func(m *mirroring)) error {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	m := *d.state.Load()
	alter(&m)
	if err := d.store.saveLocked(&m); err != nil {
		return err
	}
	d.takeState(&m)
	return nil
}

// takeState makes the state true. The caller holds the turn.
func (d *database) takeState(m *mirroring) {
	old := d.state.Swap(m)
	if m.role == old.role {
		return
	}
	d.closed.Store(false)
	d.mirror = nil
	if m.role == roleMirror {
		d.closing.Store(errMirror(d.title))
		d.term.Add(1)
		d.instance.sessions.drop(d)
	}
}
