package embedded

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// smallDelta is how many rows the last step of a resynchronisation may have: it
// keeps writers waiting.
const smallDelta = 256

// maxPasses bounds the steps before the last one, for a principal that writes
// faster than it is read.
const maxPasses = 20

// catchUp brings the mirror to the principal's state while that keeps serving. Each
// step takes the mirror, in one commit, from one consistent state to a later one,
// and is harmless to repeat. Under SAFETY FULL the last step runs in the
// principal's turn to write, and from there on each commit is shipped.
// The caller holds verbs.
func (s *mirroringSession) catchUp(ctx context.Context, principal *database, full bool) error {
	if s.linkState() != stateSynchronized {
		s.showState(stateSynchronizing)
	}
	if full {
		// What is shipped now would cross with what is copied.
		if err := s.dropMirror(ctx, principal); err != nil {
			return err
		}
	}
	for range maxPasses {
		rows, err := s.transfer(ctx, principal)
		if err != nil {
			s.showState(stateDisconnected)
			return err
		}
		if !full && principal.acked.Load() == principal.store.lsn.Load() {
			s.showState(stateSynchronized)
			return nil
		}
		if rows <= smallDelta {
			break
		}
	}
	if !full {
		s.pair.poke() // there is more already
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	return principal.alone(ctx, true, func() error {
		if _, err := s.transfer(ctx, principal); err != nil {
			s.showState(stateDisconnected)
			return err
		}
		principal.mirror = principal.other()
		principal.owesReign = false // what only the mirror had is gone
		s.witness.synchronized(principal.state.Load().sequence)
		s.showState(stateSynchronized)
		return nil
	})
}

// turnWait is how long the link waits for the turn: an explicit transaction may have it, and
// others want verbs.
const turnWait = 2 * time.Second

// dropMirror has the principal ship nothing until it has been caught up with.
func (s *mirroringSession) dropMirror(ctx context.Context, principal *database) error {
	ctx, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	return principal.alone(ctx, true, func() error {
		s.witness.exposes()
		principal.mirror = nil
		return nil
	})
}

// transfer takes the mirror to the principal's state of this moment and tells how
// many rows that took. What only the mirror has, it loses.
func (s *mirroringSession) transfer(ctx context.Context, principal *database) (rows int, err error) {
	mirror := principal.other()
	err = principal.store.snapshot(func(r *reader, lsn, start int64) error {
		store := mirror.store
		store.mu.Lock()
		defer store.mu.Unlock()
		t := &transferred{from: r, to: store.main, lsn: lsn}
		mine, theirs := principal.state.Load(), mirror.state.Load()
		t.common = commonPoint(mine.history, theirs.history, lsn, store.lsn.Load())
		current := t.common == lsn && store.lsn.Load() == lsn && sameReign(mine, theirs)
		if current && !theirs.diverged {
			principal.acked.Store(lsn)
			return nil
		}
		m := *theirs
		m.guid, m.sequence, m.history, m.diverged = mine.guid, mine.sequence, mine.history, false
		m.safetyFull, m.safetySequence, m.timeout = mine.safetyFull, mine.safetySequence, mine.timeout
		whole := t.common < start || t.common < store.startLSN.Load() || len(theirs.history) == 0
		err := store.main.inTransaction(func() error {
			if err := t.copy(ctx, whole); err != nil {
				return err
			}
			return writeMirroring(store.main.conn, &m)
		})
		if err != nil {
			return errors.Join(err, store.refresh())
		}
		rows = t.rows
		mirror.state.Store(&m)
		principal.acked.Store(lsn)
		return store.refresh()
	})
	if err != nil {
		err = fmt.Errorf("bring partner %s up to date: %w", mirror.instance.name, err)
	}
	return rows, err
}

// sameReign tells whether two partners agree on whose reign it is.
func sameReign(a, b *mirroring) bool {
	return len(a.history) > 0 && len(b.history) > 0 &&
		a.history[len(a.history)-1].identity == b.history[len(b.history)-1].identity
}

// snapshot runs f on one committed state: the commit lsn, with a list of changes
// that begins after start.
func (s *store) snapshot(f func(r *reader, lsn, start int64) error) error {
	return s.read(func(r *reader) error {
		if err := r.script("BEGIN"); err != nil {
			return err
		}
		lsn, start, err := r.logPosition()
		if err == nil {
			err = f(r, lsn, start)
		}
		return errors.Join(err, r.script("COMMIT"))
	})
}

// transferred is one step of a resynchronisation, in an open transaction of to.
type transferred struct {
	from   *reader
	to     *writer
	common int64 // the last commit that both have
	lsn    int64 // the commit that from shows
	rows   int
}

func (t *transferred) copy(ctx context.Context, whole bool) error {
	if whole {
		return t.copyAll(ctx)
	}
	// Rows that the mirror changed on its own are among those to copy: the principal's
	// are put in their place.
	changed, err := t.from.changedAfter(t.common, t.lsn)
	if err != nil {
		return err
	}
	own, err := t.to.changedAfter(t.common, 1<<62)
	if err != nil {
		return err
	}
	for k := range own {
		changed[k] = true
	}
	if changed[rowKey{}] { // the schema changed
		return t.copyAll(ctx)
	}
	rec := &record{lsn: t.lsn}
	for k := range changed {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := t.from.current(k)
		if err != nil {
			return err
		}
		if err := t.to.put(c); err != nil {
			return err
		}
		rec.changes = append(rec.changes, change{rowKey: k}) // the list of changes needs no more
	}
	t.rows = len(changed)
	if t.lsn == t.common { // the mirror only lost what was its own
		rec.changes = nil
	}
	// The mirror's list must tell, too, what it has got by this step.
	if err := t.to.script(fmt.Sprintf("DELETE FROM partner_changes WHERE lsn > %d", t.common)); err != nil {
		return err
	}
	return t.to.note(rec)
}

// copyAll empties the mirror's tables and fills them again.
func (t *transferred) copyAll(ctx context.Context) error {
	if err := t.copySchema(); err != nil {
		return err
	}
	tables, err := t.from.tableNames()
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := t.copyTable(ctx, table); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	if err := t.copySequences(); err != nil {
		return err
	}
	return t.to.script(fmt.Sprintf("DELETE FROM partner_changes; UPDATE partner_log SET lsn = %d, start_lsn = %[1]d", t.lsn))
}

// copySchema makes the mirror's schema what the principal's is: then its tables are empty.
func (t *transferred) copySchema() error {
	want, err := t.from.schemaTexts()
	if err != nil {
		return err
	}
	have, err := t.to.schemaTexts()
	if err != nil || slices.Equal(want, have) {
		return err
	}
	for _, kind := range []string{"view", "table"} {
		names, err := t.to.schemaNames(kind)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name != objectsTable {
				if err := t.to.script("DROP " + kind + " main." + quoted(name)); err != nil {
					return fmt.Errorf("drop %s: %w", name, err)
				}
			}
		}
	}
	for _, text := range want {
		if err := t.to.script(text); err != nil {
			return fmt.Errorf("make the schema: %w", err)
		}
	}
	t.to.schemaChanged()
	t.to.version.Add(1)
	return nil
}

// schemaTexts are the statements that made the tables, indexes and views whose rows are mirrored, in an order in which they can be made.
func (r *reader) schemaTexts() ([]string, error) {
	s, err := r.query(`SELECT tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 ELSE 3 END, rowid`)
	if err != nil {
		return nil, err
	}
	var texts []string
	v := r.buffer[:2]
	err = s.rows(v, func() bool {
		table, _ := v[0].(string)
		text, _ := v[1].(string)
		if isMirrored(table) && table != objectsTable {
			texts = append(texts, text)
		}
		return true
	})
	return texts, err
}

func (t *transferred) copyTable(ctx context.Context, table string) error {
	if err := t.to.script("DELETE FROM main." + quoted(table)); err != nil {
		return err
	}
	columns, err := t.from.columnsOf(table)
	if err != nil {
		return err
	}
	all, err := t.from.prepare("SELECT rowid, +" + strings.ReplaceAll(quotedList(columns), ", \"", ", +\"") + " FROM main." + quoted(table))
	if err != nil {
		return err
	}
	v := make([]driver.Value, 1+len(columns))
	var wrong error
	err = all.rows(v, func() bool {
		rowid, _ := v[0].(int64)
		keepEmpty(v)
		wrong = errors.Join(t.to.put(change{rowKey{table, rowid}, v[1:]}), ctx.Err())
		t.rows++
		return wrong == nil
	})
	return errors.Join(err, wrong, all.close())
}

// copySequences copies what identity columns go on from.
func (t *transferred) copySequences() error {
	n, err := t.from.number("SELECT COUNT(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")
	if err != nil || n == 0 {
		return err
	}
	all, err := t.from.prepare("SELECT name, seq FROM main.sqlite_sequence")
	if err != nil {
		return err
	}
	rows, err := all.all(nil)
	if err = errors.Join(err, all.close()); err != nil {
		return err
	}
	if err := t.to.script("DELETE FROM main.sqlite_sequence"); err != nil {
		return err
	}
	put, err := t.to.prepare("INSERT INTO main.sqlite_sequence VALUES (?1, ?2)")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := put.exec(row...); err != nil {
			return errors.Join(err, put.close())
		}
	}
	return put.close()
}
