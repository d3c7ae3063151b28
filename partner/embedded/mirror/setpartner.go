package mirror

import (
	"context"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// kindWitness is an object in master of a server created without databases; name: a database with a witness.
const kindWitness = "WITNESS"

// storeWitness stores durably whether the session has a witness. A pair that was created mirrored gets the setting
// at each start from its options. The caller holds verbs.
func (d *Database) storeWitness(ctx context.Context, on bool) error {
	if !d.Instance.Pair.Folder.empty {
		return nil
	}
	for _, q := range d.Instance.Pair.Partners {
		m := q.Master.Load()
		if m == nil || q.IsDown() != "" {
			continue
		}
		err := m.Exclusively(ctx, func(w *storage.Writer) error {
			row := &storage.ObjectRow{Kind: kindWitness, Name: d.Title}
			if !on {
				return w.DropObject(row.Kind, row.Name)
			}
			return w.PutObject(row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// storedWitness reports whether the stored session of a database, on servers created without databases, has a
// witness.
func (s *Session) storedWitness() bool {
	for _, q := range s.pair.Partners {
		if q.MasterObjects().Has(kindWitness, s.title) {
			return true
		}
	}
	return false
}

// ForgetPartner deletes the stored address of the principal that a copy waits for.
func (i *Instance) ForgetPartner(ctx context.Context, title string) error {
	master := i.Master.Load()
	if master == nil {
		return nil
	}
	return master.Exclusively(ctx, func(w *storage.Writer) error { return w.DropObject(KindPartner, title) })
}

// BeginMirroring begins mirroring of an open database with the copy on the other server. The caller holds verbs.
func (d *Database) BeginMirroring(ctx context.Context, port int, address string) error {
	other := d.Instance.Other()
	theirs := other.Endpoint()
	mirror := other.Find(d.Title)
	unreachable := sqlerror.New(1418, 16, "The server network address \"%s\" can not be reached or does not exist. Check the network address name and that the ports for the local and remote endpoints are operational.", address)
	switch {
	case d.Store.About.Load().Recovery != storage.RecoveryFull:
		return sqlerror.New(1465, 16, `Database "%s" database is not in full recovery mode on each of the server instances. The full recovery model is required for a database to participate in database mirroring or in an availability group.`, d.Title)
	case theirs == nil || theirs.Port != port || !d.Mirroring.pair.viewLinks().clear[LinkPartners]:
		return unreachable
	case !other.accepts(d.Instance) || !d.Instance.accepts(other):
		return unreachable // an instance closes the connection of an unknown partner without an answer
	case mirror == nil:
		return sqlerror.New(1448, 16, `The remote copy of database "%s" does not exist. Check the database name and reissue the command.`, d.Title)
	case mirror.IsMirrored():
		return sqlerror.New(1460, 16, `The database "%s" is already configured for database mirroring on the remote server. Database mirroring must be removed on the remote server to establish a new session.`, d.Title)
	case !mirror.Store.About.Load().Restoring:
		return sqlerror.New(1464, 16, `Database "%s" is not in a recovering state which is required for a mirror database or secondary database. The remote database must be restored using WITH NORECOVERY.`, d.Title)
	case !other.MasterObjects().Has(KindPartner, d.Title):
		return sqlerror.New(1416, 16, `Database "%s" is not configured for database mirroring.`, d.Title)
	case d.Family() == "" || d.Family() != mirror.Family():
		return sqlerror.New(1407, 16, `The remote copy of database "%s" is not related to the local copy of the database.`, d.Title)
	}
	if err := d.fits(mirror); err != nil {
		return err
	}
	return d.establish(ctx, mirror)
}

// fits reports whether the mirror has enough of the principal's log.
func (d *Database) fits(mirror *Database) error {
	full, log := d.Backups()
	at := mirror.Store.LSN.Load()
	switch {
	case log == 0 || !mirror.logRestored():
		return sqlerror.New(1412, 16, `The remote copy of database "%s" has not been rolled forward to a point in time that is encompassed in the local copy of the database log.`, d.Title)
	case at < max(full, log):
		return sqlerror.New(1478, 16, `The mirror database, "%s", has insufficient transaction log data to preserve the log backup chain of the principal database.  This may happen if a log backup from the principal database has not been taken or has not been restored on the mirror database.`, d.Title)
	}
	return nil
}

// establish makes the two copies principal and mirror. It stores the mirror's role first: a mirror without a
// principal stays closed.
func (d *Database) establish(ctx context.Context, mirror *Database) error {
	m := &storage.Mirroring{GUID: storage.NewGUID(), Role: storage.RolePrincipal, SafetyFull: true, SafetySequence: 1, Timeout: d.Instance.Pair.seconds}
	m.NewFork(1, 0)
	err := mirror.Alone(ctx, true, func() error {
		about := *mirror.Store.About.Load()
		about.Restoring = false
		if err := mirror.changeRoleInTurn(func(its *storage.Mirroring) { *its = *m; its.Role = storage.RoleMirror }); err != nil {
			return err
		}
		return mirror.Store.SaveAbout(about)
	})
	if err != nil {
		return err
	}
	d.Mirroring.link.state.Store(int32(StateSynchronizing))
	if err := d.changeRole(ctx, func(mine *storage.Mirroring) { *mine = *m }); err != nil {
		return err
	}
	d.Instance.Log.Info("mirroring started", "database", d.Title)
	d.Mirroring.pair.WakeWatch()
	return nil
}

// PartnerOff is SET PARTNER OFF. It ends mirroring on both servers if they are connected; otherwise the other
// server ends it when they reconnect.
func (i *Instance) PartnerOff(ctx context.Context, d *Database) error {
	if d == nil || !d.IsMirrored() {
		title := i.Pair.Folder.title
		if d != nil {
			title = d.Title
		}
		if !i.MasterObjects().Has(KindPartner, title) {
			return sqlerror.New(1416, 16, `Database "%s" is not configured for database mirroring.`, title)
		}
		return i.ForgetPartner(ctx, title)
	}
	return i.Pair.Verb(ctx, func(ctx context.Context) error {
		order := []*Database{d}
		if o := d.other(); o.IsMirrored() && i.Pair.viewLinks().clear[LinkPartners] {
			if order = append(order, o); o.State.Load().Role == storage.RolePrincipal {
				order[0], order[1] = o, d // the copy that ships commits comes first
			}
		}
		for _, q := range order {
			if err := q.endMirroring(ctx); err != nil {
				return err
			}
		}
		d.Mirroring.setWitness(false)
		return d.storeWitness(ctx, false)
	})
}

// endMirroring ends mirroring of one copy: a principal's copy stays an open database, a mirror's becomes
// RESTORING.
func (d *Database) endMirroring(ctx context.Context) error {
	defer d.noLeases(sqlerror.ErrKillState())() // a principal's database stays open
	return d.Alone(ctx, true, func() error {
		about := *d.Store.About.Load()
		if about.Restoring = d.State.Load().Role == storage.RoleMirror; about.Restoring {
			// Save the description before the role: if the server stops in between, the copy stays closed.
			if err := d.Store.SaveAbout(about); err != nil {
				return err
			}
		}
		err := d.changeRoleInTurn(func(m *storage.Mirroring) { *m = storage.Mirroring{} })
		if err == nil {
			d.Instance.Log.Info("mirroring removed", "database", d.Title)
			d.Mirroring.pair.events.publish("role", d.Instance.Letter, "none: mirroring of "+d.Title+" was removed")
		}
		return err
	})
}

// acceptRemoval ends mirroring of a copy whose partner has ended it already. The caller holds verbs.
func (s *Session) acceptRemoval(ctx context.Context) error {
	both := s.bothCopies()
	for i, d := range both {
		if d.IsMirrored() && both[1-i] != nil && !both[1-i].IsMirrored() && both[1-i].Instance.Running() && d.Instance.Running() {
			return d.endMirroring(ctx)
		}
	}
	return nil
}

// partnerAddress returns the address of the other server's endpoint.
func (i *Instance) partnerAddress() string {
	host, port := i.Other().hostPort()
	if e := i.Other().Endpoint(); e != nil {
		port = strconv.Itoa(e.Port)
	}
	return "TCP://" + host + ":" + strings.TrimSpace(port)
}
