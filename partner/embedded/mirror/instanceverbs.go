package mirror

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
)

// The verbs of a partner apply to its mirrored database: the pair's first database, or else another mirrored one.

// mirroredMain returns the mirrored database of a partner's verbs; 1416: no database is mirrored.
func (i *Instance) mirroredMain() (*Database, error) {
	if d := i.Main(); d.IsMirrored() {
		return d, nil
	}
	return nil, sqlerror.New(1416, 16, `Database "%s" is not configured for database mirroring.`, i.Pair.Folder.title)
}

// on calls do with the mirrored database.
func (i *Instance) on(do func(d *Database) error) error {
	d, err := i.mirroredMain()
	if err != nil {
		return err
	}
	return do(d)
}

// Failover is SET PARTNER FAILOVER on this partner, which must be the principal: the roles change and nothing is lost.
// Refusals: 1470 not the principal, 1477 SAFETY is not FULL, 1447 the partners are not connected, 1422 the mirror is
// not synchronized.
func (i *Instance) Failover(ctx context.Context) error {
	return i.on(func(d *Database) error { return d.Failover(ctx) })
}

// ForceService is SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on this partner, which must be the mirror and not be
// connected to the principal (1455). What the principal has committed since then is lost once it is resumed as the
// mirror. 1406: this copy is not usable, because it has changes that no other copy has.
func (i *Instance) ForceService(ctx context.Context) error {
	return i.on(func(d *Database) error { return d.ForceService(ctx) })
}

// Suspend is SET PARTNER SUSPEND: the principal sends nothing to the mirror until Resume.
func (i *Instance) Suspend(ctx context.Context) error {
	return i.on(func(d *Database) error { return d.Suspend(ctx) })
}

// Resume is SET PARTNER RESUME: the mirror is resynchronized and discards the commits that only it has. 1447: the
// partners are not connected.
func (i *Instance) Resume(ctx context.Context) error {
	return i.on(func(d *Database) error { return d.Resume(ctx) })
}

// SetSafety is SET PARTNER SAFETY FULL or OFF, on the principal (1470), while the partners are connected (1447).
func (i *Instance) SetSafety(ctx context.Context, full bool) error {
	return i.on(func(d *Database) error { return d.SetSafety(ctx, full) })
}

// SetTimeout is SET PARTNER TIMEOUT, in seconds, on the principal (1470): how long a partner may be silent before it
// counts as lost. Less than 5 becomes 5; 1476: too long.
func (i *Instance) SetTimeout(ctx context.Context, seconds int) error {
	return i.on(func(d *Database) error { return d.SetTimeout(ctx, seconds) })
}

// SetWitness is SET WITNESS on the principal (1470), while the partners are connected (1447). 1439: there is no witness
// to remove.
func (i *Instance) SetWitness(ctx context.Context, on bool) error {
	return i.on(func(d *Database) error { return d.SetWitness(ctx, on) })
}
