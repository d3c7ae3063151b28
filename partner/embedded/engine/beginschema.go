package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/sqlscript"
)

// createSchema runs a script in a database that is not registered yet, in one transaction, and reports whether it
// committed anything. If the process ended after the commit and before the first stored mirroring state, the schema
// exists already.
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
	defer p.counts.forget() // the counters are for clients' requests
	s.begin()
	var first *tds.Error // the first error after which a batch continues
	w := tds.Discarding(ctx, func(e *tds.Error) {
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
			err = errors.New("the script runs in a transaction and must neither end it nor leave another one open")
		}
		if e, ok := errors.AsType[*tds.Error](err); ok && e.Number == notInTransaction {
			err = fmt.Errorf("%w The script runs in a transaction in %s, which already exists", err, d.Title)
		}
		if err != nil {
			return false, fmt.Errorf("create the schema of %s: line %d: %w", d.Title, lineOf(b, err), err)
		}
		made = true
	}
	return made, s.commit(nil)
}

// notInTransaction is the error of a statement that may not run in a transaction, such as CREATE DATABASE.
const notInTransaction = 226

// lineOf returns the line of the script with an error of the batch.
func lineOf(b sqlscript.Batch, err error) int {
	if e, ok := errors.AsType[*tds.Error](err); ok && e.Line > 0 {
		return b.Line + int(e.Line) - 1
	}
	return b.Line
}
