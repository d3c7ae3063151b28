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

// Column is a column of a table.
type Column struct {
	Name string
	Type TypeSpec
}

// source is a table of the statement being parsed, under the name by which
// its columns are qualified.
type source struct {
	alias string
	name  Name
}

// inputs collects what the SQL text being written needs.
type inputs struct {
	Inputs
	sources    []source
	columns    int      // references to columns seen so far
	aggregates int      // aggregate functions seen so far
	noQuery    bool     // subqueries are not allowed here
	aggregate  bool     // within an aggregate function
	row        *rowView // of the OUTPUT clause whose expression is parsed
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
	if p.schema == nil && p.body == nil && p.locals == nil || f.column == "" {
		return TypeSpec{}
	}
	for _, s := range p.in.sources {
		if f.qualifier != "" && !strings.EqualFold(f.qualifier, s.alias) {
			continue
		}
		if t := p.typeIn(s.name, f.column); t.Name != "" {
			return t
		}
	}
	return TypeSpec{}
}

// typeIn is the type of one column of one table; zero if unknown.
func (p *parser) typeIn(table Name, column string) TypeSpec {
	columns := p.local(table)
	if columns == nil && p.schema != nil {
		columns = p.schema(table)
	}
	for _, c := range columns {
		if strings.EqualFold(c.Name, column) {
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
