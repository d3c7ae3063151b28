package tsql

import "strings"

// windowFunctions need OVER with ORDER BY.
var windowFunctions = map[string]signature{
	"ROW_NUMBER":   {sql: "row_number", typ: bigintType},
	"RANK":         {sql: "rank", typ: bigintType},
	"DENSE_RANK":   {sql: "dense_rank", typ: bigintType},
	"NTILE":        {min: 1, max: 1, sql: "ntile", typ: bigintType},
	"PERCENT_RANK": {sql: "percent_rank", typ: TypeSpec{Name: "float"}},
	"CUME_DIST":    {sql: "cume_dist", typ: TypeSpec{Name: "float"}},
	"LAG":          {min: 1, max: 3, sql: "lag", like: 1},
	"LEAD":         {min: 1, max: 3, sql: "lead", like: 1},
	"FIRST_VALUE":  {min: 1, max: 1, sql: "first_value", like: 1},
	"LAST_VALUE":   {min: 1, max: 1, sql: "last_value", like: 1},
}

// windowCall parses the arguments of a window function and its OVER.
func (p *parser) windowCall(t token, sig signature) fragment {
	if p.in.noQuery || p.in.aggregate {
		p.unsupported("Clause", strings.ToUpper(t.text)+" within an aggregate, an argument or a value")
	}
	args := p.arguments(t, sig.min, sig.max)
	for i := range args {
		args[i] = p.typed(args[i])
		if args[i].column != "" && args[i].typ.Name == "" {
			args[i].typ = p.columnType(args[i])
		}
	}
	if p.peek(0).is("IGNORE") || p.peek(0).is("RESPECT") {
		p.unsupported("Clause", strings.ToUpper(p.peek(0).text)+" NULLS")
	}
	line := p.line()
	if !p.peek(0).is("OVER") {
		p.fail(&Error{Number: 10753, State: 1, Class: 15, Line: line, Message: "The function '" + t.text + "' must have an OVER clause."})
		return fragment{}
	}
	over, ordered := p.over()
	if !ordered {
		p.fail(&Error{Number: 4112, State: 1, Class: 15, Line: line, Message: "The function '" + t.text + "' must have an OVER clause with ORDER BY."})
	}
	return fragment{sql: sig.sql + "(" + join(args) + ")" + over, typ: sig.result(args)}
}

// over parses OVER (PARTITION BY … ORDER BY … ROWS …).
func (p *parser) over() (sql string, ordered bool) {
	p.expect("OVER")
	if !p.peek(0).isSymbol("(") {
		p.unsupported("Clause", "OVER of a named window")
		return "", true
	}
	p.pos++
	var parts []string
	if p.accept("PARTITION", "BY") {
		var terms []string
		for {
			terms = append(terms, p.value().folded(true))
			if !p.acceptSymbol(",") {
				break
			}
		}
		parts = append(parts, "PARTITION BY "+strings.Join(terms, ", "))
	}
	if p.accept("ORDER", "BY") {
		ordered = true
		parts = append(parts, "ORDER BY "+p.orderTerms(nil))
	}
	if t := p.peek(0); t.is("ROWS") || t.is("RANGE") {
		if !ordered {
			p.fail(&Error{Number: 10756, State: 1, Class: 15, Line: p.line(), Message: "Window frame with ROWS or RANGE must have an ORDER BY clause."})
		}
		parts = append(parts, p.windowFrame())
	}
	p.expectSymbol(")")
	return " OVER (" + strings.Join(parts, " ") + ")", ordered
}

// windowFrame parses ROWS or RANGE with its limits.
func (p *parser) windowFrame() string {
	kind := strings.ToUpper(p.next().text)
	if !p.accept("BETWEEN") {
		return kind + " " + p.windowLimit()
	}
	low := p.windowLimit()
	p.expect("AND")
	return kind + " BETWEEN " + low + " AND " + p.windowLimit()
}

// windowLimit parses UNBOUNDED PRECEDING, n FOLLOWING, CURRENT ROW and the like.
func (p *parser) windowLimit() string {
	if p.accept("CURRENT", "ROW") {
		return "CURRENT ROW"
	}
	from := "UNBOUNDED"
	if !p.accept("UNBOUNDED") {
		from = integerText(int64(p.smallNumber()))
	}
	if p.accept("PRECEDING") {
		return from + " PRECEDING"
	}
	p.expect("FOLLOWING")
	return from + " FOLLOWING"
}

// hasOver reports whether OVER follows the parenthesis that opens at the next token.
func (p *parser) hasOver() bool {
	depth := 0
	for i := 0; p.pos+i < len(p.tokens)-1; i++ {
		switch t := p.peek(i); {
		case t.isSymbol("("):
			depth++
		case t.isSymbol(")"):
			if depth--; depth == 0 {
				return p.peek(i + 1).is("OVER")
			}
		}
	}
	return false
}

// windowAggregate parses an aggregate function with OVER; its argument may be an aggregate.
func (p *parser) windowAggregate(name string) fragment {
	sig := aggregates[name]
	if p.in.noQuery || p.in.aggregate {
		p.unsupported("Clause", name+" … OVER within an aggregate, an argument or a value")
	}
	p.expectSymbol("(")
	f := fragment{typ: sig.typ}
	arg := fragment{sql: "*"}
	if sig.sql != "count" || !p.acceptSymbol("*") {
		if !p.accept("ALL") && p.accept("DISTINCT") {
			p.unsupported("Clause", "DISTINCT with OVER")
		}
		arg = p.value()
		p.summable(name, arg)
		arg.sql = arg.folded(name == "MIN" || name == "MAX")
	}
	p.expectSymbol(")")
	if sig.like > 0 {
		if f.typ = arg.typ; arg.column != "" && f.typ.Name == "" {
			f.typ = p.columnType(arg)
		}
	}
	over, _ := p.over()
	f.sql = sig.sql + "(" + arg.sql + ")" + over
	if name == "AVG" {
		f.sql = "(sum(" + arg.sql + ")" + over + " / count(" + arg.sql + ")" + over + ")"
	}
	return f
}

// stringAggregate parses STRING_AGG(value, separator) [WITHIN GROUP (ORDER BY …)].
func (p *parser) stringAggregate() fragment {
	if p.in.aggregate || p.in.noQuery {
		p.unsupported("Clause", "STRING_AGG within an aggregate, an argument or a value")
	}
	p.expectSymbol("(")
	p.in.aggregates++
	p.in.aggregate = true
	value := p.value()
	p.expectSymbol(",")
	separator := p.value()
	p.expectSymbol(")")
	order := ""
	if p.accept("WITHIN", "GROUP") {
		p.expectSymbol("(")
		p.expect("ORDER")
		p.expect("BY")
		order = " ORDER BY " + p.orderTerms(nil)
		p.expectSymbol(")")
	}
	p.in.aggregate = false
	typ := TypeSpec{Name: "nvarchar", Length: 4000}
	if value.typ.Name == "varchar" {
		typ = TypeSpec{Name: "varchar", Length: 8000}
	}
	return fragment{sql: "group_concat(" + value.sql + ", " + separator.sql + order + ")", typ: typ}
}
