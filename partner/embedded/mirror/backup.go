package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The first backup of a database adds an object of KindFamily. Databases of the same family have the same origin. The
// restore of a log backup adds an object of KindLogRestored.
const (
	KindFamily      = "FAMILY"
	KindLogRestored = "LOGRESTORED"
)

// BackupHeader describes a backup. A full backup is a copy of the database's file with this header as one more table. A
// log backup is such a copy too, but represents only the commits after First.
type BackupHeader struct {
	Log         bool
	Title       string
	Family      string
	First, Last int64 // commits
}

const backupSchema = `CREATE TABLE partner_backup (is_log INTEGER, title TEXT, family TEXT, first_lsn INTEGER, last_lsn INTEGER);`

// Family returns the family of the database; "": it was never backed up.
func (d *Database) Family() string { return d.onlyObject(KindFamily) }

// logRestored reports whether a log backup was restored here.
func (d *Database) logRestored() bool { return d.onlyObject(KindLogRestored) != "" }

func (d *Database) onlyObject(kind string) string {
	for _, o := range d.Store.Committed().Of(kind) {
		return o.Name
	}
	return ""
}

// Backups returns the last commits of the database's last full backup and last log backup on this server; 0: no such
// backup.
func (d *Database) Backups() (full, log int64) {
	if o := d.Instance.MasterObjects()[storage.ObjectKey(KindBackup, d.Family())]; o != nil {
		_, _ = fmt.Sscan(o.Detail, &full, &log) // package engine writes the format (BACKUP)
	}
	return full, log
}

// CopyOut writes the backup, replaces an existing file, and returns the last commit in it.
func (d *Database) CopyOut(path string, h BackupHeader) (last int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("create the folder: %w", err)
	}
	part := path + ".part"
	defer os.Remove(part)
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("remove the unfinished file of an earlier backup: %w", err)
	}
	err = d.Store.Read(func(r *storage.Reader) error { return r.Script("VACUUM main INTO " + sqlvalue.Literal(part)) })
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", d.Store.Path, err)
	}
	c, err := storage.OpenConn(part)
	if err != nil {
		return 0, err
	}
	if last, err = c.Number("SELECT lsn FROM partner_log"); err == nil {
		err = c.Script(backupSchema + fmt.Sprintf("INSERT INTO partner_backup VALUES (%d, %s, %s, %d, %d);",
			sqlvalue.BoolInt(h.Log), sqlvalue.Literal(h.Title), sqlvalue.Literal(h.Family), h.First, last))
	}
	if err = errors.Join(err, c.Close()); err != nil {
		return 0, fmt.Errorf("finish the backup: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return 0, fmt.Errorf("rename the finished backup: %w", err)
	}
	return last, nil
}
