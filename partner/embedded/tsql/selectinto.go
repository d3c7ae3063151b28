package tsql

import "strings"

// intoAhead reports whether the select list after the next token ends in INTO.
func (p *parser) intoAhead() bool {
	depth := 0
	for i := p.pos + 1; i < len(p.tokens); i++ {
		switch t := p.tokens[i]; {
		case t.isSymbol("("):
			depth++
		case t.isSymbol(")"):
			if depth--; depth < 0 {
				return false
			}
		case depth > 0:
		case t.is("INTO"):
			return true
		case t.isSymbol(";") || t.is("FROM") || t.is("WHERE") || t.kind == wordToken && boundaries[strings.ToUpper(t.text)] && !t.is("END"):
			return false
		}
	}
	return false
}

// selectInto parses SELECT … INTO #t …, in the body of a procedure. It returns the CREATE of a temporary table with the
// columns of the query, and the INSERT of its rows. A column of unknown type gets no type. An identity column becomes
// an ordinary one.
func (p *parser) selectInto(at position, with string) []Statement {
	q := &Query{position: at, Kind: Insert}
	s := p.queryExpression(nil, true)
	if p.err == nil && s.target == "" {
		p.unexpected()
	}
	if s.unknown {
		p.unsupported("Clause", "SELECT * INTO "+s.target+" from an unknown table")
	}
	columns := make([]TableColumn, len(s.outputs))
	for i, c := range s.outputs {
		if c.Name == "" {
			p.fail(&Error{Number: 1038, State: 5, Class: 15, Line: int(at), Message: "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name."})
		}
		if hasColumn(s.outputs[:i], c.Name) {
			p.fail(&Error{Number: 2705, State: 3, Class: 16, Line: int(at), Message: "Column names in each table must be unique. Column name '" + c.Name + "' in table '" + s.target + "' is specified more than once."})
		}
		columns[i] = TableColumn{Column: Column{Name: c.Name, Type: c.Type}}
	}
	rounds := p.queryHints()
	p.finish()
	if p.err != nil {
		return nil
	}
	t := &Table{Name: Name{Object: s.target}, Columns: columns}
	p.body.tables[strings.ToLower(s.target)] = s.outputs
	q.Key = s.target
	q.Inputs = p.in.Inputs
	q.SQL = q.numbered(strings.ReplaceAll(with+"INSERT INTO "+quoteIdentifier(s.target)+" "+s.sql, depthMark, rounds))
	return []Statement{&CreateLocal{position: at, Name: s.target, SQL: p.localSQL(t), DropSQL: "DROP TABLE IF EXISTS temp." + quoteIdentifier(s.target)}, q}
}

// intoTarget takes INTO #t after a select list.
func (p *parser) intoTarget(s *selection) {
	if p.body == nil || !p.peek(1).isTemporary() || !p.peek(0).is("INTO") {
		return
	}
	p.pos++
	if s.target = p.identifier(); !s.describe || s.assigns != nil {
		p.unexpected()
	}
}
