package engine

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// describedTable is a table of a database as the catalogue shows it. It is the only source of the data about tables in
// the system views and the catalogue procedures.
type describedTable struct {
	name        string
	id          int
	columns     []describedColumn
	indexes     []describedIndex // the index of the primary key first
	foreignKeys []describedForeignKey
	references  [][]string // the columns of each of them, in the other table
}

// describedColumn is a column; its column_id is its index in the table plus 1.
type describedColumn struct {
	name         string
	typ          tsql.TypeSpec
	nullable     bool
	identity     bool
	defaultValue string // in T-SQL, in parentheses; "": none
}

// describedIndex is an index; its index_id is its position among the table's indexes, from 1.
type describedIndex struct {
	name            string
	primary, unique bool
	constraint      bool  // the index of a PRIMARY KEY or a UNIQUE constraint
	columns         []int // indexes of the table's columns, from 0
}

// describedForeignKey is a FOREIGN KEY.
type describedForeignKey struct {
	name        string
	columns     []int // indexes of the table's columns, from 0
	table       string
	referenced  []int  // indexes of the other table's columns
	onDelete    string // NO ACTION, CASCADE, SET NULL or SET DEFAULT
	onUpdate    string
	constrained string // the key of the other table
}

// clusters reports whether the index is the clustered one.
func (x describedIndex) clusters() bool { return x.primary }

// column returns the index of a column by name; -1: no such column.
func (t *describedTable) column(name string) int {
	return slices.IndexFunc(t.columns, func(c describedColumn) bool { return strings.EqualFold(c.name, name) })
}

// constraintID returns the object_id of the constraint with the n-th index of a table.
func (t *describedTable) constraintID(n int) int { return t.id + 1_000_000*(n+1) }

// defaultID returns the object_id of the default of the n-th column of a table.
func (t *describedTable) defaultID(n int) int { return t.id + 1_000_000*(n+101) }

// describedTables returns the tables of a database that the session sees, in the order of their ids.
func (s *session) describedTables(d *mirror.Database) []describedTable {
	var list []describedTable
	for _, o := range s.describedObjects(d, storage.KindTable) {
		if t := o.Table(); t != nil {
			list = append(list, describe(o, t))
		}
	}
	return list
}

// describedObjects returns the objects of a kind, or of all kinds if kind is "", that the session sees, in the order of
// their ids.
func (s *session) describedObjects(d *mirror.Database, kind string) []*storage.ObjectRow {
	if d == nil {
		return nil
	}
	objects, err := s.visible(d)
	if err != nil {
		return nil // the transaction has ended: the next statement returns the error
	}
	return slices.DeleteFunc(objects.SchemaObjects(), func(o *storage.ObjectRow) bool { return kind != "" && o.Kind != kind || !s.sees(objects, o.Name) })
}

func describe(o *storage.ObjectRow, t *tsql.Table) describedTable {
	d := describedTable{name: o.Name, id: int(o.ID)}
	for _, c := range t.Columns {
		one := describedColumn{name: c.Name, typ: c.Type, nullable: !c.NotNull, identity: c.Identity}
		if c.DefaultText != "" {
			one.defaultValue = defaultShown(c.DefaultText)
		}
		d.columns = append(d.columns, one)
	}
	for _, k := range t.Keys {
		x := describedIndex{name: k.Name, primary: k.Primary, unique: true, constraint: true, columns: d.places(k.Columns)}
		if at := 0; k.Primary {
			d.indexes = slices.Insert(d.indexes, at, x)
			for _, place := range x.columns {
				d.columns[place].nullable = false
			}
		} else {
			d.indexes = append(d.indexes, x)
		}
	}
	for _, x := range t.Indexes {
		d.indexes = append(d.indexes, describedIndex{name: x.Name, unique: x.Unique, columns: d.places(x.Columns)})
	}
	for _, f := range t.ForeignKeys {
		key := describedForeignKey{name: f.Name, table: f.Table.Object, onDelete: f.OnDelete, onUpdate: f.OnUpdate}
		for _, name := range f.Columns {
			key.columns = append(key.columns, d.column(name))
		}
		d.foreignKeys = append(d.foreignKeys, key)
		d.references = append(d.references, f.References)
	}
	return d
}

// defaultShown returns a default as SQL Server shows it: in parentheses, a number in two pairs of them, a function in
// lower case.
func defaultShown(text string) string {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return "((" + text + "))"
	}
	if name, rest, ok := strings.Cut(text, " ( "); ok && rest == ")" {
		return "(" + strings.ToLower(name) + "())"
	}
	return "(" + text + ")"
}

// places returns the columns' indexes in the table, from 0.
func (t *describedTable) places(columns []tsql.IndexColumn) []int {
	list := make([]int, len(columns))
	for i, c := range columns {
		list[i] = t.column(c.Name)
	}
	return list
}

// describedProcedure is a procedure of a database as the catalogue shows it.
type describedProcedure struct {
	name   string
	text   string
	id     int
	params []describedParam
	// value: it is a function, and its first parameter, with parameter_id 0, is its return value.
	value bool
}

// place returns a parameter's parameter_id.
func (p *describedProcedure) place(i int) int {
	if p.value {
		return i
	}
	return i + 1
}

// describedParam is a parameter; see [describedProcedure.place].
type describedParam struct {
	name             string
	typ              tsql.TypeSpec
	output, optional bool
}

// describedProcedures returns the procedures of a database that the session sees, in the order of their ids.
func (s *session) describedProcedures(d *mirror.Database) []describedProcedure {
	var list []describedProcedure
	for _, o := range s.describedObjects(d, storage.KindProcedure) {
		one := describedProcedure{name: o.Name, id: int(o.ID), text: o.Detail}
		objects, err := s.visible(d)
		if err != nil {
			return nil
		}
		if p, err := s.procedureIn(d, objects, o.Name); err == nil && p != nil {
			for _, q := range p.params {
				one.params = append(one.params, describedParam{name: q.written, typ: sqlvalue.SpecOf(q.typ), output: q.output, optional: q.optional})
			}
		}
		list = append(list, one)
	}
	return list
}

// describedRoutines returns the procedures, followed by the functions.
func (s *session) describedRoutines(d *mirror.Database) []describedProcedure {
	list := s.describedProcedures(d)
	for _, o := range s.describedObjects(d, storage.KindFunction) {
		one := describedProcedure{name: o.Name, id: int(o.ID), text: o.Detail, value: true}
		if f, err := storage.FunctionHead(o.Detail); err == nil {
			one.params = append(one.params, describedParam{typ: f.Returns, output: true})
			for _, q := range f.Params {
				one.params = append(one.params, describedParam{name: q.Written, typ: q.Type, optional: q.Optional})
			}
		}
		list = append(list, one)
	}
	return list
}

// describedIn returns the database that a view or a procedure of the catalogue is about; nil: a system database, which
// has no tables, or a database that is not open to the session.
func (s *session) describedIn(database string) *mirror.Database {
	d := s.p.Find(database)
	if d == nil || d.Serving() != nil || s.checkAccess(d) != nil {
		return nil
	}
	return d
}

// schema returns the columns of tables and system views to the parser of a session's batches.
func (s *session) schema() tsql.Schema {
	locals := s.locals.schema()
	return func(n tsql.Name) []tsql.Column {
		if list := locals(n); list != nil || n.Server != "" {
			return list
		}
		if n.System() {
			return viewColumns()[strings.ToLower(n.Table())]
		}
		d := s.In.Load()
		if n.Database != "" {
			d = s.p.Find(n.Database)
		}
		if d == nil || d.Serving() != nil {
			return nil
		}
		objects, err := s.visible(d)
		if err != nil {
			return nil
		}
		return objects.Columns(n)
	}
}

// viewColumns returns the columns of the system views, by name in lower case.
var viewColumns = sync.OnceValue(func() map[string][]tsql.Column {
	all := map[string][]tsql.Column{}
	for name, v := range views() {
		for i, column := range v.columns {
			all[name] = append(all[name], tsql.Column{Name: column, Type: sqlvalue.DeclaredSpec(v.types[i])})
		}
	}
	return all
})
