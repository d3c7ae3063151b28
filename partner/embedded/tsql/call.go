package tsql

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

// call parses a function call; the next tokens are the name and an opening parenthesis.
func (p *parser) call() fragment {
	t := p.next()
	name := strings.ToUpper(t.text)
	if p.body != nil && p.body.function != nil && (name == "NEWID" || name == "RAND") {
		e := sideEffect(strings.ToLower(name))
		e.Line = int(t.line)
		p.fail(e)
	}
	if _, ok := aggregates[name]; ok {
		if p.hasOver() {
			return p.windowAggregate(name)
		}
		return p.aggregateCall(name)
	}
	if sig, ok := windowFunctions[name]; ok {
		return p.windowCall(t, sig)
	}
	switch name {
	case "UPDATE":
		return p.updated(t)
	case "TRIGGER_NESTLEVEL":
		if !p.peek(1).isSymbol(")") {
			p.unsupported("Function", "TRIGGER_NESTLEVEL with arguments")
		}
	case "CONVERT", "TRY_CONVERT":
		return p.convert(name == "TRY_CONVERT")
	case "CAST", "TRY_CAST":
		return p.cast(name == "TRY_CAST")
	case "TRIM":
		return p.trim()
	case "DATALENGTH":
		return p.dataLength()
	case "IIF":
		return p.iif()
	case "STRING_AGG":
		return p.stringAggregate()
	}
	if sig, ok := dateFunctions[name]; ok {
		return p.dateCall(t, sig)
	}
	if f, ok := furtherFunctions[name]; ok {
		return p.furtherCall(t, name, f)
	}
	if part := datePartFunctions[name]; part != "" {
		args := p.arguments(t, 1, 1)
		return fragment{sql: "tsql_datepart('" + part + "', " + join(args) + ")", typ: intType, eval: calling("tsql_datepart", []driver.Value{part}, args...)}
	}
	if sig, ok := pureFunctions[name]; ok {
		return p.pureCall(t, name, sig)
	}
	// The session computes DB_ID(); DB_ID('x') is a look-up.
	if look, ok := lookups[name]; ok && !p.peek(1).isSymbol(")") && (!look.ofColumns || p.namesColumn()) {
		return p.lookup(t, look)
	}
	if sig, ok := systemFunctions[name]; ok && !strings.HasPrefix(name, "@@") {
		return p.systemCall(t, sig)
	}
	if p.functionNamed(t.text) != nil {
		p.fail(&Error{Number: 195, State: 10, Class: 15, Line: int(t.line), Message: fmt.Sprintf("'%s' is not a recognized built-in function name.", t.text)})
	}
	p.fail(notSupported(int(t.line), "Function", t.text))
	return fragment{}
}

// pureCall parses the arguments of a function that depends on nothing else, and determines its type.
func (p *parser) pureCall(t token, name string, sig signature) fragment {
	args := p.arguments(t, sig.min, sig.max)
	if len(args) < sig.min {
		return fragment{}
	}
	for i := range args {
		args[i] = p.typed(args[i])
	}
	typ := sig.result(args)
	switch name {
	case "ISNULL":
		if typ.Name == "" {
			typ = args[1].typ
		}
		args[1] = args[1].truncatedTo(typ)
	case "COALESCE":
		list := make([]*fragment, len(args))
		for i := range args {
			list[i] = &args[i]
		}
		typ = p.commonType(list...)
	case "LOWER", "UPPER", "LTRIM", "RTRIM", "TRIM", "LEFT", "RIGHT", "SUBSTRING":
		typ = textResult(args[0].typ, sig.typ)
	case "NULLIF":
		args[0].sql, args[1].sql = collated(args[0]), p.matchOther(args[1], args[0]).sql
	case "CONCAT", "REPLACE":
		typ = p.concatType(args)
	}
	return fragment{sql: sig.sql + "(" + join(args) + ")", typ: typ, eval: pure(name, sig.sql, args)}
}

// collated writes a text with a collation if no column determines one.
func collated(f fragment) string {
	if f.column == "" && f.typ.isString() {
		return "(" + f.sql + " COLLATE " + Collation + ")"
	}
	return f.sql
}

// truncatedTo converts a value to the type as a value of the type is stored: text and binary values are
// truncated.
func (f fragment) truncatedTo(t TypeSpec) fragment {
	switch {
	case f.typ.isString() && t.isString() && !t.Max && t.Length > 0 && (f.typ.Max || f.typ.Length > t.Length),
		f.typ.isBytes() && t.isBytes() && !t.Max && t.Length > 0 && (f.typ.Max || f.typ.Length > t.Length):
		return f.constantOr(t)
	}
	return f.convertedTo(t)
}

// concatType returns the type of concatenated texts.
func (p *parser) concatType(args []fragment) TypeSpec {
	t := TypeSpec{Name: "varchar", Length: 8000}
	for _, arg := range args {
		switch arg.typ.Name {
		case "", "nvarchar", "nchar", "ntext", "sql_variant":
			t.Name, t.Length = "nvarchar", 4000
		}
		t.Max = t.Max || arg.typ.Max
	}
	if t.Max {
		t.Length = 0
	}
	return t
}

// pure returns the evaluator of a function that depends only on its arguments; nil if only SQLite can
// compute it.
func pure(name, function string, args []fragment) evaluator {
	switch name {
	case "ISNULL", "COALESCE":
		return coalesce(args)
	case "NULLIF":
		return nullIf(args)
	}
	return calling(function, nil, args...)
}

// result returns the type of the function's value for its arguments.
func (s signature) result(args []fragment) TypeSpec {
	if s.like > 0 && s.like <= len(args) {
		return args[s.like-1].typ
	}
	return s.typ
}

// join writes the arguments as a list.
func join(args []fragment) string {
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = a.sql
	}
	return strings.Join(texts, ", ")
}

// arguments parses (a, b, …) and checks their number.
func (p *parser) arguments(function token, least, most int) []fragment {
	p.expectSymbol("(")
	var args []fragment
	if !p.peek(0).isSymbol(")") {
		args = append(args, p.value())
		for p.acceptSymbol(",") {
			args = append(args, p.value())
		}
	}
	p.expectSymbol(")")
	if p.err == nil && (len(args) < least || len(args) > most) {
		p.wrongCount(function, least, most)
		return nil
	}
	return args
}

// wrongCount fails with 174 or, if the number may vary, with 189.
func (p *parser) wrongCount(function token, least, most int) {
	name := strings.ToLower(function.text)
	err := &Error{Number: 174, State: 1, Class: 15, Line: int(function.line),
		Message: fmt.Sprintf("The %s function requires %d argument(s).", name, least)}
	if least != most {
		err.Number = 189
		err.Message = fmt.Sprintf("The %s function requires %d to %d arguments.", name, least, most)
	}
	p.fail(err)
}

// systemCall parses the arguments of a function that the caller evaluates. Their inputs are separate,
// because the caller evaluates the arguments separately.
func (p *parser) systemCall(t token, sig signature) fragment {
	outer := p.in
	var args []Expr
	p.expectSymbol("(")
	for !p.peek(0).isSymbol(")") && !p.atEnd() {
		p.in = &inputs{noQuery: true}
		args = append(args, p.expression(p.value()))
		if p.in.columns > 0 {
			p.fail(notSupported(int(t.line), "Function", t.text+" of a column"))
		}
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.in = outer
	p.expectSymbol(")")
	if p.err == nil && (len(args) < sig.min || len(args) > sig.max) {
		p.wrongCount(t, sig.min, sig.max)
	}
	return p.systemValue(strings.ToUpper(t.text), args)
}

// globalVariable parses @@NAME.
func (p *parser) globalVariable(t token) fragment {
	name := strings.ToUpper(t.text)
	if _, ok := systemFunctions[name]; !ok {
		p.fail(notSupported(int(t.line), "Function", t.text))
		return fragment{}
	}
	return p.systemValue(name, nil)
}

// systemValue writes the parameter of a system value. Two equal calls have the same parameter: within a
// statement such a call has one value.
func (p *parser) systemValue(name string, args []Expr) fragment {
	f := fragment{typ: systemFunctions[name].typ}
	if p.in.definition {
		return p.definedValue(name, f)
	}
	for _, known := range p.in.System {
		if known.Name == name && sameArguments(known.Args, args) {
			f.sql = "@" + known.Param
			if p.body != nil {
				f.eval = ofSystem(known)
			}
			return f
		}
	}
	call := SystemCall{Name: name, Args: args, Param: fmt.Sprintf("s%d", len(p.in.System)+1)}
	p.in.System = append(p.in.System, call)
	f.sql = "@" + call.Param
	if p.body != nil {
		f.eval = ofSystem(call)
	}
	return f
}

// sameArguments compares arguments by text. Arguments with system values are never equal, because their
// texts contain only parameters.
func sameArguments(a, b []Expr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].SQL != b[i].SQL || len(a[i].System) > 0 {
			return false
		}
	}
	return true
}

// expression returns a fragment as an Expr, with p.in's inputs.
func (p *parser) expression(f fragment) Expr {
	query := ""
	if p.body != nil {
		if !f.isConstant {
			f.sql = p.in.numbered(f.sql)
		}
		query = "SELECT " + f.sql + noName
	}
	return Expr{Query: query, eval: f.eval, decided: f.decided, Inputs: p.in.Inputs, SQL: f.sql, Type: f.typ, IsConstant: f.isConstant, Constant: f.constant, Variable: f.variable}
}

// aggregateCall parses the argument of an aggregate function.
func (p *parser) aggregateCall(name string) fragment {
	sig := aggregates[name]
	p.expectSymbol("(")
	if p.in.aggregate || p.in.noQuery {
		p.unsupported("Clause", name+" within an aggregate, an argument or a value")
	}
	p.in.aggregates++
	f := fragment{typ: sig.typ}
	if sig.sql == "count" && p.acceptSymbol("*") {
		p.expectSymbol(")")
		f.sql = "count(*)"
		return f
	}
	distinct := ""
	if !p.accept("ALL") && p.accept("DISTINCT") {
		distinct = "DISTINCT "
	}
	p.in.aggregate = true
	arg := p.typed(p.value())
	p.in.aggregate = false
	p.summable(name, arg)
	arg.sql = arg.folded(distinct != "" || name == "MIN" || name == "MAX")
	p.expectSymbol(")")
	if sig.like > 0 {
		f.typ = arg.typ
	}
	f.sql = sig.sql + "(" + distinct + arg.sql + ")"
	if name == "SUM" || name == "AVG" {
		return p.summed(name, distinct, arg)
	}
	return f
}

// summed writes SUM or AVG. The AVG of integers is an integer.
func (p *parser) summed(name, distinct string, arg fragment) fragment {
	typ, ok := sumType(name, arg.typ)
	if !ok {
		p.invalid(8117, "Operand data type %s is invalid for %s operator.", arg.typ.Name, strings.ToLower(name))
	}
	total := fragment{sql: "sum(" + distinct + arg.sql + ")"}
	number := fragment{sql: "count(" + distinct + arg.sql + ")", typ: intType}
	exact := typ.Name == "decimal" || typ.isMoney()
	switch {
	case exact && name == "AVG": // the sum has the scale of the summands
		sum, _ := sumType("SUM", arg.typ)
		return decimalOperation("/", typ, convertFragment(total, sum, -1), number)
	case name == "AVG" && typ.isFloat():
		return fragment{sql: "avg(" + distinct + arg.sql + ")", typ: typ}
	case name == "AVG":
		return fragment{sql: "(" + total.sql + " / " + number.sql + ")", typ: typ}
	case exact || typ.Name == "int": // SQLite adds beyond the type's range, and rounds
		return convertFragment(total, typ, -1)
	}
	total.typ = typ
	return total
}
