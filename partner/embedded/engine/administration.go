package engine

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// alterDatabase runs ALTER DATABASE … SET PARTNER and SET WITNESS.
func (b *batch) alterDatabase(ctx context.Context, st *tsql.AlterDatabase) error {
	s := b.s
	if s.open > 0 {
		return sqlerror.New(226, 16, "ALTER DATABASE statement not allowed within multi-statement transaction.")
	}
	name := st.Database
	if name == "" {
		name = s.database
	}
	d := s.p.Find(name)
	switch {
	case !s.p.Known(name), !s.sysadmin():
		return sqlerror.New(5011, 14, "User does not have permission to alter database '%s', the database does not exist, or the database is not in a state that allows access checks.", name)
	case st.Clause == tsql.SetRecovery:
		return b.setRecovery(ctx, d, name, st.Argument)
	case st.Clause == tsql.SetPartner:
		return b.setPartner(ctx, d, st)
	case st.Clause == tsql.PartnerOff:
		return s.p.PartnerOff(ctx, d)
	case !d.IsMirrored():
		return sqlerror.New(1416, 16, `Database "%s" is not configured for database mirroring.`, name)
	}
	return d.Alter(ctx, st)
}

// setRecovery runs ALTER DATABASE … SET RECOVERY. A mirrored database stays FULL
// (1468).
func (b *batch) setRecovery(ctx context.Context, d *mirror.Database, name, model string) error {
	switch {
	case d == nil:
		return sqlerror.NotSupported("SET RECOVERY of the database %s", name)
	case d.Serving() != nil:
		return d.Serving()
	case d.IsMirrored() && model != storage.RecoveryFull:
		return sqlerror.New(1468, 16, `The operation cannot be performed on database "%s" because it is involved in a database mirroring session or an availability group.`, d.Title)
	}
	return d.Alone(ctx, false, func() error {
		about := *d.Store.About.Load()
		about.Recovery = model
		return d.Store.SaveAbout(about)
	})
}
