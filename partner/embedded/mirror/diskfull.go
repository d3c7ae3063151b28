package mirror

import (
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// FailedWrite is what the caller is told of a write that failed and had no effect anywhere.
func (d *Database) FailedWrite(why error) error {
	if e := storage.AsNoRoom(why); e != nil {
		return e
	}
	return fmt.Errorf("commit on %s: %w", d.Instance.Letter, why)
}

// cramped is harden on a file that had no room for the last record: the changes are made
// before they are shipped, for what fails here must not come to the mirror. made says that
// they are made, and there is room again as far as that shows.
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

// newReignIfOwed begins, in the open transaction, the reign that a commit in doubt could
// not begin for want of room: the mirror may have another record of this number.
func (d *Database) newForkIfOwed(w *storage.Writer, rec *storage.Record, exposed *storage.Mirroring) (*storage.Mirroring, error) {
	if !d.OwesFork || exposed != nil {
		return exposed, nil
	}
	m := *d.State.Load()
	m.NewFork(m.Sequence, rec.LSN-1)
	return &m, storage.WriteMirroring(w.Conn, &m)
}
