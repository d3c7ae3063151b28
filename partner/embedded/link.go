package embedded

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// linkState is the state of the mirroring session, which both partners show;
// numbered as mirroring_state.
type linkState int32

const (
	stateSuspended       linkState = 0
	stateDisconnected    linkState = 1
	stateSynchronizing   linkState = 2
	statePendingFailover linkState = 3
	stateSynchronized    linkState = 4
)

// String is mirroring_state_desc.
func (s linkState) String() string {
	return [...]string{"SUSPENDED", "DISCONNECTED", "SYNCHRONIZING", "PENDING_FAILOVER", "SYNCHRONIZED"}[s]
}

// link is what connects the partners. In one process it can't fail by itself;
// it is cut to see what happens then.
type link struct {
	wake  chan struct{}
	cut   atomic.Bool  // the partners can't see each other
	state atomic.Int32 // a linkState
	// switching: a manual failover is under way, and the principal shows PENDING_FAILOVER.
	switching atomic.Bool
}

func (l *link) init() {
	l.wake = make(chan struct{}, 1)
	l.state.Store(int32(stateDisconnected))
}

// State is mirroring_state_desc as both partners show it.
func (p *Pair) State() string { return p.linkState().String() }

func (p *Pair) linkState() linkState { return linkState(p.link.state.Load()) }

// showState changes the state and tells the log.
func (p *Pair) showState(s linkState) {
	if old := linkState(p.link.state.Swap(int32(s))); old != s {
		p.log.Info("mirroring state changed", "from", old.String(), "to", s.String())
	}
}

// poke has the link looked after soon.
func (p *Pair) poke() {
	select {
	case p.link.wake <- struct{}{}:
	default:
	}
}

// linkLost: the principal goes on without its mirror, until the link has been
// looked after.
func (p *Pair) linkLost(principal *Partner, why error) {
	principal.log.Warn("mirror lost", "reason", why)
	p.showState(stateDisconnected)
	p.poke()
}

// linkRetry is when a link that could not be brought back is tried again.
const linkRetry = time.Second

// tendLink looks after the link until ctx ends.
func (p *Pair) tendLink(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
		case <-p.link.wake:
		}
		if err := p.tend(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("mirroring not established", "error", err)
			retry.Reset(linkRetry)
		}
	}
}

// tend settles who is principal, if the partners see each other, and brings the
// mirror up to date, unless the session is suspended.
func (p *Pair) tend(ctx context.Context) error {
	if err := p.lockVerbs(ctx); err != nil {
		return err
	}
	defer p.unlockVerbs()
	if p.link.cut.Load() {
		return nil
	}
	principal, err := p.settle(ctx)
	if err != nil {
		return err
	}
	m := principal.state.Load()
	switch {
	case m.suspended || principal.other().state.Load().suspended:
		p.showState(stateSuspended)
		return nil
	case m.safetyFull && p.linkState() == stateSynchronized:
		return nil
	}
	return p.catchUp(ctx, principal, m.safetyFull)
}

// verbsWait is how long a change of roles or settings waits for another.
const verbsWait = 30 * time.Second

// lockVerbs waits until nobody changes a role or a setting of the link.
func (p *Pair) lockVerbs(ctx context.Context) error {
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

func (p *Pair) unlockVerbs() { <-p.verbs }

// begin reads what the partners remember, settles who is principal and brings the
// mirror up to date, before anybody is served.
func (p *Pair) begin() error {
	var states [2]*mirroring
	for i, partner := range p.partners {
		var err error
		if states[i], err = partner.store.loadMirroring(); err != nil {
			return err
		}
	}
	if states[0] == nil && states[1] == nil {
		states[0] = &mirroring{guid: newGUID(), role: rolePrincipal, safetyFull: true, safetySequence: 1, timeout: p.timeout}
		states[0].newReign(1, 0)
		mirror := *states[0]
		mirror.role = roleMirror
		states[1] = &mirror
	}
	for i, partner := range p.partners {
		if m := states[i]; m != nil {
			partner.state.Store(m)
			continue
		}
		// Its data is gone: it starts again as an empty mirror of the other.
		m := *states[1-i]
		m.role, m.history, m.diverged = roleMirror, nil, true
		partner.state.Store(&m)
	}
	for _, partner := range p.partners {
		if err := partner.store.saveMirroring(partner.state.Load()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	if err := p.tend(ctx); err != nil {
		return fmt.Errorf("bring the partners together: %w", err)
	}
	return nil
}

// openWait is how long Open may take to bring the mirror up to date.
const openWait = 5 * time.Minute

// settle decides which of two partners that see each other is the principal: the
// one whose role came last. The other becomes its mirror. The caller holds verbs.
func (p *Pair) settle(ctx context.Context) (*Partner, error) {
	a, b := p.partners[0], p.partners[1]
	sa, sb := a.state.Load(), b.state.Load()
	switch {
	case sa.role == rolePrincipal && sb.role == roleMirror:
		return a, nil
	case sa.role == roleMirror && sb.role == rolePrincipal:
		return b, nil
	case later(sb, sa, b.store.lsn.Load(), a.store.lsn.Load()):
		a, b = b, a
		sa, sb = sb, sa
	}
	if sa.role == roleMirror { // neither is principal: a role switch was torn
		m := *sa
		m.role = rolePrincipal
		m.newReign(sa.sequence+1, a.store.lsn.Load())
		a.log.Warn("no partner was principal; the more recent one takes over")
		return a, a.become(ctx, &m)
	}
	// Two principals: a was made one while b could not be asked.
	m := *sb
	m.role, m.sequence, m.diverged, m.forced = roleMirror, sa.sequence, true, false
	m.suspended = sb.suspended || sa.forced
	if err := b.become(ctx, &m); err != nil {
		return nil, err
	}
	b.log.Info("role changed", "to", m.role.String(), "reason", "the partner's role is newer", "sequence", sa.sequence)
	w := *sa
	w.suspended, w.forced = m.suspended, false
	return a, a.become(ctx, &w)
}

// later tells whether state a is more recent than b.
func later(a, b *mirroring, lsnA, lsnB int64) bool {
	if a.sequence != b.sequence {
		return a.sequence > b.sequence
	}
	return lsnA > lsnB
}

// become makes a state durable and then true. A partner that stops being
// principal drops the sessions in its database. The caller holds verbs.
func (p *Partner) become(ctx context.Context, m *mirroring) error {
	defer p.noLeases(errKilled())()
	return p.alone(ctx, true, func() error { return p.becomeInTurn(m) })
}

// becomeInTurn is become for who holds the partner's turn.
func (p *Partner) becomeInTurn(m *mirroring) error {
	if err := p.store.saveMirroring(m); err != nil {
		return err
	}
	p.takeState(m)
	return nil
}

// takeState makes the state true. The caller holds the turn.
func (p *Partner) takeState(m *mirroring) {
	old := p.state.Swap(m)
	if m.role == roleMirror && old.role == rolePrincipal {
		p.mirror = nil
		p.term.Add(1)
		p.sessions.drop(p.term.Load())
	}
}

// Partition cuts the link between the partners, or heals it. Clients reach both
// as before. It returns when the principal has noticed.
func (p *Pair) Partition(ctx context.Context, cut bool) error {
	if err := p.lockVerbs(ctx); err != nil {
		return err
	}
	defer p.unlockVerbs()
	if !cut {
		p.link.cut.Store(false)
		p.poke()
		return nil
	}
	for _, partner := range p.partners {
		err := partner.alone(ctx, true, func() error {
			partner.mirror = nil
			return nil
		})
		if err != nil {
			return fmt.Errorf("cut partner %s off: %w", partner.name, err)
		}
	}
	p.link.cut.Store(true)
	p.showState(stateDisconnected)
	return nil
}
