package tsql

import "strings"

// quantified parses ALL, ANY or SOME and the query after a comparison. ALL has the result of the comparisons with each
// value joined by AND; ANY and SOME have the result of the comparisons joined by OR.
func (p *parser) quantified(operator string, left fragment) fragment {
	all := strings.EqualFold(p.next().text, "ALL")
	p.expectSymbol("(")
	s := p.subquery()
	p.expectSymbol(")")
	if len(s.columns) != 1 || s.columns[0].Star {
		p.fail(&Error{Number: 116, State: 1, Class: 16, Line: p.line(),
			Message: "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."})
		return fragment{}
	}
	one := p.compare(operator, left, fragment{sql: "[$value]", typ: s.typ})
	exists := func(condition string) string {
		return "EXISTS (WITH [$values] ([$value]) AS (" + s.sql + ") SELECT 1 FROM [$values] WHERE " + condition + ")"
	}
	decides, otherwise := one.sql, "0"
	answer := "1"
	if all {
		decides, answer, otherwise = "NOT "+one.sql, "0", "1"
	}
	return fragment{sql: "(CASE WHEN " + exists(decides) + " THEN " + answer + " WHEN " + exists(one.sql+" IS NULL") + " THEN NULL ELSE " + otherwise + " END)", predicate: true}
}

// summable refuses SUM and AVG of a type that is not numeric; SQLite would add 0 for its values.
func (p *parser) summable(name string, arg fragment) {
	typ := arg.typ
	if arg.column != "" && typ.Name == "" {
		typ = p.columnType(arg)
	}
	if name != "SUM" && name != "AVG" || typ.Name == "" || typ.Name == "sql_variant" || typ.Name == "collated" || typ.isNumber() && typ.Name != "bit" {
		return
	}
	p.fail(&Error{Number: 8117, State: 1, Class: 16, Line: p.line(),
		Message: "Operand data type " + typ.Name + " is invalid for " + strings.ToLower(name) + " operator."})
}
