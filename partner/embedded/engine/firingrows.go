package engine

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// captured holds the rows of one table that a statement has written, in the order in which it wrote
// them.
type captured struct {
	table             string     // in lower case
	inserted, deleted [3][][]any // by the kind of write, from Insert on
}

// changed reports whether a column of an updated row has another value than before.
func (c *captured) changed(column int) bool {
	const updates = tsql.Update - tsql.Insert
	for i, row := range c.deleted[updates] {
		if column < len(row) && !reflect.DeepEqual(row[column], c.inserted[updates][i][column]) {
			return true
		}
	}
	return false
}

// rowCapture captures the rows that a statement writes.
type rowCapture struct {
	set    *triggerSet
	tables []*captured // in the order of their first rows
}

// note captures a row that SQLite is about to write.
func (x *rowCapture) note(data sqlite.SQLitePreUpdateData) {
	name := strings.ToLower(data.TableName)
	if x.set.of[name] == nil {
		return
	}
	c := x.of(name)
	kind := tsql.Update
	switch data.Op {
	case storage.OpInsert:
		kind = tsql.Insert
	case storage.OpDelete:
		kind = tsql.Delete
	}
	if kind != tsql.Insert {
		row := make([]any, data.Count())
		_ = data.Old(row...) // fails only for an INSERT
		c.deleted[kind-tsql.Insert] = append(c.deleted[kind-tsql.Insert], row)
	}
	if kind != tsql.Delete {
		row := make([]any, data.Count())
		_ = data.New(row...) // fails only for a DELETE
		c.inserted[kind-tsql.Insert] = append(c.inserted[kind-tsql.Insert], row)
	}
}

func (x *rowCapture) of(table string) *captured {
	at := slices.IndexFunc(x.tables, func(c *captured) bool { return c.table == table })
	if at < 0 {
		x.tables = append(x.tables, &captured{table: table})
		at = len(x.tables) - 1
	}
	return x.tables[at]
}

// fillTriggerTables creates and fills inserted and deleted for a trigger.
func (x *execution) fillTriggerTables(one *firing) error {
	if err := x.dropTriggerTables(); err != nil {
		return err
	}
	for _, text := range one.trigger.compiled.trigger.Tables {
		if err := x.w.Script(text); err != nil {
			return fmt.Errorf("create the tables of %s: %w", one.trigger.name, err)
		}
	}
	if one.undone {
		return nil
	}
	at := one.kind - tsql.Insert
	if err := x.fill("inserted", one.rows.inserted[at]); err != nil {
		return err
	}
	return x.fill("deleted", one.rows.deleted[at])
}

func (x *execution) fill(table string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	st, err := x.w.Prepare("INSERT INTO temp." + table + " VALUES (?" + strings.Repeat(", ?", len(rows[0])-1) + ")")
	if err != nil {
		return err
	}
	values := make([]driver.Value, len(rows[0]))
	for _, row := range rows {
		for i, v := range row {
			values[i] = v
		}
		storage.KeepEmpty(values)
		if _, err = st.Exec(values...); err != nil {
			break
		}
	}
	return errors.Join(err, st.Close())
}

// dropTriggerTables drops inserted and deleted.
func (x *execution) dropTriggerTables() error {
	return errors.Join(x.w.Script("DROP TABLE IF EXISTS temp.inserted"), x.w.Script("DROP TABLE IF EXISTS temp.deleted"))
}
