package tsql

import (
	"slices"
	"strings"
)

// Table is a table as CREATE TABLE describes it, with the indexes that CREATE INDEX added. It is immutable: [Table.Change]
// returns another one. [Table.SQL] makes it in SQLite, [Table.Text] writes it as T-SQL, and [ParseTable] reads that again.
//
// In SQLite a table has a rowid. An identity column is its alias, INTEGER PRIMARY KEY AUTOINCREMENT, so that an INSERT's
// last_insert_rowid() is the identity that it made; such a column is unique even without a key, and an INSERT that fails uses no
// number up. Keys are unique indexes
// named "table.key", so that they come and go without the table being written anew. SQL Server takes two NULLs in a
// key for equal: where a key's columns may be NULL, a second index named "table.key$null" sees to that.
//
// The caller sets PRAGMA foreign_keys = ON where rows are written by statements, and OFF where a mirror repeats rows.
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
	DefaultText string // its expression in T-SQL; "": there is none

	withValues bool // rows that are older than the column get its default
}

// Key is a PRIMARY KEY or UNIQUE constraint.
type Key struct {
	Name         string
	Primary      bool
	Nonclustered bool // as written; a primary key is clustered otherwise, a unique key is not
	Clustered    bool // as written
	Columns      []IndexColumn
}

// ForeignKey is a FOREIGN KEY constraint. References is of the same length as Columns once [Table.Resolve] has filled it.
type ForeignKey struct {
	Name       string
	Columns    []string
	Table      Name // the one that is referenced
	References []string
	OnDelete   string // NO ACTION, CASCADE, SET NULL or SET DEFAULT
	OnUpdate   string
}

// Check is a CHECK constraint.
type Check struct {
	Name   string
	Column string // where it was written with a column; ""
	Text   string // its condition in T-SQL
	SQL    string // and in SQLite
}

// Index is an index that is no constraint.
type Index struct {
	Name      string
	Unique    bool
	Clustered bool
	Columns   []IndexColumn
	Include   []string // of INCLUDE, which has no effect here
	Text      string   // of a filter, its condition in T-SQL; "": there is none
	SQL       string   // and in SQLite
}

// IndexColumn is a column of a key or an index.
type IndexColumn struct {
	Name       string
	Descending bool
}

// Schema gives the columns as a [Schema] tells them.
func (t *Table) Schema() []Column {
	columns := make([]Column, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c.Column
	}
	return columns
}

// Column finds a column by its name; nil: there is none.
func (t *Table) Column(name string) *TableColumn {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return nil
}

// Identity is the identity column; nil: there is none.
func (t *Table) Identity() *TableColumn {
	for i := range t.Columns {
		if t.Columns[i].Identity {
			return &t.Columns[i]
		}
	}
	return nil
}

// PrimaryKey is the primary key; nil: there is none.
func (t *Table) PrimaryKey() *Key {
	for i := range t.Keys {
		if t.Keys[i].Primary {
			return &t.Keys[i]
		}
	}
	return nil
}

// IdentityCurrent is the SELECT of what IDENT_CURRENT answers; "" for a table without identity.
func (t *Table) IdentityCurrent() string {
	c := t.Identity()
	if c == nil {
		return ""
	}
	return "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = " + quoteText(t.Name.Table()) + "), " + integerText(c.Seed) + ")"
}

// is says whether the name is the table's, within one database.
func (t *Table) is(n Name) bool { return strings.EqualFold(t.Name.Table(), n.Table()) }

// find is the table of that name; nil: there is none.
func find(tables []*Table, n Name) *Table {
	for _, t := range tables {
		if t.is(n) {
			return t
		}
	}
	return nil
}

// display is the table's name as SQL Server's messages have it.
func (t *Table) display() string {
	if t.Name.Schema == "" {
		return "dbo." + t.Name.Object
	}
	return t.Name.Schema + "." + t.Name.Object
}

// names are the columns' names.
func names(columns []IndexColumn) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Name
	}
	return list
}

// sameSet compares lists of names in any order.
func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(name string) bool { return !hasName(b, name) })
}

// hasName says whether the list has the name.
func hasName(list []string, name string) bool {
	return slices.ContainsFunc(list, func(other string) bool { return strings.EqualFold(other, name) })
}

// usedBy names what keeps a column from being dropped or changed; "": nothing does.
func (t *Table) usedBy(column string) (kind, name string) {
	for _, k := range t.Keys {
		if hasName(names(k.Columns), column) {
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
		if hasName(names(x.Columns), column) || hasName(x.Include, column) ||
			strings.Contains(strings.ToLower(x.SQL), strings.ToLower(quoteIdentifier(column))) {
			return "index", x.Name
		}
	}
	return "", ""
}

// constraintNames are the names of all constraints.
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

// clone is a copy whose lists may be changed.
func (t *Table) clone() *Table {
	n := *t
	n.Columns, n.Keys, n.ForeignKeys = slices.Clone(t.Columns), slices.Clone(t.Keys), slices.Clone(t.ForeignKeys)
	n.Checks, n.Indexes = slices.Clone(t.Checks), slices.Clone(t.Indexes)
	return &n
}
