package tsql

import (
	"slices"
	"strings"
)

// target checks that the statement may write a table.
func (p *parser) target(q *Query, n Name) {
	if n.System() {
		p.fail(&Error{Number: 259, State: 1, Class: 16, Line: q.Line(), Message: "Ad hoc updates to system catalogs are not allowed."})
	}
	p.logicalTable(n)
	q.Key = n.Object
	p.in.needTable(n)
	if n.isLocal() {
		return
	}
	// The written table comes first, before the tables recorded so far.
	tables := []Name{n}
	for _, other := range p.in.Tables {
		if other != n {
			tables = append(tables, other)
		}
	}
	p.in.Tables = tables
}

// stored converts a value to the form in which a column stores it.
func (p *parser) stored(f fragment, typ TypeSpec) fragment {
	if p.body != nil && p.holds(f, typ) {
		return f
	}
	if !convertible(typ.Name) || f.isConstant && f.constant == nil {
		return f
	}
	if p.body != nil && needsNoConversion(p.typeOf(f), typ) {
		return f
	}
	return p.hoisted(fragment{sql: "tsql_store" + strings.TrimPrefix(convertCall(f, typ, -1), "tsql_convert"), typ: typ, eval: calling("tsql_store", convertArguments(f, typ, -1), f)})
}

// holds reports whether a column of the type can store the value without conversion.
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
	switch {
	case p.peek(0).is("TOP"):
		p.unsupported("Clause", "INSERT TOP")
	case p.peek(0).is("BULK"):
		p.unsupported("Statement", "INSERT BULK")
	}
	p.accept("INTO")
	n := p.writtenTable()
	p.noCommonTable(n)
	if p.peek(0).is("WITH") {
		p.tableHints()
	}
	p.target(q, n)
	sql := "INSERT INTO " + quoteIdentifier(n.Table())
	columns, list := p.insertColumns(n)
	for _, c := range list {
		q.SetsIdentity = q.SetsIdentity || c.Identity
	}
	q.Identity = hasIdentity(p.tableColumns(n))
	q.SQL = sql + columns
	p.output(q, n)
	types := typesOf(list)
	switch t := p.peek(0); {
	case p.accept("DEFAULT", "VALUES"):
		q.SQL = sql + " DEFAULT VALUES"
	case p.accept("VALUES"):
		q.SQL += " VALUES " + p.rows(list, columns != "")
	case t.is("SELECT") || t.isSymbol("(") && p.startsQuery():
		s := p.selection(types)
		if s.assigns != nil {
			p.unexpected()
		}
		if !s.unknown && columns != "" && len(list) != len(s.columns) {
			p.wrongInsert(120, len(s.columns) < len(list))
		}
		q.SQL += " " + s.sql
	case t.is("EXEC") || t.is("EXECUTE"):
		p.unsupported("Clause", "INSERT … EXECUTE")
	case t.is("WITH"):
		p.unexpected()
	default:
		p.unexpected()
	}
	if begin := sql + columns; p.callsFunctions() && p.err == nil {
		q.SQL = begin + materialized(q.SQL[len(begin):])
	}
	q.returning(n, "", "")
}

// hasIdentity reports whether one of the columns is an identity column.
func hasIdentity(columns []Column) bool {
	return slices.ContainsFunc(columns, func(c Column) bool { return c.Identity })
}

func typesOf(columns []Column) []TypeSpec {
	if columns == nil {
		return nil
	}
	types := make([]TypeSpec, len(columns))
	for i, c := range columns {
		types[i] = c.Type
	}
	return types
}

// wrongInsert fails with 109 or 110, for a SELECT with 120 or 121: fewer or more values than columns.
func (p *parser) wrongInsert(number int32, fewer bool) {
	statement := "VALUES clause"
	what := [2]string{"values specified in the VALUES clause", "The number of values in the VALUES clause must match the number of columns specified in the INSERT statement."}
	if number == 120 {
		statement, what = "select list", [2]string{"", "The number of SELECT values must match the number of INSERT columns."}
	}
	message := "There are fewer columns in the INSERT statement than values specified in the VALUES clause. " + what[1]
	switch {
	case number == 120 && fewer:
		message = "The " + statement + " for the INSERT statement contains fewer items than the insert list. " + what[1]
	case number == 120:
		message, number = "The "+statement+" for the INSERT statement contains more items than the insert list. "+what[1], 121
	case fewer:
		message = "There are more columns in the INSERT statement than " + what[0] + ". " + what[1]
		number = 109
	default:
		number = 110
	}
	p.fail(&Error{Number: number, State: 1, Class: 15, Line: p.line(), Message: message})
}

// insertColumns parses (a, b) and returns the columns. Without a list they are all columns of the table except its
// identity column. A column that is not in the schema has only its name.
func (p *parser) insertColumns(n Name) (sql string, list []Column) {
	known := p.tableColumns(n)
	if !p.peek(0).isSymbol("(") || p.startsQuery() {
		if !hasIdentity(known) {
			return "", known
		}
		var names []string
		for _, c := range known {
			if !c.Identity {
				list, names = append(list, c), append(names, c.Name)
			}
		}
		return " (" + quoted(names) + ")", list
	}
	p.pos++
	var columns []string
	for {
		column := Column{Name: p.name().Object}
		if slices.ContainsFunc(list, func(c Column) bool { return strings.EqualFold(c.Name, column.Name) }) {
			p.fail(&Error{Number: 264, State: 1, Class: 16, Line: p.line(), Message: "The column name '" + column.Name +
				"' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause."})
		}
		for _, c := range known {
			if strings.EqualFold(c.Name, column.Name) {
				column = c
			}
		}
		columns = append(columns, quoteIdentifier(column.Name))
		list = append(list, column)
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	return " (" + strings.Join(columns, ", ") + ")", list
}

// rows parses (1, 2), (3, 4) after VALUES. listed: the statement has a column list.
func (p *parser) rows(columns []Column, listed bool) string {
	var rows []string
	for {
		p.expectSymbol("(")
		var values []string
		for {
			if p.peek(0).is("DEFAULT") {
				values = append(values, p.defaultValue(columns, len(values)))
			} else {
				f := p.value()
				if at := len(values); at < len(columns) {
					f = p.stored(f, columns[at].Type)
				}
				values = append(values, f.sql)
			}
			if !p.acceptSymbol(",") {
				break
			}
		}
		if listed && p.err == nil && len(values) != len(columns) {
			p.wrongInsert(109, len(values) < len(columns))
		}
		p.expectSymbol(")")
		rows = append(rows, "("+strings.Join(values, ", ")+")")
		if !p.acceptSymbol(",") {
			return strings.Join(rows, ", ")
		}
	}
}

// defaultValue takes DEFAULT for one of the columns.
func (p *parser) defaultValue(columns []Column, at int) string {
	if at >= len(columns) || columns[at].Type.Name == "" {
		p.unsupported("Clause", "DEFAULT in VALUES of an unknown table")
		return ""
	}
	p.pos++
	if columns[at].Default == "" {
		return "NULL"
	}
	return columns[at].Default
}

// written is the target of an UPDATE or DELETE.
type written struct {
	table  Name
	alias  string
	from   string // of a join: everything after FROM; "": one table
	behind int    // the token after FROM; 0: there is no FROM
}

// update parses an UPDATE.
func (p *parser) update(q *Query) {
	p.expect("UPDATE")
	if p.peek(0).is("STATISTICS") {
		p.unsupported("Statement", "UPDATE STATISTICS")
		return
	}
	limit := p.top()
	w := written{table: p.writtenTable()}
	w.alias = w.table.Object
	p.tableHints()
	p.expect("SET")
	list := p.pos
	if at := p.findFrom(); at >= 0 && p.err == nil {
		p.pos = at + 1
		p.writeFrom(&w)
		w.behind, p.pos = p.pos, list
	} else {
		p.noCommonTable(w.table)
		p.in.sources = append(p.in.sources, source{alias: w.alias, name: w.table})
	}
	if p.err != nil {
		return
	}
	columns, values := p.setList(q, w)
	q.Sets = columns
	p.output(q, w.table)
	if w.behind > 0 {
		if !p.peek(0).is("FROM") {
			p.unexpected()
			return
		}
		p.pos = w.behind
	}
	if w.from != "" {
		p.updateJoined(q, w, columns, values, limit, p.where())
		return
	}
	where := p.where()
	if p.callsFunctions() && limit == "" && columns != nil && (q.Output == nil || q.Output.Variables == nil) {
		w.from = tableSQL(w.table, w.alias) // all values are computed before the first row is written
		p.updateJoined(q, w, columns, values, limit, where)
		return
	}
	where = limited(w.table, w.alias, where, limit)
	p.target(q, w.table)
	var items []string
	for i, column := range columns {
		items = append(items, quoteIdentifier(column)+" = "+values[i])
	}
	if items == nil { // only variables
		items = []string{"rowid = rowid"}
	}
	q.SQL = "UPDATE " + tableSQL(w.table, w.alias) + " SET " + strings.Join(items, ", ") + where
	q.returning(w.table, w.alias, where)
}

// updateJoined writes an UPDATE from a join: it first computes the new values, with the rowid of each. If several rows
// match a row of the table, one of them is used, as in SQL Server.
func (p *parser) updateJoined(q *Query, w written, columns, values []string, limit, where string) {
	if limit != "" {
		p.unsupported("Clause", "UPDATE TOP with a join")
	}
	if q.Output != nil && q.Output.Variables != nil {
		p.unsupported("Clause", "UPDATE … SET @variable with a join")
	}
	p.target(q, w.table)
	rowid := quoteIdentifier(w.alias) + ".rowid"
	var items, sets []string
	for i, column := range columns {
		name := "[$" + integerText(int64(i+1)) + "]"
		items = append(items, values[i]+" AS "+name)
		sets = append(sets, quoteIdentifier(column)+" = [$new]."+name)
	}
	table := quoteIdentifier(w.table.Table())
	q.SQL = "UPDATE " + table + " SET " + strings.Join(sets, ", ") + " FROM (SELECT " + rowid + " AS [$row], " + strings.Join(items, ", ") +
		" FROM " + w.from + where + ") AS [$new] WHERE " + table + ".rowid = [$new].[$row]"
	q.returning(w.table, "", " WHERE rowid IN (SELECT "+rowid+" FROM "+w.from+where+")")
}

// setList parses column = value, …
func (p *parser) setList(q *Query, w written) (columns, values []string) {
	for {
		if t := p.peek(0); t.kind == variableToken {
			p.setVariable(q)
			if !p.acceptSymbol(",") {
				return columns, values
			}
			continue
		}
		column, value := p.setColumn(w)
		columns, values = append(columns, column), append(values, value)
		if !p.acceptSymbol(",") {
			return columns, values
		}
	}
}

// setColumn parses column = value.
func (p *parser) setColumn(w written) (column, value string) {
	if p.peek(1).isSymbol(".") && p.peek(3).isSymbol("(") {
		p.unsupported("Clause", "SET of ."+p.peek(2).text)
		return "", ""
	}
	name := p.columnReference()
	known := p.tableColumns(w.table)
	for i, c := range known {
		switch {
		case !strings.EqualFold(c.Name, name.column):
		case c.Identity:
			p.fail(&Error{Number: 8102, State: 1, Class: 16, Line: p.line(), Message: "Cannot update identity column '" + c.Name + "'."})
		case p.peek(1).is("DEFAULT"):
			p.pos++
			return name.column, p.defaultValue(known, i)
		}
	}
	if p.peek(1).is("DEFAULT") {
		p.unsupported("Clause", "SET … = DEFAULT of an unknown table")
	}
	old := name
	if old.typ = typeOfColumn(known, name.column); w.from != "" && old.qualifier == "" {
		old.sql, old.qualifier = quoteIdentifier(w.alias)+"."+quoteIdentifier(name.column), w.alias
	}
	return name.column, p.stored(p.assigned(old), old.typ).sql
}

// delete parses a DELETE.
func (p *parser) delete(q *Query) {
	p.expect("DELETE")
	limit := p.top()
	p.accept("FROM")
	w := written{table: p.writtenTable()}
	w.alias = w.table.Object
	p.tableHints()
	at := p.pos
	p.output(q, w.table)
	if p.accept("FROM") {
		if q.Output != nil {
			p.pos = at // the items of OUTPUT are in the table that FROM determines
			q.Output = nil
			from := p.findFrom()
			p.pos = from + 1
			p.writeFrom(&w)
			w.behind, p.pos = p.pos, at
			p.output(q, w.table)
			p.pos = w.behind
		} else {
			p.writeFrom(&w)
		}
	} else {
		p.noCommonTable(w.table)
		p.in.sources = append(p.in.sources, source{alias: w.alias, name: w.table})
	}
	if w.from != "" {
		p.deleteJoined(q, w, limit)
		return
	}
	where := p.where()
	if p.callsFunctions() && limit == "" {
		limit = "-1" // the rows are found before the first is removed
	}
	where = limited(w.table, w.alias, where, limit)
	p.target(q, w.table)
	q.SQL = "DELETE FROM " + tableSQL(w.table, w.alias) + where
	q.returning(w.table, w.alias, where)
}

func (p *parser) deleteJoined(q *Query, w written, limit string) {
	if limit != "" {
		p.unsupported("Clause", "DELETE TOP with a join")
	}
	where := " WHERE rowid IN (SELECT " + quoteIdentifier(w.alias) + ".rowid FROM " + w.from + p.where() + ")"
	p.target(q, w.table)
	q.SQL = "DELETE FROM " + quoteIdentifier(w.table.Table()) + where
	q.returning(w.table, "", where)
}

// writeFrom parses the FROM of an UPDATE or DELETE and finds the written table in it, by its alias or by its name. A
// table that is not in FROM is joined to FROM.
func (p *parser) writeFrom(w *written) {
	target := w.table
	from := p.tables()
	if p.err != nil {
		return
	}
	at := slices.IndexFunc(p.in.sources, func(s source) bool { return target.Schema == "" && strings.EqualFold(s.alias, target.Object) })
	if at < 0 {
		is := func(s source) bool { return !s.derived && strings.EqualFold(s.name.Table(), target.Table()) }
		at = slices.IndexFunc(p.in.sources, is)
		if at >= 0 && slices.ContainsFunc(p.in.sources[at+1:], is) {
			p.fail(&Error{Number: 8154, State: 1, Class: 16, Line: p.line(), Message: "The table '" + target.Object + "' is ambiguous."})
		}
	}
	if at < 0 {
		p.noCommonTable(target)
		from = quoteIdentifier(target.Table()) + " CROSS JOIN " + from
		p.in.sources = append(p.in.sources, source{alias: target.Object, name: target})
		at = len(p.in.sources) - 1
	}
	s := p.in.sources[at]
	if s.derived {
		p.unsupported("Clause", "write to a derived table or a common table expression")
	}
	w.table, w.alias = s.name, s.alias
	if len(p.in.sources) > 1 {
		w.from = from
	}
}

// noCommonTable refuses a common table expression as a target.
func (p *parser) noCommonTable(n Name) {
	if p.commonTableNamed(n) != nil {
		p.unsupported("Clause", "write to a derived table or a common table expression")
	}
}

// limited restricts a write to the first rows that satisfy the condition.
func limited(n Name, alias, where, limit string) string {
	if limit == "" {
		return where
	}
	return " WHERE rowid IN (SELECT rowid FROM " + tableSQL(n, alias) + where + " LIMIT " + limit + ")"
}

// noTableVariable refuses a table variable as a target.
func (p *parser) noTableVariable() {
	if t := p.peek(0); t.kind == variableToken {
		p.unsupported("Clause", "table variable "+t.text)
	}
}
