package tsql

import (
	"fmt"
	"strings"
)

// queryExpression parses SELECTs joined by UNION, EXCEPT and INTERSECT, and the ORDER BY after them. INTERSECT has
// higher precedence. SQLite has one precedence, so that an INTERSECT becomes a nested query there. describe requests
// the outputs.
func (p *parser) queryExpression(into []TypeSpec, describe bool) selection {
	outer := p.in.outer
	p.in.outer = len(p.in.sources)
	defer func() { p.in.outer = outer }()
	s, nested := p.selectOperand(into, describe)
	if !nested && !p.joinsQueries() {
		order, window := p.order(s.limit, &s)
		s.sql += order + window
		if s.unnamed += window; order != "" || s.unnamed == window {
			s.unnamed = ""
		}
		return s
	}
	s.unnamed = ""
	compound := p.joinsQueries()
	s.sql = operandSQL(s)
	s.intersections(p, into)
	for p.err == nil && (p.peek(0).is("UNION") || p.peek(0).is("EXCEPT")) {
		operator := " " + strings.ToUpper(p.next().text) + " "
		if operator == " UNION " && p.accept("ALL") {
			operator = " UNION ALL "
		} else if p.peek(0).is("ALL") {
			p.unsupported("Clause", strings.TrimSpace(operator)+" ALL")
		}
		rec := p.in.recursion
		if rec != nil {
			rec.endAnchor(p, &s)
		}
		right, _ := p.selectOperand(into, true) // its texts ignore case, and so do those of the result
		if right.target != "" {
			p.unexpected()
		}
		right.sql = operandSQL(right)
		right.intersections(p, into)
		if rec != nil && rec.own && rec.parts == 1 {
			s.sql = "SELECT *, 0 FROM (" + s.sql + ")"
		}
		if rec != nil && rec.parts > 0 && (!rec.own || operator != " UNION ALL ") {
			p.fail(&Error{Number: 252, State: 1, Class: 16, Line: p.line(), Message: fmt.Sprintf("Recursive common table expression '%s' does not contain a top-level UNION ALL operator.", rec.name)})
		}
		s.combine(p, operator, right)
	}
	p.in.sources = p.in.sources[:p.in.outer] // ORDER BY can use only the select list
	s.single, s.limit = s.single && !compound, ""
	order, window := p.order("", &s)
	s.sql += order + window
	return s
}

// selectOperand parses one SELECT, or a query in parentheses; nested reports which.
func (p *parser) selectOperand(into []TypeSpec, describe bool) (s selection, nested bool) {
	if !p.peek(0).isSymbol("(") {
		p.in.sources = p.in.sources[:p.in.outer]
		if p.in.recursion != nil {
			p.in.recursion.own = false
		}
		return p.specification(into, describe), false
	}
	if !p.enter() {
		return s, true
	}
	defer p.leave()
	p.pos++
	s = p.queryExpression(into, describe)
	if s.ordered || s.assigns != nil {
		p.unexpected()
	}
	p.expectSymbol(")")
	s.sql, s.limit = "SELECT * FROM ("+s.sql+")", ""
	return s, true
}

// joinsQueries reports whether another SELECT follows.
func (p *parser) joinsQueries() bool {
	t := p.peek(0)
	return t.is("UNION") || t.is("EXCEPT") || t.is("INTERSECT")
}

// operandSQL writes the query as an operand, which cannot have its own LIMIT.
func operandSQL(s selection) string {
	if s.limit != "" {
		return "SELECT * FROM (" + s.sql + " LIMIT " + s.limit + ")"
	}
	return s.sql
}

// intersections parses the INTERSECTs that follow an operand.
func (s *selection) intersections(p *parser, into []TypeSpec) {
	found := false
	for p.err == nil && p.accept("INTERSECT") {
		found = true
		right, _ := p.selectOperand(into, true) // its texts ignore case, and so do those of the result
		right.sql = operandSQL(right)
		s.combine(p, " INTERSECT ", right)
	}
	if found {
		s.sql = "SELECT * FROM (" + s.sql + ")"
	}
}

// combine adds an operand. A column of the result has the name in the first operand, and the common type of both.
func (s *selection) combine(p *parser, operator string, right selection) {
	s.sql += operator + right.sql
	if s.assigns != nil || right.assigns != nil {
		p.fail(&Error{Number: 10734, State: 1, Class: 15, Line: p.line(), Message: "Variable assignment is not allowed in a statement containing a top level UNION, INTERSECT or EXCEPT operator."})
	}
	star := func(columns []ColumnHint) bool {
		for _, c := range columns {
			if c.Star {
				return true
			}
		}
		return false
	}
	if star(s.columns) || star(right.columns) {
		return
	}
	if len(s.columns) != len(right.columns) {
		p.fail(&Error{Number: 205, State: 1, Class: 16, Line: p.line(), Message: unequalOperands})
		return
	}
	for i := range s.columns {
		c, other := &s.columns[i], right.columns[i]
		switch {
		case c.Type == other.Type && c.Column == "" && c.Variable == "" && other.Column == "" && other.Variable == "":
		default:
			typ := common(c.Type, other.Type)
			p.checkKinds(c.Type, other.Type)
			*c = ColumnHint{Name: c.Name, Type: typ}
			if i < len(s.outputs) {
				s.outputs[i].Type = typ
			}
		}
	}
}

// checkKinds refuses text and another kind of values in one column: SQL Server would convert the text, row by row.
func (p *parser) checkKinds(a, b TypeSpec) {
	if a.Name != "" && b.Name != "" && a.isString() != b.isString() && a.Name != "sql_variant" && b.Name != "sql_variant" {
		p.unsupported("Clause", "a column of "+a.Name+" and "+b.Name+" without CONVERT")
	}
}

const unequalOperands = "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists."

// bareColumns are the columns of a select item outside of aggregate functions.
type bareColumns struct {
	sql     string
	columns []bareColumn
}

// bareColumn is a column as written.
type bareColumn struct{ sql, column, qualifier string }

// checkGrouped refuses a column that is neither grouped nor aggregated: SQLite would take its value from any row.
// Sources before outer belong to the enclosing queries.
func (p *parser) checkGrouped(s *selection, terms []fragment, outer int) {
	for _, item := range s.bare {
		if c := p.ungrouped(item, terms, outer); c != nil && p.err == nil {
			p.notGrouped(8120, c, terms != nil, "the select list")
		}
	}
	for _, c := range s.columns {
		if c.Star {
			p.unsupported("Clause", "* with GROUP BY or an aggregate function")
		}
	}
}

// notGrouped fails because of a column.
func (p *parser) notGrouped(number int32, c *bareColumn, grouped bool, where string) {
	name := c.column
	if s := p.sourceOf(*c); s != nil {
		name = s.alias + "." + name
	}
	why := "it is not contained in an aggregate function and there is no GROUP BY clause"
	if grouped {
		why = "it is not contained in either an aggregate function or the GROUP BY clause"
	}
	p.fail(&Error{Number: number, State: 1, Class: 16, Line: p.line(), Message: "Column '" + name + "' is invalid in " + where + " because " + why + "."})
}

// sourceOf returns the source of a column, if it is certain.
func (p *parser) sourceOf(c bareColumn) *source {
	for i := len(p.in.sources) - 1; i >= 0; i-- {
		s := &p.in.sources[i]
		if c.qualifier != "" && strings.EqualFold(s.alias, c.qualifier) || c.qualifier == "" && (len(p.in.sources) == 1 || hasColumn(p.columnsOf(*s), c.column)) {
			return s
		}
	}
	return nil
}

// ungrouped returns a column of the item that is in no term of GROUP BY; nil: there is none.
func (p *parser) ungrouped(item bareColumns, terms []fragment, outer int) *bareColumn {
	rest := item.sql
	for _, t := range terms {
		if t.column == "" {
			rest = strings.ReplaceAll(rest, t.sql, "")
		}
	}
	for i := range item.columns {
		c := &item.columns[i]
		if p.isOuter(*c, outer) || !strings.Contains(rest, c.sql) {
			continue
		}
		found := false
		for _, t := range terms {
			found = found || t.column != "" && strings.EqualFold(t.column, c.column) &&
				(t.qualifier == "" || c.qualifier == "" || strings.EqualFold(t.qualifier, c.qualifier))
		}
		if !found {
			return c
		}
	}
	return nil
}

// isOuter reports whether a column belongs to an enclosing query.
func (p *parser) isOuter(c bareColumn, outer int) bool {
	for i := outer; i < len(p.in.sources); i++ {
		s := p.in.sources[i]
		if c.qualifier != "" && strings.EqualFold(s.alias, c.qualifier) {
			return false
		}
		if columns := p.columnsOf(s); c.qualifier == "" && (columns == nil || hasColumn(columns, c.column)) {
			return false
		}
	}
	return true
}

// singleValue converts the query to a value: error 512 for more than one row.
func (p *parser) singleValue(s selection) string {
	switch {
	case len(s.columns) == 1 && s.columns[0].Star:
		p.unsupported("Clause", "subquery as a value with *")
	case len(s.columns) > 1:
		p.fail(&Error{Number: 116, State: 1, Class: 16, Line: p.line(),
			Message: "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."})
	case len(s.columns) == 1 && !s.single:
		return "SELECT tsql_single(" + quoteIdentifier(s.columns[0].Name) + ") FROM (" + s.sql + ")"
	}
	return s.sql
}
