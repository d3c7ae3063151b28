package tsql

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
)

// convert parses CONVERT(type, value [, style]).
func (p *parser) convert(try bool) fragment {
	p.expectSymbol("(")
	typ := p.typeSpec(30)
	p.expectSymbol(",")
	f := p.value()
	style := -1
	if p.acceptSymbol(",") {
		t := p.next()
		n, err := strconv.Atoi(t.text)
		if t.kind != numberToken || err != nil {
			p.fail(notSupported(int(t.line), "Clause", "CONVERT with a style that is not a number"))
		}
		style = n
	}
	p.expectSymbol(")")
	return p.converted(f, typ, style, try)
}

// cast parses CAST(value AS type).
func (p *parser) cast(try bool) fragment {
	p.expectSymbol("(")
	f := p.value()
	p.expect("AS")
	typ := p.typeSpec(30)
	p.expectSymbol(")")
	return p.converted(f, typ, -1, try)
}

// converted writes a conversion.
func (p *parser) converted(f fragment, typ TypeSpec, style int, try bool) fragment {
	if p.err != nil {
		return fragment{}
	}
	if !convertible(typ.Name) {
		p.fail(&Error{Number: 243, State: 1, Class: 16, Line: int(p.tokens[p.pos-1].line),
			Message: fmt.Sprintf("Type %s is not a defined system type.", typ.Name)})
		return fragment{}
	}
	f = p.typed(f)
	if typ.Name == "sql_variant" && !f.isNull() && !variantBases[f.typ.Name] {
		p.fail(notSupported(int(p.tokens[p.pos-1].line), "Conversion", "to sql_variant, of a value that is not int, float, nvarchar or varbinary"))
	}
	if p.body != nil && needsNoConversion(f.typ, typ) && style < 0 {
		f.typ, f.column, f.variable = typ, "", ""
		return f
	}
	out := convertFragment(f, typ, style)
	if try {
		out.sql = "tsql_try_convert" + strings.TrimPrefix(out.sql, "tsql_convert")
		out.eval = calling("tsql_try_convert", convertArguments(f, typ, style), f)
	}
	return p.hoisted(out)
}

// variantBases are the types that a sql_variant preserves.
var variantBases = map[string]bool{"int": true, "float": true, "nvarchar": true, "varbinary": true, "sql_variant": true}

// isNull reports whether the fragment is the literal NULL.
func (f fragment) isNull() bool { return f.isConstant && f.constant == nil }

// convertFragment writes a conversion; style -1 means none was given.
func convertFragment(f fragment, typ TypeSpec, style int) fragment {
	return fragment{sql: convertCall(f, typ, style), typ: typ, eval: calling("tsql_convert", convertArguments(f, typ, style), f)}
}

// convertArguments returns the arguments of tsql_convert before the value.
func convertArguments(f fragment, typ TypeSpec, style int) []driver.Value {
	length := typ.Length
	if typ.Max {
		length = 0
	}
	return []driver.Value{typ.Name, int64(length), int64(typ.Scale), int64(style), f.typ.from()}
}

// from returns the name of the source type of a conversion, with the scale of a decimal, which determines its text.
func (t TypeSpec) from() string {
	if t.Name == "decimal" && t.Scale > 0 {
		return t.Name + ":" + strconv.Itoa(t.Scale)
	}
	return t.Name
}

// convertCall writes the call of tsql_convert; style -1 means none was given.
func convertCall(f fragment, typ TypeSpec, style int) string {
	length := typ.Length
	if typ.Max {
		length = 0
	}
	return fmt.Sprintf("tsql_convert(%s, %d, %d, %d, %s, %s)",
		quoteText(typ.Name), length, typ.Scale, style, quoteText(f.typ.from()), f.sql)
}

// dataLength parses the argument of DATALENGTH, whose value depends on the argument's type.
func (p *parser) dataLength() fragment {
	p.expectSymbol("(")
	f := p.value()
	p.expectSymbol(")")
	f = p.typed(f)
	name := f.typ.Name
	if name == "decimal" { // the size follows from the precision
		name += strconv.Itoa(decimalSize(f.typ.Length))
	}
	return fragment{sql: fmt.Sprintf("tsql_datalength(%s, '%s')", f.sql, name), typ: intType}
}

// decimalSize returns the number of bytes of a decimal of a precision.
func decimalSize(precision int) int {
	switch {
	case precision <= 9:
		return 5
	case precision <= 19:
		return 9
	case precision <= 28:
		return 13
	}
	return 17
}

// iif parses IIF(condition, a, b).
func (p *parser) iif() fragment {
	p.expectSymbol("(")
	condition := p.condition()
	p.expectSymbol(",")
	a := p.value()
	p.expectSymbol(",")
	b := p.value()
	p.expectSymbol(")")
	typ := p.commonType(&a, &b)
	return fragment{sql: "(CASE WHEN " + condition.sql + " THEN " + a.sql + " ELSE " + b.sql + " END)", typ: typ,
		eval: caseValue([]fragment{condition}, []fragment{a}, &b)}
}

// dateCall parses DATEADD, DATEDIFF and DATEPART, whose first argument is a date part.
func (p *parser) dateCall(t token, sig signature) fragment {
	p.expectSymbol("(")
	word := p.peek(0)
	part := dateParts[strings.ToLower(word.text)]
	if word.kind != wordToken || part == "" {
		if word.kind != wordToken {
			p.unexpected()
		}
		p.fail(&Error{Number: 155, State: 1, Class: 15, Line: int(word.line),
			Message: fmt.Sprintf("'%s' is not a recognized %s option.", word.text, strings.ToLower(t.text))})
		return fragment{}
	}
	p.pos++
	var args []fragment
	for p.acceptSymbol(",") {
		args = append(args, p.value())
	}
	p.expectSymbol(")")
	p.checkPart(word, part, t.text, args)
	if p.err == nil && (len(args) < sig.min || len(args) > sig.max) {
		p.wrongCount(t, sig.min+1, sig.max+1)
	}
	for i := range args {
		args[i] = p.typed(args[i])
	}
	f := fragment{sql: sig.sql + "('" + part + "', " + join(args) + ")", typ: sig.result(args), eval: calling(sig.sql, []driver.Value{part}, args...)}
	switch typ := f.typ; {
	case sig.like == 0, typ.isDateTime(), typ.Name == "datetimeoffset":
	case typ.Name == "date" || typ.Name == "time":
		f.typ = TypeSpec{Name: "datetime2", Scale: 7}
		f = convertFragment(f, typ, -1)
	default:
		f.typ = datetimeType // a string or a column: the result is a datetime
	}
	return p.hoisted(f)
}
