package tsql

import "strings"

// target checks that a table may be written to.
func (p *parser) target(q *Query, n Name) {
	if n.System() {
		p.fail(&Error{Number: 259, State: 1, Class: 16, Line: q.Line(), Message: "Ad hoc updates to system catalogs are not allowed."})
	}
	q.Key = n.Object
	p.in.needTable(n)
	if n.isLocal() {
		return
	}
	// The written table comes first, whatever was noted before.
	tables := []Name{n}
	for _, other := range p.in.Tables {
		if other != n {
			tables = append(tables, other)
		}
	}
	p.in.Tables = tables
}

// stored converts a value to what a column holds.
func (p *parser) stored(f fragment, typ TypeSpec) fragment {
	if p.body != nil && p.holds(f, typ) {
		return f
	}
	if !convertible(typ.Name) || f.isConstant && f.constant == nil {
		return f
	}
	return fragment{sql: "tsql_store" + strings.TrimPrefix(convertCall(f, typ, -1), "tsql_convert"), typ: typ}
}

// holds says whether a column of the type holds the value as it is.
func (p *parser) holds(f fragment, typ TypeSpec) bool {
	if n, ok := f.constant.(int64); ok && f.isConstant {
		return typ.isInteger() && n == n&1
	}
	from := p.typeOf(f)
	switch {
	case typ.Name == "" || from.Name != typ.Name || from.Max && !typ.Max:
		return false
	case typ.Name == "varbinary":
		return typ.Max || from.Length <= typ.Length
	}
	return from == typ
}

// insert parses an INSERT.
func (p *parser) insert(q *Query) {
	p.expect("INSERT")
	if p.peek(0).is("TOP") {
		p.unsupported("Clause", "INSERT TOP")
	}
	p.accept("INTO")
	n := p.writtenTable()
	if p.peek(0).is("WITH") {
		p.tableHints()
	}
	p.target(q, n)
	sql := "INSERT INTO " + quoteIdentifier(n.Table())
	columns, types := p.insertColumns(n)
	q.SQL = sql + columns
	p.output(q, n)
	switch t := p.peek(0); {
	case p.accept("DEFAULT", "VALUES"):
		q.SQL += " DEFAULT VALUES"
	case p.accept("VALUES"):
		q.SQL += " VALUES " + p.rows(types)
	case t.is("SELECT"):
		s := p.selection(types)
		if s.assigns != nil {
			p.unexpected()
		}
		q.SQL += " " + s.sql
	case t.is("EXEC") || t.is("EXECUTE"):
		p.unsupported("Clause", "INSERT … EXECUTE")
	default:
		p.unexpected()
	}
	q.returning(n, "", "")
}

// insertColumns parses (a, b) and finds the columns' types; without a list
// they are the table's columns.
func (p *parser) insertColumns(n Name) (sql string, types []TypeSpec) {
	if !p.acceptSymbol("(") {
		if p.schema != nil {
			for _, c := range p.schema(n) {
				types = append(types, c.Type)
			}
		}
		return "", types
	}
	var names []string
	for {
		column := p.name().Object
		names = append(names, quoteIdentifier(column))
		types = append(types, p.typeIn(n, column))
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	return " (" + strings.Join(names, ", ") + ")", types
}

// rows parses (1, 2), (3, 4) behind VALUES.
func (p *parser) rows(types []TypeSpec) string {
	var rows []string
	for {
		p.expectSymbol("(")
		var values []string
		for {
			if p.peek(0).is("DEFAULT") {
				p.unsupported("Clause", "DEFAULT in VALUES")
			}
			f := p.value()
			if at := len(values); at < len(types) {
				f = p.stored(f, types[at])
			}
			values = append(values, f.sql)
			if !p.acceptSymbol(",") {
				break
			}
		}
		p.expectSymbol(")")
		rows = append(rows, "("+strings.Join(values, ", ")+")")
		if !p.acceptSymbol(",") {
			return strings.Join(rows, ", ")
		}
	}
}

// update parses an UPDATE.
func (p *parser) update(q *Query) {
	p.expect("UPDATE")
	limit := p.top()
	n := p.writtenTable()
	alias := n.Object
	p.tableHints()
	p.expect("SET")
	list := p.pos
	end := 0
	if at := p.findFrom(); at >= 0 && p.err == nil {
		p.pos = at + 1
		n, alias = p.onlyTable(n)
		end, p.pos = p.pos, list
	} else {
		p.in.sources = append(p.in.sources, source{alias: alias, name: n})
	}
	if p.err != nil {
		return
	}
	set := p.setList(q, n)
	p.output(q, n)
	if end > 0 {
		if !p.peek(0).is("FROM") {
			p.unexpected()
			return
		}
		p.pos = end
	}
	where := limited(n, alias, p.where(), limit)
	p.target(q, n)
	if set == "" { // variables only
		set = "rowid = rowid"
	}
	q.SQL = "UPDATE " + tableSQL(n, alias) + " SET " + set + where
	q.returning(n, alias, where)
}

// setList parses column = value, …
func (p *parser) setList(q *Query, n Name) string {
	var items []string
	for {
		if t := p.peek(0); t.kind == variableToken {
			p.setVariable(q)
			if !p.acceptSymbol(",") {
				return strings.Join(items, ", ")
			}
			continue
		}
		column := p.columnReference()
		if p.peek(1).is("DEFAULT") {
			p.unsupported("Clause", "SET … = DEFAULT")
		}
		typ := p.typeIn(n, column.column)
		old := column
		old.typ = typ
		value := p.stored(p.assigned(old), typ)
		items = append(items, quoteIdentifier(column.column)+" = "+value.sql)
		if !p.acceptSymbol(",") {
			return strings.Join(items, ", ")
		}
	}
}

// delete parses a DELETE.
func (p *parser) delete(q *Query) {
	p.expect("DELETE")
	limit := p.top()
	p.accept("FROM")
	n := p.writtenTable()
	alias := n.Object
	p.tableHints()
	p.output(q, n)
	if p.accept("FROM") {
		n, alias = p.onlyTable(n)
	} else {
		p.in.sources = append(p.in.sources, source{alias: alias, name: n})
	}
	where := limited(n, alias, p.where(), limit)
	p.target(q, n)
	q.SQL = "DELETE FROM " + tableSQL(n, alias) + where
	q.returning(n, alias, where)
}

// onlyTable parses the FROM of an UPDATE or DELETE, which may give the
// written table an alias and nothing more. target is the name as written before.
func (p *parser) onlyTable(target Name) (n Name, alias string) {
	p.noTableVariable()
	p.table()
	if p.err != nil {
		return Name{}, ""
	}
	s := p.in.sources[len(p.in.sources)-1]
	if t := p.peek(0); p.join() != "" || t.isSymbol(",") {
		p.unsupported("Clause", "UPDATE or DELETE with a join")
	}
	if !strings.EqualFold(target.Object, s.alias) && !strings.EqualFold(target.Object, s.name.Object) {
		p.unsupported("Clause", "UPDATE or DELETE with FROM another table")
	}
	return s.name, s.alias
}

// limited restricts a write to the first rows that meet the condition.
func limited(n Name, alias, where, limit string) string {
	if limit == "" {
		return where
	}
	return " WHERE rowid IN (SELECT rowid FROM " + tableSQL(n, alias) + where + " LIMIT " + limit + ")"
}

// noTableVariable refuses a table variable as target.
func (p *parser) noTableVariable() {
	if t := p.peek(0); t.kind == variableToken {
		p.unsupported("Clause", "table variable "+t.text)
	}
}
