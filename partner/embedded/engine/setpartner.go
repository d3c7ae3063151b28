package engine

import (
	"context"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// setPartner runs SET PARTNER = address. On a RESTORING copy it stores the address of the principal, and
// connects to no server. On an open database it contacts the mirror, and mirroring begins.
func (b *batch) setPartner(ctx context.Context, d *mirror.Database, st *tsql.AlterDatabase) error {
	p, port := b.s.p, st.EndpointPort()
	mine := p.Endpoint()
	switch {
	case d == nil:
		return sqlerror.NotSupported("Mirroring of a system database")
	case d.IsMirrored(), p.MasterObjects().Has(mirror.KindPartner, d.Title):
		return sqlerror.New(1405, 16, `The database "%s" is already enabled for database mirroring.`, d.Title)
	case port == 0:
		return sqlerror.New(1449, 16, "ALTER DATABASE command failed due to an invalid server connection string.")
	case mine == nil:
		return sqlerror.New(1486, 16, "Database Mirroring Transport is disabled in the endpoint configuration.")
	case port == mine.Port:
		return sqlerror.New(1452, 16, "The partner server instance name must be distinct from the server instance that manages the database. The ALTER DATABASE SET PARTNER command failed.")
	}
	if d.Store.About.Load().Restoring {
		return p.inMaster(ctx, b.s, func(c *catalogueWriter) error {
			return c.add(&storage.ObjectRow{Kind: mirror.KindPartner, Name: d.Title, Detail: st.Argument})
		})
	}
	if err := p.Pair.Verb(ctx, func(ctx context.Context) error { return d.BeginMirroring(ctx, port, st.Argument) }); err != nil {
		return err
	}
	return p.Other().ForgetPartner(ctx, d.Title)
}
