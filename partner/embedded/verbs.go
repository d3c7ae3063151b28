package embedded

import (
	"context"
	"fmt"
	"time"
)

// The verbs of mirroring: what ALTER DATABASE … SET PARTNER does. They refuse with
// SQL Server's own numbers (as *tds.Error) and leave everything as it was then.

// Failover is SET PARTNER FAILOVER on this partner, which must be the principal: the
// roles change, nothing is lost. Refusals: 1470 not the principal, 1477 SAFETY is
// not FULL, 1447 the partners can't see each other, 1422 the mirror is behind.
func (p *database) Failover(ctx context.Context) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		m := p.state.Load()
		switch {
		case m.role != rolePrincipal:
			return errOnlyPrincipal(p.title)
		case !m.safetyFull:
			return errSafetyOff(p.title)
		case p.pair.linkState() == stateDisconnected, !p.pair.see().clear[linkPartners]:
			return errNotConnected(p.title)
		case p.pair.linkState() != stateSynchronized:
			return errNotCaughtUp(p.title)
		}
		began := time.Now()
		p.pair.link.switching.Store(true)
		defer p.pair.link.switching.Store(false)
		defer p.noLeases(errKilled(errMirror(p.title)))()
		mirror := p.other()
		err := p.alone(ctx, true, func() error {
			if p.mirror == nil { // lost since we looked
				return errNotConnected(p.title)
			}
			return mirror.alone(ctx, true, func() error { return p.handOver(mirror) })
		})
		if err == nil {
			p.pair.witness.synchronized(mirror.state.Load().sequence)
			mirror.log.Info("failover done", "took", time.Since(began))
			p.pair.tellRole(mirror, "failover")
			p.pair.events.tell("role", p.name, "MIRROR: failover")
		}
		return err
	})
}

// handOver switches the roles, with both turns to write in hand: no commit is under
// way, and the mirror has all of them.
//
// The order: the new role is durable on the mirror before the old one is given
// up. If the process ends between the two, both call themselves principal, and the
// higher sequence wins; the other way round nobody would be.
func (p *database) handOver(mirror *database) error {
	lsn := p.store.lsn.Load()
	if there := mirror.store.lsn.Load(); there != lsn {
		return fmt.Errorf("the mirror has commit %d, the principal %d: %w", there, lsn, errNotCaughtUp(p.title))
	}
	up := *mirror.state.Load()
	up.role = rolePrincipal
	up.newReign(p.state.Load().sequence+1, lsn)
	down := *p.state.Load()
	down.role, down.sequence, down.history = roleMirror, up.sequence, up.history

	if err := mirror.store.saveMirroring(&up); err != nil {
		return err
	}
	if err := p.store.saveMirroring(&down); err != nil {
		// The other is principal for good; on disk we still are, and lose at the next start.
		p.log.Error("the role given up could not be saved", "error", err)
	}
	p.takeState(&down)
	mirror.acked.Store(lsn)
	mirror.takeState(&up)
	mirror.mirror = p
	return nil
}

// ForceService is SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on this partner, which
// must be the mirror and not see the principal (1455). What the principal has
// committed since, is lost once it is resumed as the mirror. 1406: this copy is
// unfit, because it has changes of its own that nobody else has.
func (p *database) ForceService(ctx context.Context) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		m := p.state.Load()
		switch {
		case m.role != roleMirror || p.pair.linkState() != stateDisconnected:
			return errCannotForce(p.title)
		case m.diverged:
			return errUnsafeForce(p.title)
		case p.pair.Witness() && !p.pair.seen(p):
			return errNoWitness(p.title)
		}
		err := p.become(ctx, func(m *mirroring) {
			m.role, m.forced, m.suspended = rolePrincipal, true, false
			m.newReign(m.sequence+1, p.store.lsn.Load())
		})
		if err != nil {
			return err
		}
		p.pair.witness.forced(p.state.Load().sequence)
		p.pair.tellRole(p, "forced service")
		p.pair.poke()
		return nil
	})
}

// Suspend is SET PARTNER SUSPEND: the principal goes on without sending, until Resume.
func (p *database) Suspend(ctx context.Context) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		p.pair.witness.exposes()
		err := p.change(ctx, func(m *mirroring) { m.suspended = true }, func(p *database) { p.mirror = nil })
		if err == nil && p.pair.linkState() != stateDisconnected {
			p.pair.showState(stateSuspended)
		}
		return err
	})
}

// Resume is SET PARTNER RESUME: the mirror catches up, and loses what only it has.
// 1447: the partners can't see each other.
func (p *database) Resume(ctx context.Context) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		if p.pair.linkState() == stateDisconnected {
			return errNotConnected(p.title)
		}
		if !p.state.Load().suspended {
			return nil
		}
		err := p.change(ctx, func(m *mirroring) { m.suspended = false }, nil)
		if err == nil {
			p.pair.showState(stateSynchronizing)
			p.pair.poke()
		}
		return err
	})
}

// SetSafety is SET PARTNER SAFETY FULL or OFF, on the principal (1470), while the
// partners see each other (1447).
func (p *database) SetSafety(ctx context.Context, full bool) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		if err := p.mayConfigure(); err != nil {
			return err
		}
		if p.state.Load().safetyFull == full {
			return nil
		}
		p.pair.witness.exposes() // until it has caught up, as what it is now
		err := p.change(ctx, func(m *mirroring) {
			m.safetyFull = full
			m.safetySequence++
		}, func(p *database) { p.mirror = nil })
		if p.pair.linkState() == stateSynchronized && full { // on an error too: what is tended again is sure
			p.pair.showState(stateSynchronizing)
		}
		p.pair.poke()
		return err
	})
}

// maxTimeout is the largest partner timeout in seconds, minTimeout what smaller ones
// become.
const (
	maxTimeout = 32767
	minTimeout = 5
)

// SetTimeout is SET PARTNER TIMEOUT, in seconds, on the principal (1470): after how
// much silence a partner counts as gone. Less than 5 becomes 5; 1476: too long.
func (p *database) SetTimeout(ctx context.Context, seconds int) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		if p.state.Load().role != rolePrincipal {
			return errOnlyPrincipal(p.title)
		}
		if seconds > maxTimeout {
			return message(1476, 16, "Database mirroring timeout value %d exceeds the maximum value %d.", seconds, maxTimeout)
		}
		seconds = max(seconds, minTimeout)
		err := p.change(ctx, func(m *mirroring) { m.timeout = int64(seconds) }, nil)
		if err == nil {
			p.pair.timeout.Store(int64(seconds) * int64(time.Second))
			p.pair.poke()
		}
		return err
	})
}

func (p *database) mayConfigure() error {
	switch {
	case p.state.Load().role != rolePrincipal:
		return errOnlyPrincipal(p.title)
	case p.pair.linkState() == stateDisconnected:
		return errNotConnected(p.title)
	}
	return nil
}

// change alters a setting here and, if the partners see each other, on the other,
// the principal first; then is done in the turn of each. The caller holds verbs.
func (p *database) change(ctx context.Context, alter func(m *mirroring), then func(p *database)) error {
	order := []*database{p, p.other()}
	switch {
	case !p.pair.see().clear[linkPartners]:
		order = order[:1]
	case order[1].state.Load().role == rolePrincipal:
		order[0], order[1] = order[1], order[0]
	}
	for _, partner := range order {
		err := partner.alone(ctx, true, func() error {
			if err := partner.becomeInTurn(alter); err != nil {
				return err
			}
			if then != nil {
				then(partner)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SetWitness is SET WITNESS on the principal (1470), while the partners see each other
// (1447). 1439: there is none to take away.
func (p *database) SetWitness(ctx context.Context, on bool) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		switch {
		case p.state.Load().role != rolePrincipal:
			return errOnlyPrincipal(p.title)
		case !on && !p.pair.Witness():
			return message(1439, 16, `There is currently no witness associated with the database "%s".`, p.title)
		case on && !p.pair.see().clear[linkPartners]:
			return errNotConnected(p.title)
		}
		p.pair.setWitness(on)
		return p.rememberWitness(ctx, on)
	})
}
