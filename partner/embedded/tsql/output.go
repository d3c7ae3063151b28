package tsql

import (
	"fmt"
	"strings"
)

// Output is the OUTPUT clause of a write, and the variables that an UPDATE sets.
//
// The statement's SQL ends in RETURNING rowid and the items that use the row after the change (of a DELETE: before it).
// Before selects the items that use the old row of an UPDATE. It runs first, and selects rowid and those items of the
// same rows.
type Output struct {
	Before    string
	Items     []OutputItem
	Columns   []ColumnHint // of the items, if they are sent to the client
	Into      string       // an INSERT of as many values; "": to the client
	Target    Name         // the table of Into
	Variables []OutputVariable

	old, new []string
}

// OutputItem is the position of an item: the column after rowid, of Before or of the statement's result.
type OutputItem struct {
	Before bool
	At     int
}

// OutputVariable is a variable that an UPDATE sets, and the position of its value.
type OutputVariable struct {
	Name string // lower case, with its "@"
	OutputItem
}

// rowView is which of inserted and deleted an expression of OUTPUT uses.
type rowView struct {
	table         Name
	old, new      bool      // used
	named         [2]string // the last used columns of deleted and of inserted
	oldIsReturned bool      // of a DELETE
}

// output parses OUTPUT items [INTO table (columns)].
func (p *parser) output(q *Query, n Name) {
	if !p.accept("OUTPUT") {
		return
	}
	o := q.output()
	for {
		if t := p.peek(0); (t.is("INSERTED") || t.is("DELETED")) && p.peek(1).isSymbol(".") && p.peek(2).isSymbol("*") {
			p.unsupported("Clause", "OUTPUT "+strings.ToLower(t.text)+".*")
			return
		}
		p.in.row = &rowView{table: n, oldIsReturned: q.Kind == Delete}
		f := p.typed(p.value())
		view := p.in.row
		p.in.row = nil
		p.checkView(q.Kind, view)
		name := p.alias()
		if name == "" {
			name = f.column
		}
		o.Items = append(o.Items, p.place(o, f.anonymous(), view))
		o.Columns = append(o.Columns, ColumnHint{Name: name, Type: f.typ, Column: f.column, Variable: f.variable})
		if !p.acceptSymbol(",") {
			break
		}
	}
	if p.accept("INTO") {
		into := p.writtenTable()
		columns, _ := p.insertColumns(into)
		o.Target = into
		o.Into = "INSERT INTO " + quoteIdentifier(into.Table()) + columns + " VALUES (?" + strings.Repeat(", ?", len(o.Items)-1) + ")"
		p.in.needTable(into)
	}
}

// place puts an expression where it can be computed: into Before or RETURNING.
func (p *parser) place(o *Output, sql string, view *rowView) OutputItem {
	switch {
	case view.old && view.new:
		p.unsupported("Clause", "an expression of inserted and deleted columns")
	case view.old && !view.oldIsReturned:
		o.old = append(o.old, sql)
		return OutputItem{Before: true, At: len(o.old)}
	}
	o.new = append(o.new, sql)
	return OutputItem{At: len(o.new)}
}

// output returns the query's Output, and creates it if necessary.
func (q *Query) output() *Output {
	if q.Output == nil {
		q.Output = &Output{}
	}
	return q.Output
}

// returning completes the write of a table; where is its condition.
func (q *Query) returning(n Name, alias, where string) {
	o := q.Output
	if o == nil {
		return
	}
	if len(o.old) > 0 {
		o.Before = "SELECT +rowid" + noName
		for _, sql := range o.old {
			o.Before += ", " + sql + noName
		}
		o.Before += " FROM " + tableSQL(n, alias) + where
	}
	q.SQL += " RETURNING +rowid" + noName
	for _, sql := range o.new {
		q.SQL += ", " + sql + noName
	}
}

// setVariable parses @v = value of an UPDATE, where the value uses the old row; or @v = column = value, which sets
// both.
func (p *parser) setVariable(q *Query) {
	name := p.declaredVariable()
	p.expectSymbol("=")
	var f fragment
	if p.startsAssignment() {
		f = p.setBoth()
	} else {
		f = p.value()
	}
	o := q.output()
	o.Variables = append(o.Variables, OutputVariable{Name: name, OutputItem: p.place(o, f.sql, &rowView{old: true})})
}

// writtenTable parses the name of the table to write to; in a procedure it may be a table variable.
func (p *parser) writtenTable() Name {
	if t := p.peek(0); t.isVariable() {
		p.pos++
		return Name{Object: t.text}
	}
	p.noTableVariable()
	return p.tableName()
}

// names records that an expression uses a column of inserted or deleted; false: the qualifier is another one.
func (v *rowView) names(qualifier string) bool {
	switch {
	case strings.EqualFold(qualifier, "inserted"):
		v.new = true
	case strings.EqualFold(qualifier, "deleted"):
		v.old = true
	default:
		return false
	}
	return true
}

// note stores the name of a column of inserted or deleted.
func (v *rowView) note(n Name) {
	if strings.EqualFold(n.Schema, "deleted") {
		v.named[0] = n.String()
	} else {
		v.named[1] = n.String()
	}
}

// checkView refuses the rows that a statement does not have: deleted in an INSERT, inserted in a DELETE.
func (p *parser) checkView(kind QueryKind, v *rowView) {
	name := ""
	switch {
	case kind == Insert && v.old:
		name = v.named[0]
	case kind == Delete && v.new:
		name = v.named[1]
	default:
		return
	}
	p.fail(&Error{Number: 4104, State: 1, Class: 16, Line: int(p.tokens[max(p.pos-1, 0)].line),
		Message: fmt.Sprintf("The multi-part identifier \"%s\" could not be bound.", name)})
}

// startsAssignment reports whether a column and = come next.
func (p *parser) startsAssignment() bool {
	at := 0
	for p.peek(at).isName() && p.peek(at+1).isSymbol(".") {
		at += 2
	}
	return p.peek(at).isName() && p.peek(at+1).isSymbol("=")
}

// setBoth parses column = value after a variable. It then moves the parser back to the column, as if after a comma, so
// that the column is set too.
func (p *parser) setBoth() fragment {
	before := p.pos - 1 // the = after the variable
	typ := p.typed(p.columnReference()).typ
	p.expectSymbol("=")
	f := p.stored(p.value(), typ)
	if p.err == nil {
		p.tokens[before].text, p.pos = ",", before
	}
	return f
}
