package tsql

import "strings"

// Schema returns the columns of a table, in order; nil for an unknown table. It is called during parsing, from the
// parsing goroutine only.
//
// The columns determine conversions. Values that INSERT and UPDATE write are converted to the column's type (a date
// string to a datetime; a string that is too long is error 8152, a number out of range 8115; char loses its
// trailing blanks). Date strings that are compared with a datetime column are converted to its form. Names are not
// checked against the schema.
type Schema func(table Name) []Column

// Column is a column of a table. A Schema may omit the fields after Type if it does not know them.
type Column struct {
	Name     string
	Type     TypeSpec
	Identity bool   // an INSERT without a column list omits it
	NotNull  bool   // NULL is not allowed
	Default  string // its default, as a SQLite expression; "": NULL
	nullable bool   // NULL was written
}

// source is a table of the statement being parsed, with the name that qualifies its columns.
type source struct {
	alias   string
	name    Name
	columns []Column // of a derived table, if known
	derived bool     // a query's result, not a table
}

// inputs collects the inputs of the SQL text being written.
type inputs struct {
	Inputs
	sources    []source
	columns    int             // number of column references so far
	aggregates int             // number of aggregate functions so far
	noQuery    bool            // subqueries are not allowed here
	aggregate  bool            // inside an aggregate function
	texts      map[string]bool // names of computed texts in the select list, in lower case
	row        *rowView        // of the OUTPUT clause whose expression is parsed
	definition bool            // the text becomes a part of the database's schema

	bare      []bareColumn // columns outside of aggregate functions, without those of subqueries
	outer     int          // the sources before this index belong to the enclosing queries
	ctes      []cte
	recursion *recursion // of the common table expression whose body is parsed
}

// needParameter records the variable and returns its name in the SQL.
func (in *inputs) needParameter(variable string) string {
	known := false
	for _, name := range in.Parameters {
		known = known || name == variable
	}
	if !known {
		in.Parameters = append(in.Parameters, variable)
	}
	return "@" + BindName(variable)
}

// needTable records a table, once.
func (in *inputs) needTable(table Name) {
	list := &in.Tables
	if table.isLocal() {
		list = &in.Locals
	}
	for _, known := range *list {
		if known == table {
			return
		}
	}
	*list = append(*list, table)
}

// columnType returns the type of a column from the schema, for the columns of the tables that the statement has
// named so far; zero if unknown.
func (p *parser) columnType(f fragment) TypeSpec {
	if f.column == "" {
		return TypeSpec{}
	}
	for i := len(p.in.sources) - 1; i >= 0; i-- { // the innermost query first
		s := p.in.sources[i]
		if f.qualifier != "" && !strings.EqualFold(f.qualifier, s.alias) {
			continue
		}
		if s.derived {
			if t := typeOfColumn(s.columns, f.column); t.Name != "" {
				return t
			}
			continue
		}
		if t := p.typeIn(s.name, f.column); t.Name != "" {
			return t
		}
	}
	return TypeSpec{}
}

// columnsOf returns the columns of a source; nil: unknown.
func (p *parser) columnsOf(s source) []Column {
	if s.derived {
		return s.columns
	}
	return p.tableColumns(s.name)
}

// tableColumns returns the columns of a table; nil: unknown.
func (p *parser) tableColumns(table Name) []Column {
	columns := p.local(table)
	if columns != nil || table.isLocal() {
		return columns
	}
	var own defined
	if p.defined != nil {
		own = p.defined[defineKey(table)]
	}
	if p.schema != nil && !own.certain {
		columns = p.schema(table)
	}
	if columns == nil {
		columns = own.columns
	}
	return columns
}

// defined is a table as the text being parsed has created or changed it. The schema has it only after the text has
// run.
type defined struct {
	columns []Column
	certain bool // even if the schema has another table of the name
	dropped bool
}

// defineKey returns the table's key in parser.defined.
func defineKey(n Name) string { return strings.ToLower(n.Table()) }

// define records a table that the text creates or changes.
func (p *parser) define(n Name, columns []Column, certain bool) {
	if p.defined == nil {
		p.defined = map[string]defined{}
	}
	p.defined[defineKey(n)] = defined{columns: columns, certain: certain, dropped: columns == nil}
}

// typeIn returns the type of a column of a table; zero if unknown.
func (p *parser) typeIn(table Name, column string) TypeSpec {
	return typeOfColumn(p.tableColumns(table), column)
}

// typeOfColumn returns the type of one of the columns; zero if there is no such column.
func typeOfColumn(columns []Column, name string) TypeSpec {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return c.Type
		}
	}
	return TypeSpec{}
}

// isDateTime reports whether values of the type are dates with a time.
func (t TypeSpec) isDateTime() bool {
	return t.Name == "datetime" || t.Name == "smalldatetime" || t.Name == "datetime2"
}

// isInteger reports whether the type is an integer type.
func (t TypeSpec) isInteger() bool {
	switch t.Name {
	case "bit", "tinyint", "smallint", "int", "bigint":
		return true
	}
	return false
}

// isNumber reports whether the type is numeric.
func (t TypeSpec) isNumber() bool {
	switch t.Name {
	case "float", "real", "decimal", "numeric", "money", "smallmoney":
		return true
	}
	return t.isInteger()
}

// maybeText reports whether values of the type are, or might be, text that is compared without case.
func (t TypeSpec) maybeText() bool {
	switch t.Name {
	case "", "char", "nchar", "varchar", "nvarchar", "text", "ntext", "sql_variant", "uniqueidentifier":
		return true
	}
	return false
}
