package embedded

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

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// kindFamily is in a database from its first backup on: who is of one family, comes from the same. kindLogRestored is
// in one that a log backup was restored in.
const (
	kindFamily      = "FAMILY"
	kindLogRestored = "LOGRESTORED"
)

// backupHeader is what a backup says of itself. A backup is a copy of the database's file with this
// as one more table; that of a log is one too, and stands for the commits after first.
type backupHeader struct {
	log         bool
	title       string
	family      string
	first, last int64 // commits
}

const backupSchema = `CREATE TABLE partner_backup (is_log INTEGER, title TEXT, family TEXT, first_lsn INTEGER, last_lsn INTEGER);`

// backupPath is the file that a statement means: as SQL Server, a name without a folder is in the server's own
// folder for backups.
func (p *Partner) backupPath(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(p.pair.folder.home(p.name), "backup", file)
}

// BackupFolder is where a backup without a folder in its name goes, and is looked for.
func (p *Partner) BackupFolder() string { return p.backupPath("") }

// family is the family of the database; "": it was never backed up.
func (d *database) family() string { return d.onlyObject(kindFamily) }

// logRestored tells whether a log backup was restored here.
func (d *database) logRestored() bool { return d.onlyObject(kindLogRestored) != "" }

func (d *database) onlyObject(kind string) string {
	for _, o := range d.store.committed().of(kind) {
		return o.name
	}
	return ""
}

// backups are the last commits of the database's last full backup here and of its last log backup; 0: there was none.
func (d *database) backups() (full, log int64) {
	if o := d.instance.masterObjects()[objectKey(kindBackup, d.family())]; o != nil {
		_, _ = fmt.Sscan(o.detail, &full, &log) // written below
	}
	return full, log
}

// backup is BACKUP DATABASE and BACKUP LOG.
func (b *batch) backup(ctx context.Context, st *tsql.Backup) error {
	s, p := b.s, b.s.p
	if err := s.serverOnly(262, 14, "BACKUP DATABASE permission denied in database '%s'.", st.Database); err != nil {
		return err
	}
	d := p.find(st.Database)
	switch {
	case d == nil && p.known(st.Database):
		return notSupported("A backup of the database %s", st.Database)
	case d == nil:
		return errNoDatabase(st.Database)
	case d.serving() != nil:
		return d.serving()
	case st.Log && d.store.about.Load().recovery == recoverySimple:
		return message(4208, 16, "The statement BACKUP LOG is not allowed while the recovery model is SIMPLE. Use BACKUP DATABASE or change the recovery model using ALTER DATABASE.")
	}
	if _, err := os.Stat(p.backupPath(st.File)); err == nil && st.Append {
		return notSupported("BACKUP WITH NOINIT to a file that is there (%s): a file holds one backup, WITH INIT replaces it", st.File)
	}
	if d.family() == "" && !st.Log {
		family := &objectRow{kind: kindFamily, name: newGUID()}
		if err := d.exclusively(ctx, func(w *writer) error { return w.putObject(family) }); err != nil {
			return err
		}
	}
	full, log := d.backups()
	if st.Log && full == 0 {
		return message(4214, 16, "BACKUP LOG cannot be performed because there is no current database backup.")
	}
	h := backupHeader{log: st.Log, title: d.title, family: d.family(), first: max(full, log)}
	last, err := d.copyOut(p.backupPath(st.File), h)
	if err != nil {
		p.log.Warn("backup failed", "error", err)
		return message(3201, 16, "Cannot open backup device '%s'. Operating system error: %v.", st.File, errors.Unwrap(err))
	}
	if st.Log {
		log = last
	} else {
		full = last
	}
	return p.inMaster(ctx, s, func(c *catalogueWriter) error {
		return c.add(&objectRow{kind: kindBackup, name: d.family(), detail: fmt.Sprint(full, " ", log, b.s.p.backedUp(d, st.Log))})
	})
}

// backedUp tells, for the server's memory, when the last full and the last log backup ended, of which one ends now: two numbers
// of Unix seconds with a blank before each; 0: never.
func (p *Partner) backedUp(d *database, log bool) string {
	when := p.backupTimes(d)
	when[boolInt(log)] = time.Now().Unix()
	return fmt.Sprint(" ", when[0], " ", when[1])
}

// backupTimes are those of backedUp.
func (p *Partner) backupTimes(d *database) (when [2]int64) {
	if o := p.masterObjects()[objectKey(kindBackup, d.family())]; o != nil {
		var last int64
		_, _ = fmt.Sscan(o.detail, &last, &last, &when[0], &when[1]) // written above
	}
	return when
}

// copyOut writes the backup, in place of one that is there, and tells the last commit in it.
func (d *database) copyOut(path string, h backupHeader) (last int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("make the folder: %w", err)
	}
	part := path + ".part"
	defer os.Remove(part)
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("take an old part away: %w", err)
	}
	err = d.store.read(func(r *reader) error { return r.script("VACUUM main INTO " + literal(part)) })
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", d.store.path, err)
	}
	c, err := openConn(part)
	if err != nil {
		return 0, err
	}
	if last, err = c.number("SELECT lsn FROM partner_log"); err == nil {
		err = c.script(backupSchema + fmt.Sprintf("INSERT INTO partner_backup VALUES (%d, %s, %s, %d, %d);",
			boolInt(h.log), literal(h.title), literal(h.family), h.first, last))
	}
	if err = errors.Join(err, c.close()); err != nil {
		return 0, fmt.Errorf("finish the backup: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return 0, fmt.Errorf("put the backup in place: %w", err)
	}
	return last, nil
}

// readHeader opens a backup: 3201 it is not there, 3241 it is none.
func (p *Partner) readHeader(file string) (h backupHeader, err error) {
	path := p.backupPath(file)
	f, err := os.Open(path)
	if err != nil {
		return h, message(3201, 16, "Cannot open backup device '%s'. Operating system error: %v.", file, err)
	}
	head := make([]byte, 16)
	_, err = io.ReadFull(f, head)
	_ = f.Close()
	notOne := message(3241, 16, "The media family on device '%s' is incorrectly formed. SQL Server cannot process this media family.", file)
	if err != nil || !strings.HasPrefix(string(head), "SQLite format 3") {
		return h, notOne
	}
	// A copy, so that nothing is written beside a file that may be on a share, or not be ours.
	copied, remove, err := p.copyIn(path)
	if err != nil {
		return h, err
	}
	defer remove()
	c, err := openConn(copied)
	if err != nil {
		return h, notOne
	}
	defer c.close()
	one, err := c.prepare("SELECT is_log, title, family, first_lsn, last_lsn FROM partner_backup")
	if err != nil {
		return h, notOne
	}
	defer one.close()
	v := make([]driver.Value, 5)
	if found, err := one.row(v); err != nil || !found {
		return h, notOne
	}
	sc := scanner{v: v}
	h = backupHeader{log: sc.int64() != 0, title: sc.text(), family: sc.text(), first: sc.int64(), last: sc.int64()}
	if sc.err != nil {
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
	to, err := os.CreateTemp(p.pair.folder.home(p.name), "restore-*.tmp")
	if err != nil {
		return "", nil, fmt.Errorf("copy the backup: %w", err)
	}
	remove = func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(to.Name() + suffix) // what is not there need not go
		}
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		remove()
		return "", nil, fmt.Errorf("copy the backup: %w", err)
	}
	return to.Name(), remove, nil
}

// fileList answers RESTORE FILELISTONLY.
func (b *batch) fileList(h backupHeader) error {
	b.w.Columns(tds.Column{Name: "LogicalName", Type: tds.NVarChar(128)}, tds.Column{Name: "PhysicalName", Type: tds.NVarChar(260)}, tds.Column{Name: "Type", Type: tds.NVarChar(1)})
	for _, f := range logicalFiles(h.title) {
		if err := b.w.Row(f[0], f[0], f[1]); err != nil {
			return err
		}
	}
	b.w.Done(2)
	return nil
}

// logicalFiles are the names and types of a database's files, as the catalogue shows them.
func logicalFiles(title string) [2][2]string {
	return [2][2]string{{title, "D"}, {title + "_log", "L"}}
}
