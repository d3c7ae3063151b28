package tsql

import "strings"

// alterTable parses the tokens after ALTER TABLE name.
func (p *parser) alterTable(d *Definition) {
	check := p.accept("WITH", "CHECK")
	d.noCheck = !check && p.accept("WITH", "NOCHECK")
	switch t := p.peek(0); {
	case p.accept("ADD"):
		d.Action = "ADD"
		p.alterAdd(d)
	case p.accept("DROP"):
		p.alterDrop(d)
	case p.accept("ALTER", "COLUMN"):
		d.Action = "ALTER COLUMN"
		p.alterColumn(d)
	case p.accept("CHECK", "CONSTRAINT"):
		d.Action = "CHECK CONSTRAINT"
		if !p.accept("ALL") {
			d.Columns = p.identifiers()
		}
	case (t.is("ENABLE") || t.is("DISABLE")) && p.peek(1).is("TRIGGER"):
		p.pos += 2
		d.Action, d.On, d.Kind, d.Verb = "ALTER TABLE", d.Name, "TRIGGER", strings.ToUpper(t.text)
		d.Columns = p.triggerNames()
	case p.accept("SET"): // (LOCK_ESCALATION = …): there is no lock escalation here
		if !p.peek(1).is("LOCK_ESCALATION") {
			p.unsupported("Statement", "ALTER TABLE … SET ("+strings.ToUpper(p.peek(1).text))
			return
		}
		d.Action = "SET"
		p.skipParentheses()
	case t.kind == wordToken:
		p.unsupported("Statement", "ALTER TABLE … "+strings.ToUpper(t.text))
	default:
		p.unexpected()
	}
}

// identifiers parses a, b, ….
func (p *parser) identifiers() []string {
	list := []string{p.identifier()}
	for p.acceptSymbol(",") {
		list = append(list, p.identifier())
	}
	return list
}

// alterAdd parses columns and constraints after ADD.
func (p *parser) alterAdd(d *Definition) {
	tp := &tableParser{parser: p, t: &Table{Name: d.Name}, alters: true}
	tp.known = p.tableColumns(d.Name)
	p.accept("COLUMN") // not T-SQL, but then the next token fails
	for p.err == nil {
		tp.element()
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.storageOptions()
	if p.err == nil {
		d.Table, d.defaults = tp.finish(d), tp.defaults
		if known := p.tableColumns(d.Name); known != nil && d.Table != nil {
			p.define(d.Name, append(known[:len(known):len(known)], d.Table.Schema()...), true)
		}
	}
}

// alterDrop parses [CONSTRAINT] [IF EXISTS] names or COLUMN [IF EXISTS] names after DROP.
func (p *parser) alterDrop(d *Definition) {
	if d.Action = "DROP CONSTRAINT"; p.accept("COLUMN") {
		d.Action = "DROP COLUMN"
	} else {
		p.accept("CONSTRAINT")
	}
	if p.peek(0).is("PERIOD") {
		p.unsupported("Clause", "PERIOD FOR SYSTEM_TIME")
	}
	d.IfExists = p.accept("IF", "EXISTS")
	for {
		d.Columns = append(d.Columns, p.identifier())
		if !p.acceptSymbol(",") {
			return
		}
		if p.peek(0).is("COLUMN") || p.peek(0).is("CONSTRAINT") {
			p.unsupported("Clause", "ALTER TABLE … DROP of columns and constraints in one")
			return
		}
	}
}

// alterColumn parses name type [COLLATE] [NULL | NOT NULL] after ALTER COLUMN.
func (p *parser) alterColumn(d *Definition) {
	c := TableColumn{Column: Column{Name: p.identifier()}}
	if t := p.peek(0); t.is("ADD") || t.is("DROP") {
		p.unsupported("Statement", "ALTER TABLE … ALTER COLUMN … "+strings.ToUpper(t.text))
		return
	}
	line := p.line()
	if c.Type = p.typeSpec(1); p.err != nil {
		return
	}
	p.storable(c, line)
	for {
		switch {
		case p.accept("COLLATE"):
			c.Collation = p.identifier()
		case p.accept("NOT", "NULL"):
			c.NotNull = true
		case p.accept("NULL"):
		case p.accept("SPARSE"):
		default:
			d.Table = &Table{Name: d.Name, Columns: []TableColumn{c}}
			return
		}
	}
}

// createIndex parses what follows CREATE INDEX name.
func (p *parser) createIndex(d *Definition, unique, clustered bool) {
	p.expect("ON")
	d.On = p.name()
	p.permanent(d.On)
	tp := &tableParser{parser: p, t: &Table{Name: d.On, Indexes: make([]Index, 1)}}
	tp.known = p.tableColumns(d.On)
	x := Index{Name: d.Name.Object, Unique: unique, Clustered: clustered, Columns: p.indexColumns()}
	tp.t.Indexes[0] = tp.indexRest(x, 0)
	if p.err == nil {
		tp.conditions(d)
		d.Index = &tp.t.Indexes[0]
	}
}
