package tsql

import (
	"fmt"
	"strings"
)

// Trigger is an AFTER trigger: CREATE or ALTER TRIGGER, taken apart. Its body runs as a [Procedure] does, once a statement that
// writes Table, after it. It reads two temporary tables, [inserted] and [deleted]: Tables makes them, empty, and the caller
// fills them with the rows as they became and as they were.
type Trigger struct {
	Procedure
	Table                  Name
	Insert, Update, Delete bool // after which statements
	Tables                 []string
}

// ParseTrigger is [ParseProcedure] for a trigger. INSTEAD OF, and triggers of a database or a server, are refused by 40510. The
// schema must know the table (8197). The error is an *Error.
func ParseTrigger(text string, schema Schema) (*Trigger, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: withoutGo(tokens), schema: schema, body: &body{types: map[string]TypeSpec{}, tables: map[string][]Column{}}, in: &inputs{}}
	if !p.accept("ALTER") {
		p.expect("CREATE")
		p.accept("OR", "ALTER")
	}
	p.expect("TRIGGER")
	t := &Trigger{Procedure: Procedure{Name: p.name()}}
	p.triggerHead(t)
	if p.err == nil {
		p.triggerTables(t)
	}
	for p.skipSemicolons(); !p.atEnd(); p.skipSemicolons() {
		t.Body = append(t.Body, p.statement(false)...)
	}
	if p.err != nil {
		return nil, p.err
	}
	return t, nil
}

// triggerHead parses ON table … AFTER INSERT, UPDATE AS.
func (p *parser) triggerHead(t *Trigger) {
	p.expect("ON")
	if next := p.peek(0); next.is("DATABASE") || next.is("ALL") && p.peek(1).is("SERVER") {
		p.unsupported("Statement", "CREATE TRIGGER ON "+strings.ToUpper(next.text))
		return
	}
	t.Table = p.tableName()
	if p.accept("WITH") && !p.accept("ENCRYPTION") {
		p.unsupported("Clause", "CREATE TRIGGER … WITH "+strings.ToUpper(p.peek(0).text))
	}
	if p.peek(0).is("INSTEAD") {
		p.unsupported("Clause", "INSTEAD OF")
		return
	}
	if !p.accept("AFTER") {
		p.expect("FOR")
	}
	for p.err == nil {
		switch {
		case p.accept("INSERT"):
			t.Insert = true
		case p.accept("UPDATE"):
			t.Update = true
		case p.accept("DELETE"):
			t.Delete = true
		default:
			p.unexpected()
		}
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.accept("NOT", "FOR", "REPLICATION")
	p.expect("AS")
}

// triggerTables makes inserted and deleted known.
func (p *parser) triggerTables(t *Trigger) {
	columns := p.tableColumns(t.Table)
	if columns == nil {
		p.fail(&Error{Number: 8197, State: 4, Class: 16, Line: p.line(), Message: fmt.Sprintf("The object '%s' does not exist or is invalid for this operation.", t.Table)})
		return
	}
	plain := make([]Column, len(columns))
	list := make([]TableColumn, len(columns))
	for i, c := range columns {
		plain[i] = Column{Name: c.Name, Type: c.Type}
		list[i] = TableColumn{Column: plain[i]}
	}
	for _, name := range []string{"inserted", "deleted"} {
		p.body.tables[name] = plain
		t.Tables = append(t.Tables, "CREATE TEMP"+strings.TrimPrefix((&Table{Name: Name{Object: name}, Columns: list}).create(), "CREATE"))
	}
}
