package tsql

import "strings"

// CreateLocal makes a table variable or a temporary table, which lives as long as the call of the procedure.
// SQL is a CREATE TEMP TABLE for SQLite, and DropSQL its end.
type CreateLocal struct {
	position
	Name         string // with its "#" or "@"
	SQL, DropSQL string
}

// DropLocal is DROP TABLE of a temporary table.
type DropLocal struct {
	position
	Name string
}

// DeclareCursor is DECLARE name CURSOR … FOR query: one that is read once, forwards.
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

// isTemporary says whether the token is the name of a temporary table.
func (t token) isTemporary() bool { return strings.HasPrefix(t.plain(), "#") }

// temporaryTable parses CREATE TABLE #t (…) and DROP TABLE #t.
func (p *parser) temporaryTable(at position, word string) Statement {
	p.pos += 2
	name := p.identifier()
	if word == "DROP" {
		p.finish()
		return &DropLocal{position: at, Name: name}
	}
	st := p.localTable(at, name)
	p.finish()
	return st
}

// localTable parses the columns of a table variable or a temporary table.
func (p *parser) localTable(at position, name string) Statement {
	table := quoteIdentifier(name)
	st := &CreateLocal{position: at, Name: name, DropSQL: "DROP TABLE temp." + table}
	var columns []Column
	var items []string
	p.expectSymbol("(")
	for {
		c := Column{Name: p.identifier(), Type: p.typeSpec(1)}
		item := quoteIdentifier(c.Name) + " " + c.Type.declaration()
		for {
			switch {
			case p.accept("NOT", "NULL"):
				item += " NOT NULL"
			case p.accept("NULL"):
			case p.accept("PRIMARY", "KEY"):
				item += " PRIMARY KEY"
			case p.accept("UNIQUE"):
				item += " UNIQUE"
			case p.accept("CLUSTERED"), p.accept("NONCLUSTERED"):
			default:
				goto next
			}
		}
	next:
		columns, items = append(columns, c), append(items, item)
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	p.body.tables[strings.ToLower(name)] = columns
	st.SQL = "CREATE TEMP TABLE " + table + " (" + strings.Join(items, ", ") + ")"
	return st
}

// declaration is the type in a table of SQLite.
func (t TypeSpec) declaration() string {
	if t.isString() {
		return t.Name + " COLLATE NOCASE"
	}
	return t.Name
}

// declareCursor parses name CURSOR [LOCAL …] FOR query, from the name on.
func (p *parser) declareCursor(at position) Statement {
	st := &DeclareCursor{position: at, Name: strings.ToLower(p.identifier())}
	p.expect("CURSOR")
	for _, word := range []string{"LOCAL", "FORWARD_ONLY", "STATIC", "FAST_FORWARD", "READ_ONLY"} {
		p.accept(word)
	}
	p.expect("FOR")
	if !p.peek(0).is("SELECT") {
		p.unexpected()
		return st
	}
	p.in = &inputs{}
	st.Query, _ = p.query(at, "SELECT", "").(*Query)
	return st
}

// cursor parses what is done with a cursor.
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
			st.Into = append(st.Into, p.variable())
			if !p.acceptSymbol(",") {
				break
			}
		}
	}
	p.finish()
	return st
}
