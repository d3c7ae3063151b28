package embedded

import (
	"context"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// alterDatabase is ALTER DATABASE … SET PARTNER and SET WITNESS.
func (b *batch) alterDatabase(ctx context.Context, st *tsql.AlterDatabase) error {
	s := b.s
	if s.open > 0 {
		return message(226, 16, "ALTER DATABASE statement not allowed within multi-statement transaction.")
	}
	name := st.Database
	if name == "" {
		name = s.database
	}
	d := s.p.find(name)
	switch {
	case !s.p.known(name), !s.sysadmin():
		return message(5011, 14, "User does not have permission to alter database '%s', the database does not exist, or the database is not in a state that allows access checks.", name)
	case st.Clause == tsql.SetRecovery:
		return b.setRecovery(ctx, d, name, st.Argument)
	case st.Clause == tsql.SetPartner:
		return b.setPartner(ctx, d, st)
	case st.Clause == tsql.PartnerOff:
		return s.p.partnerOff(ctx, d)
	case !d.isMirrored():
		return message(1416, 16, `Database "%s" is not configured for database mirroring.`, name)
	}
	return d.alter(ctx, st)
}

// setRecovery is ALTER DATABASE … SET RECOVERY. A mirrored database stays FULL (1468).
func (b *batch) setRecovery(ctx context.Context, d *database, name, model string) error {
	switch {
	case d == nil:
		return notSupported("SET RECOVERY of the database %s", name)
	case d.serving() != nil:
		return d.serving()
	case d.isMirrored() && model != recoveryFull:
		return message(1468, 16, `The operation cannot be performed on database "%s" because it is involved in a database mirroring session or an availability group.`, d.title)
	}
	return d.alone(ctx, false, func() error {
		about := *d.store.about.Load()
		about.recovery = model
		return d.store.saveAbout(about)
	})
}

// alter runs the clause on this copy of the database.
func (d *database) alter(ctx context.Context, st *tsql.AlterDatabase) error {
	switch st.Clause {
	case tsql.PartnerFailover:
		return d.Failover(ctx)
	case tsql.PartnerForce:
		return d.ForceService(ctx)
	case tsql.PartnerSuspend:
		return d.Suspend(ctx)
	case tsql.PartnerResume:
		return d.Resume(ctx)
	case tsql.PartnerSafety:
		return d.SetSafety(ctx, strings.EqualFold(st.Argument, "FULL"))
	case tsql.PartnerTimeout:
		return d.SetTimeout(ctx, st.Number)
	case tsql.SetWitness:
		return d.SetWitness(ctx, true)
	case tsql.WitnessOff:
		return d.SetWitness(ctx, false)
	}
	return notSupported("This clause of ALTER DATABASE")
}
