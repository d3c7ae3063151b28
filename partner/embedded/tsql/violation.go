package tsql

import (
	"fmt"
	"strings"
)

// Written describes a write that SQLite has refused, so that the error has the names that SQL Server's would have.
type Written struct {
	Kind     QueryKind // Insert, Update or Delete
	Database string    // its name, for the messages
	Table    *Table    // the written table; nil: unknown
	Tables   []*Table  // all tables of the database, for foreign keys and cascades
}

// FromSQLite is the package's [FromSQLite] with the names of constraints and tables: 2627 for a primary key or a unique
// constraint, 2601 for a unique index, 515 for a NULL, and 547 for a check or a foreign key. SQLite does not report
// which of several foreign keys failed; then the message names none. The message does not contain the value of a
// duplicate key.
func (w Written) FromSQLite(err error) *Error {
	e := FromSQLite(err)
	if e == nil {
		return nil
	}
	text := err.Error()
	for _, t := range append([]*Table{w.Table}, w.Tables...) {
		if t == nil {
			continue
		}
		if named := w.violated(t, text); named != nil {
			return named
		}
	}
	if e.Number == 547 && strings.Contains(text, "FOREIGN KEY") && w.Table != nil {
		return w.foreignKey()
	}
	return e
}

// after reports whether the text contains the mark, followed only by SQLite's number.
func after(text, mark string) bool {
	_, rest, found := strings.Cut(text, mark)
	return found && (rest == "" || rest[0] == ' ' || rest[0] == '\'')
}

// violated returns the error if SQLite's text is about the table, and nil otherwise.
func (w Written) violated(t *Table, text string) *Error {
	table := t.Name.Table()
	failed := func(name string, columns []IndexColumn) bool {
		list := columnNames(columns)
		for i, column := range list {
			if c := t.Column(column); c != nil {
				column = c.Name
			}
			list[i] = table + "." + column
		}
		return after(text, "UNIQUE constraint failed: "+strings.Join(list, ", ")) || strings.Contains(text, "index '"+strings.ReplaceAll(t.nullName(name), "'", "''")+"'")
	}
	for _, k := range t.Keys {
		if failed(k.Name, k.Columns) {
			kind := "UNIQUE KEY"
			if k.Primary {
				kind = "PRIMARY KEY"
			}
			return failure(2627, 14, "Violation of %s constraint '%s'. Cannot insert duplicate key in object '%s'.", kind, k.Name, t.display())
		}
	}
	for _, x := range t.Indexes {
		if x.Unique && failed(x.Name, x.Columns) {
			return failure(2601, 14, "Cannot insert duplicate key row in object '%s' with unique index '%s'.", t.display(), x.Name)
		}
	}
	for _, c := range t.Columns {
		if after(text, "NOT NULL constraint failed: "+table+"."+c.Name) {
			return nullRefused(t, c.Name, w.Database, w.Kind.String())
		}
	}
	for _, c := range t.Checks {
		if after(text, "CHECK constraint failed: "+c.Name) {
			where := fmt.Sprintf(`database "%s", table "%s"`, w.Database, t.display())
			if c.Column != "" {
				where += fmt.Sprintf(", column '%s'", c.Column)
			}
			return failure(547, 16, `The %s statement conflicted with the CHECK constraint "%s". The conflict occurred in %s.`, w.Kind, c.Name, where)
		}
	}
	return nil
}

// nullRefused returns error 515.
func nullRefused(t *Table, column, database, statement string) *Error {
	table := t.display()
	if database != "" {
		table = database + "." + table
	}
	if statement == "ALTER TABLE" {
		statement = "UPDATE"
	}
	return failure(515, 16, "Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. %s fails.", column, table, statement)
}

// foreignKey returns error 547 for a foreign key: of the written table, or of the tables that reference it.
func (w Written) foreignKey() *Error {
	type candidate struct {
		kind, name, column string
		table              *Table
	}
	var all []candidate
	if w.Kind != Delete {
		for _, f := range w.Table.ForeignKeys {
			c := candidate{"FOREIGN KEY", f.Name, "", find(append(w.Tables, w.Table), f.Table)}
			if len(f.References) == 1 {
				c.column = f.References[0]
			}
			all = append(all, c)
		}
	}
	if w.Kind != Insert {
		for _, t := range w.Tables {
			for _, f := range t.ForeignKeys {
				if w.Table.is(f.Table) && (w.Kind == Delete || !t.is(w.Table.Name)) {
					c := candidate{"REFERENCE", f.Name, "", t}
					if len(f.Columns) == 1 {
						c.column = f.Columns[0]
					}
					all = append(all, c)
				}
			}
		}
	}
	if len(all) != 1 || all[0].table == nil {
		return failure(547, 16, `The %s statement conflicted with a FOREIGN KEY constraint. The conflict occurred in database "%s", table "%s".`, w.Kind, w.Database, w.Table.display())
	}
	c := all[0]
	where := fmt.Sprintf(`database "%s", table "%s"`, w.Database, c.table.display())
	if c.column != "" {
		where += fmt.Sprintf(", column '%s'", c.column)
	}
	kind := c.kind
	if kind == "FOREIGN KEY" && c.table.is(w.Table.Name) {
		kind = "FOREIGN KEY SAME TABLE"
	}
	return failure(547, 16, `The %s statement conflicted with the %s constraint "%s". The conflict occurred in %s.`, w.Kind, kind, c.name, where)
}
