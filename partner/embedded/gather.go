package embedded

import (
	"fmt"
	"strconv"

	"modernc.org/sqlite"
)

// gathered is which rows were written on a connection since begin: told by SQLite itself, before each write. What was
// rolled back is among them, and then as it was.
type gathered struct {
	on    bool
	hooks bool // SQLite tells
	known map[rowKey]struct{}
	order []rowKey
	err   error // the first key that could not be read
}

// tablesByName are the tables whose rows are mirrored as they are written.
var tablesByName = func() map[string]table {
	all := map[string]table{}
	for _, t := range tables {
		if t != tableObjects { // it has no row ids, and SQLite tells of none without
			all[t.String()] = t
		}
	}
	return all
}()

// hook has the connection tell of its writes.
func (g *gathered) hook(c *conn) error {
	h, ok := c.c.(sqlite.HookRegisterer)
	if !ok {
		return fmt.Errorf("a connection of %T tells of no writes", c.c)
	}
	h.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
		if !g.on || d.DatabaseName != "main" {
			return
		}
		if t, ok := tablesByName[d.TableName]; ok {
			g.note(t, &d)
		}
	})
	return nil
}

// The operations that SQLite tells of. Source: its C interface, "Authorizer Action Codes".
const (
	toldInsert = 18
	toldDelete = 9
)

func (g *gathered) note(t table, d *sqlite.SQLitePreUpdateData) {
	var room [2]any
	key := room[:t.keyWidth()]
	var err error
	if d.Op != toldInsert {
		if err = d.Old(key...); err == nil {
			err = g.add(t, key)
		}
	}
	if err == nil && d.Op != toldDelete {
		if err = d.New(key...); err == nil {
			err = g.add(t, key)
		}
	}
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("a row of %s: %w", t, err)
	}
}

func (g *gathered) add(t table, key []any) error {
	text, err := t.keyOf(key)
	if err != nil {
		return err
	}
	k := rowKey{t, text}
	if _, again := g.known[k]; !again {
		g.known[k] = struct{}{}
		g.order = append(g.order, k)
	}
	return nil
}

func (g *gathered) begin(c *conn) error {
	if !g.hooks {
		if err := g.hook(c); err != nil {
			return err
		}
		g.hooks, g.known = true, map[rowKey]struct{}{}
	}
	g.on = true
	return nil
}

func (g *gathered) end() {
	g.on, g.err = false, nil
	clear(g.known)
	g.order = g.order[:0]
}

// cut forgets what was noted since there were so many: it was not written.
func (g *gathered) cut(n int) {
	for _, k := range g.order[n:] {
		delete(g.known, k)
	}
	g.order = g.order[:n]
}

// gather gives the written rows as they are now.
func (w *writer) gather() ([]change, error) {
	if w.gathered.err != nil {
		return nil, w.gathered.err
	}
	w.gathered.on = false
	changes := make([]change, 0, len(w.gathered.order))
	for _, k := range w.gathered.order {
		r, err := w.row(k.table, k.key)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{table: k.table, key: k.key, row: r})
	}
	return changes, nil
}

// keyWidth is how many of the first columns are the key.
func (t table) keyWidth() int {
	if t == tableTombstones || t == tableSettled {
		return 2
	}
	return 1
}

// keyOf is the key of a row whose first columns are these; see [table.keyColumn].
func (t table) keyOf(columns []any) (string, error) {
	switch first := columns[0].(type) {
	case int64:
		return strconv.FormatInt(first, 10), nil
	case string:
		if t == tableSessions {
			return foldKey(first), nil
		}
		if op, ok := columns[1].([]byte); ok {
			return tombstoneKey(first, operationOf(op)), nil
		}
	case []byte:
		if call, ok := columns[1].([]byte); ok && t == tableSettled {
			return settledKey(operationOf(first), operationOf(call)), nil
		}
	}
	return "", fmt.Errorf("a key of %T", columns[0])
}
