package storage

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

// objectsTable is the table of a database's objects.
const objectsTable = "partner_objects"

// IsMirrored reports whether a table's rows are mirrored: those of every table except the partner's own tables.
func IsMirrored(table string) bool {
	return table == objectsTable || !strings.HasPrefix(table, "partner_") && !strings.HasPrefix(table, "sqlite_")
}

// RowKey identifies a row. A row has the same rowid on both partners.
type RowKey struct {
	Table string
	Rowid int64
}

// Change is a written row with the values of all its columns, or a removed row if values is nil.
type Change struct {
	RowKey
	values []driver.Value
}

// tableStatements are the statements that read and write the rows of one table on a connection.
type tableStatements struct {
	width int // number of columns
	read  *statement
	// renew updates a row whose unique columns do not change, so that SQLite need not write their indexes. replace
	// updates any row, and removes the rows that conflict with it: rows that are also removed or moved.
	renew, replace, insert, remove *statement
}

// table returns the statements of a table, and prepares them if necessary.
func (r *Reader) table(name string) (*tableStatements, error) {
	r.follow()
	if t := r.tables[name]; t != nil {
		return t, nil
	}
	columns, err := r.columnsOf(name)
	if err != nil {
		return nil, err
	}
	unique, err := r.uniqueColumns(name)
	if err != nil {
		return nil, err
	}
	t := &tableStatements{width: len(columns)}
	var read, set, free, same, places strings.Builder
	for i, c := range columns {
		assignment := fmt.Sprintf("%s = ?%d", Quoted(c), i+2)
		fmt.Fprintf(&read, `, +%s AS ""`, Quoted(c)) // the plus hides the declared type; otherwise the driver converts texts of a date type to dates
		fmt.Fprintf(&set, ", %s", assignment)
		fmt.Fprintf(&places, ", ?%d", i+2)
		if unique[c] {
			fmt.Fprintf(&same, " AND %s IS ?%d COLLATE BINARY", Quoted(c), i+2)
		} else {
			fmt.Fprintf(&free, ", %s", assignment)
		}
	}
	into := "main." + Quoted(name)
	texts := map[**statement]string{
		&t.read:    "SELECT " + read.String()[2:] + " FROM " + into + " WHERE rowid = ?1",
		&t.replace: "UPDATE OR REPLACE " + into + " SET " + set.String()[2:] + " WHERE rowid = ?1",
		&t.insert:  "INSERT OR REPLACE INTO " + into + " (rowid, " + quotedList(columns) + ") VALUES (?1" + places.String() + ")",
		&t.remove:  "DELETE FROM " + into + " WHERE rowid = ?1",
	}
	if free.Len() > 0 {
		texts[&t.renew] = "UPDATE " + into + " SET " + free.String()[2:] + " WHERE rowid = ?1" + same.String()
	}
	if err := r.prepareAll(texts); err != nil {
		return nil, err
	}
	r.tables[name] = t
	return t, nil
}

// close closes the statements.
func (t *tableStatements) close() {
	for _, s := range []*statement{t.read, t.renew, t.replace, t.insert, t.remove} {
		if s != nil {
			_ = s.Close() // a statement that can't be closed is closed with its connection
		}
	}
}

// uniqueColumns returns the columns of a table's primary key and of its unique indexes.
func (r *Reader) uniqueColumns(table string) (map[string]bool, error) {
	s, err := r.Query(`SELECT c.name FROM pragma_index_list(?1) AS i, pragma_index_info(i.name) AS c WHERE i."unique" = 1
		UNION SELECT name FROM pragma_table_info(?1) WHERE pk > 0`)
	if err != nil {
		return nil, err
	}
	unique := map[string]bool{}
	v := r.Buffer[:1]
	err = s.Rows(v, func() bool {
		name, _ := v[0].(string)
		unique[name] = true
		return true
	}, table)
	return unique, err
}

// columnsOf returns the names of a table's columns in order.
func (r *Reader) columnsOf(table string) ([]string, error) {
	s, err := r.Query("SELECT name FROM pragma_table_info(?1)")
	if err != nil {
		return nil, err
	}
	var names []string
	v := r.Buffer[:1]
	err = s.Rows(v, func() bool {
		name, _ := v[0].(string)
		names = append(names, name)
		return true
	}, table)
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no such table: %s", table)
	}
	return names, err
}

// tableNames returns the names of the mirrored tables.
func (r *Reader) tableNames() ([]string, error) { return r.schemaNames("table") }

// schemaNames returns the names of the mirrored tables, or of the views.
func (r *Reader) schemaNames(kind string) ([]string, error) {
	s, err := r.Query("SELECT name FROM main.sqlite_schema WHERE type = ?1 ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	var names []string
	v := r.Buffer[:1]
	err = s.Rows(v, func() bool {
		if name, _ := v[0].(string); IsMirrored(name) {
			names = append(names, name)
		}
		return true
	}, kind)
	return names, err
}

// current reads a row with its values now.
func (r *Reader) current(k RowKey) (Change, error) {
	t, err := r.table(k.Table)
	if err != nil {
		return Change{}, err
	}
	values := make([]driver.Value, t.width)
	found, err := t.read.Row(values, k.Rowid)
	if err != nil {
		return Change{}, fmt.Errorf("read a row of %s: %w", k.Table, err)
	}
	if !found {
		return Change{RowKey: k}, nil
	}
	KeepEmpty(values)
	return Change{RowKey: k, values: values}, nil
}

// KeepEmpty keeps binary values of no bytes: the driver reads them as nil, which it would write as NULL.
func KeepEmpty(values []driver.Value) {
	for i, v := range values {
		if b, ok := v.([]byte); ok && b == nil {
			values[i] = []byte{}
		}
	}
}

// put writes or removes the row of the change.
func (w *Writer) put(c Change) error {
	t, err := w.table(c.Table)
	if err != nil {
		return err
	}
	if c.values == nil {
		_, err = t.remove.Exec(c.Rowid)
	} else {
		w.values = append(append(w.values[:0], c.Rowid), c.values...)
		err = t.put(w.values)
		clear(w.values)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", c.Table, err)
	}
	return nil
}

// put writes a row. values holds its rowid and its columns.
func (t *tableStatements) put(values []driver.Value) error {
	for _, s := range [...]*statement{t.renew, t.replace} {
		if s == nil {
			continue
		}
		if n, err := s.Exec(values...); err != nil || n > 0 {
			return err
		}
	}
	_, err := t.insert.Exec(values...)
	return err
}

// Quoted returns the name quoted for SQLite.
func Quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quotedList(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = Quoted(name)
	}
	return strings.Join(list, ", ")
}
