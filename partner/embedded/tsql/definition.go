package tsql

import "strings"

// Definition is a statement that creates, changes or removes an object: CREATE, ALTER or DROP of a table, an index, a
// view, a procedure, a function, a trigger, a database, a role, a user or a login, or TRUNCATE of a table. The body of
// a procedure, a function or a trigger is in Text only: see [ParseProcedure], [ParseFunction] and [ParseTrigger].
type Definition struct {
	position
	Verb string // CREATE, ALTER, DROP or TRUNCATE; ENABLE or DISABLE of triggers
	Kind string // TABLE, INDEX, VIEW, PROCEDURE, FUNCTION, TRIGGER, DATABASE, ROLE, USER or LOGIN
	Name Name   // of the object
	On   Name   // the table of an index, or of CREATE, ENABLE and DISABLE TRIGGER
	// Text is the whole statement: its tokens as written, separated by one blank, without comments.
	Text string
	// OrAlter: CREATE OR ALTER was written.
	OrAlter bool
	// IfExists: IF EXISTS was written after DROP, or after DROP COLUMN and DROP CONSTRAINT.
	IfExists bool
	// Table is the table of CREATE TABLE, or the columns and constraints of ALTER TABLE … ADD and ALTER COLUMN; see
	// [Table.Change].
	Table *Table
	// Index is the index of CREATE INDEX.
	Index *Index
	// View is the view of CREATE VIEW and ALTER VIEW.
	View *View
	// Action is ADD MEMBER or DROP MEMBER of a role; ADD, DROP COLUMN, DROP CONSTRAINT, ALTER COLUMN, CHECK CONSTRAINT
	// or SET of a table. The last two have no effect here.
	Action string
	// Other is the role's member, or the login of a user: "" for WITHOUT LOGIN.
	Other string
	// Columns are those of DROP COLUMN, the triggers of ENABLE and DISABLE (none: all), or the constraints of DROP
	// CONSTRAINT and CHECK CONSTRAINT.
	Columns []string
	// Options are the options of a login, by name in upper case: PASSWORD, SID, CHECK_POLICY, … ; a string without its
	// quotes, any other value as written. PASSWORD HASHED adds the option HASHED.
	Options map[string]string

	defaults []pendingDefault // of ADD DEFAULT … FOR
	noCheck  bool             // WITH NOCHECK
}

// Grant is GRANT, REVOKE or DENY.
type Grant struct {
	position
	Verb        string   // GRANT, REVOKE or DENY
	Permissions []string // in upper case: EXECUTE, SELECT, VIEW DATABASE STATE, …
	On          Name     // the object; zero: the database, or the server
	To          string   // role, user or login
}

// definition parses a statement that begins with CREATE, ALTER, DROP or TRUNCATE; false: it is another statement. DROP
// of several objects returns several statements.
func (p *parser) definition(at position, first bool) ([]Statement, bool) {
	begin := p.pos
	d := &Definition{position: at, Verb: strings.ToUpper(p.next().text)}
	d.OrAlter = d.Verb == "CREATE" && p.accept("OR", "ALTER")
	unique := d.Verb == "CREATE" && p.accept("UNIQUE")
	clustered := d.Verb == "CREATE" && p.accept("CLUSTERED")
	if !clustered && d.Verb == "CREATE" {
		p.accept("NONCLUSTERED")
	}
	if d.Kind = strings.ToUpper(p.peek(0).text); d.Kind == "PROC" {
		d.Kind = "PROCEDURE"
	}
	if !p.defines(d, p.pos > begin+1 && !d.OrAlter) {
		p.pos = begin
		return nil, false
	}
	if p.pos++; d.Verb == "DROP" {
		return p.drop(d, begin), true
	}
	d.Name = p.name()
	p.permanent(d.Name)
	switch d.Kind {
	case "PROCEDURE", "FUNCTION", "TRIGGER":
		p.procedureText(d, first)
	case "VIEW":
		p.view(d, first)
	case "INDEX":
		p.createIndex(d, unique, clustered)
	case "TABLE":
		switch d.Verb {
		case "CREATE":
			p.createTable(d)
		case "ALTER":
			p.alterTable(d)
		default:
			if p.peek(0).is("WITH") {
				p.unsupported("Clause", "TRUNCATE TABLE … WITH")
			}
		}
	default:
		p.principalText(d)
	}
	if p.err == nil {
		p.finish()
	}
	d.Text = p.words(begin)
	return []Statement{d}, true
}

// permanent refuses the names of temporary objects, and names reserved by SQLite.
func (p *parser) permanent(n Name) {
	switch {
	case strings.HasPrefix(n.Object, "#"):
		p.unsupported("Clause", "temporary table "+n.Object)
	case len(n.Object) >= 7 && strings.EqualFold(n.Object[:7], "sqlite_"):
		p.unsupported("Clause", "a table named "+n.Object)
	}
}

// defines reports whether the verb is valid for the kind. indexed: keywords of an index were between them.
func (p *parser) defines(d *Definition, indexed bool) bool {
	switch {
	case indexed:
		return d.Kind == "INDEX"
	case d.OrAlter:
		return d.Kind == "PROCEDURE" || d.Kind == "VIEW" || d.Kind == "FUNCTION" || d.Kind == "TRIGGER"
	case d.Verb == "TRUNCATE":
		return d.Kind == "TABLE"
	}
	switch d.Kind {
	case "TABLE", "VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "ROLE", "USER", "LOGIN":
		return true
	case "DATABASE", "INDEX":
		return d.Verb != "ALTER"
	}
	return false
}

// drop parses [IF EXISTS] names after DROP and the kind.
func (p *parser) drop(d *Definition, begin int) []Statement {
	d.IfExists = p.accept("IF", "EXISTS")
	var list []Statement
	for {
		one := *d
		one.Name = p.name()
		p.permanent(one.Name)
		if one.Kind == "INDEX" {
			p.dropIndex(&one)
		}
		if one.Kind == "TRIGGER" && p.peek(0).is("ON") {
			p.unsupported("Statement", "DROP TRIGGER ON "+strings.ToUpper(p.peek(1).text))
		}
		if one.Kind == "TABLE" {
			p.define(one.Name, nil, false)
		}
		list = append(list, &one)
		if !p.acceptSymbol(",") {
			break
		}
	}
	if p.err == nil {
		p.finish()
	}
	for _, st := range list {
		st.(*Definition).Text = p.words(begin)
	}
	return list
}

// dropIndex parses ON table, or splits table.index.
func (p *parser) dropIndex(d *Definition) {
	if p.accept("ON") {
		d.On = p.name()
		p.storageOptions()
		return
	}
	if d.Name.Schema == "" {
		p.unexpected()
		return
	}
	d.On = Name{Schema: d.Name.Database, Object: d.Name.Schema}
	d.Name = Name{Object: d.Name.Object}
}

// words returns the tokens taken since begin, separated by one blank.
func (p *parser) words(begin int) string {
	var b strings.Builder
	for _, t := range p.tokens[begin:p.pos] {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// procedureText takes the rest of the batch.
func (p *parser) procedureText(d *Definition, first bool) {
	if !first {
		p.notFirst(d)
		return
	}
	switch d.Kind {
	case "FUNCTION":
		p.scalarFunction()
	case "TRIGGER":
		t := &Trigger{}
		p.triggerHead(t)
		d.On = t.Table
	}
	if p.err == nil {
		p.pos = len(p.tokens) - 1
	}
}

// notFirst fails with error 111.
func (p *parser) notFirst(d *Definition) {
	what := "CREATE/ALTER " + d.Kind
	if d.Kind == "FUNCTION" || d.Kind == "TRIGGER" {
		what = d.Verb + " " + d.Kind
	}
	p.fail(&Error{Number: 111, State: 1, Class: 15, Line: d.Line(),
		Message: "'" + what + "' must be the first statement in a query batch."})
}

// principalText parses the tokens after the name of a database, role, user or login.
func (p *parser) principalText(d *Definition) {
	switch {
	case d.Kind == "ROLE" && d.Verb == "ALTER":
		if d.Action = "ADD MEMBER"; !p.accept("ADD", "MEMBER") {
			d.Action = "DROP MEMBER"
			p.expect("DROP")
			p.expect("MEMBER")
		}
		d.Other = p.identifier()
	case d.Kind == "ROLE" && d.Verb == "CREATE":
		if p.accept("AUTHORIZATION") {
			d.Other = p.identifier()
		}
	case d.Kind == "USER" && d.Verb == "CREATE":
		d.Other = d.Name.Object
		if p.accept("WITHOUT", "LOGIN") {
			d.Other = ""
		} else if p.accept("FOR", "LOGIN") || p.accept("FROM", "LOGIN") {
			d.Other = p.identifier()
		}
	case d.Kind == "USER" && d.Verb == "ALTER":
		p.expect("WITH")
		p.expect("LOGIN")
		p.expectSymbol("=")
		d.Other = p.identifier()
	case d.Kind == "LOGIN" && d.Verb == "CREATE" && p.accept("WITH"):
		p.loginOptions(d)
	case d.Verb == "DROP", d.Kind == "DATABASE":
	default:
		p.unsupported("Statement", d.Verb+" "+d.Kind)
	}
}

// loginOptions parses PASSWORD = N'…' [HASHED], SID = 0x…, CHECK_POLICY = OFF, ….
func (p *parser) loginOptions(d *Definition) {
	d.Options = map[string]string{}
	for {
		name := strings.ToUpper(p.identifier())
		p.expectSymbol("=")
		if p.atEnd() {
			p.unexpected()
			return
		}
		d.Options[name] = p.next().plain()
		if name == "PASSWORD" && p.accept("HASHED") {
			d.Options["HASHED"] = "ON"
		}
		if !p.acceptSymbol(",") {
			return
		}
	}
}

// grant parses GRANT permission, … [ON [OBJECT::]name] TO principal, and REVOKE and DENY. It refuses another class than
// OBJECT.
func (p *parser) grant(at position) Statement {
	g := &Grant{position: at, Verb: strings.ToUpper(p.next().text)}
	for {
		var words []string
		for t := p.peek(0); t.kind == wordToken && !t.is("ON") && !t.is("TO") && !t.is("FROM"); t = p.peek(0) {
			words = append(words, strings.ToUpper(p.next().text))
		}
		permission := strings.Join(words, " ")
		if permission == "EXEC" {
			permission = "EXECUTE"
		}
		if permission == "" {
			p.unexpected()
			return nil
		}
		g.Permissions = append(g.Permissions, permission)
		if !p.acceptSymbol(",") {
			break
		}
	}
	if p.accept("ON") {
		if p.peek(1).isSymbol("::") || p.peek(1).isSymbol(":") {
			class := strings.ToUpper(p.next().text)
			for p.acceptSymbol(":") || p.acceptSymbol("::") {
				continue
			}
			if class != "OBJECT" {
				p.unsupported("Statement", g.Verb+" … ON "+class)
				return nil
			}
		}
		g.On = p.name()
	}
	if !p.accept("TO") {
		p.expect("FROM")
	}
	if g.To = "public"; !p.accept("PUBLIC") {
		g.To = p.identifier()
	}
	p.finish()
	return g
}
