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
func (d *database) Failover(ctx context.Context) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		m := d.state.Load()
		switch {
		case m.role != rolePrincipal:
			return errOnlyPrincipal(d.title)
		case !m.safetyFull:
			return errSafetyOff(d.title)
		case d.mirroring.linkState() == stateDisconnected, !d.mirroring.pair.see().clear[linkPartners]:
			return errNotConnected(d.title)
		case d.mirroring.linkState() != stateSynchronized:
			return errNotCaughtUp(d.title)
		}
		began := time.Now()
		d.mirroring.link.switching.Store(true)
		defer d.mirroring.link.switching.Store(false)
		defer d.noLeases(errKilled(errMirror(d.title)))()
		mirror := d.other()
		err := d.alone(ctx, true, func() error {
			if d.mirror == nil { // lost since we looked
				return errNotConnected(d.title)
			}
			return mirror.alone(ctx, true, func() error { return d.handOver(mirror) })
		})
		if err == nil {
			d.mirroring.witness.synchronized(mirror.state.Load().sequence)
			mirror.instance.log.Info("failover done", "took", time.Since(began))
			d.mirroring.tellRole(mirror, "failover")
			d.mirroring.pair.events.tell("role", d.instance.name, "MIRROR: failover")
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
func (d *database) handOver(mirror *database) error {
	lsn := d.store.lsn.Load()
	if there := mirror.store.lsn.Load(); there != lsn {
		return fmt.Errorf("the mirror has commit %d, the principal %d: %w", there, lsn, errNotCaughtUp(d.title))
	}
	up := *mirror.state.Load()
	up.role = rolePrincipal
	up.newReign(d.state.Load().sequence+1, lsn)
	down := *d.state.Load()
	down.role, down.sequence, down.history = roleMirror, up.sequence, up.history

	if err := mirror.store.saveMirroring(&up); err != nil {
		return err
	}
	if err := d.store.saveMirroring(&down); err != nil {
		// The other is principal for good; on disk we still are, and lose at the next start.
		d.instance.log.Error("the role given up could not be saved", "error", err)
	}
	d.takeState(&down)
	mirror.acked.Store(lsn)
	mirror.takeState(&up)
	mirror.mirror = d
	return nil
}

// ForceService is SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on this partner, which
// must be the mirror and not see the principal (1455). What the principal has
// committed since, is lost once it is resumed as the mirror. 1406: this copy is
// unfit, because it has changes of its own that nobody else has.
func (d *database) ForceService(ctx context.Context) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		m := d.state.Load()
		switch {
		case m.role != roleMirror || d.mirroring.linkState() != stateDisconnected:
			return errCannotForce(d.title)
		case m.diverged:
			return errUnsafeForce(d.title)
		case d.mirroring.Witness() && !d.mirroring.seen(d):
			return errNoWitness(d.title)
		}
		err := d.become(ctx, func(m *mirroring) {
			m.role, m.forced, m.suspended = rolePrincipal, true, false
			m.newReign(m.sequence+1, d.store.lsn.Load())
		})
		if err != nil {
			return err
		}
		d.mirroring.witness.forced(d.state.Load().sequence)
		d.mirroring.tellRole(d, "forced service")
		d.mirroring.pair.poke()
		return nil
	})
}

// Suspend is SET PARTNER SUSPEND: the principal goes on without sending, until Resume.
func (d *database) Suspend(ctx context.Context) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		d.mirroring.witness.exposes()
		err := d.change(ctx, func(m *mirroring) { m.suspended = true }, func(p *database) { p.mirror = nil })
		if err == nil && d.mirroring.linkState() != stateDisconnected {
			d.mirroring.showState(stateSuspended)
		}
		return err
	})
}

// Resume is SET PARTNER RESUME: the mirror catches up, and loses what only it has.
// 1447: the partners can't see each other.
func (d *database) Resume(ctx context.Context) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		if d.mirroring.linkState() == stateDisconnected {
			return errNotConnected(d.title)
		}
		if !d.state.Load().suspended {
			return nil
		}
		err := d.change(ctx, func(m *mirroring) { m.suspended = false }, nil)
		if err == nil {
			d.mirroring.showState(stateSynchronizing)
			d.mirroring.pair.poke()
		}
		return err
	})
}

// SetSafety is SET PARTNER SAFETY FULL or OFF, on the principal (1470), while the
// partners see each other (1447).
func (d *database) SetSafety(ctx context.Context, full bool) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		if err := d.mayConfigure(); err != nil {
			return err
		}
		if d.state.Load().safetyFull == full {
			return nil
		}
		d.mirroring.witness.exposes() // until it has caught up, as what it is now
		err := d.change(ctx, func(m *mirroring) {
			m.safetyFull = full
			m.safetySequence++
		}, func(p *database) { p.mirror = nil })
		if d.mirroring.linkState() == stateSynchronized && full { // on an error too: what is tended again is sure
			d.mirroring.showState(stateSynchronizing)
		}
		d.mirroring.pair.poke()
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
func (d *database) SetTimeout(ctx context.Context, seconds int) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		if d.state.Load().role != rolePrincipal {
			return errOnlyPrincipal(d.title)
		}
		if seconds > maxTimeout {
			return message(1476, 16, "Database mirroring timeout value %d exceeds the maximum value %d.", seconds, maxTimeout)
		}
		seconds = max(seconds, minTimeout)
		err := d.change(ctx, func(m *mirroring) { m.timeout = int64(seconds) }, nil)
		if err == nil {
			d.mirroring.pair.timeout.Store(int64(seconds) * int64(time.Second))
			d.mirroring.pair.poke()
		}
		return err
	})
}

func (d *database) mayConfigure() error {
	switch {
	case d.state.Load().role != rolePrincipal:
		return errOnlyPrincipal(d.title)
	case d.mirroring.linkState() == stateDisconnected:
		return errNotConnected(d.title)
	}
	return nil
}

// change alters a setting here and, if the partners see each other, on the other,
// the principal first; then is done in the turn of each. The caller holds verbs.
func (d *database) change(ctx context.Context, alter func(m *mirroring), then func(p *database)) error {
	order := []*database{d, d.other()}
	switch {
	case !d.mirroring.pair.see().clear[linkPartners]:
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
func (d *database) SetWitness(ctx context.Context, on bool) error {
	return d.mirroring.pair.verb(ctx, func(ctx context.Context) error {
		switch {
		case d.state.Load().role != rolePrincipal:
			return errOnlyPrincipal(d.title)
		case !on && !d.mirroring.Witness():
			return message(1439, 16, `There is currently no witness associated with the database "%s".`, d.title)
		case on && !d.mirroring.pair.see().clear[linkPartners]:
			return errNotConnected(d.title)
		}
		d.mirroring.setWitness(on)
		return d.rememberWitness(ctx, on)
	})
}
