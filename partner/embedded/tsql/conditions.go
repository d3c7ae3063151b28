package tsql

import "strings"

// comparisons maps T-SQL's operators to SQLite's.
var comparisons = map[string]string{
	"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "<>": "<>", "!=": "<>", "!<": ">=", "!>": "<=",
}

// comparison parses a comparison, or the mere value that its left side would be.
func (p *parser) comparison() fragment {
	if p.accept("EXISTS") {
		return p.exists()
	}
	left := p.sum()
	if t := p.peek(0); t.kind == symbolToken && comparisons[t.text] != "" {
		p.needValue(left)
		p.pos++
		if next := p.peek(0); next.is("ALL") || next.is("ANY") || next.is("SOME") {
			return p.quantified(comparisons[t.text], left)
		}
		right := p.sum()
		p.needValue(right)
		return p.compare(comparisons[t.text], left, right)
	}
	if p.accept("IS") {
		p.needValue(left)
		not := p.accept("NOT")
		if p.peek(0).is("DISTINCT") {
			p.unsupported("Clause", "IS DISTINCT FROM")
		}
		p.expect("NULL")
		f := predicate(not, left.sql+" IS NULL")
		if f.eval = isNull(left.eval); not {
			f.eval = negated(f.eval)
		}
		return f
	}
	not := p.peek(0).is("NOT") && (p.peek(1).is("IN") || p.peek(1).is("LIKE") || p.peek(1).is("BETWEEN"))
	if not {
		p.pos++
	}
	switch {
	case p.accept("IN"):
		p.needValue(left)
		sql, eval := p.membership(left)
		return predicate(not, sql).computed(not, eval)
	case p.accept("LIKE"):
		p.needValue(left)
		return predicate(not, p.like(left))
	case p.accept("BETWEEN"):
		p.needValue(left)
		sql, eval := p.between(left)
		return predicate(not, sql).computed(not, eval)
	}
	return left
}

// predicate wraps a condition's text, negated if not.
func predicate(not bool, sql string) fragment {
	if not {
		sql = "NOT (" + sql + ")"
	}
	return fragment{sql: "(" + sql + ")", predicate: true}
}

// computed gives a predicate its evaluator, negated if not.
func (f fragment) computed(not bool, eval evaluator) fragment {
	if f.eval = eval; not {
		f.eval = negated(eval)
	}
	return f
}

// compare writes a comparison. Where no column brings its collation along,
// the comparison is told to ignore case.
func (p *parser) compare(operator string, a, b fragment) fragment {
	a, b = p.likeOther(a, b), p.likeOther(b, a)
	a, b = p.asPrecise(a, b)
	sql := a.sql + " " + operator + " " + b.sql
	fold := ignoresCase(a, b)
	if fold {
		sql += " COLLATE NOCASE"
	}
	return predicate(false, sql).computed(false, comparing(operator, a.eval, b.eval, fold))
}

// asPrecise brings a datetime to the form of the datetime2 that it is compared with: its last digit stands for a
// third of 10 ms.
func (p *parser) asPrecise(a, b fragment) (fragment, fragment) {
	if p.body == nil {
		return a, b
	}
	first, second := p.typeOf(a).Name, p.typeOf(b).Name
	switch {
	case first == "datetime" && second == "datetime2":
		a = widened(a)
	case first == "datetime2" && second == "datetime":
		b = widened(b)
	}
	return a, b
}

func widened(f fragment) fragment {
	eval := calling("tsql_precise", nil, f)
	if f.column == "" && f.variable == "" {
		f.sql = "tsql_precise(" + f.sql + ")"
	} else {
		f.sql = "(" + f.sql + " || CASE substr(" + f.sql + ", -1) WHEN '3' THEN '3333' WHEN '7' THEN '6667' ELSE '0000' END)"
	}
	f.eval = eval
	return f
}

// ignoresCase says whether a comparison needs a collation of its own.
func ignoresCase(a, b fragment) bool {
	return a.column == "" && b.column == "" && a.typ.maybeText() && b.typ.maybeText()
}

// likeOther brings a literal string to the form of what it is compared with:
// dates to the stored form, numbers beside a number to a number.
func (p *parser) likeOther(f, other fragment) fragment {
	text, ok := f.constant.(string)
	if !ok {
		return f
	}
	typ := other.typ
	if other.column != "" {
		typ = p.columnType(other)
	}
	switch {
	case typ.isDateTime(), typ.Name == "date", typ.Name == "time", typ.Name == "datetimeoffset":
		return p.dateLiteral(text, typ)
	case typ.isNumber():
		return convertFragment(f, typ, -1)
	case typ.Name == "" && other.column != "" && looksLikeDate(text):
		return fragment{sql: "tsql_as(" + other.sql + ", " + f.sql + ")"}
	}
	return f
}

// dateLiteral is the text as a literal in the stored form of a date type.
func (p *parser) dateLiteral(text string, typ TypeSpec) fragment {
	stored, err := toDateTime(text, typ)
	if err != nil {
		err.Line = int(p.tokens[max(p.pos-1, 0)].line)
		p.fail(err)
	}
	return fragment{sql: quoteText(stored), typ: typ, eval: constantly(stored)}
}

// looksLikeDate says whether a string could be meant as a date with a year.
func looksLikeDate(text string) bool {
	if len(text) < 8 || !isDigit(text[0]) {
		return false
	}
	_, err := ParseDateTime(text)
	return err == nil
}

// exists parses what follows EXISTS.
func (p *parser) exists() fragment {
	p.expectSymbol("(")
	sub := p.subquery()
	p.expectSymbol(")")
	return fragment{sql: "EXISTS (" + sub.sql + ")", predicate: true}
}

// membership parses what follows IN: values or a query.
func (p *parser) membership(left fragment) (string, evaluator) {
	p.expectSymbol("(")
	head := left.sql
	if left.column == "" && left.typ.maybeText() {
		head = "(" + head + " COLLATE NOCASE)"
	}
	if p.startsQuery() {
		sub := p.subquery()
		p.expectSymbol(")")
		return head + " IN (" + sub.sql + ")", nil
	}
	var values []string
	var list []fragment
	for {
		f := p.likeOther(p.value(), left)
		list = append(list, f)
		values = append(values, f.sql)
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	return head + " IN (" + strings.Join(values, ", ") + ")", among(left.eval, list, left.column == "" && left.typ.maybeText())
}

// like parses what follows LIKE. T-SQL's patterns have [sets], so SQLite's own won't do.
func (p *parser) like(left fragment) string {
	pattern := p.sum()
	p.needValue(pattern)
	sql := "tsql_like(" + pattern.sql + ", " + left.sql
	if p.accept("ESCAPE") {
		escape := p.sum()
		p.needValue(escape)
		sql += ", " + escape.sql
	}
	return sql + ")"
}

// between parses what follows BETWEEN.
func (p *parser) between(left fragment) (string, evaluator) {
	low := p.sum()
	p.needValue(low)
	p.expect("AND")
	high := p.sum()
	p.needValue(high)
	low, high = p.likeOther(low, left), p.likeOther(high, left)
	head := left.sql
	fold := ignoresCase(left, low) || ignoresCase(left, high)
	if fold {
		head = "(" + head + " COLLATE NOCASE)"
	}
	limits := []fragment{{eval: comparing(">=", left.eval, low.eval, fold)}, {eval: comparing("<=", left.eval, high.eval, fold)}}
	return head + " BETWEEN " + low.sql + " AND " + high.sql, joined(limits, false)
}
