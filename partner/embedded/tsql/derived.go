package tsql

import (
	"fmt"
	"strings"
)

// cte is a common table expression that the rest of the statement can use.
type cte struct {
	name    string
	columns []Column // nil: unknown
	table   string   // its name in SQLite
}

// recursion is a common table expression while its body is parsed. In SQLite a recursive one is two expressions. The
// first has another name and one more column, which counts the recursion levels; the second omits that column.
type recursion struct {
	name   string
	listed []string // the column list after the name
	known  bool     // the anchor is parsed, so that the name can be used
	alias  string   // the alias of the expression in the current operand
	parts  int      // number of operands that use the name
	own    bool     // the current operand uses the name
}

// depthMark stands for the limit of MAXRECURSION, which is known only at the end of the statement.
const depthMark = "/*maxrecursion*/100"

// level writes the recursion level, which the recursive part adds to its select list.
func (r *recursion) level() string {
	if r == nil || !r.own {
		return ""
	}
	return ", tsql_depth(" + quoteIdentifier(r.alias) + ".[$level], " + depthMark + ")"
}

// endAnchor makes the expression usable in the part after its anchor.
func (r *recursion) endAnchor(p *parser, s *selection) {
	if r.known {
		return
	}
	r.known = true
	p.in.ctes = append(p.in.ctes, cte{name: r.name, table: r.name + rounds, columns: renamed(s.outputs, r.listed)})
}

// rounds is the suffix of the name in SQLite of a recursive expression.
const rounds = "$rounds"

// renamed returns the columns with the names of a column list, if there is one.
func renamed(columns []Column, list []string) []Column {
	if list == nil {
		return columns
	}
	out := make([]Column, len(list))
	for i, name := range list {
		if out[i].Name = name; i < len(columns) {
			out[i].Type = columns[i].Type
		}
	}
	return out
}

// with parses WITH name (columns) AS (query), … and returns the text to write before the statement.
func (p *parser) with() string {
	p.expect("WITH")
	var items []string
	for {
		items = append(items, p.commonTable())
		if !p.acceptSymbol(",") {
			return "WITH " + strings.Join(items, ", ") + " "
		}
	}
}

// commonTable parses one common table expression.
func (p *parser) commonTable() string {
	if p.peek(0).is("XMLNAMESPACES") {
		p.unsupported("Clause", "WITH XMLNAMESPACES")
		return ""
	}
	rec := &recursion{name: p.identifier()}
	line := p.line()
	if p.peek(0).isSymbol("(") {
		rec.listed = columnNames(p.indexColumns())
	}
	p.expect("AS")
	p.expectSymbol("(")
	s := p.within(true, rec)
	p.expectSymbol(")")
	if p.err != nil {
		return ""
	}
	columns := renamed(s.outputs, rec.listed)
	if s.unknown && rec.listed == nil {
		columns = nil
	}
	if rec.listed != nil && !s.unknown && len(rec.listed) != len(s.outputs) {
		p.fail(wrongColumns(rec.name, len(s.outputs), len(rec.listed), line))
	}
	p.checkNames(rec.name, columns, line)
	if rec.known {
		p.in.ctes = p.in.ctes[:len(p.in.ctes)-1]
	}
	p.in.ctes = append(p.in.ctes, cte{name: rec.name, columns: columns, table: rec.name})
	if rec.parts == 0 {
		list := ""
		if rec.listed != nil {
			list = " (" + quoted(rec.listed) + ")"
		}
		return quoteIdentifier(rec.name) + list + " AS (" + s.sql + ")"
	}
	if columns == nil {
		p.unsupported("Clause", "recursive common table expression with * and without a list of columns")
		return ""
	}
	all := quotedColumns(columns)
	return quoteIdentifier(rec.name+rounds) + " (" + all + ", [$level]) AS (" + s.sql + "), " + quoteIdentifier(rec.name) + " AS (SELECT " + all + " FROM " + quoteIdentifier(rec.name+rounds) + ")"
}

// checkNames fails if a column of a derived table has no name (8155), or the name of another column (8156).
func (p *parser) checkNames(table string, columns []Column, line int) {
	if at := unnamed(columns); at >= 0 {
		p.fail(&Error{Number: 8155, State: 2, Class: 16, Line: line, Message: fmt.Sprintf("No column name was specified for column %d of '%s'.", at+1, table)})
	}
	for i, c := range columns {
		if hasColumn(columns[:i], c.Name) {
			p.fail(&Error{Number: 8156, State: 1, Class: 16, Line: line, Message: fmt.Sprintf("The column '%s' was specified multiple times for '%s'.", c.Name, table)})
		}
	}
}

func unnamed(columns []Column) int {
	for i, c := range columns {
		if c.Name == "" {
			return i
		}
	}
	return -1
}

func quotedColumns(columns []Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Name
	}
	return quoted(list)
}

// wrongColumns returns error 8158 or 8159.
func wrongColumns(name string, have, listed, line int) *Error {
	e := failure(8158, 16, "'%s' has more columns than were specified in the column list.", name)
	if have < listed {
		e = failure(8159, 16, "'%s' has fewer columns than were specified in the column list.", name)
	}
	e.Line = line
	return e
}

// commonTableNamed returns a common table expression; nil: n is the name of another table.
func (p *parser) commonTableNamed(n Name) *cte {
	if n.Schema != "" || n.Database != "" {
		return nil
	}
	for i := len(p.in.ctes) - 1; i >= 0; i-- {
		if strings.EqualFold(p.in.ctes[i].name, n.Object) {
			return &p.in.ctes[i]
		}
	}
	return nil
}

// commonSource writes a common table expression in FROM.
func (p *parser) commonSource(c *cte, alias string) string {
	if strings.HasSuffix(c.table, rounds) {
		rec := p.in.recursion
		if rec == nil || rec.own {
			p.unsupported("Clause", "a common table expression that names itself twice or in a subquery")
			return ""
		}
		rec.alias, rec.own = alias, true
		rec.parts++
	}
	p.in.sources = append(p.in.sources, source{alias: alias, columns: c.columns, derived: true})
	return quoteIdentifier(c.table) + " AS " + quoteIdentifier(alias)
}

// derivedTable parses a query, a list of VALUES, or a join in parentheses in FROM.
func (p *parser) derivedTable() string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	line := p.line()
	p.pos++
	var sql string
	var columns []Column
	unknown := false
	switch {
	case p.peek(0).is("VALUES"):
		p.pos++
		sql, columns = p.valueTable()
	case p.peek(0).is("INSERT"), p.peek(0).is("UPDATE"), p.peek(0).is("DELETE"), p.peek(0).is("MERGE"):
		p.unsupported("Clause", strings.ToUpper(p.peek(0).text)+" in FROM")
		return ""
	case p.startsQuery():
		s := p.within(true, nil)
		sql, columns, unknown = s.sql, s.outputs, s.unknown
	default:
		sql = "(" + p.tables() + ")"
		p.expectSymbol(")")
		return sql
	}
	p.expectSymbol(")")
	if !p.accept("AS") && !p.peek(0).isName() {
		p.unexpected()
		return ""
	}
	alias := p.identifier()
	var listed []string
	if p.peek(0).isSymbol("(") {
		listed = columnNames(p.indexColumns())
		if !unknown && len(listed) != len(columns) {
			p.fail(wrongColumns(alias, len(columns), len(listed), line))
		}
		sql = "WITH " + quoteIdentifier(alias) + " (" + quoted(listed) + ") AS (" + sql + ") SELECT * FROM " + quoteIdentifier(alias)
	}
	columns = renamed(columns, listed)
	p.checkNames(alias, columns, line)
	if unknown && listed == nil {
		columns = nil
	}
	p.in.sources = append(p.in.sources, source{alias: alias, columns: columns, derived: true})
	return "(" + sql + ") AS " + quoteIdentifier(alias)
}

// opensQuery reports whether a SELECT follows the parentheses that open here.
func (p *parser) opensQuery() bool {
	n := 0
	for p.peek(n).isSymbol("(") {
		n++
	}
	return p.peek(n).is("SELECT")
}

// startsQuery reports whether a query begins here, possibly within more parentheses.
func (p *parser) startsQuery() bool {
	n := 0
	for p.peek(n).isSymbol("(") {
		n++
	}
	if !p.peek(n).is("SELECT") {
		return false
	}
	if n == 0 {
		return true
	}
	// ((SELECT …) UNION …) is a query, ((SELECT …) AS x JOIN …) a join.
	for depth, i := 0, 0; p.pos+i < len(p.tokens)-1; i++ {
		if p.peek(i).isSymbol("(") {
			depth++
		} else if p.peek(i).isSymbol(")") {
			if depth--; depth == 0 {
				next := p.peek(i + 1)
				return next.isSymbol(")") || next.is("UNION") || next.is("EXCEPT") || next.is("INTERSECT") || next.is("ORDER")
			}
		}
	}
	return false
}

// valueTable parses (1, 2), (3, 4) of VALUES in FROM; the columns have no names yet.
func (p *parser) valueTable() (string, []Column) {
	var rows []string
	var columns []Column
	for {
		p.expectSymbol("(")
		n := 0
		var values []string
		for {
			f := p.value()
			if values = append(values, f.folded(true)); len(rows) == 0 {
				columns = append(columns, Column{Type: f.typ})
			} else if n < len(columns) {
				p.checkKinds(columns[n].Type, f.typ)
				columns[n].Type = common(columns[n].Type, f.typ)
			}
			if n++; !p.acceptSymbol(",") {
				break
			}
		}
		p.expectSymbol(")")
		rows = append(rows, "("+strings.Join(values, ", ")+")")
		if !p.acceptSymbol(",") {
			return "VALUES " + strings.Join(rows, ", "), columns
		}
	}
}
