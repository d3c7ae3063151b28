package tsql

import (
	"strings"
)

// CreateLocal creates a table variable or a temporary table, which exists until the call of the procedure ends. SQL is
// a CREATE TEMP TABLE for SQLite, and DropSQL drops it.
type CreateLocal struct {
	position
	Name         string // with its "#" or "@"
	SQL, DropSQL string
	Columns      []Column
}

// DropLocal is DROP TABLE [IF EXISTS] of a temporary table.
type DropLocal struct {
	position
	Name     string
	IfExists bool
}

// DeclareCursor is DECLARE name CURSOR … FOR query: a forward-only, read-only cursor.
type DeclareCursor struct {
	position
	Name  string // lower case
	Query *Query
}

// CursorAction is OPEN, FETCH [NEXT FROM], CLOSE or DEALLOCATE of a cursor.
type CursorAction struct {
	position
	Action string // OPEN, FETCH, CLOSE or DEALLOCATE
	Name   string // lower case
	Into   []string
}

// isTemporary reports whether the token is the name of a temporary table.
func (t token) isTemporary() bool { return strings.HasPrefix(t.plain(), "#") }

// temporaryTable parses CREATE TABLE #t (…) and DROP TABLE #t.
func (p *parser) temporaryTable(at position, word string) Statement {
	p.pos += 2
	if word == "DROP" {
		ifExists := p.accept("IF", "EXISTS")
		st := &DropLocal{position: at, Name: p.identifier(), IfExists: ifExists}
		p.finish()
		return st
	}
	name := p.identifier()
	st := p.localTable(at, name)
	p.finish()
	return st
}

// localTable parses the columns and constraints of a table variable or a temporary table.
func (p *parser) localTable(at position, name string) Statement {
	st := &CreateLocal{position: at, Name: name, DropSQL: "DROP TABLE IF EXISTS temp." + quoteIdentifier(name)}
	tp := &tableParser{parser: p, t: &Table{Name: Name{Object: name}}}
	outer := p.in
	p.in = &inputs{}
	tp.elements()
	t := tp.finish(&Definition{position: at, Name: tp.t.Name})
	p.in = outer
	if p.err != nil {
		return st
	}
	st.SQL = p.localSQL(t)
	st.Columns = t.Schema()
	switch {
	case p.body != nil:
		p.body.tables[strings.ToLower(name)] = st.Columns
	case p.locals == nil:
		p.locals = map[string][]Column{}
		fallthrough
	default:
		p.locals[strings.ToLower(name)] = st.Columns
	}
	return st
}

// localSQL returns the table as one statement. Its keys are constraints. It has no other indexes, and no foreign keys.
// SQL Server's temporary tables have no foreign keys either.
func (p *parser) localSQL(t *Table) string {
	t.ForeignKeys = nil
	sql := "CREATE TEMP" + strings.TrimPrefix(strings.TrimSuffix(t.create(), ")"), "CREATE")
	keys := t.Keys
	for _, x := range t.Indexes {
		if x.Unique {
			keys = append(keys, Key{Columns: x.Columns})
		}
		if x.Unique && x.SQL != "" {
			p.unsupported("Clause", "a filtered index of "+t.Name.Object)
		}
	}
	for _, k := range keys {
		if t.isIdentity(k) {
			continue
		}
		for _, c := range k.Columns {
			if !t.Column(c.Name).NotNull {
				p.unsupported("Clause", "a key with NULLs of "+t.Name.Object)
			}
		}
		sql += ", UNIQUE (" + quoted(columnNames(k.Columns)) + ")"
	}
	if c := t.Identity(); c != nil && c.Seed > 1 {
		p.unsupported("Clause", "IDENTITY("+integerText(c.Seed)+", 1) of "+t.Name.Object)
	}
	return sql + ")"
}

// declareCursor parses name CURSOR [LOCAL …] FOR query, from the name on.
func (p *parser) declareCursor(at position) Statement {
	st := &DeclareCursor{position: at, Name: strings.ToLower(p.identifier())}
	p.expect("CURSOR")
	for _, word := range []string{"LOCAL", "FORWARD_ONLY", "STATIC", "FAST_FORWARD", "READ_ONLY"} {
		p.accept(word)
	}
	p.expect("FOR")
	p.in = &inputs{}
	if p.peek(0).is("WITH") {
		var ok bool
		if st.Query, ok = p.withStatement(at, p.with()).(*Query); p.err == nil && (!ok || st.Query.Kind != Select) {
			p.unexpected()
		}
		return st
	}
	if !p.peek(0).is("SELECT") {
		p.unexpected()
		return st
	}
	st.Query, _ = p.query(at, "SELECT", "").(*Query)
	return st
}

// cursor parses a statement about a cursor.
func (p *parser) cursor(at position, word string) Statement {
	p.pos++
	st := &CursorAction{position: at, Action: word}
	if word == "FETCH" {
		p.accept("NEXT")
		p.accept("FROM")
	}
	st.Name = strings.ToLower(p.identifier())
	if word == "FETCH" {
		p.expect("INTO")
		for {
			st.Into = append(st.Into, p.declaredVariable())
			if !p.acceptSymbol(",") {
				break
			}
		}
	}
	p.finish()
	return st
}
