package embedded

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// openExclusive opens the connection on which statements write whose changes
// nobody but SQLite knows. Triggers of its own note the keys of all rows that are
// written; the other connections don't have them and don't pay for them.
func openExclusive(path string) (*writer, error) {
	c, err := openConn(path)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	text.WriteString("CREATE TEMP TABLE touched (tbl INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;")
	for _, t := range tables {
		for _, event := range []struct{ name, rows string }{
			{"INSERT", "new."}, {"UPDATE", "old.new."}, {"DELETE", "old."},
		} {
			fmt.Fprintf(&text, "CREATE TEMP TRIGGER touched_%d_%s AFTER %s ON main.%s BEGIN ", t, event.name, event.name, t)
			for _, prefix := range []string{"old.", "new."} {
				if strings.Contains(event.rows, prefix) {
					// OR IGNORE would not do: an upsert's own policy holds in its triggers.
					fmt.Fprintf(&text, "INSERT INTO touched SELECT %d, %s WHERE NOT EXISTS (SELECT 1 FROM touched WHERE tbl = %[1]d AND key = %[2]s); ", t, t.keyColumn(prefix))
				}
			}
			text.WriteString("END;")
		}
	}
	if err := c.script(text.String()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), c.close())
	}
	w, err := newWriter(c)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return w, nil
}

// touched reads, and forgets, what was written on this connection since last
// asked: each row as it is now.
func (w *writer) touched() ([]change, error) {
	s, err := w.query("SELECT tbl, key FROM touched")
	if err != nil {
		return nil, err
	}
	var changes []change
	v := make([]driver.Value, 2)
	err = s.rows(v, func() bool {
		sc := scanner{v: v}
		changes = append(changes, change{table: table(sc.int64()), key: sc.text()})
		return true
	})
	if err != nil {
		return nil, err
	}
	for i := range changes {
		if changes[i].row, err = w.row(changes[i].table, changes[i].key); err != nil {
			return nil, fmt.Errorf("read the written row of %s: %w", changes[i].table, err)
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	forget, err := w.query("DELETE FROM touched")
	if err == nil {
		_, err = forget.exec()
	}
	return slices.Clip(changes), err
}
