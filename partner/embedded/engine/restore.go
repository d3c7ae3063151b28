package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// restore runs RESTORE DATABASE, RESTORE LOG and RESTORE FILELISTONLY.
func (b *batch) restore(ctx context.Context, st *tsql.Restore) error {
	s, p := b.s, b.s.p
	if err := s.serverOnly(3110, 14, "User does not have permission to RESTORE database '%s'.", st.Database); err != nil {
		return err
	}
	if st.What != "FILELISTONLY" && s.open > 0 {
		return sqlerror.New(3021, 16, "Cannot perform a backup or restore operation within a transaction.")
	}
	if st.File == "" {
		return p.recover(ctx, st.Database)
	}
	h, err := p.readHeader(st.File)
	switch {
	case err != nil:
		return err
	case st.Set != 1:
		return sqlerror.New(4038, 16, "Cannot find file ID %d on device '%s'.", st.Set, st.File)
	case st.What == "FILELISTONLY":
		return b.fileList(h)
	case (st.What == "LOG") != h.Log:
		return sqlerror.New(3118, 16, `The database "%s" does not exist. RESTORE can only create a database when restoring either a full backup or a file backup of the primary file.`, st.Database)
	}
	return p.Pair.Verb(ctx, func(ctx context.Context) error {
		if st.What == "LOG" {
			return p.restoreLog(ctx, s, st, h)
		}
		return p.restoreFull(ctx, s, st, h)
	})
}

// restoreFull creates the database from a full backup, and replaces a copy that is RESTORING. The caller holds
// verbs.
func (p *Partner) restoreFull(ctx context.Context, s *session, st *tsql.Restore, h mirror.BackupHeader) error {
	d := p.Find(st.Database)
	switch {
	case d == nil && p.Known(st.Database):
		return sqlerror.NotSupported("RESTORE DATABASE %s", st.Database)
	case d == nil:
	case d.IsMirrored():
		return errCannotRestoreMirrored(d.Title)
	case p.Sessions.Inside(d, nil):
		return sqlerror.New(3101, 16, "Exclusive access could not be obtained because the database is in use.")
	case st.Replace:
	case !d.Store.About.Load().Restoring && d.Family() != h.Family:
		return sqlerror.New(3154, 16, "The backup set holds a backup of a database other than the existing '%s' database.", d.Title)
	case !d.Store.About.Load().Restoring:
		return sqlerror.New(3159, 16, `The tail of the log for the database "%s" has not been backed up. Use BACKUP LOG WITH NORECOVERY to backup the log if it contains work you do not want to lose.`, d.Title)
	}
	return p.replaceCopy(ctx, d, st, "")
}

// restoreLog restores a log backup into a copy that is RESTORING. The caller holds verbs.
func (p *Partner) restoreLog(ctx context.Context, s *session, st *tsql.Restore, h mirror.BackupHeader) error {
	d := p.Find(st.Database)
	switch {
	case d == nil:
		return sqlerror.New(3118, 16, `The database "%s" does not exist. RESTORE can only create a database when restoring either a full backup or a file backup of the primary file.`, st.Database)
	case d.IsMirrored():
		return errCannotRestoreMirrored(d.Title)
	case !d.Store.About.Load().Restoring:
		return sqlerror.New(3117, 16, "The log or differential backup cannot be restored because no files are ready to rollforward.")
	case d.Family() != h.Family:
		return sqlerror.New(3154, 16, "The backup set holds a backup of a database other than the existing '%s' database.", d.Title)
	case h.First > d.Store.LSN.Load():
		return sqlerror.New(4305, 16, "The log in this backup set begins at LSN %d, which is too recent to apply to the database. An earlier log backup that includes LSN %d can be restored.", h.First, d.Store.LSN.Load())
	case h.Last < d.Store.LSN.Load():
		return sqlerror.New(4326, 16, "The log in this backup set terminates at LSN %d, which is too early to apply to the database. A more recent log backup that includes LSN %d can be restored.", h.Last, d.Store.LSN.Load())
	}
	return p.replaceCopy(ctx, d, st, fmt.Sprintf("INSERT OR REPLACE INTO partner_objects VALUES ('%s', 'yes', '', 0);", mirror.KindLogRestored))
}

func errCannotRestoreMirrored(title string) error {
	return sqlerror.New(3104, 16, "RESTORE cannot operate on database '%s' because it is configured for database mirroring or has joined an availability group. If you intend to restore the database, use ALTER DATABASE to remove mirroring or to remove the database from its availability group.", title)
}

// replaceCopy replaces d, which may be nil, by the database of a backup. The caller holds verbs.
func (p *Partner) replaceCopy(ctx context.Context, d *mirror.Database, st *tsql.Restore, more string) error {
	copied, remove, err := p.copyIn(p.backupPath(st.File))
	if err != nil {
		return err
	}
	defer remove()
	about := storage.Description{Title: st.Database, ID: p.NextID(), Created: sqlvalue.UtcNow(), Recovery: storage.RecoveryFull, Restoring: st.NoRecovery}
	if d != nil {
		about.ID, about.Title = d.Store.About.Load().ID, d.Title
	}
	c, err := storage.OpenConn(copied)
	if err != nil {
		return err
	}
	err = c.Script("BEGIN; DROP TABLE partner_backup; DELETE FROM partner_state; DELETE FROM partner_roles; DELETE FROM partner_objects WHERE kind = '" + mirror.KindLogRestored + "';" +
		more + about.Text() + "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("prepare the restored copy: %w", err)
	}
	if _, err := p.OpenMaster(); err != nil {
		return err
	}
	path := p.Pair.Folder.Database(p.Letter, about.Title)
	if d != nil {
		path = d.Store.Path
		err := d.Alone(ctx, true, func() error {
			d.Gone.Store(true)
			d.Term.Add(1)
			d.Unregister()
			return d.Remove()
		})
		if err != nil {
			return err
		}
	}
	if err := os.Rename(copied, path); err != nil {
		return fmt.Errorf("rename the restored copy: %w", err)
	}
	fresh, err := p.OpenDatabase(path, about)
	if err != nil {
		return err
	}
	fresh.Register()
	p.Pair.StartCheckpoints(fresh)
	p.Log.Info("database restored", "database", about.Title, "restoring", about.Restoring)
	return nil
}

// recover runs RESTORE DATABASE … WITH RECOVERY without a backup: it opens a copy that was RESTORING.
func (p *Partner) recover(ctx context.Context, name string) error {
	return p.Pair.Verb(ctx, func(ctx context.Context) error {
		d := p.Find(name)
		switch {
		case d == nil:
			return sqlerror.ErrNoDatabase(name)
		case d.IsMirrored():
			return errCannotRestoreMirrored(d.Title)
		case !d.Store.About.Load().Restoring:
			return sqlerror.New(3153, 16, "The database is already fully recovered.")
		}
		return d.Alone(ctx, true, func() error {
			about := *d.Store.About.Load()
			about.Restoring = false
			return d.Store.SaveAbout(about)
		})
	})
}

// usersOfMaster creates or removes a user in master, the only definitions allowed there.
func (b *batch) usersOfMaster(ctx context.Context, st *tsql.Definition) (done bool, err error) {
	if st.Kind != "USER" || !strings.EqualFold(b.s.database, mirror.MasterName) || st.Name.Database != "" {
		return false, nil
	}
	if err := b.s.serverOnly(15247, 16, "User does not have permission to perform this action."); err != nil {
		return true, err
	}
	return true, b.s.p.inMaster(ctx, b.s, func(c *catalogueWriter) error { return c.principal(st) })
}
