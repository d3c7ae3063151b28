package tsql

import "strings"

// View is a view as defined by CREATE VIEW or ALTER VIEW.
type View struct {
	// SQL is the CREATE VIEW of SQLite. An existing view of that name must be dropped first.
	SQL string
	// Tables has the tables and views that the view reads.
	Tables []Name
	// Columns are its columns, if the text and the schema determine them; nil: SQLite determines
	// their names.
	Columns []Column
}

// Drop returns the DROP VIEW of SQLite for a view of that name.
func (n Name) Drop() string { return "DROP VIEW IF EXISTS " + quoteIdentifier(n.Table()) }

// view parses [(columns)] [WITH …] AS query after CREATE VIEW name.
func (p *parser) view(d *Definition, first bool) {
	if !first {
		p.notFirst(d)
		return
	}
	line := p.line()
	var listed []string
	if p.peek(0).isSymbol("(") {
		listed = columnNames(p.indexColumns())
	}
	if p.accept("WITH") {
		for {
			if option := p.peek(0); !p.accept("SCHEMABINDING") && !p.accept("VIEW_METADATA") && !p.accept("ENCRYPTION") {
				p.unsupported("Clause", "CREATE VIEW … WITH "+strings.ToUpper(option.text))
				return
			}
			if !p.acceptSymbol(",") {
				break
			}
		}
	}
	p.expect("AS")
	p.in = &inputs{definition: true}
	with := ""
	if p.peek(0).is("WITH") {
		with = p.with()
	}
	s := p.within(true, nil)
	if p.accept("WITH", "CHECK", "OPTION") {
		p.unsupported("Clause", "WITH CHECK OPTION")
	}
	p.noVariables(line, "CREATE VIEW")
	for _, n := range p.in.Tables {
		if n.System() {
			p.fail(notSupported(line, "Clause", "a view of "+n.String()))
		}
	}
	if p.err != nil {
		return
	}
	columns := renamed(s.outputs, listed)
	if s.unknown {
		columns = nil
	}
	if listed != nil && !s.unknown && len(listed) != len(s.outputs) {
		p.fail(wrongColumns(d.Name.Object, len(s.outputs), len(listed), line))
	}
	if at := unnamed(columns); at >= 0 {
		e := failure(4511, 16, "Create View or Function failed because no column name was specified for column %d.", at+1)
		e.Line = line
		p.fail(e)
	}
	list := ""
	if listed != nil {
		list = " (" + quoted(listed) + ")"
	}
	sql := strings.ReplaceAll("CREATE VIEW "+quoteIdentifier(d.Name.Table())+list+" AS "+with+s.sql, depthMark, "100")
	d.View = &View{SQL: sql, Tables: p.in.Tables, Columns: columns}
}

// definedValue writes a system value in a definition, where no parameter can be bound.
func (p *parser) definedValue(name string, f fragment) fragment {
	if _, ok := ClockValue(name, base); !ok {
		p.unsupported("Function", name+" in a definition")
		return f
	}
	f.sql = "tsql_clock('" + name + "')"
	return f
}
