package embedded

import (
	"context"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// setPartner is SET PARTNER = address: on a RESTORING copy it says who its principal will be, and contacts
// nobody; on an open database it calls the mirror, and mirroring begins.
func (b *batch) setPartner(ctx context.Context, d *database, st *tsql.AlterDatabase) error {
	p, port := b.s.p, st.EndpointPort()
	mine := p.endpoint()
	switch {
	case d == nil:
		return notSupported("Mirroring of one of the system's databases")
	case d.isMirrored(), p.masterObjects().has(kindPartner, d.title):
		return message(1405, 16, `The database "%s" is already enabled for database mirroring.`, d.title)
	case port == 0:
		return message(1449, 16, "ALTER DATABASE command failed due to an invalid server connection string.")
	case mine == nil:
		return message(1486, 16, "Database Mirroring Transport is disabled in the endpoint configuration.")
	case port == mine.port:
		return message(1452, 16, "The partner server instance name must be distinct from the server instance that manages the database. The ALTER DATABASE SET PARTNER command failed.")
	}
	if d.store.about.Load().restoring {
		return p.inMaster(ctx, b.s, func(c *catalogueWriter) error {
			return c.add(&objectRow{kind: kindPartner, name: d.title, detail: st.Argument})
		})
	}
	if err := p.pair.verb(ctx, func(ctx context.Context) error { return d.callMirror(ctx, port, st.Argument) }); err != nil {
		return err
	}
	return p.other().forgetPartner(ctx, d.title)
}

// kindWitness is in master of a server that was begun empty: name, a database's that has a witness.
const kindWitness = "WITNESS"

// rememberWitness keeps over a restart whether the session has a witness: a pair that was begun as one is told
// at each start. The caller holds verbs.
func (d *database) rememberWitness(ctx context.Context, on bool) error {
	if !d.instance.pair.folder.empty {
		return nil
	}
	for _, q := range d.instance.pair.partners {
		m := q.master.Load()
		if m == nil || q.isDown() != "" {
			continue
		}
		err := m.exclusively(ctx, func(w *writer) error {
			row := &objectRow{kind: kindWitness, name: d.title}
			if !on {
				return w.dropObject(row.kind, row.name)
			}
			return w.putObject(row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hadWitness says whether the session of a database on servers that were begun empty has a witness.
func (s *mirroringSession) hadWitness() bool {
	for _, q := range s.pair.partners {
		if q.masterObjects().has(kindWitness, s.title) {
			return true
		}
	}
	return false
}

// forgetPartner takes away that a copy waits for its principal.
func (i *instance) forgetPartner(ctx context.Context, title string) error {
	master := i.master.Load()
	if master == nil {
		return nil
	}
	return master.exclusively(ctx, func(w *writer) error { return w.dropObject(kindPartner, title) })
}

// callMirror begins mirroring of an open database with the copy on the other server. The caller holds verbs.
func (d *database) callMirror(ctx context.Context, port int, address string) error {
	other := d.instance.other()
	theirs := other.endpoint()
	mirror := other.find(d.title)
	unreachable := message(1418, 16, "The server network address \"%s\" can not be reached or does not exist. Check the network address name and that the ports for the local and remote endpoints are operational.", address)
	switch {
	case d.store.about.Load().recovery != recoveryFull:
		return message(1465, 16, `Database "%s" database is not in full recovery mode on each of the server instances. The full recovery model is required for a database to participate in database mirroring or in an availability group.`, d.title)
	case theirs == nil || theirs.port != port || !d.mirroring.pair.see().clear[linkPartners]:
		return unreachable
	case !other.letsIn(d.instance) || !d.instance.letsIn(other):
		return unreachable // an instance drops a partner that it does not know, without an answer
	case mirror == nil:
		return message(1448, 16, `The remote copy of database "%s" does not exist. Check the database name and reissue the command.`, d.title)
	case mirror.isMirrored():
		return message(1460, 16, `The database "%s" is already configured for database mirroring on the remote server. Database mirroring must be removed on the remote server to establish a new session.`, d.title)
	case !mirror.store.about.Load().restoring:
		return message(1464, 16, `Database "%s" is not in a recovering state which is required for a mirror database or secondary database. The remote database must be restored using WITH NORECOVERY.`, d.title)
	case !other.masterObjects().has(kindPartner, d.title):
		return message(1416, 16, `Database "%s" is not configured for database mirroring.`, d.title)
	case d.family() == "" || d.family() != mirror.family():
		return message(1407, 16, `The remote copy of database "%s" is not related to the local copy of the database.`, d.title)
	}
	if err := d.fits(mirror); err != nil {
		return err
	}
	return d.establish(ctx, mirror)
}

// fits tells whether the mirror has enough of the principal's log.
func (d *database) fits(mirror *database) error {
	full, log := d.backups()
	at := mirror.store.lsn.Load()
	switch {
	case log == 0 || !mirror.logRestored():
		return message(1412, 16, `The remote copy of database "%s" has not been rolled forward to a point in time that is encompassed in the local copy of the database log.`, d.title)
	case at < max(full, log):
		return message(1478, 16, `The mirror database, "%s", has insufficient transaction log data to preserve the log backup chain of the principal database.  This may happen if a log backup from the principal database has not been taken or has not been restored on the mirror database.`, d.title)
	}
	return nil
}

// establish makes the two a principal and its mirror. The mirror's part is durable first: alone it stays closed.
func (d *database) establish(ctx context.Context, mirror *database) error {
	m := &mirroring{guid: newGUID(), role: rolePrincipal, safetyFull: true, safetySequence: 1, timeout: d.instance.pair.seconds}
	m.newReign(1, 0)
	err := mirror.alone(ctx, true, func() error {
		about := *mirror.store.about.Load()
		about.restoring = false
		if err := mirror.becomeInTurn(func(its *mirroring) { *its = *m; its.role = roleMirror }); err != nil {
			return err
		}
		return mirror.store.saveAbout(about)
	})
	if err != nil {
		return err
	}
	d.mirroring.link.state.Store(int32(stateSynchronizing))
	if err := d.become(ctx, func(mine *mirroring) { *mine = *m }); err != nil {
		return err
	}
	d.instance.log.Info("mirroring begun", "database", d.title)
	d.mirroring.pair.poke()
	return nil
}

// partnerOff is SET PARTNER OFF: mirroring ends, on both servers if they see each other; otherwise
// the other one learns of it later.
func (i *instance) partnerOff(ctx context.Context, d *database) error {
	if d == nil || !d.isMirrored() {
		title := i.pair.folder.title
		if d != nil {
			title = d.title
		}
		if !i.masterObjects().has(kindPartner, title) {
			return message(1416, 16, `Database "%s" is not configured for database mirroring.`, title)
		}
		return i.forgetPartner(ctx, title)
	}
	return i.pair.verb(ctx, func(ctx context.Context) error {
		order := []*database{d}
		if o := d.other(); o.isMirrored() && i.pair.see().clear[linkPartners] {
			if order = append(order, o); o.state.Load().role == rolePrincipal {
				order[0], order[1] = o, d // the one who ships, first
			}
		}
		for _, q := range order {
			if err := q.endMirroring(ctx); err != nil {
				return err
			}
		}
		d.mirroring.setWitness(false)
		return d.rememberWitness(ctx, false)
	})
}

// endMirroring has one copy mirrored no more: a principal's is an open database, a mirror's one that is RESTORING.
func (d *database) endMirroring(ctx context.Context) error {
	defer d.noLeases(errKillState())() // a principal's database stays open
	return d.alone(ctx, true, func() error {
		about := *d.store.about.Load()
		if about.restoring = d.state.Load().role == roleMirror; about.restoring {
			// Before the role: whatever comes between, it does not open.
			if err := d.store.saveAbout(about); err != nil {
				return err
			}
		}
		err := d.becomeInTurn(func(m *mirroring) { *m = mirroring{} })
		if err == nil {
			d.instance.log.Info("mirroring removed", "database", d.title)
			d.mirroring.pair.events.tell("role", d.instance.name, "none: mirroring of "+d.title+" was removed")
		}
		return err
	})
}

// meetRemoval ends the session of a copy whose partner says that there is none. The caller holds verbs.
func (s *mirroringSession) meetRemoval(ctx context.Context) error {
	both := s.both()
	for i, d := range both {
		if d.isMirrored() && both[1-i] != nil && !both[1-i].isMirrored() && both[1-i].instance.acts() && d.instance.acts() {
			return d.endMirroring(ctx)
		}
	}
	return nil
}

// partnerAddress is the address of the other server's endpoint.
func (i *instance) partnerAddress() string {
	host, port := i.other().hostPort()
	if e := i.other().endpoint(); e != nil {
		port = strconv.Itoa(e.port)
	}
	return "TCP://" + host + ":" + strings.TrimSpace(port)
}
