package embedded

import (
	"fmt"

	"modernc.org/sqlite"
)

// gathered is which rows were written on a connection since begin: told by SQLite itself, before each write. What was
// rolled back is among them, and then as it was.
type gathered struct {
	on     bool
	count  int // of writes, those of one row each
	known  map[rowKey]struct{}
	order  []rowKey
	schema []string       // what changed the schema
	saved  map[string]int // how many of these there were at each savepoint

	objects objectSet // of the database as the open transaction has them; nil: not read since they changed
}

// hook has the connection tell of its writes.
func (g *gathered) hook(c *conn) error {
	h, ok := c.c.(sqlite.HookRegisterer)
	if !ok {
		return fmt.Errorf("a connection of %T tells of no writes", c.c)
	}
	h.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
		if !g.on || d.DatabaseName != "main" || !isMirrored(d.TableName) {
			return
		}
		if d.Op != toldInsert {
			g.add(rowKey{d.TableName, d.OldRowID})
		}
		if d.Op != toldDelete {
			g.add(rowKey{d.TableName, d.NewRowID})
		}
	})
	return nil
}

// The operations that SQLite tells of. Source: its C interface, "Authorizer Action Codes".
const (
	toldInsert = 18
	toldDelete = 9
)

func (g *gathered) add(k rowKey) {
	g.count++
	if k.table == objectsTable {
		g.objects = nil
	}
	if _, again := g.known[k]; !again {
		g.known[k] = struct{}{}
		g.order = append(g.order, k)
	}
}

func (g *gathered) end() {
	g.on, g.schema, g.objects = false, nil, nil
	clear(g.saved)
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

// gather gives the written rows as they are now, and what changed the schema, as a record.
func (w *writer) gather() (*record, error) {
	w.gathered.on = false
	changes := make([]change, 0, len(w.gathered.order))
	for _, k := range w.gathered.order {
		if len(w.gathered.schema) > 0 && !w.hasTable(k.table) {
			continue // it was dropped
		}
		c, err := w.current(k)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return &record{changes: changes, schema: w.gathered.schema}, nil
}

// hasTable tells whether there is such a table.
func (w *writer) hasTable(name string) bool {
	_, err := w.table(name)
	return err == nil
}

// ends forgets what was gathered, and what was prepared for a schema that may not be.
func (w *writer) ends() {
	if len(w.gathered.schema) > 0 {
		w.schemaChanged()
	}
	w.gathered.end()
}
