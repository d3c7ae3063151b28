package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// backupPath returns the path of the file that a statement names. As in SQL Server, a name without a folder is in the
// server's backup folder.
func (p *Partner) backupPath(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(p.Pair.Folder.Home(p.Letter), "backup", file)
}

// BackupFolder returns the folder that BACKUP and RESTORE use for a file name without a folder.
func (p *Partner) BackupFolder() string { return p.backupPath("") }

// backup runs BACKUP DATABASE and BACKUP LOG.
func (b *batch) backup(ctx context.Context, st *tsql.Backup) error {
	s, p := b.s, b.s.p
	if err := s.serverOnly(262, 14, "BACKUP DATABASE permission denied in database '%s'.", st.Database); err != nil {
		return err
	}
	d := p.Find(st.Database)
	switch {
	case d == nil && p.Known(st.Database):
		return sqlerror.NotSupported("A backup of the database %s", st.Database)
	case d == nil:
		return sqlerror.ErrNoDatabase(st.Database)
	case d.Serving() != nil:
		return d.Serving()
	case st.Log && d.Store.About.Load().Recovery == storage.RecoverySimple:
		return sqlerror.New(4208, 16, "The statement BACKUP LOG is not allowed while the recovery model is SIMPLE. Use BACKUP DATABASE or change the recovery model using ALTER DATABASE.")
	}
	if _, err := os.Stat(p.backupPath(st.File)); err == nil && st.Append {
		return sqlerror.NotSupported("BACKUP WITH NOINIT to an existing file (%s): a file holds one backup, WITH INIT replaces it", st.File)
	}
	if d.Family() == "" && !st.Log {
		family := &storage.ObjectRow{Kind: mirror.KindFamily, Name: storage.NewGUID()}
		if err := d.Exclusively(ctx, func(w *storage.Writer) error { return w.PutObject(family) }); err != nil {
			return err
		}
	}
	full, log := d.Backups()
	if st.Log && full == 0 {
		return sqlerror.New(4214, 16, "BACKUP LOG cannot be performed because there is no current database backup.")
	}
	h := mirror.BackupHeader{Log: st.Log, Title: d.Title, Family: d.Family(), First: max(full, log)}
	last, err := d.CopyOut(p.backupPath(st.File), h)
	if err != nil {
		p.Log.Warn("backup failed", "error", err)
		return sqlerror.New(3201, 16, "Cannot open backup device '%s'. Operating system error: %v.", st.File, errors.Unwrap(err))
	}
	if st.Log {
		log = last
	} else {
		full = last
	}
	return p.inMaster(ctx, s, func(c *catalogueWriter) error {
		return c.add(&storage.ObjectRow{Kind: mirror.KindBackup, Name: d.Family(), Detail: fmt.Sprint(full, " ", log, b.s.p.backedUp(d, st.Log))})
	})
}

// backedUp returns when the last full and the last log backup ended, one of which ends now. The format is two numbers
// of Unix seconds with a blank before each; 0: never.
func (p *Partner) backedUp(d *mirror.Database, log bool) string {
	when := p.backupTimes(d)
	when[sqlvalue.BoolInt(log)] = time.Now().Unix()
	return fmt.Sprint(" ", when[0], " ", when[1])
}

// backupTimes returns the times that backedUp has stored.
func (p *Partner) backupTimes(d *mirror.Database) (when [2]int64) {
	if o := p.MasterObjects()[storage.ObjectKey(mirror.KindBackup, d.Family())]; o != nil {
		var last int64
		_, _ = fmt.Sscan(o.Detail, &last, &last, &when[0], &when[1]) // backedUp writes the format
	}
	return when
}

// readHeader reads the header of a backup. 3201: the file does not exist; 3241: it is not a backup.
func (p *Partner) readHeader(file string) (h mirror.BackupHeader, err error) {
	path := p.backupPath(file)
	f, err := os.Open(path)
	if err != nil {
		return h, sqlerror.New(3201, 16, "Cannot open backup device '%s'. Operating system error: %v.", file, err)
	}
	head := make([]byte, 16)
	_, err = io.ReadFull(f, head)
	_ = f.Close()
	notOne := sqlerror.New(3241, 16, "The media family on device '%s' is incorrectly formed. SQL Server cannot process this media family.", file)
	if err != nil || !strings.HasPrefix(string(head), "SQLite format 3") {
		return h, notOne
	}
	// Open a copy, so that nothing is written next to the file, which may be on a share or belong to another user.
	copied, remove, err := p.copyIn(path)
	if err != nil {
		return h, err
	}
	defer remove()
	c, err := storage.OpenConn(copied)
	if err != nil {
		return h, notOne
	}
	defer c.Close()
	one, err := c.Prepare("SELECT is_log, title, family, first_lsn, last_lsn FROM partner_backup")
	if err != nil {
		return h, notOne
	}
	defer one.Close()
	v := make([]driver.Value, 5)
	if found, err := one.Row(v); err != nil || !found {
		return h, notOne
	}
	sc := storage.Scanner{V: v}
	h = mirror.BackupHeader{Log: sc.Int64() != 0, Title: sc.Text(), Family: sc.Text(), First: sc.Int64(), Last: sc.Int64()}
	if sc.Err != nil {
		return h, notOne
	}
	return h, nil
}

// copyIn copies a file into the server's folder.
func (p *Partner) copyIn(path string) (copied string, remove func(), err error) {
	from, err := os.Open(path)
	if err != nil {
		return "", nil, fmt.Errorf("read the backup: %w", err)
	}
	defer from.Close()
	to, err := os.CreateTemp(p.Pair.Folder.Home(p.Letter), "restore-*.tmp")
	if err != nil {
		return "", nil, fmt.Errorf("copy the backup: %w", err)
	}
	remove = func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(to.Name() + suffix) // the file may not exist
		}
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		remove()
		return "", nil, fmt.Errorf("copy the backup: %w", err)
	}
	return to.Name(), remove, nil
}

// fileList sends the result set of RESTORE FILELISTONLY.
func (b *batch) fileList(h mirror.BackupHeader) error {
	b.w.Columns(tds.Column{Name: "LogicalName", Type: tds.NVarChar(128)}, tds.Column{Name: "PhysicalName", Type: tds.NVarChar(260)}, tds.Column{Name: "Type", Type: tds.NVarChar(1)})
	for _, f := range logicalFiles(h.Title) {
		if err := b.w.Row(f[0], f[0], f[1]); err != nil {
			return err
		}
	}
	b.w.Done(2)
	return nil
}

// logicalFiles returns the names and types of a database's files, as the catalogue shows them.
func logicalFiles(title string) [2][2]string {
	return [2][2]string{{title, "D"}, {title + "_log", "L"}}
}
