package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/sqlscript"
)

// makeSchema runs a script in a database that nobody knows of yet, in one transaction, and tells whether that made anything. If
// the process ended between that and the first mark of mirroring, it is made already.
func (p *Partner) makeSchema(d *database, script string) (made bool, err error) {
	if d.store.lsn.Load() > 0 {
		return true, nil
	}
	ctx := context.Background()
	s := &session{p: p, database: masterName, lockTimeout: -1}
	if err := s.use(d.title); err != nil {
		return false, err
	}
	defer s.rollback(nil)
	defer p.counts.forget() // they are of clients
	s.begin()
	var first *tds.Error // of those after which a batch goes on
	w := tds.Unread(ctx, func(e *tds.Error) {
		if first == nil {
			first = e
		}
	})
	for _, b := range sqlscript.Split(script) {
		err := s.Batch(ctx, b.Text, w)
		if err == nil && first != nil {
			err = first
		}
		if err != nil {
			return false, fmt.Errorf("make the schema of %s: line %d: %w", d.title, lineOf(b, err), err)
		}
		made = true
	}
	if s.open != 1 {
		return false, fmt.Errorf("make the schema of %s: it runs in a transaction, and may neither end that nor leave one open", d.title)
	}
	return made, s.commit(nil)
}

// unmake removes the files of a database if a script that failed has committed something in it, by ending its transaction.
func (d *database) unmake() error {
	if d.store.lsn.Load() == 0 {
		return nil
	}
	return errors.Join(d.store.shut(), d.removeFiles())
}

// lineOf is the line of the script in which an error of the batch is.
func lineOf(b sqlscript.Batch, err error) int {
	if e, ok := errors.AsType[*tds.Error](err); ok && e.Line > 0 {
		return b.Line + int(e.Line) - 1
	}
	return b.Line
}
