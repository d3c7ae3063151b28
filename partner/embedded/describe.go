package embedded

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// describedTable is a table of a database as the catalogue shows it. All that the system views and the
// catalogue procedures say of tables comes from describedTables, and from nowhere else.
type describedTable struct {
	name        string
	id          int
	columns     []describedColumn
	indexes     []describedIndex // that of the primary key first
	foreignKeys []describedForeignKey
}

// describedColumn is a column; its column_id is its place in the table, from 1.
type describedColumn struct {
	name         string
	typ          tsql.TypeSpec
	nullable     bool
	identity     bool
	defaultValue string // in T-SQL, in parentheses; "": none
}

// describedIndex is an index; its index_id is its place among the table's, from 1.
type describedIndex struct {
	name            string
	primary, unique bool
	constraint      bool  // it is that of a PRIMARY KEY or a UNIQUE
	columns         []int // places in the table's columns, from 0
}

// describedForeignKey is a FOREIGN KEY.
type describedForeignKey struct {
	name        string
	columns     []int // places in the table's columns, from 0
	table       string
	referenced  []int  // places in the other table's columns
	onDelete    string // NO ACTION, CASCADE, SET NULL or SET DEFAULT
	onUpdate    string
	constrained string // the key of the other table
}

// clusters says whether the index is the clustered one.
func (x describedIndex) clusters() bool { return x.primary }

// column finds a column by its name; -1: there is none.
func (t *describedTable) column(name string) int {
	return slices.IndexFunc(t.columns, func(c describedColumn) bool { return strings.EqualFold(c.name, name) })
}

// constraintID is the object_id of the constraint with the n-th index of a table.
func (t *describedTable) constraintID(n int) int { return t.id + 1_000_000*(n+1) }

// defaultID is the object_id of the default of the n-th column of a table.
func (t *describedTable) defaultID(n int) int { return t.id + 1_000_000*(n+101) }

// describedTables are the tables of a database as the session sees them, in the order of their ids.
func (s *session) describedTables(d *database) []describedTable {
	if d == nil {
		return nil
	}
	objects, err := s.visible(d)
	if err != nil {
		return nil // the transaction is over: the next statement says so
	}
	declared, err := declaredTables()
	if err != nil {
		s.p.log.Error("the tables can't be described", "error", err)
		return nil
	}
	var list []describedTable
	for i, o := range everything() {
		t, ok := declared[strings.ToLower(o.name)]
		if o.kind != kindTable || !ok || objects[o.key()] == nil || !s.sees(objects, o.name) {
			continue
		}
		t.id = firstObjectID + i
		if o.name == sessionsTable && !objects.has(kindColumns, o.name) {
			t.columns = slices.DeleteFunc(slices.Clone(t.columns), func(c describedColumn) bool { return slices.Contains(extensionColumns, c.name) })
		}
		t.indexes = slices.DeleteFunc(slices.Clone(t.indexes), func(x describedIndex) bool {
			return !x.primary && !objects.has(kindIndex, o.name+"/"+x.name)
		})
		list = append(list, t)
	}
	return list
}

// declaredTables are the tables that schemaText makes, by name in lower case.
var declaredTables = sync.OnceValues(func() (all map[string]describedTable, err error) {
	connector, err := sqlite.NewConnector(":memory:")
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := &conn{c: raw}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.script(schemaText); err != nil {
		return nil, err
	}
	all = map[string]describedTable{}
	for _, t := range schemaTables {
		d := describedTable{name: t}
		if err := d.readColumns(c); err != nil {
			return nil, err
		}
		if err := d.readIndexes(c); err != nil {
			return nil, err
		}
		all[strings.ToLower(d.name)] = d
	}
	return all, nil
})

// eachRow runs a query and hands out its rows.
func (c *conn) eachRow(width int, row func(v []driver.Value), text string, args ...driver.Value) error {
	st, err := c.prepare(text)
	if err != nil {
		return err
	}
	v := make([]driver.Value, width)
	return errors.Join(st.rows(v, func() bool { row(v); return true }, args...), st.close())
}

// readColumns reads what SQLite knows of the columns, and the primary key.
func (t *describedTable) readColumns(c *conn) error {
	var key []int // by the place in the key
	err := c.eachRow(5, func(v []driver.Value) {
		scan := scanner{v: v}
		column := describedColumn{name: scan.text(), typ: declaredSpec(scan.text()), nullable: scan.int64() == 0}
		if text, ok := v[3].(string); ok {
			column.defaultValue = defaultText(text)
		}
		if at, _ := v[4].(int64); at > 0 {
			for len(key) < int(at) {
				key = append(key, 0)
			}
			key[at-1] = len(t.columns)
			column.nullable = false
		}
		t.columns = append(t.columns, column)
	}, `SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?1)`, t.name)
	if len(key) > 0 {
		t.indexes = append(t.indexes, describedIndex{name: "PK__" + t.name, primary: true, unique: true, constraint: true, columns: key})
	}
	return err
}

// defaultText is a column's default as T-SQL has it.
func defaultText(text string) string {
	if strings.Contains(text, "strftime(") {
		return "(getutcdate())"
	}
	return "((" + text + "))"
}

// readIndexes reads what SQLite knows of the indexes.
func (t *describedTable) readIndexes(c *conn) error {
	found := map[string]int{}
	return c.eachRow(3, func(v []driver.Value) {
		scan := scanner{v: v}
		name, unique, column := scan.text(), scan.int64() != 0, scan.text()
		at, ok := found[name]
		if !ok {
			at, found[name] = len(t.indexes), len(t.indexes)
			t.indexes = append(t.indexes, describedIndex{name: name, unique: unique})
		}
		t.indexes[at].columns = append(t.indexes[at].columns, t.column(column))
	}, `SELECT l.name, l."unique", i.name FROM pragma_index_list(?1) l, pragma_index_info(l.name) i WHERE l.origin = 'c' ORDER BY l.name, i.seqno`, t.name)
}

// describedProcedure is a procedure of a database as the catalogue shows it.
type describedProcedure struct {
	name   string
	text   string
	id     int
	params []describedParam
}

// describedParam is a parameter; its parameter_id is its place, from 1.
type describedParam struct {
	name             string
	typ              tsql.TypeSpec
	output, optional bool
}

// describedProcedures are the procedures of a database as the session sees them, in the order of their ids.
func (s *session) describedProcedures(d *database) []describedProcedure {
	if d == nil {
		return nil
	}
	objects, err := s.visible(d)
	if err != nil {
		return nil
	}
	var list []describedProcedure
	for i, o := range everything() {
		if o.kind != kindProcedure || objects[o.key()] == nil || !s.sees(objects, o.name) {
			continue
		}
		one := describedProcedure{name: o.name, id: firstObjectID + i}
		if p := findProcedure(o.name); p != nil {
			one.text = p.text.Text
			for _, q := range p.params {
				one.params = append(one.params, describedParam{name: q.written, typ: specOf(q.typ), output: q.output, optional: q.optional})
			}
		}
		list = append(list, one)
	}
	return list
}

// specOf is a type of the wire as T-SQL declares it.
func specOf(t tds.Type) tsql.TypeSpec {
	s := tsql.TypeSpec{Name: t.Kind().String(), Length: t.Size(), Scale: t.Scale()}
	switch {
	case t.Size() < 0:
		s.Length, s.Max = 0, true
	case t.Kind() == tds.KindNumeric:
		s.Name, s.Length = "decimal", t.Precision()
	}
	return s
}

// describedIn is the database that a view or a procedure of the catalogue speaks of; nil: one of the system's, which have no
// tables, or one that is not open to the session.
func (s *session) describedIn(database string) *database {
	d := s.p.find(database)
	if d == nil || d.serving() != nil || s.mayEnter(d) != nil {
		return nil
	}
	return d
}

// batchSchema tells the columns of tables and system views to the parser of batches. It knows the tables that schemaText makes.
func batchSchema(n tsql.Name) []tsql.Column {
	if n.Server != "" {
		return nil
	}
	return batchColumns()[strings.ToLower(n.Table())]
}

var batchColumns = sync.OnceValue(func() map[string][]tsql.Column {
	all := map[string][]tsql.Column{}
	declared, err := declaredTables()
	if err != nil {
		return all // a query on the tables says so
	}
	for name, t := range declared {
		for _, c := range t.columns {
			all[name] = append(all[name], tsql.Column{Name: c.name, Type: c.typ})
		}
	}
	for name, v := range views() {
		for i, column := range v.columns {
			all[name] = append(all[name], tsql.Column{Name: column, Type: declaredSpec(v.types[i])})
		}
	}
	return all
})
