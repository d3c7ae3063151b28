package embedded

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// noRoom is SQL Server's number for a file group that is full. A full log is 9002 there;
// here data and log lie in one file.
const noRoom = 1105

// isNoRoom reports whether a write failed because the disk, or the file, is full.
func isNoRoom(err error) bool { return asNoRoom(err) != nil }

// asNoRoom is the error in SQL Server's words if it says that there is no room, or nil.
func asNoRoom(err error) *tds.Error {
	if e, ok := errors.AsType[*tds.Error](inWords(err)); ok && e.Number == noRoom {
		return e
	}
	return nil
}

// failedWrite is what the caller is told of a write that failed and had no effect anywhere.
func (d *database) failedWrite(why error) error {
	if e := asNoRoom(why); e != nil {
		return e
	}
	return fmt.Errorf("commit on %s: %w", d.instance.name, why)
}

// rollBack ends the open transaction of w. SQLite may have done so itself, when it found
// no room.
func (w *writer) rollBack() error {
	_, err := w.rollback.exec()
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		return nil
	}
	return err
}

// cramped is harden on a file that had no room for the last record: the changes are made
// before they are shipped, for what fails here must not come to the mirror. made says that
// they are made, and there is room again as far as that shows.
func (d *database) cramped(w *writer, write func() error) (made bool, err error) {
	if !d.tight {
		return false, nil
	}
	if err := write(); err != nil {
		if undo := w.rollBack(); undo != nil {
			d.instance.log.Error("rollback failed", "error", undo)
		}
		return false, d.failedWrite(err)
	}
	return true, nil
}

// newReignIfOwed begins, in the open transaction, the reign that a commit in doubt could
// not begin for want of room: the mirror may have another record of this number.
func (d *database) newReignIfOwed(w *writer, rec *record, exposed *mirroring) (*mirroring, error) {
	if !d.owesReign || exposed != nil {
		return exposed, nil
	}
	m := *d.state.Load()
	m.newReign(m.sequence, rec.lsn-1)
	return &m, writeMirroring(w.conn, &m)
}
