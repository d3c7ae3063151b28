package tsql

import (
	"slices"
	"strings"
)

// Merge is MERGE. It runs as several statements in one transaction: Snapshot determines the action for each row and
// computes the values, in a temporary table; Check fails if a row would be written twice (8672); Writes perform the
// actions; Drop removes the snapshot. Only Snapshot has inputs. The statement's row count is the sum of those of
// Writes.
type Merge struct {
	position
	Inputs
	Snapshot string
	Check    string
	Writes   []*Query
	Drop     string
	Key      string // the written table's name without schema, as in Query
}

// mergeClause is WHEN … THEN ….
type mergeClause struct {
	matched   bool
	bySource  bool   // NOT MATCHED BY SOURCE
	condition string // after AND; ""
	kind      QueryKind
	columns   []string
	values    []string
	number    int // of the clause, from 1
}

// snapshotName is the temporary table of a MERGE.
const snapshotName = "[tsql$merge]"

// merging is a MERGE while it is parsed.
type merging struct {
	*parser
	target    source
	targetSQL string
	usingSQL  string
	on        string
	clauses   []mergeClause
}

// merge parses MERGE. with is the text of WITH before it.
func (p *parser) merge(at position, with string) Statement {
	m := &merging{parser: p}
	p.expect("MERGE")
	if p.peek(0).is("TOP") {
		p.unsupported("Clause", "MERGE TOP")
	}
	p.accept("INTO")
	n := p.writtenTable()
	p.noCommonTable(n)
	p.tableHints()
	alias := n.Object
	if p.accept("AS") || p.peek(0).isName() && !p.peek(0).is("USING") {
		alias = p.identifier()
	}
	p.tableHints()
	m.target = source{alias: alias, name: n}
	m.targetSQL = tableSQL(n, alias)
	if !p.peek(0).is("USING") {
		p.unexpected()
		return nil
	}
	p.pos++
	m.usingSQL = p.tables()
	p.in.sources = append(p.in.sources, m.target)
	p.expect("ON")
	m.on = p.condition().sql
	for p.err == nil && p.accept("WHEN") {
		m.when()
	}
	if p.err == nil && m.clauses == nil {
		p.unexpected()
	}
	if p.peek(0).is("OUTPUT") {
		p.unsupported("Clause", "OUTPUT of MERGE")
	}
	rounds := p.queryHints()
	if p.err == nil && !p.peek(0).isSymbol(";") {
		p.fail(&Error{Number: 10713, State: 1, Class: 15, Line: p.line(), Message: "A MERGE statement must be terminated by a semi-colon (;)."})
	}
	q := &Query{position: at}
	p.target(q, n)
	if p.err != nil {
		return nil
	}
	st := m.statement(at, with, rounds)
	st.Key = q.Key
	return st
}

// when parses [NOT] MATCHED [BY …] [AND condition] THEN action.
func (m *merging) when() {
	c := mergeClause{number: len(m.clauses) + 1, matched: !m.accept("NOT")}
	m.expect("MATCHED")
	if m.accept("BY", "SOURCE") {
		c.bySource = true
	} else {
		m.accept("BY", "TARGET")
	}
	if c.matched && c.bySource {
		m.unexpected()
	}
	if m.accept("AND") {
		c.condition = m.condition().sql
	}
	m.expect("THEN")
	w := written{table: m.target.name, alias: m.target.alias, from: m.usingSQL}
	switch {
	case (c.matched || c.bySource) && m.accept("UPDATE"):
		c.kind = Update
		m.expect("SET")
		for m.err == nil {
			if m.peek(0).kind == variableToken {
				m.unsupported("Clause", "MERGE … UPDATE SET "+m.peek(0).text)
				return
			}
			column, value := m.setColumn(w)
			c.columns, c.values = append(c.columns, column), append(c.values, value)
			if !m.acceptSymbol(",") {
				break
			}
		}
	case (c.matched || c.bySource) && m.accept("DELETE"):
		c.kind = Delete
	case !c.matched && !c.bySource && m.accept("INSERT"):
		c.kind = Insert
		m.insertion(&c)
	default:
		m.unexpected()
	}
	m.clauses = append(m.clauses, c)
}

// insertion parses (columns) VALUES (values) of INSERT.
func (m *merging) insertion(c *mergeClause) {
	_, columns := m.insertColumns(m.target.name)
	if columns == nil {
		m.unsupported("Clause", "MERGE … INSERT without columns into an unknown table")
		return
	}
	for _, column := range columns {
		if column.Identity {
			m.unsupported("Clause", "MERGE … INSERT of an identity column")
		}
		c.columns = append(c.columns, column.Name)
	}
	if m.accept("DEFAULT", "VALUES") {
		m.unsupported("Clause", "MERGE … INSERT DEFAULT VALUES")
		return
	}
	m.expect("VALUES")
	m.expectSymbol("(")
	for m.err == nil {
		if m.peek(0).is("DEFAULT") {
			c.values = append(c.values, m.defaultValue(columns, len(c.values)))
		} else {
			f := m.value()
			if at := len(c.values); at < len(columns) {
				f = m.stored(f, columns[at].Type)
			}
			c.values = append(c.values, f.sql)
		}
		if !m.acceptSymbol(",") {
			break
		}
	}
	if m.err == nil && len(c.values) != len(c.columns) {
		m.wrongInsert(109, len(c.values) < len(c.columns))
	}
	m.expectSymbol(")")
}

// statement builds the Merge.
func (m *merging) statement(at position, with, rounds string) *Merge {
	table := quoteIdentifier(m.target.name.Table())
	rowid := quoteIdentifier(m.target.alias) + ".rowid"
	var queries []string
	// The rows of the source, each with the matching row of the table, if there is one.
	if sql := m.clauseSQL(rowid, func(c mergeClause) bool { return !c.bySource }); sql != "" {
		queries = append(queries, "SELECT "+rowid+" AS [$row], "+sql+" FROM "+m.grouped()+" LEFT JOIN "+m.targetSQL+" ON "+m.on)
	}
	// The rows of the table that no row of the source matches.
	if sql := m.clauseSQL("", func(c mergeClause) bool { return c.bySource }); sql != "" {
		queries = append(queries, "SELECT "+rowid+" AS [$row], "+sql+" FROM "+m.targetSQL+" WHERE NOT EXISTS (SELECT 1 FROM "+m.usingSQL+" WHERE "+m.on+")")
	}
	st := &Merge{position: at, Inputs: m.in.Inputs, Drop: "DROP TABLE IF EXISTS temp." + snapshotName}
	st.Snapshot = strings.ReplaceAll("CREATE TEMP TABLE "+snapshotName+" AS "+with+"SELECT * FROM ("+strings.Join(queries, " UNION ALL ")+") WHERE [$do] > 0", depthMark, rounds)
	if m.body != nil {
		st.Snapshot = st.numbered(st.Snapshot)
	}
	var once []string
	for _, c := range m.clauses {
		do := "[$do] = " + integerText(int64(c.number))
		q := &Query{position: at, Kind: c.kind, Sets: c.columns, Key: m.target.name.Object, Inputs: Inputs{Tables: []Name{m.target.name}}}
		var sets, values []string
		for i, column := range c.columns {
			values = append(values, c.snapshotColumn(i))
			sets = append(sets, quoteIdentifier(column)+" = "+snapshotName+"."+c.snapshotColumn(i))
		}
		switch c.kind {
		case Update:
			once = append(once, integerText(int64(c.number)))
			q.SQL = "UPDATE " + table + " SET " + strings.Join(sets, ", ") + " FROM temp." + snapshotName + " WHERE " + do + " AND " + table + ".rowid = [$row]"
		case Delete:
			once = append(once, integerText(int64(c.number)))
			q.SQL = "DELETE FROM " + table + " WHERE rowid IN (SELECT [$row] FROM temp." + snapshotName + " WHERE " + do + ")"
		case Insert:
			q.Identity = slices.ContainsFunc(m.tableColumns(m.target.name), func(c Column) bool { return c.Identity })
			q.SQL = "INSERT INTO " + table + " (" + quoted(c.columns) + ") SELECT " + strings.Join(values, ", ") + " FROM temp." + snapshotName + " WHERE " + do
		}
		st.Writes = append(st.Writes, q)
	}
	if once != nil {
		st.Check = raise(failure(8672, 16, "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. "+
			"A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, "+
			"or use the GROUP BY clause to group the source rows."), "temp."+snapshotName+" WHERE [$do] IN ("+strings.Join(once, ", ")+") GROUP BY [$row] HAVING count(*) > 1")
	}
	return st
}

// grouped writes the source, in parentheses if it is a join.
func (m *merging) grouped() string {
	if strings.Contains(m.usingSQL, " JOIN ") && !strings.HasPrefix(m.usingSQL, "(") {
		return "(" + m.usingSQL + ")"
	}
	return m.usingSQL
}

// snapshotColumn returns the column of the snapshot for the i-th value of a clause.
func (c mergeClause) snapshotColumn(i int) string {
	return "[$" + integerText(int64(c.number)) + "_" + integerText(int64(i+1)) + "]"
}

// clauseSQL writes the number of the clause to run, and the values of all clauses. The values of other clauses, and of
// clauses for which meant is false, are NULL. It returns "" if meant is false for all clauses. rowid distinguishes
// matched rows from others.
func (m *merging) clauseSQL(rowid string, meant func(mergeClause) bool) string {
	do := "CASE"
	any := false
	for _, c := range m.clauses {
		if !meant(c) {
			continue
		}
		any = true
		do += " WHEN " + m.clauseCondition(c, rowid) + " THEN " + integerText(int64(c.number))
	}
	if !any {
		return ""
	}
	items := []string{do + " ELSE 0 END AS [$do]"}
	for _, c := range m.clauses {
		for i, value := range c.values {
			if !meant(c) {
				value = "NULL"
			} else { // computed only if needed, because it might fail
				value = "CASE WHEN " + m.clauseCondition(c, rowid) + " THEN " + value + " END"
			}
			items = append(items, value+" AS "+c.snapshotColumn(i))
		}
	}
	return strings.Join(items, ", ")
}

// clauseCondition writes the condition under which a clause applies to a row.
func (m *merging) clauseCondition(c mergeClause, rowid string) string {
	var parts []string
	switch {
	case c.bySource:
	case c.matched:
		parts = append(parts, rowid+" IS NOT NULL")
	default:
		parts = append(parts, rowid+" IS NULL")
	}
	if c.condition != "" {
		parts = append(parts, c.condition)
	}
	if parts == nil {
		return "1"
	}
	return strings.Join(parts, " AND ")
}
