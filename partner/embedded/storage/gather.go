package storage

import (
	"fmt"

	"modernc.org/sqlite"
)

// gathered holds the rows that a connection has written since begin. SQLite reports each row before it writes it. Rows
// of writes that were rolled back are included, with their old values.
type gathered struct {
	On     bool
	count  int // number of writes; a write is one row
	known  map[RowKey]struct{}
	Order  []RowKey
	schema []string       // statements that changed the schema
	saved  map[string]int // length of schema at each savepoint

	watch func(sqlite.SQLitePreUpdateData) // also called for each row while a statement fires triggers; nil: not called
	// ObjectsWritten is true if the open transaction has written objects.
	ObjectsWritten bool

	Objects ObjectSet // objects of the database as the open transaction sees them; nil: not read since the last change
}

// hook makes the connection report its writes.
func (g *gathered) hook(c *Conn) error {
	h, ok := c.c.(sqlite.HookRegisterer)
	if !ok {
		return fmt.Errorf("a connection of type %T does not report its writes", c.c)
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

// The operations that SQLite reports. Source: SQLite C interface, "Authorizer Action Codes".
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

// Truncate forgets all rows after the first n: they were not written.
func (g *gathered) Truncate(n int) {
	for _, k := range g.Order[n:] {
		delete(g.known, k)
	}
	g.Order = g.Order[:n]
}

// Gather returns a record of the written rows, with their values now, and of the changes of the schema.
func (w *Writer) Gather() (*Record, error) {
	w.Gathered.On = false
	changes := make([]Change, 0, len(w.Gathered.Order))
	for _, k := range w.Gathered.Order {
		if len(w.Gathered.schema) > 0 && !w.hasTable(k.Table) {
			continue // the table was dropped
		}
		c, err := w.current(k)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return &Record{Changes: changes, Schema: w.Gathered.schema}, nil
}

// hasTable reports whether the table exists.
func (w *Writer) hasTable(name string) bool {
	_, err := w.table(name)
	return err == nil
}

// ForgetGathered forgets the gathered rows, and the statements prepared for a schema that may have been rolled back.
func (w *Writer) ForgetGathered() {
	if len(w.Gathered.schema) > 0 {
		w.schemaChanged()
	}
	w.Gathered.end()
}
