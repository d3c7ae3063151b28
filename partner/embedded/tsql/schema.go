package tsql

import "strings"

// Schema tells the columns of a table, in their order; nil for a table it
// does not know. It is asked while parsing, from the parsing goroutine only.
//
// What it tells serves conversion: values that INSERT and UPDATE write become
// what the column holds (a date string a datetime, a string that is too long error 8152,
// a number out of range 8115; char without its trailing blanks), and date strings that are compared with a
// datetime column are brought to its form. Names are not checked against it.
type Schema func(table Name) []Column

// Column is a column of a table. What stands behind Type may be left out by a Schema that does not know it.
type Column struct {
	Name     string
	Type     TypeSpec
	Identity bool   // an INSERT without a list of columns leaves it out
	NotNull  bool   // it takes no NULL
	Default  string // its default, as an expression of SQLite; "": NULL
	nullable bool   // NULL was written
}

// source is a table of the statement being parsed, under the name by which
// its columns are qualified.
type source struct {
	alias   string
	name    Name
	columns []Column // of a derived table, if they are known
	derived bool     // a query's result, not a table
}

// inputs collects what the SQL text being written needs.
type inputs struct {
	Inputs
	sources    []source
	columns    int             // references to columns seen so far
	aggregates int             // aggregate functions seen so far
	noQuery    bool            // subqueries are not allowed here
	aggregate  bool            // within an aggregate function
	texts      map[string]bool // names that the select list gives to computed texts, in lower case
	row        *rowView        // of the OUTPUT clause whose expression is parsed
	definition bool            // what is written becomes a part of the database's schema

	bare      []bareColumn // columns outside of aggregate functions, those of subqueries apart
	outer     int          // sources before it are those of the queries around
	ctes      []cte
	recursion *recursion // of the common table expression whose body is parsed
}

// needParameter notes the variable and gives its name in the SQL.
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

// needTable notes a table, once.
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

// columnType looks the type of a column up in the schema, for the columns of
// the tables that the statement has named so far; zero if unknown.
func (p *parser) columnType(f fragment) TypeSpec {
	if f.column == "" {
		return TypeSpec{}
	}
	for i := len(p.in.sources) - 1; i >= 0; i-- { // the innermost first
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

// columnsOf are the columns of a source; nil: they are not known.
func (p *parser) columnsOf(s source) []Column {
	if s.derived {
		return s.columns
	}
	return p.tableColumns(s.name)
}

// tableColumns are the columns of a table; nil: they are not known.
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

// defined is a table as the text that is parsed has made or changed it. The schema knows it only when that has run.
type defined struct {
	columns []Column
	certain bool // even if the schema knows another table of the name
	dropped bool
}

// defineKey is the table's name as it stands in the parser's list.
func defineKey(n Name) string { return strings.ToLower(n.Table()) }

// define notes a table that the text makes or changes.
func (p *parser) define(n Name, columns []Column, certain bool) {
	if p.defined == nil {
		p.defined = map[string]defined{}
	}
	p.defined[defineKey(n)] = defined{columns: columns, certain: certain, dropped: columns == nil}
}

// typeIn is the type of one column of one table; zero if unknown.
func (p *parser) typeIn(table Name, column string) TypeSpec {
	return typeOfColumn(p.tableColumns(table), column)
}

// typeOfColumn is the type of one of the columns; zero if it is not there.
func typeOfColumn(columns []Column, name string) TypeSpec {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return c.Type
		}
	}
	return TypeSpec{}
}

// isDateTime says whether values of the type are dates with time.
func (t TypeSpec) isDateTime() bool {
	return t.Name == "datetime" || t.Name == "smalldatetime" || t.Name == "datetime2"
}

// isInteger says whether values of the type are whole numbers.
func (t TypeSpec) isInteger() bool {
	switch t.Name {
	case "bit", "tinyint", "smallint", "int", "bigint":
		return true
	}
	return false
}

// isNumber says whether values of the type are numbers of any kind.
func (t TypeSpec) isNumber() bool {
	switch t.Name {
	case "float", "real", "decimal", "numeric", "money", "smallmoney":
		return true
	}
	return t.isInteger()
}

// maybeText says whether values of the type are, or could be, text that is
// compared without case.
func (t TypeSpec) maybeText() bool {
	switch t.Name {
	case "", "char", "nchar", "varchar", "nvarchar", "text", "ntext", "sql_variant", "uniqueidentifier":
		return true
	}
	return false
}
