package mirror

import (
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// FailedWrite returns the client's error for a write that failed and was rolled back on
// both partners.
func (d *Database) FailedWrite(why error) error {
	if e := storage.AsNoRoom(why); e != nil {
		return e
	}
	return fmt.Errorf("commit on %s: %w", d.Instance.Letter, why)
}

// writeFirst is the first part of harden after a record that found no room on the disk. It
// writes the changes before the record is shipped, because a record that fails here must
// not reach the mirror. made reports whether the changes are written; then there is room
// again.
func (d *Database) writeFirst(w *storage.Writer, write func() error) (made bool, err error) {
	if !d.diskFull {
		return false, nil
	}
	if err := write(); err != nil {
		if undo := w.RollBack(); undo != nil {
			d.Instance.Log.Error("rollback failed", "error", undo)
		}
		return false, d.FailedWrite(err)
	}
	return true, nil
}

// forkIfPending begins, in the open transaction, the recovery fork that a commit in doubt
// could not begin because the disk was full: the mirror may have another record of this
// number.
func (d *Database) forkIfPending(w *storage.Writer, rec *storage.Record, exposed *storage.Mirroring) (*storage.Mirroring, error) {
	if !d.ForkPending || exposed != nil {
		return exposed, nil
	}
	m := *d.State.Load()
	m.NewFork(m.Sequence, rec.LSN-1)
	return &m, storage.WriteMirroring(w.Conn, &m)
}
