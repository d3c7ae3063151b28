package tsql

import (
	"fmt"
	"strings"
)

// tableParser parses a CREATE TABLE, or the additions of ALTER TABLE.
type tableParser struct {
	*parser
	t      *Table
	known  []Column       // of an altered table
	checks []pendingCheck // parsed when all columns are known
	named  string         // the name after CONSTRAINT, for the next constraint

	alters   bool // ALTER TABLE, not CREATE TABLE
	defaults []pendingDefault
}

// pendingCheck is a condition that was skipped.
type pendingCheck struct {
	check *Check
	index int // index in Indexes of the filter's index; -1: a check
	at    int // the token after the opening parenthesis, or after WHERE
}

// createTable parses (columns and constraints) and the options after them.
func (p *parser) createTable(d *Definition) {
	if p.accept("AS") {
		p.unsupported("Clause", "CREATE TABLE … AS "+strings.ToUpper(p.peek(0).text))
		return
	}
	tp := &tableParser{parser: p, t: &Table{Name: d.Name}}
	tp.elements()
	p.storageOptions()
	if p.peek(0).is("AS") {
		p.unsupported("Clause", "CREATE TABLE … AS "+strings.ToUpper(p.peek(1).text))
	}
	if d.Table = tp.finish(d); d.Table != nil {
		p.define(d.Name, d.Table.Schema(), p.defined[defineKey(d.Name)].dropped)
	}
}

// elements parses (columns and constraints).
func (tp *tableParser) elements() {
	tp.expectSymbol("(")
	for tp.err == nil {
		tp.element()
		if !tp.acceptSymbol(",") || tp.peek(0).isSymbol(")") {
			break
		}
	}
	if tp.t.Columns == nil {
		tp.unexpected()
	}
	tp.expectSymbol(")")
}

// storageOptions skips ON filegroup, TEXTIMAGE_ON filegroup and WITH (…), which have no effect here.
func (p *parser) storageOptions() {
	for {
		switch {
		case p.accept("ON"), p.accept("TEXTIMAGE_ON"), p.accept("FILESTREAM_ON"):
			if p.peek(0).kind == stringToken {
				p.pos++
			} else {
				p.identifier()
			}
			if p.peek(0).isSymbol("(") {
				p.unsupported("Clause", "a partition scheme")
			}
		case p.peek(0).is("WITH") && p.peek(1).isSymbol("("):
			if p.peek(2).is("SYSTEM_VERSIONING") || p.peek(2).is("MEMORY_OPTIMIZED") {
				p.unsupported("Clause", "WITH ("+strings.ToUpper(p.peek(2).text))
				return
			}
			p.pos++
			p.skipParentheses()
		case p.peek(0).is("WITH") && p.accept("WITH", "FILLFACTOR"):
			p.expectSymbol("=")
			p.smallNumber()
		default:
			return
		}
	}
}

// element parses a column or a constraint.
func (tp *tableParser) element() {
	tp.named = ""
	if tp.accept("CONSTRAINT") {
		tp.named = tp.identifier()
	}
	switch t := tp.peek(0); {
	case t.is("PRIMARY"), t.is("UNIQUE"):
		tp.key("")
	case t.is("FOREIGN"):
		tp.foreignKey("")
	case t.is("CHECK"):
		tp.check("")
	case tp.named == "" && t.is("INDEX"):
		tp.pos++
		tp.inlineIndex("")
	case t.is("PERIOD") && tp.peek(1).is("FOR"):
		tp.unsupported("Clause", "PERIOD FOR SYSTEM_TIME")
	case tp.alters && t.is("DEFAULT"):
		tp.pos++
		text, f := tp.defaultText()
		tp.expect("FOR")
		tp.defaults = append(tp.defaults, pendingDefault{tp.identifier(), tp.named, text, f})
		tp.withValues()
	case tp.named != "":
		tp.unexpected()
	default:
		tp.column()
	}
}

// column parses name type and the column's options.
func (tp *tableParser) column() {
	c := TableColumn{Column: Column{Name: tp.identifier()}}
	if tp.accept("AS") {
		tp.unsupported("Clause", "computed column "+c.Name)
		return
	}
	line := tp.line()
	c.Type = tp.typeSpec(1)
	if tp.err != nil {
		return
	}
	tp.storable(c, line)
	tp.t.Columns = append(tp.t.Columns, c)
	at := len(tp.t.Columns) - 1
	for tp.columnOption(&tp.t.Columns[at]) {
		continue
	}
	if tp.named != "" {
		tp.unexpected()
	}
}

// storable refuses types that a column cannot have here.
func (p *parser) storable(c TableColumn, line int) {
	if strings.EqualFold(c.Name, "rowid") { // rows are identified by it
		p.fail(notSupported(line, "Clause", "a column named "+c.Name))
		return
	}
	switch c.Type.Name {
	case "sql_variant", "xml", "timestamp", "hierarchyid", "geography", "geometry", "json", "vector":
		p.fail(notSupported(line, "Type", c.Type.Name))
		return
	}
	if !convertible(c.Type.Name) {
		p.fail(&Error{Number: 2715, State: 6, Class: 16, Line: line,
			Message: fmt.Sprintf("Column, parameter, or variable '%s': Cannot find data type %s.", c.Name, c.Type.Name)})
	}
}

// columnOption parses one option of a column; false: no option follows.
func (tp *tableParser) columnOption(c *TableColumn) bool {
	if tp.accept("CONSTRAINT") {
		tp.named = tp.identifier()
	}
	t := tp.peek(0)
	switch {
	case t.is("PRIMARY"), t.is("UNIQUE"):
		tp.key(c.Name)
	case t.is("FOREIGN"), t.is("REFERENCES"):
		tp.foreignKey(c.Name)
	case t.is("CHECK"):
		tp.check(c.Name)
	case tp.accept("DEFAULT"):
		tp.defaultOf(c)
		c.withValues = tp.withValues()
	case tp.accept("NOT", "NULL"):
		c.NotNull = true
	case tp.accept("NULL"):
		c.nullable = true
	case tp.named != "":
		return false
	case tp.accept("NOT", "FOR", "REPLICATION"), tp.accept("ROWGUIDCOL"), tp.accept("SPARSE"):
	case tp.accept("IDENTITY"):
		tp.identity(c)
	case tp.accept("COLLATE"):
		c.Collation = tp.identifier()
	case tp.accept("INDEX"):
		tp.inlineIndex(c.Name)
	case t.is("MASKED"), t.is("ENCRYPTED"), t.is("FILESTREAM"), t.is("GENERATED"), t.is("HIDDEN"):
		tp.unsupported("Clause", strings.ToUpper(t.text))
	default:
		return false
	}
	tp.named = ""
	return true
}

// withValues takes WITH VALUES of ALTER TABLE.
func (tp *tableParser) withValues() bool { return tp.alters && tp.accept("WITH", "VALUES") }

// identity parses the tokens after IDENTITY.
func (tp *tableParser) identity(c *TableColumn) {
	line := tp.line()
	seed, increment := int64(1), int64(1)
	if tp.acceptSymbol("(") {
		seed = tp.wholeNumber()
		tp.expectSymbol(",")
		increment = tp.wholeNumber()
		tp.expectSymbol(")")
	}
	switch {
	case tp.err != nil:
	case !c.Type.isInteger() && c.Type.Name != "decimal" || c.Type.Name == "bit" || c.Type.Scale > 0:
		tp.fail(&Error{Number: 2749, State: 2, Class: 16, Line: line, Message: fmt.Sprintf("Identity column '%s' must be of data type int, "+
			"bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.", c.Name)})
	case increment != 1 || seed < 1:
		tp.fail(notSupported(line, "Clause", fmt.Sprintf("IDENTITY(%d, %d): only a seed of 1 or more and an increment of 1", seed, increment)))
	}
	c.Identity, c.Seed, c.NotNull = true, seed, true
}

// wholeNumber takes an integer with an optional sign.
func (p *parser) wholeNumber() int64 {
	f := p.sign()
	n, ok := f.constant.(int64)
	if !ok || !f.isConstant {
		p.unexpected()
	}
	return n
}

// defaultOf parses the expression of a DEFAULT for a column.
func (tp *tableParser) defaultOf(c *TableColumn) {
	text, f := tp.defaultText()
	if tp.err == nil {
		c.DefaultText, c.DefaultName, c.Default = text, tp.named, defaultSQL(f, c.Type)
	}
}

// defaultText parses the expression of a DEFAULT.
func (tp *tableParser) defaultText() (string, fragment) {
	begin, line := tp.pos, tp.line()
	outer := tp.in
	tp.in = &inputs{noQuery: true, definition: true}
	f := tp.sum()
	tp.needValue(f)
	if tp.err == nil {
		tp.noColumns(line)
		tp.noVariables(line, "CREATE TABLE")
	}
	tp.in = outer
	return tp.words(begin), f
}

// defaultSQL returns a default's value, converted to the column's type.
func defaultSQL(f fragment, typ TypeSpec) string {
	if literal := storedLiteral(f, typ); literal != "" {
		return literal
	}
	p := &parser{}
	return p.stored(f, typ).sql
}

// parseDefault parses the stored expression of a default.
func parseDefault(text string) (fragment, *Error) {
	tokens, err := tokenize(text)
	if err != nil {
		return fragment{}, err
	}
	tp := &tableParser{parser: &parser{tokens: tokens, in: &inputs{}}}
	_, f := tp.defaultText()
	return f, tp.err
}

// pendingDefault is a default that ALTER TABLE adds to a column.
type pendingDefault struct {
	column, name, text string
	value              fragment
}

// storedLiteral returns a constant as a column of the type stores it; "": not a constant, or it cannot be
// converted.
func storedLiteral(f fragment, typ TypeSpec) string {
	if !f.isConstant {
		return ""
	}
	if f.constant == nil {
		return "NULL"
	}
	r := conversionRequest{to: typ, style: -1, from: f.typ.Name, store: true}
	if typ.Max {
		r.to.Length = 0
	}
	convert := families[typ.Name]
	if convert == nil {
		return ""
	}
	v, err := convert(r, f.constant)
	if err != nil {
		return ""
	}
	switch v := v.(type) {
	case int64:
		return integerText(v)
	case string:
		return quoteText(v)
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	}
	return ""
}

// noVariables refuses variables in a definition.
func (p *parser) noVariables(line int, statement string) {
	if len(p.in.Parameters) > 0 {
		p.fail(&Error{Number: 112, State: 4, Class: 15, Line: line, Message: "Variables are not allowed in the " + statement + " statement."})
	}
}

// key parses PRIMARY KEY or UNIQUE, of a column or with a column list.
func (tp *tableParser) key(column string) {
	k := Key{Name: tp.named, Primary: tp.accept("PRIMARY", "KEY")}
	if !k.Primary {
		tp.expect("UNIQUE")
	}
	if k.Clustered = tp.accept("CLUSTERED"); !k.Clustered {
		k.Nonclustered = tp.accept("NONCLUSTERED")
	}
	if tp.peek(0).is("HASH") {
		tp.unsupported("Clause", "HASH")
	}
	if tp.peek(0).isSymbol("(") {
		k.Columns = tp.indexColumns()
	} else if k.Columns = []IndexColumn{{Name: column}}; column == "" {
		tp.unexpected()
	}
	if column != "" && (len(k.Columns) != 1 || !strings.EqualFold(k.Columns[0].Name, column)) {
		tp.fail(&Error{Number: 8135, State: 0, Class: 16, Line: tp.line(),
			Message: fmt.Sprintf("Table level constraint does not specify column list, table '%s'.", tp.t.Name.Object)})
	}
	tp.storageOptions()
	tp.t.Keys = append(tp.t.Keys, k)
}

// indexColumns parses (a ASC, b DESC).
func (p *parser) indexColumns() []IndexColumn {
	var list []IndexColumn
	p.expectSymbol("(")
	for {
		c := IndexColumn{Name: p.identifier()}
		if c.Descending = p.accept("DESC"); !c.Descending {
			p.accept("ASC")
		}
		list = append(list, c)
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	return list
}

// foreignKey parses [FOREIGN KEY [(columns)]] REFERENCES table [(columns)] and the actions.
func (tp *tableParser) foreignKey(column string) {
	f := ForeignKey{Name: tp.named, OnDelete: "NO ACTION", OnUpdate: "NO ACTION"}
	if tp.accept("FOREIGN", "KEY") && tp.peek(0).isSymbol("(") {
		f.Columns = columnNames(tp.indexColumns())
	} else if f.Columns = []string{column}; column == "" {
		tp.unexpected()
	}
	tp.expect("REFERENCES")
	f.Table = tp.tableName()
	if tp.peek(0).isSymbol("(") {
		f.References = columnNames(tp.indexColumns())
	}
	if n := len(f.References); n > 0 && n != len(f.Columns) {
		tp.fail(&Error{Number: 8139, State: 0, Class: 16, Line: tp.line(), Message: fmt.Sprintf(
			"Number of referencing columns in foreign key differs from number of referenced columns, table '%s'.", tp.t.Name.Object)})
	}
	for tp.err == nil {
		switch {
		case tp.accept("ON", "DELETE"):
			f.OnDelete = tp.action()
		case tp.accept("ON", "UPDATE"):
			f.OnUpdate = tp.action()
		case tp.accept("NOT", "FOR", "REPLICATION"):
		default:
			tp.t.ForeignKeys = append(tp.t.ForeignKeys, f)
			return
		}
	}
}

// action parses the action of ON DELETE and ON UPDATE.
func (p *parser) action() string {
	for _, action := range []string{"NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT"} {
		if p.accept(strings.Fields(action)...) {
			return action
		}
	}
	p.unexpected()
	return ""
}

// check skips CHECK (condition), which is parsed when all columns are known.
func (tp *tableParser) check(column string) {
	tp.expect("CHECK")
	tp.accept("NOT", "FOR", "REPLICATION")
	if !tp.peek(0).isSymbol("(") {
		tp.unexpected()
		return
	}
	c := &Check{Name: tp.named, Column: column}
	begin := tp.pos
	tp.skipParentheses()
	c.Text = tp.words(begin)
	tp.checks = append(tp.checks, pendingCheck{c, -1, begin + 1})
}

// inlineIndex parses INDEX name … within CREATE TABLE.
func (tp *tableParser) inlineIndex(column string) {
	x := Index{Name: tp.identifier(), Unique: tp.accept("UNIQUE")}
	if x.Clustered = tp.accept("CLUSTERED"); !x.Clustered {
		tp.accept("NONCLUSTERED")
	}
	if tp.peek(0).is("COLUMNSTORE") || tp.peek(0).is("HASH") {
		tp.unsupported("Clause", strings.ToUpper(tp.peek(0).text))
	}
	if tp.peek(0).isSymbol("(") {
		x.Columns = tp.indexColumns()
	} else if x.Columns = []IndexColumn{{Name: column}}; column == "" {
		tp.unexpected()
	}
	tp.t.Indexes = append(tp.t.Indexes, tp.indexRest(x, len(tp.t.Indexes)))
}

// indexRest parses INCLUDE, WHERE and the options after an index's columns.
func (tp *tableParser) indexRest(x Index, at int) Index {
	if tp.accept("INCLUDE") {
		x.Include = columnNames(tp.indexColumns())
	}
	if tp.accept("WHERE") {
		begin := tp.pos
		tp.pending(pendingCheck{nil, at, begin})
		outer := tp.in
		tp.in = &inputs{noQuery: true, definition: true}
		tp.condition() // to find its end
		tp.in = outer
		x.Text = tp.words(begin)
	}
	tp.storageOptions()
	return x
}

func (tp *tableParser) pending(c pendingCheck) { tp.checks = append(tp.checks, c) }

// finish parses the skipped conditions, names unnamed constraints, and checks the table.
func (tp *tableParser) finish(d *Definition) *Table {
	if tp.err != nil {
		return nil
	}
	t := tp.t
	for i := range t.Keys {
		for _, c := range t.Keys[i].Columns {
			if column := t.Column(c.Name); column != nil && t.Keys[i].Primary {
				column.NotNull = true
			}
		}
	}
	tp.conditions(d)
	if tp.err == nil {
		t.name()
		if err := t.validate(tp.known, d.Line()); err != nil && !tp.alters { // otherwise Change reports the error, because it has the whole table
			tp.fail(err)
			return nil
		}
	}
	return t
}

// conditions parses the skipped conditions, with the columns known.
func (tp *tableParser) conditions(d *Definition) {
	end, outer, schema := tp.pos, tp.in, tp.schema
	columns := append(tp.known[:len(tp.known):len(tp.known)], tp.t.Schema()...)
	tp.schema = func(Name) []Column { return columns }
	for _, c := range tp.checks {
		if tp.err != nil {
			break
		}
		tp.pos = c.at
		line := tp.line()
		tp.in = &inputs{noQuery: true, definition: true, sources: []source{{alias: d.Name.Object, name: d.Name}}}
		f := tp.condition()
		tp.noVariables(line, "CREATE TABLE")
		if c.index >= 0 {
			if strings.Contains(f.sql, "tsql_clock(") || strings.Contains(f.sql, "tsql_newid(") {
				tp.fail(notSupported(line, "Clause", "WHERE of an index with a nondeterministic function"))
			}
			tp.t.Indexes[c.index].SQL = f.sql
			continue
		}
		if tp.err == nil && !tp.peek(0).isSymbol(")") {
			tp.unexpected()
		}
		c.check.SQL = f.sql
		tp.t.Checks = append(tp.t.Checks, *c.check)
	}
	if tp.err == nil {
		tp.pos = end
	}
	tp.in, tp.schema = outer, schema
}
