package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// KindFamily is in a database from its first backup on: who is of one family, comes from the same. kindLogRestored is
// in one that a log backup was restored in.
const (
	KindFamily      = "FAMILY"
	KindLogRestored = "LOGRESTORED"
)

// BackupHeader is what a backup says of itself. A backup is a copy of the database's file with this
// as one more table; that of a log is one too, and stands for the commits after first.
type BackupHeader struct {
	Log         bool
	Title       string
	Family      string
	First, Last int64 // commits
}

const backupSchema = `CREATE TABLE partner_backup (is_log INTEGER, title TEXT, family TEXT, first_lsn INTEGER, last_lsn INTEGER);`

// Family is the family of the database; "": it was never backed up.
func (d *Database) Family() string { return d.onlyObject(KindFamily) }

// logRestored reports whether a log backup was restored here.
func (d *Database) logRestored() bool { return d.onlyObject(KindLogRestored) != "" }

func (d *Database) onlyObject(kind string) string {
	for _, o := range d.Store.Committed().Of(kind) {
		return o.Name
	}
	return ""
}

// Backups are the last commits of the database's last full backup here and of its last log backup; 0: there was none.
func (d *Database) Backups() (full, log int64) {
	if o := d.Instance.MasterObjects()[storage.ObjectKey(KindBackup, d.Family())]; o != nil {
		_, _ = fmt.Sscan(o.Detail, &full, &log) // written below
	}
	return full, log
}

// CopyOut writes the backup, in place of one that is there, and tells the last commit in it.
func (d *Database) CopyOut(path string, h BackupHeader) (last int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("make the folder: %w", err)
	}
	part := path + ".part"
	defer os.Remove(part)
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("take an old part away: %w", err)
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
		return 0, fmt.Errorf("put the backup in place: %w", err)
	}
	return last, nil
}
