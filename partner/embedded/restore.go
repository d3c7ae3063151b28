package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// restore is RESTORE DATABASE, RESTORE LOG and RESTORE FILELISTONLY.
func (b *batch) restore(ctx context.Context, st *tsql.Restore) error {
	s, p := b.s, b.s.p
	if err := s.serverOnly(3110, 14, "User does not have permission to RESTORE database '%s'.", st.Database); err != nil {
		return err
	}
	if st.What != "FILELISTONLY" && s.open > 0 {
		return message(3021, 16, "Cannot perform a backup or restore operation within a transaction.")
	}
	if st.File == "" {
		return p.recover(ctx, st.Database)
	}
	h, err := p.readHeader(st.File)
	switch {
	case err != nil:
		return err
	case st.Set != 1:
		return message(4038, 16, "Cannot find file ID %d on device '%s'.", st.Set, st.File)
	case st.What == "FILELISTONLY":
		return b.fileList(h)
	case (st.What == "LOG") != h.log:
		return message(3118, 16, `The database "%s" does not exist. RESTORE can only create a database when restoring either a full backup or a file backup of the primary file.`, st.Database)
	}
	return p.pair.verb(ctx, func(ctx context.Context) error {
		if st.What == "LOG" {
			return p.restoreLog(ctx, s, st, h)
		}
		return p.restoreFull(ctx, s, st, h)
	})
}

// restoreFull makes the database from a full backup, in place of a copy that is RESTORING. The caller holds verbs.
func (p *Partner) restoreFull(ctx context.Context, s *session, st *tsql.Restore, h backupHeader) error {
	d := p.find(st.Database)
	switch {
	case d == nil && p.known(st.Database):
		return notSupported("RESTORE DATABASE %s", st.Database)
	case d == nil:
	case d.isMirrored():
		return errCannotRestoreMirrored(d.title)
	case p.sessions.inside(d, nil):
		return message(3101, 16, "Exclusive access could not be obtained because the database is in use.")
	case st.Replace:
	case !d.store.about.Load().restoring && d.family() != h.family:
		return message(3154, 16, "The backup set holds a backup of a database other than the existing '%s' database.", d.title)
	case !d.store.about.Load().restoring:
		return message(3159, 16, `The tail of the log for the database "%s" has not been backed up. Use BACKUP LOG WITH NORECOVERY to backup the log if it contains work you do not want to lose.`, d.title)
	}
	return p.putCopy(ctx, d, st, "")
}

// restoreLog brings a copy that is RESTORING on to a log backup. The caller holds verbs.
func (p *Partner) restoreLog(ctx context.Context, s *session, st *tsql.Restore, h backupHeader) error {
	d := p.find(st.Database)
	switch {
	case d == nil:
		return message(3118, 16, `The database "%s" does not exist. RESTORE can only create a database when restoring either a full backup or a file backup of the primary file.`, st.Database)
	case d.isMirrored():
		return errCannotRestoreMirrored(d.title)
	case !d.store.about.Load().restoring:
		return message(3117, 16, "The log or differential backup cannot be restored because no files are ready to rollforward.")
	case d.family() != h.family:
		return message(3154, 16, "The backup set holds a backup of a database other than the existing '%s' database.", d.title)
	case h.first > d.store.lsn.Load():
		return message(4305, 16, "The log in this backup set begins at LSN %d, which is too recent to apply to the database. An earlier log backup that includes LSN %d can be restored.", h.first, d.store.lsn.Load())
	case h.last < d.store.lsn.Load():
		return message(4326, 16, "The log in this backup set terminates at LSN %d, which is too early to apply to the database. A more recent log backup that includes LSN %d can be restored.", h.last, d.store.lsn.Load())
	}
	return p.putCopy(ctx, d, st, fmt.Sprintf("INSERT OR REPLACE INTO partner_objects VALUES ('%s', 'yes', '', 0);", kindLogRestored))
}

func errCannotRestoreMirrored(title string) error {
	return message(3104, 16, "RESTORE cannot operate on database '%s' because it is configured for database mirroring or has joined an availability group. If you intend to restore the database, use ALTER DATABASE to remove mirroring or to remove the database from its availability group.", title)
}

// putCopy puts the database of a backup in the place of d, which may be nil. The caller holds verbs.
func (p *Partner) putCopy(ctx context.Context, d *database, st *tsql.Restore, more string) error {
	copied, remove, err := p.copyIn(p.backupPath(st.File))
	if err != nil {
		return err
	}
	defer remove()
	about := aboutDatabase{title: st.Database, id: p.nextID(), created: utcNow(), recovery: recoveryFull, restoring: st.NoRecovery}
	if d != nil {
		about.id, about.title = d.store.about.Load().id, d.title
	}
	c, err := openConn(copied)
	if err != nil {
		return err
	}
	err = c.script("BEGIN; DROP TABLE partner_backup; DELETE FROM partner_state; DELETE FROM partner_roles; DELETE FROM partner_objects WHERE kind = '" + kindLogRestored + "';" +
		more + about.text() + "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
	if err = errors.Join(err, c.close()); err != nil {
		return fmt.Errorf("make the restored copy: %w", err)
	}
	if _, err := p.openMaster(); err != nil {
		return err
	}
	path := p.pair.folder.database(p.name, about.title)
	if d != nil {
		path = d.store.path
		err := d.alone(ctx, true, func() error {
			d.gone.Store(true)
			d.term.Add(1)
			d.forget()
			return d.remove()
		})
		if err != nil {
			return err
		}
	}
	if err := os.Rename(copied, path); err != nil {
		return fmt.Errorf("put the restored copy in place: %w", err)
	}
	fresh, err := p.openDatabase(path, about)
	if err != nil {
		return err
	}
	fresh.adopt()
	p.pair.tendFiles(fresh)
	p.log.Info("database restored", "database", about.title, "restoring", about.restoring)
	return nil
}

// nextID is the database_id of the next database.
func (i *instance) nextID() int64 {
	id := int64(firstDatabaseID)
	for _, other := range i.sorted() {
		id = max(id, other.store.about.Load().id+1)
	}
	return id
}

// recover is RESTORE DATABASE … WITH RECOVERY without a backup: a copy that was RESTORING opens.
func (p *Partner) recover(ctx context.Context, name string) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		d := p.find(name)
		switch {
		case d == nil:
			return errNoDatabase(name)
		case d.isMirrored():
			return errCannotRestoreMirrored(d.title)
		case !d.store.about.Load().restoring:
			return message(3153, 16, "The database is already fully recovered.")
		}
		return d.alone(ctx, true, func() error {
			about := *d.store.about.Load()
			about.restoring = false
			return d.store.saveAbout(about)
		})
	})
}

// usersOfMaster makes or removes a user in master, where otherwise nothing is defined.
func (b *batch) usersOfMaster(ctx context.Context, st *tsql.Definition) (done bool, err error) {
	if st.Kind != "USER" || !strings.EqualFold(b.s.database, masterName) || st.Name.Database != "" {
		return false, nil
	}
	if err := b.s.serverOnly(15247, 16, "User does not have permission to perform this action."); err != nil {
		return true, err
	}
	return true, b.s.p.inMaster(ctx, b.s, func(c *catalogueWriter) error { return c.principal(st) })
}
