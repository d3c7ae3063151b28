package tsql

import "strings"

// comparisons maps T-SQL's operators to SQLite's.
var comparisons = map[string]string{
	"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "<>": "<>", "!=": "<>", "!<": ">=", "!>": "<=",
}

// comparison parses a comparison, or a value if no comparison operator follows.
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
		return predicate(not, p.like(p.typed(left)))
	case p.accept("BETWEEN"):
		p.needValue(left)
		sql, eval := p.between(left)
		return predicate(not, sql).computed(not, eval)
	}
	return left
}

// predicate writes the text of a condition, negated if not.
func predicate(not bool, sql string) fragment {
	if not {
		sql = "NOT (" + sql + ")"
	}
	return fragment{sql: "(" + sql + ")", predicate: true}
}

// computed sets the evaluator of a predicate, negated if not.
func (f fragment) computed(not bool, eval evaluator) fragment {
	if f.eval = eval; not {
		f.eval = negated(eval)
	}
	return f
}

// compare writes a comparison. If no column determines the collation, the comparison ignores case.
func (p *parser) compare(operator string, a, b fragment) fragment {
	a, b = p.matchOther(a, b), p.matchOther(b, a)
	a, b = p.comparable(a, b)
	sql := a.sql + " " + operator + " " + b.sql
	fold := ignoresCase(a, b)
	if fold {
		sql += " COLLATE " + Collation
	}
	return predicate(false, sql).computed(false, comparing(operator, a.eval, b.eval, fold))
}

// comparable converts values of two types with different stored forms to one of the types.
func (p *parser) comparable(a, b fragment) (fragment, fragment) {
	first, second := p.typeOf(a), p.typeOf(b)
	a, b = p.exact(a), p.exact(b)
	switch {
	case first.Name == "datetimeoffset" || second.Name == "datetimeoffset":
		return asMoment(a), asMoment(b)
	case first.Name == second.Name, first.Name == "", second.Name == "":
	case first.isNumber() && second.isString() && !b.isConstant:
		b.typ = second
		return a, convertFragment(b, numberTypeFor(first), -1)
	case second.isNumber() && first.isString() && !a.isConstant:
		a.typ = first
		return convertFragment(a, numberTypeFor(second), -1), b
	case !first.isTemporal() || !second.isTemporal():
	case p.body != nil && first.isDateTime() && second.isDateTime():
		return p.asPrecise(a, b)
	default:
		a.typ, b.typ = first, second
		t := higher(first, second)
		t.Scale = max(t.Scale, 7*len(t.Name)/len("datetime2")) // all digits of a datetime2
		return a.convertedTo(t), b.convertedTo(t)
	}
	return a, b
}

// exact writes a decimal variable of a batch as a number: the text that a client sends for it may have more digits than
// the type.
func (p *parser) exact(f fragment) fragment {
	if p.body == nil && f.variable != "" && f.typ.Name == "decimal" {
		return convertFragment(f, f.typ, -1)
	}
	return f
}

// comparesDirectly reports whether two values can be compared without a conversion.
func (p *parser) comparesDirectly(a, b fragment) bool {
	first, second := p.comparable(a, b)
	return first.sql == a.sql && second.sql == b.sql
}

// numberTypeFor returns the type to which text is converted for a comparison with a number: a decimal with the largest
// exact number of digits.
func numberTypeFor(t TypeSpec) TypeSpec {
	if t.Name == "decimal" {
		return TypeSpec{Name: "decimal", Length: 38, Scale: t.Scale}
	}
	return t
}

// asMoment writes a date as a moment in time.
func asMoment(f fragment) fragment {
	return fragment{sql: "tsql_instant(" + f.sql + ")", typ: preciseType, eval: calling("tsql_instant", nil, f)}
}

// isTemporal reports whether the type is a date or time type.
func (t TypeSpec) isTemporal() bool {
	return t.isDateTime() || t.Name == "date" || t.Name == "time" || t.Name == "datetimeoffset"
}

// asPrecise converts a datetime to the form of the datetime2 that it is compared with, because its last digit stands
// for a third of 10 ms.
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

// ignoresCase reports whether a comparison needs a collation.
func ignoresCase(a, b fragment) bool {
	return a.column == "" && b.column == "" && a.typ.maybeText() && b.typ.maybeText()
}

// matchOther converts a string literal to the form of the other operand: a date to the stored form, a text compared
// with a number to a number.
func (p *parser) matchOther(f, other fragment) fragment {
	text, ok := f.constant.(string)
	if !ok {
		if p.body == nil && f.variable != "" && other.column != "" && f.typ.maybeText() { // trailing blanks do not count
			f.sql = "tsql_trimmed(" + f.sql + ")"
		}
		return f
	}
	typ := p.typeOf(other)
	switch {
	case typ.isTemporal():
		return p.dateLiteral(text, typ)
	case typ.isNumber():
		return convertFragment(f, typ, -1)
	case typ.Name == "" && other.column != "" && looksLikeDate(text):
		return fragment{sql: "tsql_as(" + other.sql + ", " + f.sql + ")"}
	case other.column != "" && strings.HasSuffix(text, " "):
		text = strings.TrimRight(text, " ")
		f.sql, f.constant, f.eval = quoteText(text), text, constantly(text)
	}
	return f
}

// dateLiteral returns the text as a literal in the stored form of a date type.
func (p *parser) dateLiteral(text string, typ TypeSpec) fragment {
	stored, err := toDateTime(text, typ)
	if err != nil {
		err.Line = int(p.tokens[max(p.pos-1, 0)].line)
		p.fail(err)
	}
	return fragment{sql: quoteText(stored), typ: typ, eval: constantly(stored)}
}

// looksLikeDate reports whether a string could be a date with a year.
func looksLikeDate(text string) bool {
	if len(text) < 8 || !isDigit(text[0]) {
		return false
	}
	_, err := ParseDateTime(text)
	return err == nil
}

// exists parses the tokens after EXISTS.
func (p *parser) exists() fragment {
	p.expectSymbol("(")
	sub := p.subquery()
	p.expectSymbol(")")
	return fragment{sql: "EXISTS (" + sub.sql + ")", predicate: true}
}

// membership parses the tokens after IN: values or a query.
func (p *parser) membership(left fragment) (string, evaluator) {
	p.expectSymbol("(")
	head := left.sql
	if left.column == "" && left.typ.maybeText() {
		head = "(" + head + " COLLATE " + Collation + ")"
	}
	if p.startsQuery() {
		sub := p.subquery()
		p.expectSymbol(")")
		return head + " IN (" + sub.sql + ")", nil
	}
	var values []string
	var list []fragment
	for {
		f := p.matchOther(p.value(), left)
		list = append(list, f)
		values = append(values, f.sql)
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	for _, f := range list {
		if !p.comparesDirectly(left, f) {
			return p.anyOf(left, list)
		}
	}
	return head + " IN (" + strings.Join(values, ", ") + ")", inList(left.eval, list, left.column == "" && left.typ.maybeText())
}

// anyOf writes IN as comparisons, each of which converts its two values to one type.
func (p *parser) anyOf(left fragment, list []fragment) (string, evaluator) {
	var conditions []string
	var parts []fragment
	for _, f := range list {
		one := p.compare("=", left, f)
		parts = append(parts, one)
		conditions = append(conditions, one.sql)
	}
	return strings.Join(conditions, " OR "), joined(parts, true)
}

// like parses the tokens after LIKE. T-SQL's patterns have [sets], which SQLite's LIKE does not have.
func (p *parser) like(left fragment) string {
	pattern := p.sum()
	p.needValue(pattern)
	escape := ""
	if p.accept("ESCAPE") {
		f := p.sum()
		p.needValue(f)
		escape = ", " + f.sql
	}
	sql := "tsql_like(" + pattern.sql + ", " + left.sql + escape + ")"
	if ascii(left.typ) && ascii(p.typeOf(pattern)) { // the trailing blanks of a char value may be missing
		sql += " OR tsql_like(" + pattern.sql + ", rtrim(" + left.sql + ")" + escape + ")"
	}
	return sql
}

// ascii reports whether the type is a text type that is not Unicode.
func ascii(t TypeSpec) bool { return t.Name == "char" || t.Name == "varchar" || t.Name == "text" }

// between parses the tokens after BETWEEN.
func (p *parser) between(left fragment) (string, evaluator) {
	low := p.sum()
	p.needValue(low)
	p.expect("AND")
	high := p.sum()
	p.needValue(high)
	low, high = p.matchOther(low, left), p.matchOther(high, left)
	if !p.comparesDirectly(left, low) || !p.comparesDirectly(left, high) {
		least, most := p.compare(">=", left, low), p.compare("<=", left, high)
		return least.sql + " AND " + most.sql, joined([]fragment{least, most}, false)
	}
	head := left.sql
	fold := ignoresCase(left, low) || ignoresCase(left, high)
	if fold {
		head = "(" + head + " COLLATE " + Collation + ")"
	}
	limits := []fragment{{eval: comparing(">=", left.eval, low.eval, fold)}, {eval: comparing("<=", left.eval, high.eval, fold)}}
	return head + " BETWEEN " + low.sql + " AND " + high.sql, joined(limits, false)
}
