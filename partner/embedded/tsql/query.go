package tsql

import (
	"fmt"
	"strings"
)

// query parses a SELECT, INSERT, UPDATE or DELETE; its first word is the next token. with is the text of WITH
// before it.
func (p *parser) query(at position, word, with string) Statement {
	q := &Query{position: at}
	if p.body != nil {
		p.body.query = true
		defer func() { p.body.query = false }()
	}
	switch word {
	case "SELECT":
		p.selectStatement(q)
	case "INSERT":
		q.Kind = Insert
		p.insert(q)
	case "UPDATE":
		q.Kind = Update
		p.update(q)
	case "DELETE":
		q.Kind = Delete
		p.delete(q)
	}
	rounds := p.queryHints()
	p.finish()
	q.Inputs = p.in.Inputs
	if with != "" {
		q.SQL = strings.ReplaceAll(with+q.SQL, depthMark, rounds)
		if q.Output != nil && q.Output.Before != "" {
			q.Output.Before = strings.ReplaceAll(with+q.Output.Before, depthMark, rounds)
		}
	}
	if p.body != nil {
		before := ""
		if q.Output != nil {
			before = q.Output.Before
		}
		q.keepUsed(q.SQL, before)
		q.SQL = q.numbered(q.SQL)
		if q.Output != nil {
			q.Output.Before = q.numbered(q.Output.Before)
		}
	}
	return q
}

// withStatement parses the statement after WITH; with is the text of WITH.
func (p *parser) withStatement(at position, with string) Statement {
	word := strings.ToUpper(p.peek(0).text)
	switch word {
	case "SELECT", "INSERT", "UPDATE", "DELETE":
		return p.query(at, word, with)
	case "MERGE":
		return p.merge(at, with)
	}
	p.unexpected()
	return nil
}

// queryHints skips OPTION (…), and returns the limit of MAXRECURSION: 100 by default.
func (p *parser) queryHints() string {
	rounds := "100"
	if p.accept("OPTION") {
		if !p.peek(0).isSymbol("(") {
			p.unexpected()
		}
		for i := 1; !p.peek(i).isSymbol(")") && p.pos+i < len(p.tokens)-1; i++ {
			if n := p.peek(i + 1); p.peek(i).is("MAXRECURSION") && n.kind == numberToken && span(n.text, isDigit) == len(n.text) {
				rounds = n.text
			}
		}
		p.skipParentheses()
	}
	return rounds
}

// tableHints skips WITH (NOLOCK, …), and the form without WITH.
func (p *parser) tableHints() {
	switch {
	case p.peek(0).is("WITH") && p.peek(1).isSymbol("("):
		p.pos++
		p.skipParentheses()
	case p.peek(0).isSymbol("(") && tableHintWords[strings.ToUpper(p.peek(1).text)]:
		p.skipParentheses()
	}
}

// tableHintWords are the hints that are allowed without WITH.
var tableHintWords = wordSet(`
NOLOCK READUNCOMMITTED READCOMMITTED READCOMMITTEDLOCK REPEATABLEREAD SERIALIZABLE HOLDLOCK READPAST ROWLOCK PAGLOCK TABLOCK TABLOCKX
UPDLOCK XLOCK NOWAIT INDEX FASTFIRSTROW`)

// skipParentheses skips a parenthesis and its contents.
func (p *parser) skipParentheses() {
	for depth := 0; !p.atEnd(); {
		t := p.next()
		if t.isSymbol("(") {
			depth++
		} else if t.isSymbol(")") {
			if depth--; depth == 0 {
				return
			}
		}
	}
	p.unexpected()
}

// top parses TOP n or TOP (expr) and returns the LIMIT for it; "" if there is none.
func (p *parser) top() string {
	if !p.accept("TOP") {
		return ""
	}
	var f fragment
	if p.acceptSymbol("(") {
		f = p.value()
		p.expectSymbol(")")
	} else if p.peek(0).kind == numberToken {
		f = p.numberLiteral(p.next().text)
	} else {
		p.unexpected()
	}
	if n, ok := f.constant.(int64); ok && f.isConstant && n == 100 && p.accept("PERCENT") {
		return "-1" // all rows
	}
	if p.peek(0).is("PERCENT") || p.peek(0).is("WITH") && p.peek(1).is("TIES") {
		p.unsupported("Clause", "TOP … "+strings.ToUpper(p.peek(0).text))
	}
	return p.rowCount(f)
}

// rowCount writes a number of rows. For SQLite a negative number means all rows.
func (p *parser) rowCount(f fragment) string {
	if n, ok := f.constant.(int64); ok && n >= 0 {
		return f.sql
	}
	return "tsql_rows(" + f.sql + ")"
}

// table parses a table's name in FROM with alias and hints, or an expression in parentheses, and records the table.
func (p *parser) table() string {
	switch t := p.peek(0); {
	case t.isSymbol("("):
		return p.derivedTable()
	}
	n := p.writtenTable()
	p.tableHints()
	if p.peek(0).isSymbol("(") {
		p.unsupported("Function", n.String())
	}
	alias := n.Object
	window := p.peek(0).is("WINDOW") && p.peek(2).is("AS")
	if p.accept("AS") || p.peek(0).isName() && !p.peek(0).is("OUTPUT") && !window {
		alias = p.identifier()
	}
	p.tableHints()
	if c := p.commonTableNamed(n); c != nil {
		return p.commonSource(c, alias)
	}
	if n.isLocal() || n.Schema != "" || p.local(n) == nil { // otherwise the table is inserted or deleted, of a trigger
		p.in.needTable(n)
	}
	p.in.sources = append(p.in.sources, source{alias: alias, name: n})
	return tableSQL(n, alias)
}

// tableSQL writes a table and its alias, if it differs from the name.
func tableSQL(n Name, alias string) string {
	if alias == n.Table() || alias == "" {
		return quoteIdentifier(n.Table())
	}
	return quoteIdentifier(n.Table()) + " AS " + quoteIdentifier(alias)
}

// tableName parses a table's name and refuses temporary tables and other servers.
func (p *parser) tableName() Name {
	if t := p.peek(0); t.kind == wordToken && rowsetFunctions[strings.ToUpper(t.text)] {
		p.unsupported("Function", t.text)
		return Name{}
	}
	n := p.name()
	if strings.HasPrefix(n.Object, "##") {
		p.unsupported("Clause", "global temporary table "+n.Object)
	}
	if strings.HasPrefix(n.Object, "#") { // a temporary table of the session, whatever database is named
		n = Name{Object: n.Object}
	}
	if n.Server != "" {
		p.fail(&Error{Number: 7202, State: 2, Class: 11, Line: p.line(),
			Message: fmt.Sprintf("Could not find server '%s' in sys.servers.", n.Server)})
	}
	return n
}

// rowsetFunctions are reserved words that begin a rowset function.
var rowsetFunctions = wordSet(`OPENQUERY OPENROWSET OPENDATASOURCE OPENXML CONTAINSTABLE FREETEXTTABLE SEMANTICKEYPHRASETABLE
SEMANTICSIMILARITYDETAILSTABLE SEMANTICSIMILARITYTABLE`)

// joins maps the keywords of a join to SQLite's.
var joins = []struct{ words, sql string }{
	{"JOIN", "JOIN"}, {"INNER JOIN", "JOIN"}, {"CROSS JOIN", "CROSS JOIN"},
	{"LEFT JOIN", "LEFT JOIN"}, {"LEFT OUTER JOIN", "LEFT JOIN"},
	{"RIGHT JOIN", "RIGHT JOIN"}, {"RIGHT OUTER JOIN", "RIGHT JOIN"},
	{"FULL JOIN", "FULL JOIN"}, {"FULL OUTER JOIN", "FULL JOIN"},
}

// tables parses the tokens after FROM.
func (p *parser) tables() string {
	sql := p.joined()
	for p.acceptSymbol(",") {
		right := p.joined()
		if strings.Contains(right, " RIGHT JOIN ") || strings.Contains(right, " FULL JOIN ") {
			right = "(" + right + ")"
		}
		sql += " CROSS JOIN " + right
	}
	return sql
}

// joined parses tables with the joins between them.
func (p *parser) joined() string {
	sql := p.table()
	for {
		join := p.join()
		if join == "" {
			return sql
		}
		sql += " " + join + " "
		if join == "CROSS JOIN" {
			sql += p.table()
			continue
		}
		sql += p.joinOperand()
		p.expect("ON")
		sql += " ON " + p.condition().sql
	}
}

// joinOperand parses the right side of a join, up to its ON: a table, or joins whose own ON comes first.
func (p *parser) joinOperand() string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	sql := p.table()
	for p.err == nil && !p.peek(0).is("ON") {
		join := p.join()
		if join == "" {
			return sql
		}
		if join == "CROSS JOIN" {
			sql = "(" + sql + " CROSS JOIN " + p.table() + ")"
			continue
		}
		sql = "(" + sql + " " + join + " " + p.joinOperand()
		p.expect("ON")
		sql += " ON " + p.condition().sql + ")"
	}
	return sql
}

// join takes the keywords of a join, or nothing. Join hints have no effect here.
func (p *parser) join() string {
	for _, j := range joins {
		words := strings.Fields(j.words)
		if p.accept(words...) {
			return j.sql
		}
		if last := len(words) - 1; last > 0 && j.sql != "CROSS JOIN" && joinHints[strings.ToUpper(p.peek(last).text)] {
			if p.peek(last+1).is("JOIN") && p.accept(words[:last]...) {
				p.pos += 2
				return j.sql
			}
		}
	}
	if t := p.peek(0); (t.is("CROSS") || t.is("OUTER")) && p.peek(1).is("APPLY") {
		p.unsupported("Clause", strings.ToUpper(t.text)+" APPLY")
	}
	return ""
}

var joinHints = wordSet(`LOOP HASH MERGE REMOTE`)

// where parses an optional WHERE.
func (p *parser) where() string {
	if !p.accept("WHERE") {
		return ""
	}
	if p.peek(0).is("CURRENT") && p.peek(1).is("OF") {
		p.unsupported("Clause", "WHERE CURRENT OF")
	}
	return " WHERE " + p.condition().sql
}
