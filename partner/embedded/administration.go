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
	switch database, ok := canonicalDatabase(name); {
	case !ok:
		return message(5011, 14, "User does not have permission to alter database '%s', the database does not exist, or the database is not in a state that allows access checks.", name)
	case database != DatabaseName:
		return message(1416, 16, `Database "%s" is not configured for database mirroring.`, database)
	}
	return s.p.alter(ctx, st)
}

// alter runs the clause on this partner.
func (p *Partner) alter(ctx context.Context, st *tsql.AlterDatabase) error {
	switch st.Clause {
	case tsql.PartnerFailover:
		return p.Failover(ctx)
	case tsql.PartnerForce:
		return p.ForceService(ctx)
	case tsql.PartnerSuspend:
		return p.Suspend(ctx)
	case tsql.PartnerResume:
		return p.Resume(ctx)
	case tsql.PartnerSafety:
		return p.SetSafety(ctx, strings.EqualFold(st.Argument, "FULL"))
	case tsql.PartnerTimeout:
		return p.SetTimeout(ctx, st.Number)
	case tsql.SetPartner:
		return message(1405, 16, `The database "%s" is already enabled for database mirroring.`, DatabaseName)
	case tsql.PartnerOff:
		return notSupported("SET PARTNER OFF: an embedded pair is always mirrored, which")
	case tsql.SetWitness:
		return p.SetWitness(ctx, true)
	case tsql.WitnessOff:
		return p.SetWitness(ctx, false)
	}
	return notSupported("This clause of ALTER DATABASE")
}
