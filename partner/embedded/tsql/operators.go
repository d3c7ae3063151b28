package tsql

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

// fragment is a part of an expression, written for SQLite so that it can be used
// anywhere without further parentheses, and its known properties.
type fragment struct {
	sql        string
	typ        TypeSpec
	predicate  bool   // true or false: allowed only as a condition
	column     string // of a plain column reference, with its qualifier
	qualifier  string
	variable   string // of a plain variable
	isConstant bool   // a literal; constant is its value
	constant   any
	eval       evaluator // in a procedure's body; nil: only SQLite can compute it
	decided    evaluator // if eval is nil: the value, or nil if only SQLite can compute it
}

// value parses an expression that has a value.
func (p *parser) value() fragment {
	f := p.disjunction()
	p.needValue(f)
	return f
}

// needValue fails for a condition where a value is required.
func (p *parser) needValue(f fragment) {
	if f.predicate {
		p.unexpected()
	}
}

// condition parses a condition, as in WHERE.
func (p *parser) condition() fragment {
	f := p.disjunction()
	p.needCondition(f)
	return f
}

// needCondition fails for a value where a condition is required.
func (p *parser) needCondition(f fragment) {
	if f.predicate || p.err != nil {
		return
	}
	near := p.tokens[max(p.pos-1, 0)]
	p.fail(&Error{Number: 4145, State: 1, Class: 15, Line: int(near.line), Message: fmt.Sprintf(
		"An expression of non-boolean type specified in a context where a condition is expected, near '%s'.", clip(near.plain(), 100))})
}

// disjunction parses conditions joined by OR, or a single value.
func (p *parser) disjunction() fragment {
	if !p.enter() {
		return fragment{}
	}
	defer p.leave()
	return p.chain("OR", p.conjunction)
}

// conjunction parses conditions joined by AND, or a single value.
func (p *parser) conjunction() fragment { return p.chain("AND", p.negation) }

// chain parses operands joined by the keyword.
func (p *parser) chain(word string, operand func() fragment) fragment {
	first := operand()
	if !p.peek(0).is(word) {
		return first
	}
	p.needCondition(first)
	parts, list := []string{first.sql}, []fragment{first}
	for p.accept(word) {
		f := operand()
		p.needCondition(f)
		list = append(list, f)
		if parts = append(parts, f.sql); len(parts) > maxDepth {
			p.tooDeep()
		}
	}
	return fragment{sql: "(" + strings.Join(parts, " "+word+" ") + ")", predicate: true, eval: joined(list, word == "OR"), decided: decidedBy(list, word == "OR")}
}

// negation parses NOT condition, or an operand without NOT.
func (p *parser) negation() fragment {
	if !p.accept("NOT") {
		return p.comparison()
	}
	if !p.enter() {
		return fragment{}
	}
	defer p.leave()
	f := p.negation()
	p.needCondition(f)
	return fragment{sql: "(NOT " + f.sql + ")", predicate: true, eval: negated(f.eval)}
}

// sum parses + - & ^ | from left to right; T-SQL gives them one precedence.
func (p *parser) sum() fragment {
	return p.leftToRight(p.product, "+", "-", "&", "^", "|")
}

// product parses * / % from left to right.
func (p *parser) product() fragment {
	return p.leftToRight(p.sign, "*", "/", "%")
}

// leftToRight parses operands joined by any of the operators.
func (p *parser) leftToRight(operand func() fragment, operators ...string) fragment {
	left := operand()
	for links := 0; ; links++ {
		operator := p.acceptAny(operators)
		if operator == "" {
			return left
		}
		if links == maxDepth {
			p.tooDeep()
		}
		p.needValue(left)
		right := operand()
		p.needValue(right)
		left = p.arithmetic(operator, p.typed(left), p.typed(right))
	}
}

// acceptAny takes one of the symbols, or nothing.
func (p *parser) acceptAny(symbols []string) string {
	for _, s := range symbols {
		if p.acceptSymbol(s) {
			return s
		}
	}
	return ""
}

// sign parses the unary operators. It folds a minus into a number, so that -1 is
// a constant.
func (p *parser) sign() fragment {
	operator := p.acceptAny([]string{"-", "+", "~"})
	if operator == "" {
		return p.primary()
	}
	if !p.enter() {
		return fragment{}
	}
	defer p.leave()
	f := p.typed(p.sign())
	p.needValue(f)
	switch n := f.constant.(type) {
	case int64:
		if operator == "-" && f.isConstant && f.typ.isNumber() {
			return fragment{sql: "(-" + f.sql + ")", typ: f.typ, isConstant: true, constant: -n, eval: constantly(-n)}
		}
	case float64:
		if operator == "-" {
			return fragment{sql: "(-" + f.sql + ")", typ: f.typ, isConstant: true, constant: -n, eval: constantly(-n)}
		}
	}
	if operator == "~" && f.typ.Name == "bit" {
		return fragment{sql: "(1 - " + f.sql + ")", typ: f.typ}
	}
	out := fragment{sql: "(" + operator + f.sql + ")", typ: f.typ}
	if f.typ.isInteger() {
		out.eval = ofOne(f.eval, func(v driver.Value) driver.Value { return signed(operator, v) })
	}
	return out
}

// signed computes a unary operator on an integer.
func signed(operator string, v driver.Value) driver.Value {
	n, ok := v.(int64)
	switch {
	case !ok:
		return v
	case operator == "-":
		return -n
	case operator == "~":
		return ^n
	}
	return n
}

// arithmetic writes an operation on two values.
func (p *parser) arithmetic(operator string, a, b fragment) fragment {
	a, b = p.asNumbers(operator, a, b)
	typ := resultType(operator, a, b)
	// Beyond 64 bits SQLite continues with floats, and T-SQL raises an error.
	native := a.typ.isNumber() && b.typ.isNumber() && typ.Name != "bigint"
	function := map[string]string{"+": "tsql_plus", "-": "tsql_minus", "/": "tsql_div", "%": "tsql_mod", "^": "tsql_xor"}[operator]
	switch {
	case operator == "%" && typ.isFloat():
		p.invalid(402, "The data types %s and %s are incompatible in the modulo operator.", a.typ.Name, b.typ.Name)
	case typ.Name == "decimal" || typ.isMoney():
		return decimalOperation(operator, typ, a, b)
	case operator == "/" && typ.isFloat():
		native, function = false, "tsql_fdiv"
	case operator == "/" || operator == "%": // T-SQL raises an error for a zero divisor
		n, _ := b.constant.(int64)
		native = b.isConstant && n > 0 && a.typ.isInteger()
	case operator == "^": // SQLite has no such operator
		native = false
	case operator == "*" || operator == "&" || operator == "|":
		native = true
	}
	var f fragment
	if native {
		f = fragment{sql: "(" + a.sql + " " + operator + " " + b.sql + ")", typ: typ}
		if a.typ.isNumber() && b.typ.isNumber() {
			if f.eval = integers(operator, a.eval, b.eval); function == "tsql_div" || function == "tsql_mod" {
				f.eval = calling(function, nil, a, b)
			}
		}
	} else {
		f = fragment{sql: function + "(" + a.sql + ", " + b.sql + ")", typ: typ, eval: calling(function, nil, a, b)}
	}
	if typ.Name == "tinyint" || typ.Name == "smallint" {
		return convertFragment(f, typ, -1)
	}
	return f
}

// asNumbers converts the text operand of a number to a number.
func (p *parser) asNumbers(operator string, a, b fragment) (fragment, fragment) {
	switch {
	case a.typ.isNumber() && b.typ.isString():
		b = convertFragment(b, a.typ, -1)
	case b.typ.isNumber() && a.typ.isString():
		a = convertFragment(a, b.typ, -1)
	case a.typ.Name == "bit" && b.typ.Name == "bit" && strings.Contains("+-*/%", operator):
		p.invalid(8117, "Operand data type bit is invalid for %s operator.", operatorNames[operator])
	case operator != "+" && a.typ.isString() && b.typ.isString():
		p.invalid(8117, "Operand data type %s is invalid for %s operator.", a.typ.Name, operatorNames[operator])
	}
	return a, b
}

// operatorNames are the names of the operators in errors.
var operatorNames = map[string]string{"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo", "&": "'&'", "|": "'|'", "^": "'^'"}

// invalid fails with an error at the line of the next token.
func (p *parser) invalid(number int32, format string, args ...any) {
	err := failure(number, 16, format, args...)
	err.Line = p.line()
	p.fail(err)
}

// isString reports whether values of the type are always text.
func (t TypeSpec) isString() bool {
	switch t.Name {
	case "char", "nchar", "varchar", "nvarchar", "text", "ntext":
		return true
	}
	return false
}

// tooDeep fails with error 191.
func (p *parser) tooDeep() {
	p.fail(&Error{Number: 191, State: 1, Class: 15, Line: p.line(),
		Message: "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries."})
}
