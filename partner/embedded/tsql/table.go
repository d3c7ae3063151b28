package tsql

import (
	"slices"
	"strings"
)

// Table is a table as CREATE TABLE describes it, with the indexes of CREATE INDEX. It is immutable: [Table.Change]
// returns another one. [Table.SQL] creates it in SQLite, [Table.Text] writes it as T-SQL, and [ParseTable] parses that
// again.
//
// In SQLite a table has a rowid. An identity column is an alias of the rowid, INTEGER PRIMARY KEY AUTOINCREMENT, so
// that last_insert_rowid() is the identity value that an INSERT generated. Such a column is unique even without a key,
// and a failed INSERT uses up no value. Keys are unique indexes named "table.key", so that they can be created and
// dropped without rewriting the table. SQL Server takes two NULLs in a key as equal: if a key's columns may be NULL, a
// second index named "table.key$null" enforces that.
//
// The caller sets PRAGMA foreign_keys = ON if statements write rows, and OFF if a mirror applies rows.
type Table struct {
	Name        Name
	Columns     []TableColumn
	Keys        []Key
	ForeignKeys []ForeignKey
	Checks      []Check
	Indexes     []Index
}

// TableColumn is a column of a Table.
type TableColumn struct {
	Column
	Collation   string // as written; ""
	Seed        int64  // of an identity column
	DefaultName string // of the DEFAULT constraint
	DefaultText string // its expression in T-SQL; "": no default

	withValues bool // existing rows get its default
}

// Key is a PRIMARY KEY or UNIQUE constraint.
type Key struct {
	Name         string
	Primary      bool
	Nonclustered bool // as written; a primary key is clustered otherwise, a unique key is not
	Clustered    bool // as written
	Columns      []IndexColumn
}

// ForeignKey is a FOREIGN KEY constraint. References is as long as Columns after [Table.Resolve] has filled it.
type ForeignKey struct {
	Name       string
	Columns    []string
	Table      Name // the referenced table
	References []string
	OnDelete   string // NO ACTION, CASCADE, SET NULL or SET DEFAULT
	OnUpdate   string
}

// Check is a CHECK constraint.
type Check struct {
	Name   string
	Column string // the column with which it was written; ""
	Text   string // its condition in T-SQL
	SQL    string // and in SQLite
}

// Index is an index that does not belong to a constraint.
type Index struct {
	Name      string
	Unique    bool
	Clustered bool
	Columns   []IndexColumn
	Include   []string // of INCLUDE, which has no effect here
	Text      string   // of a filter, its condition in T-SQL; "": no filter
	SQL       string   // and in SQLite
}

// IndexColumn is a column of a key or an index.
type IndexColumn struct {
	Name       string
	Descending bool
}

// Schema returns the columns as a [Schema] does.
func (t *Table) Schema() []Column {
	columns := make([]Column, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c.Column
	}
	return columns
}

// Column returns a column by name; nil: no such column.
func (t *Table) Column(name string) *TableColumn {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return nil
}

// Identity returns the identity column; nil: there is none.
func (t *Table) Identity() *TableColumn {
	for i := range t.Columns {
		if t.Columns[i].Identity {
			return &t.Columns[i]
		}
	}
	return nil
}

// PrimaryKey returns the primary key; nil: there is none.
func (t *Table) PrimaryKey() *Key {
	for i := range t.Keys {
		if t.Keys[i].Primary {
			return &t.Keys[i]
		}
	}
	return nil
}

// IdentityCurrent returns the SELECT for IDENT_CURRENT; "" for a table without an identity column.
func (t *Table) IdentityCurrent() string {
	c := t.Identity()
	if c == nil {
		return ""
	}
	return "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = " + quoteText(t.Name.Table()) + "), " + integerText(c.Seed) + ")"
}

// is reports whether the name is that of the table, within one database.
func (t *Table) is(n Name) bool { return strings.EqualFold(t.Name.Table(), n.Table()) }

// find returns the table of that name; nil: no such table.
func find(tables []*Table, n Name) *Table {
	for _, t := range tables {
		if t.is(n) {
			return t
		}
	}
	return nil
}

// display returns the table's name as in SQL Server's messages.
func (t *Table) display() string {
	if t.Name.Schema == "" {
		return "dbo." + t.Name.Object
	}
	return t.Name.Schema + "." + t.Name.Object
}

// columnNames returns the columns' names.
func columnNames(columns []IndexColumn) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Name
	}
	return list
}

// sameSet reports whether two lists have the same names, in any order.
func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(name string) bool { return !hasName(b, name) })
}

// hasName reports whether the list has the name.
func hasName(list []string, name string) bool {
	return slices.ContainsFunc(list, func(other string) bool { return strings.EqualFold(other, name) })
}

// usedBy returns what prevents dropping or changing a column; "": nothing.
func (t *Table) usedBy(column string) (kind, name string) {
	for _, k := range t.Keys {
		if hasName(columnNames(k.Columns), column) {
			return "object", k.Name
		}
	}
	for _, f := range t.ForeignKeys {
		if hasName(f.Columns, column) {
			return "object", f.Name
		}
	}
	for _, c := range t.Checks {
		if strings.EqualFold(c.Column, column) || strings.Contains(strings.ToLower(c.SQL), strings.ToLower(quoteIdentifier(column))) {
			return "object", c.Name
		}
	}
	for _, x := range t.Indexes {
		if hasName(columnNames(x.Columns), column) || hasName(x.Include, column) ||
			strings.Contains(strings.ToLower(x.SQL), strings.ToLower(quoteIdentifier(column))) {
			return "index", x.Name
		}
	}
	return "", ""
}

// constraintNames returns the names of all constraints.
func (t *Table) constraintNames() []string {
	var list []string
	for _, k := range t.Keys {
		list = append(list, k.Name)
	}
	for _, f := range t.ForeignKeys {
		list = append(list, f.Name)
	}
	for _, c := range t.Checks {
		list = append(list, c.Name)
	}
	for _, c := range t.Columns {
		if c.DefaultText != "" {
			list = append(list, c.DefaultName)
		}
	}
	return list
}

// clone returns a copy whose lists can be changed.
func (t *Table) clone() *Table {
	n := *t
	n.Columns, n.Keys, n.ForeignKeys = slices.Clone(t.Columns), slices.Clone(t.Keys), slices.Clone(t.ForeignKeys)
	n.Checks, n.Indexes = slices.Clone(t.Checks), slices.Clone(t.Indexes)
	return &n
}
