package tsql

import (
	"fmt"
	"slices"
	"strings"
)

// Trigger is a parsed CREATE or ALTER TRIGGER of an AFTER trigger. Its body runs as a [Procedure] does, once for each
// statement that writes Table, after the statement. It reads two temporary tables, [inserted] and [deleted]. Tables
// creates them empty, and the caller fills them with the new and the old rows. In the body UPDATE (column) is the
// system value "UPDATE" with the column's name as argument: 1 if the statement sets the column.
type Trigger struct {
	Procedure
	Table                  Name
	Insert, Update, Delete bool // the statements after which it fires
	Columns                []Column
	Tables                 []string
}

// Fires reports whether the trigger fires after a statement of the kind.
func (t *Trigger) Fires(k QueryKind) bool {
	return k == Insert && t.Insert || k == Update && t.Update || k == Delete && t.Delete
}

// ParseTrigger is [ParseProcedure] for a trigger. Error 40510 refuses INSTEAD OF, and triggers of a database or a
// server. The schema must have the table (8197). The error is an *Error.
func ParseTrigger(text string, schema Schema) (*Trigger, error) {
	return parseTrigger(text, schema, true)
}

// ParseTriggerHead is ParseTrigger without the body, Columns and Tables.
func ParseTriggerHead(text string) (*Trigger, error) { return parseTrigger(text, nil, false) }

func parseTrigger(text string, schema Schema, whole bool) (*Trigger, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	t := &Trigger{}
	p := &parser{tokens: withoutGo(tokens), schema: schema, body: &body{types: map[string]TypeSpec{}, tables: map[string][]Column{}, trigger: t}, in: &inputs{}}
	if !p.accept("ALTER") {
		p.expect("CREATE")
		p.accept("OR", "ALTER")
	}
	p.expect("TRIGGER")
	t.Name = p.name()
	if p.triggerHead(t); whole {
		p.triggerBody(t)
	}
	if p.err != nil {
		return nil, p.err
	}
	return t, nil
}

// triggerBody parses the tokens after AS.
func (p *parser) triggerBody(t *Trigger) {
	if p.err == nil {
		p.triggerTables(t)
	}
	for p.skipSemicolons(); !p.atEnd(); p.skipSemicolons() {
		t.Body = append(t.Body, p.statement(false)...)
	}
	if p.err == nil && len(t.Body) == 0 {
		p.unexpected()
	}
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

// triggerTables defines inserted and deleted.
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
	t.Columns = plain
	for _, name := range []string{"inserted", "deleted"} {
		p.body.tables[name] = plain
		t.Tables = append(t.Tables, "CREATE TEMP"+strings.TrimPrefix((&Table{Name: Name{Object: name}, Columns: list}).create(), "CREATE"))
	}
}

// updated parses UPDATE (column) in a condition of a trigger.
func (p *parser) updated(t token) fragment {
	if p.body == nil || p.body.trigger == nil {
		p.fail(&Error{Number: 140, State: 1, Class: 15, Line: int(t.line), Message: "Can only use IF UPDATE within a CREATE TRIGGER statement."})
		return fragment{}
	}
	p.expectSymbol("(")
	name := p.identifier()
	p.expectSymbol(")")
	columns := p.body.trigger.Columns
	at := slices.IndexFunc(columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if at < 0 {
		p.fail(&Error{Number: 207, State: 1, Class: 16, Line: int(t.line), Message: fmt.Sprintf("Invalid column name '%s'.", name)})
		return fragment{}
	}
	f := p.systemValue("UPDATE", []Expr{{SQL: quoteText(columns[at].Name), IsConstant: true, Constant: columns[at].Name}})
	return predicate(false, f.sql+" = 1").computed(false, comparing("=", f.eval, constantly(int64(1)), false))
}

// switchTrigger parses { ENABLE | DISABLE } TRIGGER { names | ALL } ON table.
func (p *parser) switchTrigger(at position) Statement {
	d := &Definition{position: at, Verb: strings.ToUpper(p.next().text), Kind: "TRIGGER"}
	p.pos++
	d.Columns = p.triggerNames()
	p.expect("ON")
	if next := p.peek(0); next.is("DATABASE") || next.is("ALL") && p.peek(1).is("SERVER") {
		p.unsupported("Statement", d.Verb+" TRIGGER ON "+strings.ToUpper(next.text))
	}
	d.On = p.name()
	p.finish()
	return d
}

// triggerNames parses a, b, … or ALL. For ALL it returns nil.
func (p *parser) triggerNames() []string {
	if p.accept("ALL") {
		return nil
	}
	list := []string{p.name().Object}
	for p.acceptSymbol(",") {
		list = append(list, p.name().Object)
	}
	return list
}

// logicalTable refuses inserted and deleted as a written table.
func (p *parser) logicalTable(n Name) {
	if p.body != nil && p.body.trigger != nil && n.Schema == "" && (strings.EqualFold(n.Object, "inserted") || strings.EqualFold(n.Object, "deleted")) {
		p.fail(&Error{Number: 286, State: 1, Class: 16, Line: p.line(), Message: "The logical tables INSERTED and DELETED cannot be updated."})
	}
}
