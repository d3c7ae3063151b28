package tsql

import (
	"fmt"
	"strings"
)

// CreateLocal makes a table variable or a temporary table, which lives as long as the call of the procedure.
// SQL is a CREATE TEMP TABLE for SQLite, and DropSQL its end.
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

// localTable parses the columns of a table variable or a temporary table.
func (p *parser) localTable(at position, name string) Statement {
	table := quoteIdentifier(name)
	st := &CreateLocal{position: at, Name: name, DropSQL: "DROP TABLE temp." + table}
	var columns []Column
	var items []string
	p.expectSymbol("(")
	for {
		if key := p.localKey(); key != "" {
			if items = append(items, key); !p.acceptSymbol(",") {
				break
			}
			continue
		}
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
			case p.peek(0).is("IDENTITY"), p.peek(0).is("DEFAULT"), p.peek(0).is("CONSTRAINT"), p.peek(0).is("CHECK"), p.peek(0).is("COLLATE"), p.peek(0).is("REFERENCES"):
				p.unsupported("Clause", strings.ToUpper(p.peek(0).text)+" of a column of "+name)
				return st
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
	switch {
	case p.body != nil:
		p.body.tables[strings.ToLower(name)] = columns
	case p.locals == nil:
		p.locals = map[string][]Column{}
		fallthrough
	default:
		p.locals[strings.ToLower(name)] = columns
	}
	st.Columns = columns
	st.SQL = "CREATE TEMP TABLE " + table + " (" + strings.Join(items, ", ") + ")"
	return st
}

// localKey takes PRIMARY KEY (a, b) or UNIQUE (a, b) of a table; "" where a column comes next.
func (p *parser) localKey() string {
	key := ""
	switch t := p.peek(0); {
	case p.accept("PRIMARY", "KEY"):
		key = "PRIMARY KEY"
	case p.accept("UNIQUE"):
		key = "UNIQUE"
	case t.is("CONSTRAINT"), t.is("CHECK"), t.is("INDEX"), t.is("FOREIGN"):
		p.unsupported("Clause", strings.ToUpper(t.text)+" of a temporary table or a table variable")
		return ""
	default:
		return ""
	}
	if !p.accept("CLUSTERED") {
		p.accept("NONCLUSTERED")
	}
	p.expectSymbol("(")
	var names []string
	for {
		names = append(names, quoteIdentifier(p.identifier()))
		if !p.accept("ASC") {
			p.accept("DESC")
		}
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	return key + " (" + strings.Join(names, ", ") + ")"
}

// declaration is the type in a table of SQLite.
func (t TypeSpec) declaration() string {
	text := t.Name
	switch {
	case t.Max:
		text = `"` + text + `(max)"` // to SQLite a length is a number
	case t.Name == "decimal" || t.Name == "numeric":
		text += fmt.Sprintf("(%d,%d)", t.Length, t.Scale)
	case t.Name == "datetime2" || t.Name == "time" || t.Name == "datetimeoffset":
		text += fmt.Sprintf("(%d)", t.Scale)
	case t.Length > 0 && !plainNames[t.Name]:
		text += fmt.Sprintf("(%d)", t.Length)
	}
	if t.isString() {
		text += " COLLATE NOCASE"
	}
	return text
}

// plainNames are types that have no length, whatever a TypeSpec says.
var plainNames = wordSet(`float real`)

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
