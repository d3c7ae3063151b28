package tsql

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// primary parses an operand with an optional COLLATE.
func (p *parser) primary() fragment {
	if !p.enter() {
		return fragment{}
	}
	defer p.leave()
	f := p.operand()
	if p.peek(0).is("AT") && p.peek(1).is("TIME") {
		p.unsupported("Clause", "AT TIME ZONE")
	}
	for p.accept("COLLATE") {
		p.needValue(f)
		name := strings.ToUpper(p.identifier())
		collation := Collation
		if strings.Contains(name, "_BIN") || strings.Contains(name, "_CS_") {
			collation = "RTRIM" // every byte counts, except trailing blanks
		}
		// No longer a column, and with a type of its own, so that nothing adds a second
		// collation.
		f = fragment{sql: "(" + f.sql + " COLLATE " + collation + ")", typ: TypeSpec{Name: "collated"}}
	}
	return f
}

// operand parses a literal, variable, column, function, CASE, or an expression in
// parentheses.
func (p *parser) operand() fragment {
	t := p.peek(0)
	switch t.kind {
	case stringToken:
		p.pos++
		return stringLiteral(t)
	case numberToken:
		p.pos++
		return p.numberLiteral(t.text)
	case binaryToken:
		p.pos++
		return binaryLiteral(t.text)
	case variableToken:
		p.pos++
		if !p.isVariable(t) {
			return p.globalVariable(t)
		}
		name := strings.ToLower(t.text)
		f := fragment{sql: p.in.needParameter(name), variable: name, typ: p.declared[name]}
		if p.body != nil {
			p.mustBeDeclared(name, int(t.line))
			f.typ, f.eval = p.body.types[name], ofVariable(name)
		}
		return f
	case symbolToken:
		if p.acceptSymbol("(") {
			return p.parenthesized()
		}
		if p.acceptSymbol("$") {
			return p.moneyLiteral()
		}
	case wordToken, quotedToken:
		return p.wordOperand(t)
	}
	p.unexpected()
	return fragment{}
}

// parenthesized parses the tokens after an opening parenthesis: a query of one value, a
// value, or a condition.
func (p *parser) parenthesized() fragment {
	var f fragment
	if p.startsQuery() {
		sub := p.subquery()
		f = fragment{sql: "(" + p.singleValue(sub) + ")", typ: sub.typ}
	} else {
		f = p.disjunction()
	}
	p.expectSymbol(")")
	return f
}

// wordOperand parses an operand that begins with a word: NULL, CASE, a function or a column.
func (p *parser) wordOperand(t token) fragment {
	switch {
	case p.accept("NULL"):
		return fragment{sql: "NULL", isConstant: true, eval: constantly(nil)}
	case p.accept("CASE"):
		return p.caseExpression()
	case t.is("NEXT") && p.peek(1).is("VALUE") && p.peek(2).is("FOR"):
		p.unsupported("Clause", "NEXT VALUE FOR")
		return fragment{}
	case p.peek(1).isSymbol("(") && t.kind == wordToken:
		return p.call()
	case t.kind == wordToken && bareFunctions[strings.ToUpper(t.text)] != "":
		p.pos++
		name := bareFunctions[strings.ToUpper(t.text)]
		return p.systemValue(name, nil)
	}
	return p.columnReference()
}

// bareFunctions are called without parentheses; the map's value is the name in SystemCall.
var bareFunctions = map[string]string{
	"CURRENT_TIMESTAMP": "GETDATE", "SYSTEM_USER": "SYSTEM_USER",
	"CURRENT_USER": "USER_NAME", "SESSION_USER": "USER_NAME", "USER": "USER_NAME",
}

// columnReference parses a column's name with its qualifiers, of which SQLite uses only the
// last.
func (p *parser) columnReference() fragment {
	n := p.name()
	if p.peek(0).isSymbol("(") {
		if n.Schema == "" || strings.EqualFold(n.Schema, "sys") {
			p.unsupported("Function", n.String())
			return fragment{}
		}
		return p.userFunction(n)
	}
	p.in.columns++
	f := fragment{sql: quoteIdentifier(n.Object), column: n.Object, qualifier: n.Schema}
	if p.in.row != nil && p.in.row.names(n.Schema) {
		p.in.row.note(n)
		f.typ, f.qualifier = p.typeIn(p.in.row.table, n.Object), ""
		return f
	}
	if n.Schema != "" {
		f.sql = quoteIdentifier(n.Schema) + "." + f.sql
	}
	if !p.in.aggregate {
		p.in.bare = append(p.in.bare, bareColumn{f.sql, f.column, f.qualifier})
	}
	return f
}

// caseExpression parses CASE … END.
func (p *parser) caseExpression() fragment {
	sql := "(CASE"
	var subject fragment
	simple := !p.peek(0).is("WHEN")
	if simple {
		subject = p.value()
		sql += " " + subject.sql
		if subject.column == "" && subject.typ.maybeText() {
			sql += " COLLATE " + Collation
		}
	}
	var conditions []fragment
	var values []*fragment
	if !p.peek(0).is("WHEN") {
		p.unexpected()
	}
	for p.accept("WHEN") {
		if simple {
			f := p.matchOther(p.value(), subject)
			f.eval = comparing("=", subject.eval, f.eval, subject.column == "" && subject.typ.maybeText())
			conditions = append(conditions, f)
		} else {
			conditions = append(conditions, p.condition())
		}
		p.expect("THEN")
		f := p.value()
		values = append(values, &f)
	}
	var otherwise *fragment
	if p.accept("ELSE") {
		f := p.value()
		otherwise, values = &f, append(values, &f)
	}
	p.expect("END")
	typ := p.commonType(values...)
	var then []fragment
	for i, condition := range conditions {
		sql += " WHEN " + condition.sql + " THEN " + values[i].sql
		then = append(then, *values[i])
	}
	if otherwise != nil {
		sql += " ELSE " + otherwise.sql
	}
	return fragment{sql: sql + " END)", typ: typ, eval: caseValue(conditions, then, otherwise)}
}

// stringLiteral returns a string's fragment; the length counts characters as SQL Server does.
func stringLiteral(t token) fragment {
	text := t.plain()
	name, length := "varchar", len(text)
	if t.text[0] != '\'' {
		name, length = "nvarchar", len(utf16.Encode([]rune(text)))
	}
	return fragment{sql: quoteText(text), typ: TypeSpec{Name: name, Length: max(1, length)}, isConstant: true, constant: text, eval: constantly(text)}
}

// numberLiteral returns a number's fragment: int, decimal, or float if it has an exponent.
func (p *parser) numberLiteral(text string) fragment {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		typ := TypeSpec{Name: "int"}
		if n > 1<<31-1 {
			typ = TypeSpec{Name: "decimal", Length: len(strings.TrimLeft(text, "0"))}
		}
		return fragment{sql: strconv.FormatInt(n, 10), typ: typ, isConstant: true, constant: n, eval: constantly(n)}
	}
	if d, ok := decimalText(text); ok {
		value, err := d.value()
		if d.digits() > 38 {
			err = failure(1007, 15, "The number '%s' is out of the range for numeric representation (maximum precision 38).", clip(text, 100))
		}
		if err != nil {
			err.Line = p.line()
			p.fail(err)
			return fragment{}
		}
		typ := TypeSpec{Name: "decimal", Length: max(d.digits(), d.scale, 1), Scale: d.scale}
		f := fragment{sql: d.text(), typ: typ, isConstant: true, constant: value, eval: constantly(value)}
		if n, ok := value.(int64); ok {
			f.sql = strconv.FormatInt(n, 10)
		} else if d.scale == 0 {
			f.sql += ".0"
		}
		return f
	}
	// An overflow becomes infinity, which SQLite writes as 9e999.
	x, _ := strconv.ParseFloat(text, 64)
	sql := strconv.FormatFloat(x, 'e', -1, 64)
	if x > 1e308 {
		sql = "9e999"
	}
	return fragment{sql: sql, typ: TypeSpec{Name: "float"}, isConstant: true, constant: x, eval: constantly(x)}
}

// binaryLiteral returns the fragment of 0x…; with an odd number of digits the first digit is
// a byte.
func binaryLiteral(text string) fragment {
	digits := text[2:]
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	value, _ := hex.DecodeString(digits) // contains only hexadecimal digits
	return fragment{sql: "x'" + digits + "'", isConstant: true, constant: value, eval: constantly(value),
		typ: TypeSpec{Name: "varbinary", Length: max(1, len(value))}}
}

// quoteText quotes a string for SQLite, whose texts end at a NUL character.
func quoteText(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		return fmt.Sprintf("CAST(x'%x' AS TEXT)", text)
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// quoteIdentifier quotes a name for SQLite, never in double quotes: there an unknown name
// would silently become a string.
func quoteIdentifier(name string) string {
	if strings.IndexByte(name, ']') >= 0 {
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return "[" + name + "]"
}
