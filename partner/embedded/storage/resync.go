package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Snapshot runs f on one committed state: the state of commit lsn, with a list of changes of the commits after start.
func (s *Store) Snapshot(f func(r *Reader, lsn, start int64) error) error {
	return s.Read(func(r *Reader) error {
		if err := r.Script("BEGIN"); err != nil {
			return err
		}
		lsn, start, err := r.logPosition()
		if err == nil {
			err = f(r, lsn, start)
		}
		return errors.Join(err, r.Script("COMMIT"))
	})
}

// Transferred is one step of a resynchronisation, in an open transaction of To.
type Transferred struct {
	From   *Reader
	To     *Writer
	Common int64 // the last commit that both copies have
	LSN    int64 // the last commit that From sees
	Rows   int
}

// Copy brings the copy to the state that From sees: it copies everything, or the rows changed since Common.
func (t *Transferred) Copy(ctx context.Context, whole bool) error {
	if whole {
		return t.copyAll(ctx)
	}
	// The rows to copy include those that only the mirror changed: the principal's rows replace them.
	changed, err := t.From.changedAfter(t.Common, t.LSN)
	if err != nil {
		return err
	}
	own, err := t.To.changedAfter(t.Common, 1<<62)
	if err != nil {
		return err
	}
	for k := range own {
		changed[k] = true
	}
	if changed[RowKey{}] { // the schema changed
		return t.copyAll(ctx)
	}
	rec := &Record{LSN: t.LSN}
	for k := range changed {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := t.From.current(k)
		if err != nil {
			return err
		}
		if err := t.To.put(c); err != nil {
			return err
		}
		rec.Changes = append(rec.Changes, Change{RowKey: k}) // the list of changes needs only the key
	}
	t.Rows = len(changed)
	if t.LSN == t.Common { // the mirror only discarded its own commits
		rec.Changes = nil
	}
	// The mirror's list of changes must also include the rows of this step.
	if err := t.To.Script(fmt.Sprintf("DELETE FROM partner_changes WHERE lsn > %d", t.Common)); err != nil {
		return err
	}
	return t.To.note(rec)
}

// copyAll empties the mirror's tables and copies all rows into them.
func (t *Transferred) copyAll(ctx context.Context) error {
	if err := t.copySchema(); err != nil {
		return err
	}
	tables, err := t.From.tableNames()
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
	return t.To.Script(fmt.Sprintf("DELETE FROM partner_changes; UPDATE partner_log SET lsn = %d, start_lsn = %[1]d", t.LSN))
}

// copySchema makes the mirror's schema equal to the principal's. All tables are empty afterwards.
func (t *Transferred) copySchema() error {
	want, err := t.From.schemaTexts()
	if err != nil {
		return err
	}
	have, err := t.To.schemaTexts()
	if err != nil || slices.Equal(want, have) {
		return err
	}
	for _, kind := range []string{"view", "table"} {
		names, err := t.To.schemaNames(kind)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name != objectsTable {
				if err := t.To.Script("DROP " + kind + " main." + Quoted(name)); err != nil {
					return fmt.Errorf("drop %s: %w", name, err)
				}
			}
		}
	}
	for _, text := range want {
		if err := t.To.Script(text); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
	}
	t.To.schemaChanged()
	t.To.version.Add(1)
	return nil
}

// schemaTexts returns the statements that create the mirrored tables and their indexes and views, in an order in which
// they can run.
func (r *Reader) schemaTexts() ([]string, error) {
	s, err := r.Query(`SELECT tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 ELSE 3 END, rowid`)
	if err != nil {
		return nil, err
	}
	var texts []string
	v := r.Buffer[:2]
	err = s.Rows(v, func() bool {
		table, _ := v[0].(string)
		text, _ := v[1].(string)
		if IsMirrored(table) && table != objectsTable {
			texts = append(texts, text)
		}
		return true
	})
	return texts, err
}

func (t *Transferred) copyTable(ctx context.Context, table string) error {
	if err := t.To.Script("DELETE FROM main." + Quoted(table)); err != nil {
		return err
	}
	columns, err := t.From.columnsOf(table)
	if err != nil {
		return err
	}
	all, err := t.From.Prepare("SELECT rowid, +" + strings.ReplaceAll(quotedList(columns), ", \"", ", +\"") + " FROM main." + Quoted(table))
	if err != nil {
		return err
	}
	v := make([]driver.Value, 1+len(columns))
	var wrong error
	err = all.Rows(v, func() bool {
		rowid, _ := v[0].(int64)
		KeepEmpty(v)
		wrong = errors.Join(t.To.put(Change{RowKey{table, rowid}, v[1:]}), ctx.Err())
		t.Rows++
		return wrong == nil
	})
	return errors.Join(err, wrong, all.Close())
}

// copySequences copies the last values of identity columns.
func (t *Transferred) copySequences() error {
	n, err := t.From.Number("SELECT COUNT(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")
	if err != nil || n == 0 {
		return err
	}
	all, err := t.From.Prepare("SELECT name, seq FROM main.sqlite_sequence")
	if err != nil {
		return err
	}
	rows, err := all.All(nil)
	if err = errors.Join(err, all.Close()); err != nil {
		return err
	}
	if err := t.To.Script("DELETE FROM main.sqlite_sequence"); err != nil {
		return err
	}
	put, err := t.To.Prepare("INSERT INTO main.sqlite_sequence VALUES (?1, ?2)")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := put.Exec(row...); err != nil {
			return errors.Join(err, put.Close())
		}
	}
	return put.Close()
}
