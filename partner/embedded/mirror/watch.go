package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// runningVerb is what the holder of Pair.verbs runs. A change of the faults interrupts it, so that nobody waits
// for a partner that was just lost.
type runningVerb struct {
	mu     sync.Mutex
	cancel context.CancelCauseFunc
}

// Verb runs f with the right to change roles and settings. The ctx of f ends when the links change.
func (p *Pair) Verb(ctx context.Context, f func(ctx context.Context) error) error {
	if err := p.lockVerbs(ctx); err != nil {
		return err
	}
	defer p.unlockVerbs()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.running.set(cancel)
	defer p.running.set(nil)
	return f(ctx)
}

func (d *runningVerb) set(cancel context.CancelCauseFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel = cancel
}

// errInterrupted ends the wait of a verb when the links change.
var errInterrupted = sqlerror.New(1447, 16, "The command cannot be executed until both partner server instances are up, running, and connected. Start the partner and reissue the command.")

// interrupt ends the wait of the running verb.
func (p *Pair) interrupt() {
	p.running.mu.Lock()
	defer p.running.mu.Unlock()
	if p.running.cancel != nil {
		p.running.cancel(errInterrupted)
	}
}

// VerbsWait limits how long a change of roles or settings waits for another.
const VerbsWait = 30 * time.Second

// lockVerbs waits until no role and no setting of the link is being changed.
func (p *Pair) lockVerbs(ctx context.Context) error {
	limit := time.NewTimer(VerbsWait)
	defer limit.Stop()
	select {
	case p.verbs <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-limit.C:
		return sqlerror.New(1404, 16, "The command failed because the database mirror is busy. Reissue the command later.")
	}
}

func (p *Pair) unlockVerbs() { <-p.verbs }

// LinkRetry is the delay before another attempt to restore a link.
const LinkRetry = time.Second

// watchLinks checks the links until ctx ends: at each change of the faults, and when a partner was silent for
// the partner timeout.
func (p *Pair) watchLinks(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	var last storage.LastError // the error that prevents mirroring
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-p.link.wake:
		}
		if err := p.Reconcile(ctx); err != nil && ctx.Err() == nil {
			if last.IsNew(err) {
				p.log.Warn("mirroring not established", "error", err)
			}
			again.Reset(LinkRetry)
			continue
		}
		last.IsNew(nil)
		if next := p.viewLinks().next; next > 0 {
			again.Reset(next)
		}
	}
}

// Reconcile adapts each mirrored database to the state of the links. It determines the principal and synchronizes the
// mirror, or lets the partners continue without each other.
func (p *Pair) Reconcile(ctx context.Context) error {
	return p.Verb(ctx, func(ctx context.Context) error {
		s := p.viewLinks()
		var errs []error
		for _, m := range p.sessions() {
			switch {
			case !m.mirrored() && s.clear[LinkPartners]:
				errs = append(errs, m.acceptRemoval(ctx))
			case !m.mirrored():
			case s.clear[LinkPartners]:
				errs = append(errs, m.reconcileConnected(ctx))
			case s.lost[LinkPartners]:
				errs = append(errs, m.reconcileDisconnected(ctx, s))
			}
			// Otherwise the partner is silent, possibly for a short time only.
		}
		return errors.Join(errs...)
	})
}

// reconcileConnected is Reconcile for partners that are connected.
func (s *Session) reconcileConnected(ctx context.Context) error {
	principal, err := s.choosePrincipal(ctx)
	if err != nil {
		return err
	}
	principal.Unshut()
	s.Arbiter.noteSwitch(principal.State.Load().Sequence)
	m := principal.State.Load()
	switch {
	case m.Suspended || principal.other().State.Load().Suspended:
		s.Arbiter.exposes()
		s.ShowState(StateSuspended)
		return nil
	case m.SafetyFull && s.LinkState() == StateSynchronized:
		return nil
	}
	return s.catchUp(ctx, principal, m.SafetyFull)
}

// reconcileDisconnected is Reconcile for partners that have lost each other. With a witness, an isolated
// principal closes the database, and the mirror may take over.
func (s *Session) reconcileDisconnected(ctx context.Context, links linkView) error {
	s.ShowState(StateDisconnected)
	for _, q := range s.bothCopies() {
		if q.State.Load().Role == storage.RolePrincipal && q.Instance.Running() {
			s.keepOrClose(q, links)
		}
	}
	for _, q := range s.bothCopies() {
		if q.State.Load().Role == storage.RoleMirror && q.Instance.Running() {
			if err := s.takeOver(ctx, q, links); err != nil {
				return err
			}
		}
	}
	return nil
}

// Running reports whether the partner is up and not frozen.
func (i *Instance) Running() bool { return !i.frozen.Load() && i.IsDown() == "" }

// connectivity returns what the mirror, or the principal if there is no mirror, can detect.
func (s *Session) connectivity(mirror *Database, links linkView) Connectivity {
	m := mirror.State.Load()
	return Connectivity{Witness: s.Witness(), Partners: !links.lost[LinkPartners],
		Principal: !links.lost[mirror.other().Instance.witnessLink()], Mirror: !links.lost[mirror.Instance.witnessLink()],
		Fit: m.Role == storage.RoleMirror && !m.Diverged && !m.Suspended && m.SafetyFull && s.Arbiter.Fit(m.Sequence)}
}

// keepOrClose keeps the database of a principal without a mirror open if quorum allows it, and closes it
// otherwise.
func (s *Session) keepOrClose(principal *Database, links linkView) {
	serve := s.connectivity(principal.other(), links).Decide().Serve
	switch {
	case serve && s.Witness() && !links.clear[principal.Instance.witnessLink()]:
		return // the witness is silent, possibly for a short time only
	case serve && s.MayExpose(principal):
		principal.Unshut()
		return
	}
	principal.Shut("the principal reaches neither mirror nor witness, or its role is out of date")
}

// takeOver makes the mirror principal if quorum requires it: an automatic failover.
func (s *Session) takeOver(ctx context.Context, mirror *Database, links linkView) error {
	v := s.connectivity(mirror, links).Decide()
	if v.Unfit {
		s.Arbiter.exposes()
	}
	if !v.Promote || !links.clear[mirror.Instance.witnessLink()] || !s.Arbiter.Elect(mirror.State.Load().Sequence) {
		return nil
	}
	err := mirror.changeRole(ctx, func(m *storage.Mirroring) {
		m.Role, m.Forced = storage.RolePrincipal, false
		m.NewFork(m.Sequence+1, mirror.Store.LSN.Load())
	})
	if err != nil {
		s.Arbiter.revoke(mirror.State.Load().Sequence)
		return fmt.Errorf("automatic failover to partner %s: %w", mirror.Instance.Letter, err)
	}
	s.logRole(mirror, "automatic failover")
	return nil
}

// logRole logs and publishes a new role.
func (s *Session) logRole(q *Database, reason string) {
	m := q.State.Load()
	q.Instance.Log.Info("role changed", "to", m.Role.String(), "reason", reason, "sequence", m.Sequence)
	s.pair.events.publish("role", q.Instance.Letter, fmt.Sprintf("%s: %s, sequence %d", m.Role, reason, m.Sequence))
}

// choosePrincipal determines the principal of two partners that are connected: the one with the most recent role
// change. The other becomes its mirror. The caller holds verbs.
func (s *Session) choosePrincipal(ctx context.Context) (*Database, error) {
	a, b := s.bothCopies()[0], s.bothCopies()[1]
	sa, sb := a.State.Load(), b.State.Load()
	switch {
	case sa.Role == storage.RolePrincipal && sb.Role == storage.RoleMirror && sa.Sequence >= sb.Sequence:
		return a, nil
	case sa.Role == storage.RoleMirror && sb.Role == storage.RolePrincipal && sb.Sequence >= sa.Sequence:
		return b, nil
	case isLater(sb, sa, b.Store.LSN.Load(), a.Store.LSN.Load()):
		a, b = b, a
		sa, sb = sb, sa
	}
	if sa.Role == storage.RoleMirror { // neither is principal: a role switch was interrupted
		a.Instance.Log.Warn("no partner was principal; the one with the more recent role change takes over")
		err := a.changeRole(ctx, func(m *storage.Mirroring) {
			m.Role = storage.RolePrincipal
			m.NewFork(m.Sequence+1, a.Store.LSN.Load())
		})
		if err != nil || sb.Role == storage.RoleMirror {
			return a, err
		}
	}
	// There are two principals: a became principal while b was not reachable.
	suspended := sb.Suspended || sa.Forced
	sequence := a.State.Load().Sequence
	err := b.changeRole(ctx, func(m *storage.Mirroring) {
		m.Role, m.Sequence, m.Diverged, m.Forced, m.Suspended = storage.RoleMirror, sequence, true, false, suspended
	})
	if err != nil {
		return nil, err
	}
	s.logRole(b, "the other partner has the more recent role change")
	return a, a.changeRole(ctx, func(m *storage.Mirroring) { m.Suspended, m.Forced = suspended, false })
}

// isLater reports whether state a is more recent than b.
func isLater(a, b *storage.Mirroring, lsnA, lsnB int64) bool {
	if a.Sequence != b.Sequence {
		return a.Sequence > b.Sequence
	}
	return lsnA > lsnB
}

// changeRole changes the state of the partner, first durably and then in memory. If the partner is no longer principal,
// changeRole ends the sessions in its database. The caller holds verbs.
func (d *Database) changeRole(ctx context.Context, alter func(m *storage.Mirroring)) error {
	defer d.noLeases(sqlerror.ErrKilled(sqlerror.ErrMirror(d.Title)))()
	return d.Alone(ctx, true, func() error { return d.changeRoleInTurn(alter) })
}

// changeRoleInTurn is changeRole for a caller that holds the partner's turn. A mirror accepts no record of its
// principal meanwhile.
func (d *Database) changeRoleInTurn(alter func(m *storage.Mirroring)) error {
	d.Store.Mu.Lock()
	defer d.Store.Mu.Unlock()
	m := *d.State.Load()
	alter(&m)
	if err := d.Store.SaveLocked(&m); err != nil {
		return err
	}
	d.applyState(&m)
	return nil
}

// applyState makes the state effective in memory. The caller holds the turn.
func (d *Database) applyState(m *storage.Mirroring) {
	old := d.State.Swap(m)
	if m.Role == old.Role {
		return
	}
	d.Closed.Store(false)
	d.Mirror = nil
	if m.Role == storage.RoleMirror {
		d.closing.Store(sqlerror.ErrMirror(d.Title))
		d.Term.Add(1)
		d.Instance.Sessions.drop(d)
	}
}
