package mirror

import (
	"context"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The verbs of mirroring: the clauses of ALTER DATABASE … SET PARTNER. A refusal is a
// *tds.Error with SQL Server's number, and changes nothing.

// Failover is SET PARTNER FAILOVER on this partner, which must be the principal: the roles
// change and nothing is lost. Refusals: 1470 not the principal, 1477 SAFETY is not FULL,
// 1447 the partners are not connected, 1422 the mirror is not synchronized.
func (d *Database) Failover(ctx context.Context) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		m := d.State.Load()
		switch {
		case m.Role != storage.RolePrincipal:
			return sqlerror.ErrOnlyPrincipal(d.Title)
		case !m.SafetyFull:
			return sqlerror.ErrSafetyOff(d.Title)
		case d.Mirroring.LinkState() == StateDisconnected, !d.Mirroring.pair.viewLinks().clear[LinkPartners]:
			return sqlerror.ErrNotConnected(d.Title)
		case d.Mirroring.LinkState() != StateSynchronized:
			return sqlerror.ErrNotCaughtUp(d.Title)
		}
		began := time.Now()
		d.Mirroring.link.switching.Store(true)
		defer d.Mirroring.link.switching.Store(false)
		defer d.noLeases(sqlerror.ErrKilled(sqlerror.ErrMirror(d.Title)))()
		mirror := d.other()
		err := d.Alone(ctx, true, func() error {
			if d.Mirror == nil { // the mirror was lost since the check above
				return sqlerror.ErrNotConnected(d.Title)
			}
			return mirror.Alone(ctx, true, func() error { return d.handOver(mirror) })
		})
		if err == nil {
			d.Mirroring.Arbiter.synchronized(mirror.State.Load().Sequence)
			mirror.Instance.Log.Info("failover done", "took", time.Since(began))
			d.Mirroring.logRole(mirror, "failover")
			d.Mirroring.pair.events.publish("role", d.Instance.Letter, "MIRROR: failover")
		}
		return err
	})
}

// handOver switches the roles. The caller holds both turns, so no commit is in progress, and
// the mirror has all commits.
//
// The order: the mirror stores its new role before the principal gives up the old one. If
// the process ends in between, both partners are principal, and the higher role sequence
// wins. In the other order no partner would be principal.
func (d *Database) handOver(mirror *Database) error {
	lsn := d.Store.LSN.Load()
	if there := mirror.Store.LSN.Load(); there != lsn {
		return fmt.Errorf("the mirror has commit %d, the principal %d: %w", there, lsn, sqlerror.ErrNotCaughtUp(d.Title))
	}
	up := *mirror.State.Load()
	up.Role = storage.RolePrincipal
	up.NewFork(d.State.Load().Sequence+1, lsn)
	down := *d.State.Load()
	down.Role, down.Sequence, down.History = storage.RoleMirror, up.Sequence, up.History

	if err := mirror.Store.SaveMirroring(&up); err != nil {
		return err
	}
	if err := d.Store.SaveMirroring(&down); err != nil {
		// The other partner is principal for good. On disk this one is principal too, and
		// becomes mirror at the next start.
		d.Instance.Log.Error("new role not saved after a failover", "error", err)
	}
	d.applyState(&down)
	mirror.acked.Store(lsn)
	mirror.applyState(&up)
	mirror.Mirror = d
	return nil
}

// ForceService is SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on this partner, which must be
// the mirror and not be connected to the principal (1455). What the principal has committed
// since then is lost once it is resumed as the mirror. 1406: this copy is not usable,
// because it has changes that no other copy has.
func (d *Database) ForceService(ctx context.Context) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		m := d.State.Load()
		switch {
		case m.Role != storage.RoleMirror || d.Mirroring.LinkState() != StateDisconnected:
			return sqlerror.ErrCannotForce(d.Title)
		case m.Diverged:
			return sqlerror.ErrUnsafeForce(d.Title)
		case d.Mirroring.Witness() && !d.Mirroring.reachesWitness(d):
			return sqlerror.ErrNoWitness(d.Title)
		}
		err := d.changeRole(ctx, func(m *storage.Mirroring) {
			m.Role, m.Forced, m.Suspended = storage.RolePrincipal, true, false
			m.NewFork(m.Sequence+1, d.Store.LSN.Load())
		})
		if err != nil {
			return err
		}
		d.Mirroring.Arbiter.forced(d.State.Load().Sequence)
		d.Mirroring.logRole(d, "forced service")
		d.Mirroring.pair.WakeWatch()
		return nil
	})
}

// Suspend is SET PARTNER SUSPEND: the principal sends nothing to the mirror until Resume.
func (d *Database) Suspend(ctx context.Context) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		d.Mirroring.Arbiter.exposes()
		err := d.change(ctx, func(m *storage.Mirroring) { m.Suspended = true }, func(p *Database) { p.Mirror = nil })
		if err == nil && d.Mirroring.LinkState() != StateDisconnected {
			d.Mirroring.ShowState(StateSuspended)
		}
		return err
	})
}

// Resume is SET PARTNER RESUME: the mirror is resynchronized and discards the commits that
// only it has. 1447: the partners are not connected.
func (d *Database) Resume(ctx context.Context) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		if d.Mirroring.LinkState() == StateDisconnected {
			return sqlerror.ErrNotConnected(d.Title)
		}
		if !d.State.Load().Suspended {
			return nil
		}
		err := d.change(ctx, func(m *storage.Mirroring) { m.Suspended = false }, nil)
		if err == nil {
			d.Mirroring.ShowState(StateSynchronizing)
			d.Mirroring.pair.WakeWatch()
		}
		return err
	})
}

// SetSafety is SET PARTNER SAFETY FULL or OFF, on the principal (1470), while the partners
// are connected (1447).
func (d *Database) SetSafety(ctx context.Context, full bool) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		if err := d.mayConfigure(); err != nil {
			return err
		}
		if d.State.Load().SafetyFull == full {
			return nil
		}
		d.Mirroring.Arbiter.exposes() // as under SAFETY OFF, until the mirror is synchronized
		err := d.change(ctx, func(m *storage.Mirroring) {
			m.SafetyFull = full
			m.SafetySequence++
		}, func(p *Database) { p.Mirror = nil })
		if d.Mirroring.LinkState() == StateSynchronized && full { // also after an error: Reconcile then settles the state
			d.Mirroring.ShowState(StateSynchronizing)
		}
		d.Mirroring.pair.WakeWatch()
		return err
	})
}

// maxTimeout is the largest partner timeout in seconds. minTimeout replaces smaller values.
const (
	maxTimeout = 32767
	minTimeout = 5
)

// SetTimeout is SET PARTNER TIMEOUT, in seconds, on the principal (1470): how long a partner
// may be silent before it counts as lost. Less than 5 becomes 5; 1476: too long.
func (d *Database) SetTimeout(ctx context.Context, seconds int) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		if d.State.Load().Role != storage.RolePrincipal {
			return sqlerror.ErrOnlyPrincipal(d.Title)
		}
		if seconds > maxTimeout {
			return sqlerror.New(1476, 16, "Database mirroring timeout value %d exceeds the maximum value %d.", seconds, maxTimeout)
		}
		seconds = max(seconds, minTimeout)
		err := d.change(ctx, func(m *storage.Mirroring) { m.Timeout = int64(seconds) }, nil)
		if err == nil {
			d.Mirroring.pair.timeout.Store(int64(seconds) * int64(time.Second))
			d.Mirroring.pair.WakeWatch()
		}
		return err
	})
}

func (d *Database) mayConfigure() error {
	switch {
	case d.State.Load().Role != storage.RolePrincipal:
		return sqlerror.ErrOnlyPrincipal(d.Title)
	case d.Mirroring.LinkState() == StateDisconnected:
		return sqlerror.ErrNotConnected(d.Title)
	}
	return nil
}

// change changes a setting with alter on this partner and, if the partners are connected, on the other partner. The
// principal comes first. It calls then in the turn of each partner. The caller holds verbs.
func (d *Database) change(ctx context.Context, alter func(m *storage.Mirroring), then func(p *Database)) error {
	order := []*Database{d, d.other()}
	switch {
	case !d.Mirroring.pair.viewLinks().clear[LinkPartners]:
		order = order[:1]
	case order[1].State.Load().Role == storage.RolePrincipal:
		order[0], order[1] = order[1], order[0]
	}
	for _, partner := range order {
		err := partner.Alone(ctx, true, func() error {
			if err := partner.changeRoleInTurn(alter); err != nil {
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

// SetWitness is SET WITNESS on the principal (1470), while the partners are connected
// (1447). 1439: there is no witness to remove.
func (d *Database) SetWitness(ctx context.Context, on bool) error {
	return d.Mirroring.pair.Verb(ctx, func(ctx context.Context) error {
		switch {
		case d.State.Load().Role != storage.RolePrincipal:
			return sqlerror.ErrOnlyPrincipal(d.Title)
		case !on && !d.Mirroring.Witness():
			return sqlerror.New(1439, 16, `There is currently no witness associated with the database "%s".`, d.Title)
		case on && !d.Mirroring.pair.viewLinks().clear[LinkPartners]:
			return sqlerror.ErrNotConnected(d.Title)
		}
		d.Mirroring.setWitness(on)
		return d.storeWitness(ctx, on)
	})
}
