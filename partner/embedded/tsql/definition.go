package tsql

import "strings"

// Definition makes, changes or removes an object: CREATE, ALTER or DROP of a table, an index, a
// procedure, a database, a role, a user or a login. What a table, an index or a procedure is made of stands
// in Text only: the caller knows which texts it can do.
type Definition struct {
	position
	Verb string // CREATE, ALTER or DROP
	Kind string // TABLE, INDEX, PROCEDURE, DATABASE, ROLE, USER or LOGIN
	Name Name   // of the object
	On   Name   // the table of an index
	// Text is the whole statement: its words as written with one blank between them, without comments.
	Text string
	// Action is ADD MEMBER or DROP MEMBER of a role, ADD or DROP COLUMN of a table.
	Action string
	// Other is the role's member, or the login of a user: "" for WITHOUT LOGIN.
	Other string
	// Columns are those of DROP COLUMN.
	Columns []string
	// Options are those of a login, by name in upper case: PASSWORD, SID, CHECK_POLICY, … ; a string without
	// its quotes, else as written. PASSWORD HASHED has the option HASHED too.
	Options map[string]string
}

// Grant is GRANT, REVOKE or DENY.
type Grant struct {
	position
	Verb        string   // GRANT, REVOKE or DENY
	Permissions []string // in upper case: EXECUTE, SELECT, VIEW DATABASE STATE, …
	On          Name     // the object; zero: the database, or the server
	To          string   // role, user or login
}

// definition parses a statement that begins with CREATE, ALTER or DROP; false: it is none of these.
func (p *parser) definition(at position, first bool) (Statement, bool) {
	verb := strings.ToUpper(p.peek(0).text)
	kind := strings.ToUpper(p.peek(1).text)
	if kind == "PROC" {
		kind = "PROCEDURE"
	}
	nonclustered := verb == "CREATE" && (kind == "NONCLUSTERED" || kind == "UNIQUE" || kind == "CLUSTERED")
	switch {
	case kind == "TABLE", kind == "PROCEDURE", kind == "DATABASE" && verb != "ALTER", kind == "ROLE", kind == "USER", kind == "LOGIN",
		kind == "INDEX" && verb != "ALTER", nonclustered:
	default:
		return nil, false
	}
	begin := p.pos
	d := &Definition{position: at, Verb: verb, Kind: kind}
	p.pos += 2
	for nonclustered && p.pos < len(p.tokens)-1 && d.Kind != "INDEX" {
		d.Kind = strings.ToUpper(p.next().text)
	}
	d.Name = p.name()
	switch d.Kind {
	case "PROCEDURE":
		p.procedureText(d, first)
	case "TABLE", "INDEX":
		p.tableText(d)
	case "DATABASE", "ROLE", "USER", "LOGIN":
		p.principalText(d)
	}
	if p.err == nil {
		p.finish()
	}
	d.Text = p.words(begin)
	return d, true
}

// words are the tokens from begin on that were taken, with one blank between them.
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
	if d.Verb == "DROP" {
		return
	}
	if !first {
		p.fail(&Error{Number: 111, State: 1, Class: 15, Line: d.Line(),
			Message: "'CREATE/ALTER PROCEDURE' must be the first statement in a query batch."})
		return
	}
	p.pos = len(p.tokens) - 1
}

// tableText takes a table's or an index's description.
func (p *parser) tableText(d *Definition) {
	switch {
	case d.Kind == "INDEX" && (d.Verb == "CREATE" || p.peek(0).is("ON")):
		p.expect("ON")
		d.On = p.name()
	case d.Verb == "ALTER" && p.accept("DROP", "COLUMN"):
		d.Action = "DROP COLUMN"
		d.Columns = append(d.Columns, p.identifier())
		for p.acceptSymbol(",") {
			d.Columns = append(d.Columns, p.identifier())
		}
		return
	case d.Verb == "ALTER" && p.accept("ADD"):
		d.Action = "ADD"
		p.columnList()
		return
	case d.Verb == "ALTER":
		p.unsupported("Statement", "ALTER TABLE … "+strings.ToUpper(p.peek(0).text))
		return
	}
	if d.Verb == "CREATE" {
		if !p.peek(0).isSymbol("(") {
			p.unexpected()
		}
		p.skipParentheses()
	}
}

// columnList takes what follows ALTER TABLE … ADD, up to the end of the statement.
func (p *parser) columnList() {
	for !p.atEnd() {
		t := p.peek(0)
		switch {
		case t.isSymbol(";"), t.kind == wordToken && (boundaries[strings.ToUpper(t.text)] || t.is("ELSE")):
			return
		case t.isSymbol("("):
			p.skipParentheses()
		default:
			p.pos++
		}
	}
}

// principalText takes what follows the name of a database, role, user or login.
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

// grant parses GRANT permission, … [ON [OBJECT::]name] TO principal, and REVOKE and DENY; it is
// nothing of these with another class than OBJECT.
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
	g.To = p.identifier()
	p.finish()
	return g
}
