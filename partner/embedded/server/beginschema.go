package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/sqlscript"
)

// makeSchema runs a script in a database that nobody knows of yet, in one transaction, and reports whether that made anything. If
// the process ended between that and the first mark of mirroring, it is made already.
func (p *Partner) createSchema(d *mirror.Database, script string) (made bool, err error) {
	if d.Store.LSN.Load() > 0 {
		return true, nil
	}
	ctx := context.Background()
	s := &session{p: p, database: mirror.MasterName, lockTimeout: -1}
	if err := s.use(d.Title); err != nil {
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
		if err == nil && s.open != 1 {
			err = errors.New("the script runs in a transaction, and may neither end that nor leave another one open")
		}
		if e, ok := errors.AsType[*tds.Error](err); ok && e.Number == notInTransaction {
			err = fmt.Errorf("%w The script runs in a transaction in %s, which is there already", err, d.Title)
		}
		if err != nil {
			return false, fmt.Errorf("make the schema of %s: line %d: %w", d.Title, lineOf(b, err), err)
		}
		made = true
	}
	return made, s.commit(nil)
}

// notInTransaction is the error of what may not stand in a transaction, such as CREATE DATABASE.
const notInTransaction = 226

// lineOf is the line of the script in which an error of the batch is.
func lineOf(b sqlscript.Batch, err error) int {
	if e, ok := errors.AsType[*tds.Error](err); ok && e.Line > 0 {
		return b.Line + int(e.Line) - 1
	}
	return b.Line
}
