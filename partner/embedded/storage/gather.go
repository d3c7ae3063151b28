package storage

import (
	"fmt"

	"modernc.org/sqlite"
)

// gathered is which rows were written on a connection since begin: told by SQLite itself, before each write. What was
// rolled back is among them, and then as it was.
type gathered struct {
	On     bool
	count  int // of writes, those of one row each
	known  map[RowKey]struct{}
	Order  []RowKey
	schema []string       // what changed the schema
	saved  map[string]int // how many of these there were at each savepoint

	watch func(sqlite.SQLitePreUpdateData) // told of each row too, while a statement fires triggers; nil: it does not
	// objectsWritten: the open transaction has written objects.
	ObjectsWritten bool

	Objects ObjectSet // of the database as the open transaction has them; nil: not read since they changed
}

// hook has the connection tell of its writes.
func (g *gathered) hook(c *Conn) error {
	h, ok := c.c.(sqlite.HookRegisterer)
	if !ok {
		return fmt.Errorf("a connection of %T tells of no writes", c.c)
	}
	h.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
		if !g.On || d.DatabaseName != "main" || !IsMirrored(d.TableName) {
			return
		}
		if g.watch != nil {
			g.watch(d)
		}
		if d.Op != OpInsert {
			g.add(RowKey{d.TableName, d.OldRowID})
		}
		if d.Op != OpDelete {
			g.add(RowKey{d.TableName, d.NewRowID})
		}
	})
	return nil
}

// The operations that SQLite tells of. Source: its C interface, "Authorizer Action Codes".
const (
	OpInsert = 18
	OpDelete = 9
)

func (g *gathered) add(k RowKey) {
	g.count++
	if k.Table == objectsTable {
		g.Objects, g.ObjectsWritten = nil, true
	}
	if _, again := g.known[k]; !again {
		g.known[k] = struct{}{}
		g.Order = append(g.Order, k)
	}
}

func (g *gathered) end() {
	g.On, g.schema, g.Objects, g.ObjectsWritten, g.watch = false, nil, nil, false, nil
	clear(g.saved)
	clear(g.known)
	g.Order = g.Order[:0]
}

// Cut forgets what was noted since there were so many: it was not written.
func (g *gathered) Truncate(n int) {
	for _, k := range g.Order[n:] {
		delete(g.known, k)
	}
	g.Order = g.Order[:n]
}

// Gather gives the written rows as they are now, and what changed the schema, as a record.
func (w *Writer) Gather() (*Record, error) {
	w.Gathered.On = false
	changes := make([]Change, 0, len(w.Gathered.Order))
	for _, k := range w.Gathered.Order {
		if len(w.Gathered.schema) > 0 && !w.hasTable(k.Table) {
			continue // it was dropped
		}
		c, err := w.current(k)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return &Record{Changes: changes, Schema: w.Gathered.schema}, nil
}

// hasTable reports whether there is such a table.
func (w *Writer) hasTable(name string) bool {
	_, err := w.table(name)
	return err == nil
}

// Ends forgets what was gathered, and what was prepared for a schema that may not be.
func (w *Writer) ForgetGathered() {
	if len(w.Gathered.schema) > 0 {
		w.schemaChanged()
	}
	w.Gathered.end()
}
