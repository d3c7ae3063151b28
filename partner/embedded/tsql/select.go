package tsql

import (
	"slices"
	"strings"
)

// selection is a SELECT while it is parsed.
type selection struct {
	sql     string
	unnamed string   // the same with columns without names; "": names are needed
	plain   []string // the items without names, if names are not needed
	columns []ColumnHint
	assigns []string
	single  bool     // one column and at most one row
	typ     TypeSpec // type of the only column
	into    []TypeSpec

	limit    string // of TOP
	ordered  bool   // ORDER BY without TOP and OFFSET
	distinct bool
	bare     []bareColumns // of each item, if the query is grouped
	describe bool          // the result columns are needed
	outputs  []Column      // the result columns, for an enclosing query; nil: unknown
	unknown  bool          // a * stands for unknown columns
	target   string        // the table of INTO
}

// selectStatement parses a SELECT statement.
func (p *parser) selectStatement(q *Query) {
	s := p.selection(nil)
	q.SQL, q.Columns, q.Assigns = s.sql, s.columns, s.assigns
	if s.unnamed != "" {
		q.SQL = s.unnamed
	}
}

// subquery parses a SELECT within another statement.
func (p *parser) subquery() selection { return p.within(false, nil) }

// within parses a SELECT with its own scope of columns and tables. rec is the common table expression whose body it is.
func (p *parser) within(describe bool, rec *recursion) selection {
	if p.in.noQuery {
		p.unsupported("Clause", "subquery outside a query")
	}
	if p.in.aggregate {
		p.fail(&Error{Number: 130, State: 1, Class: 15, Line: p.line(),
			Message: "Cannot perform an aggregate function on an expression containing an aggregate or a subquery."})
	}
	sources, columns, bare, aggregates, recursion, line := p.in.sources, p.in.columns, p.in.bare, p.in.aggregates, p.in.recursion, p.line()
	p.in.recursion = rec
	s := p.queryExpression(nil, describe)
	p.in.sources, p.in.columns, p.in.bare, p.in.aggregates, p.in.recursion = sources, columns, bare, aggregates, recursion
	if s.assigns != nil || s.target != "" {
		p.unexpected()
	}
	if s.ordered {
		p.fail(&Error{Number: 1033, State: 1, Class: 15, Line: line, Message: "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, " +
			"and common table expressions, unless TOP, OFFSET or FOR XML is also specified."})
	}
	return s
}

// selection parses a SELECT. into has the types of the columns to which an INSERT writes the values, and is nil
// otherwise.
func (p *parser) selection(into []TypeSpec) selection { return p.queryExpression(into, false) }

// specification parses a SELECT up to its ORDER BY.
func (p *parser) specification(into []TypeSpec, describe bool) selection {
	s := selection{into: into, describe: describe}
	if !p.enter() {
		return s
	}
	defer p.leave()
	p.expect("SELECT")
	sql := "SELECT "
	if !p.accept("ALL") && p.accept("DISTINCT") {
		sql += "DISTINCT "
		s.distinct = true
	}
	s.limit = p.top()
	// FROM is parsed first, so that the tables are known in the select list.
	outer := len(p.in.sources)
	from, end := p.fromAhead()
	level := p.in.recursion.level()
	aggregates := p.in.aggregates
	sql += p.selectList(&s, from != "") + level
	aggregate := p.in.aggregates > aggregates
	p.intoTarget(&s)
	if end > 0 && p.err == nil {
		if !p.peek(0).is("FROM") {
			p.finish()
			p.unexpected()
		}
		p.pos = end
	}
	rest := from + p.where()
	terms, groups := p.groups()
	rest += groups
	sql += rest
	if len(s.plain) == len(s.columns) {
		s.unnamed = "SELECT " + strings.Join(s.plain, ", ") + level + rest
	}
	grouped := terms != nil
	if grouped || aggregate {
		p.checkGrouped(&s, terms, outer)
	}
	s.sql = sql
	s.single = len(s.columns) == 1 && !s.columns[0].Star && (aggregate && !grouped || s.limit == "1" || from == "")
	return s
}

// fromAhead finds the FROM of the select list that begins here, and parses it. It leaves the parser at its position;
// end is where FROM ends, 0 without FROM.
func (p *parser) fromAhead() (from string, end int) {
	start := p.pos
	at := p.findFrom()
	if at < 0 {
		return "", 0
	}
	p.pos = at + 1
	from = " FROM " + p.tables()
	end = p.pos
	if p.err == nil {
		p.pos = start
	}
	return from, end
}

// findFrom returns the distance to the FROM of the select list that begins here, -1 if the statement or the parenthesis
// ends before a FROM.
func (p *parser) findFrom() int {
	depth := 0
	for i := p.pos; i < len(p.tokens); i++ {
		t := p.tokens[i]
		switch {
		case t.isSymbol("("):
			depth++
		case t.isSymbol(")"):
			if depth--; depth < 0 {
				return -1
			}
		case depth > 0 || t.kind == stringToken:
		case t.is("FROM"):
			return i
		case t.isSymbol(";") || t.is("WHERE") || t.is("ORDER"):
			return -1
		case t.kind == wordToken && boundaries[strings.ToUpper(t.text)] && !t.is("END"): // END closes a CASE
			return -1
		}
	}
	return -1
}

// selectList parses the items between SELECT and FROM.
func (p *parser) selectList(s *selection, from bool) string {
	var items []string
	for {
		before := len(p.in.bare)
		items = append(items, p.selectItem(s, from))
		s.bare = append(s.bare, bareColumns{items[len(items)-1], p.in.bare[before:]})
		if !p.acceptSymbol(",") {
			break
		}
	}
	if s.assigns != nil && len(s.assigns) != len(items) {
		p.fail(&Error{Number: 141, State: 1, Class: 15, Line: p.line(),
			Message: "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations."})
	}
	return strings.Join(items, ", ")
}

// selectItem parses one item: *, @variable = value, alias = value, value [AS alias].
func (p *parser) selectItem(s *selection, from bool) string {
	if star := p.star(s); star != "" {
		return star
	}
	t := p.peek(0)
	if t.isVariable() && isAssignment(p.peek(1)) {
		return p.selectAssign(s, from)
	}
	alias := ""
	if (t.isName() || t.kind == stringToken) && p.peek(1).isSymbol("=") {
		p.pos += 2
		alias = p.aliasOf(t)
	}
	f := p.value()
	if alias == "" {
		alias = p.alias()
	}
	if alias == "" {
		alias = f.column
	}
	return p.addColumn(s, f, alias)
}

// isAssignment reports whether the token is = or one of += -= and so on.
func isAssignment(t token) bool {
	return t.isSymbol("=") || t.kind == symbolToken && slices.Contains(compoundOperators, t.text)
}

// addColumn records the item and writes it.
func (p *parser) addColumn(s *selection, f fragment, alias string) string {
	if at := len(s.columns); at < len(s.into) {
		f = p.stored(f, s.into[at])
	}
	typ := f.typ
	if f.column != "" && typ.Name == "" {
		typ = p.columnType(f)
	}
	s.typ = typ
	hint := ColumnHint{Name: alias, Type: p.typeOf(f), Column: f.column, Variable: f.variable}
	if f.column != "" {
		hint.Table = p.tableOf(f.qualifier)
	}
	s.columns = append(s.columns, hint)
	if s.describe {
		s.outputs = append(s.outputs, Column{Name: alias, Type: typ})
	}
	if f.column == "" && alias != "" && f.typ.isString() {
		if p.in.texts == nil {
			p.in.texts = map[string]bool{}
		}
		p.in.texts[strings.ToLower(alias)] = true
	}
	sql := f.sql
	switch {
	case p.body != nil && f.column != "":
		sql = p.typed(f).undeclared()
	case s.distinct:
		sql = collated(f)
	case s.describe:
		sql = f.folded(true)
	}
	if p.body != nil && !s.distinct && !s.describe && s.into == nil {
		s.plain = append(s.plain, p.typed(f).anonymous()+noName)
	}
	return sql + " AS " + quoteIdentifier(alias)
}

// folded writes the fragment without case if it may be text without a column's collation. That matters if a query
// selects from the result.
func (f fragment) folded(yes bool) string {
	if yes && f.column == "" && f.typ.maybeText() {
		return f.sql + " COLLATE NOCASE"
	}
	return f.sql
}

// tableOf returns the table that a qualifier stands for; without a qualifier the only table.
func (p *parser) tableOf(qualifier string) Name {
	if qualifier == "" {
		if len(p.in.sources) == 1 && !p.in.sources[0].derived {
			return p.in.sources[0].name
		}
		return Name{}
	}
	for _, s := range p.in.sources {
		if strings.EqualFold(s.alias, qualifier) && !s.derived {
			return s.name
		}
	}
	return Name{}
}

// alias takes [AS] alias, if there is one.
func (p *parser) alias() string {
	as := p.accept("AS")
	t := p.peek(0)
	if t.kind == stringToken || t.isName() && !(t.kind == wordToken && otherStatements[strings.ToUpper(t.text)]) {
		p.pos++
		return p.aliasOf(t)
	}
	if as {
		p.unexpected()
	}
	return ""
}

// aliasOf returns the alias in the token. It applies the limits of a quoted name to a string, because the lexer cannot
// know that the string is a name.
func (p *parser) aliasOf(t token) string {
	name := t.plain()
	if t.kind == stringToken && name != "" {
		if err := checkName(name, int(t.line)); err != nil {
			p.fail(err)
		}
	}
	return name
}

// star takes * or t.*.
func (p *parser) star(s *selection) string {
	n := 0
	for p.peek(n).isName() && p.peek(n+1).isSymbol(".") {
		n += 2
	}
	if !p.peek(n).isSymbol("*") {
		return ""
	}
	hint := ColumnHint{Star: true}
	sql, qualifier := "*", ""
	if n > 0 {
		qualifier = p.peek(n - 2).plain()
		sql = quoteIdentifier(qualifier) + ".*"
	}
	hint.Table = p.tableOf(qualifier)
	if p.in.recursion.level() != "" {
		p.unsupported("Clause", "* in the recursive part of a common table expression")
	}
	p.pos += n + 1
	if s.into != nil || s.describe || p.body != nil {
		if items := p.expanded(s, qualifier); items != "" {
			return items
		}
		s.unknown = s.into != nil || s.describe
	}
	s.columns = append(s.columns, hint)
	return sql
}

// expanded writes the columns that a star stands for; "": unknown.
func (p *parser) expanded(s *selection, qualifier string) string {
	var list []fragment
	for _, from := range p.in.sources[p.in.outer:] {
		if qualifier != "" && !strings.EqualFold(from.alias, qualifier) {
			continue
		}
		columns := p.columnsOf(from)
		if columns == nil {
			return ""
		}
		for _, c := range columns {
			list = append(list, fragment{sql: quoteIdentifier(from.alias) + "." + quoteIdentifier(c.Name), column: c.Name, qualifier: from.alias})
		}
	}
	items := make([]string, len(list))
	for i, f := range list {
		items[i] = p.addColumn(s, f, f.column)
	}
	return strings.Join(items, ", ")
}

// selectAssign parses @v = value. Each value is computed once, from the values of the variables before the statement.
// So a value that uses another variable of the same statement, or the previous row, is refused.
func (p *parser) selectAssign(s *selection, from bool) string {
	variable := p.declaredVariable()
	before := p.in.Parameters
	p.in.Parameters = nil
	f := fragment{variable: variable}
	if !p.peek(0).isSymbol("=") {
		f.sql = p.in.needParameter(variable)
	}
	f = p.assigned(f)
	used := p.in.Parameters
	p.in.Parameters = before
	for _, name := range used {
		p.in.needParameter(name)
		for _, earlier := range s.assigns {
			if name == earlier {
				p.unsupported("Clause", "SELECT with "+name+" assigned and used")
			}
		}
		if name == variable && from {
			p.unsupported("Clause", "SELECT that accumulates rows in "+name)
		}
	}
	s.assigns = append(s.assigns, variable)
	return p.addColumn(s, f, "")
}
