package tsql

import (
	"slices"
	"strings"
)

// Function is a parsed CREATE or ALTER FUNCTION of a scalar function. It runs as a [Procedure] does, and RETURN sets
// its value. Its Procedure's Body has [*Return] with the value, converted to the type Returns. The body writes nothing
// (443), and returns no rows (444).
type Function struct {
	Procedure
	Returns TypeSpec
	// NullOfNull: its value is NULL if an argument is NULL, and its body does not run (RETURNS NULL ON NULL INPUT).
	NullOfNull bool
}

// FunctionSchema is the schema of the name with which a [Schema] is called for a scalar function. The columns are the
// value, under the name "", and the parameters.
const FunctionSchema = "()"

// Signature returns the function's columns for a [Schema].
func (f *Function) Signature() []Column {
	list := []Column{{Type: f.Returns}}
	for _, q := range f.Params {
		list = append(list, Column{Name: q.Written, Type: q.Type})
	}
	return list
}

// ParseFunction is [ParseProcedure] for a scalar function. Error 40510 refuses one that returns a table. The error is
// an *Error.
func ParseFunction(text string, schema Schema) (*Function, error) {
	return parseFunction(text, schema, true)
}

// ParseFunctionHead is ParseFunction without the body.
func ParseFunctionHead(text string) (*Function, error) { return parseFunction(text, nil, false) }

func parseFunction(text string, schema Schema, whole bool) (*Function, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	f := &Function{}
	p := &parser{tokens: withoutGo(tokens), schema: schema, body: &body{types: map[string]TypeSpec{}, tables: map[string][]Column{}, function: f}}
	if p.functionHead(f); whole {
		p.functionBody(f)
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

// functionHead parses everything before the body.
func (p *parser) functionHead(f *Function) {
	p.in = &inputs{}
	if !p.accept("ALTER") {
		p.expect("CREATE")
		p.accept("OR", "ALTER")
	}
	p.expect("FUNCTION")
	f.Name = p.name()
	p.expectSymbol("(")
	for p.peek(0).kind == variableToken {
		f.Params = append(f.Params, p.param())
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	p.returnsScalar()
	f.Returns = p.typeSpec(1)
	p.functionOptions(f)
	p.accept("AS")
}

// functionBody parses BEGIN … END.
func (p *parser) functionBody(f *Function) {
	if !p.peek(0).is("BEGIN") {
		p.unexpected()
		return
	}
	p.pos++
	f.Body = p.block()
	p.skipSemicolons()
	if p.err == nil && !p.atEnd() {
		p.unexpected()
	}
	if p.err != nil {
		return
	}
	p.checkEffects(f.Body)
	if _, ok := f.Body[len(f.Body)-1].(*Return); !ok {
		p.fail(&Error{Number: 455, State: 2, Class: 16, Line: p.line(), Message: "The last statement included within a function must be a return statement."})
	}
}

// returnsScalar takes RETURNS and refuses a table.
func (p *parser) returnsScalar() {
	p.expect("RETURNS")
	if t := p.peek(0); t.is("TABLE") || t.kind == variableToken {
		p.unsupported("Statement", "CREATE FUNCTION … RETURNS TABLE")
	}
}

// functionOptions skips WITH SCHEMABINDING and similar options.
func (p *parser) functionOptions(f *Function) {
	if !p.accept("WITH") {
		return
	}
	for {
		switch t := p.peek(0); {
		case p.accept("SCHEMABINDING"), p.accept("ENCRYPTION"), p.accept("CALLED", "ON", "NULL", "INPUT"), p.accept("EXECUTE", "AS", "CALLER"):
		case p.accept("RETURNS", "NULL", "ON", "NULL", "INPUT"):
			f.NullOfNull = true
		case p.accept("INLINE"):
			p.expectSymbol("=")
			p.pos++
		default:
			p.unsupported("Clause", "CREATE FUNCTION … WITH "+strings.ToUpper(t.text))
			return
		}
		if !p.acceptSymbol(",") {
			return
		}
	}
}

// scalarFunction checks a function's head in a batch: only functions that return a value are supported.
func (p *parser) scalarFunction() {
	if p.peek(0).isSymbol("(") {
		p.skipParentheses()
	}
	p.returnsScalar()
}

// checkEffects refuses statements that a function's body must not have.
func (p *parser) checkEffects(list []Statement) {
	for _, st := range list {
		if e := effectError(st); e != nil {
			e.Line = st.Line()
			p.fail(e)
			return
		}
		switch st := st.(type) {
		case *If:
			p.checkEffects(st.Then)
			p.checkEffects(st.Else)
		case *While:
			p.checkEffects(st.Body)
		}
	}
}

// effectError returns the error for a statement that is not allowed in a function.
func effectError(st Statement) *Error {
	switch st := st.(type) {
	case *Query:
		switch {
		case st.Kind == Select && st.Assigns == nil:
			return failure(444, 16, "Select statements included within a function cannot return data to a client.")
		case st.Kind != Select:
			return sideEffect(st.Kind.String())
		}
	case *CreateLocal:
		if strings.HasPrefix(st.Name, "#") {
			return failure(2772, 16, "Cannot access temporary tables from within a function.")
		}
		return notSupported(st.Line(), "Clause", "a table variable in a function")
	case *DropLocal:
		return failure(2772, 16, "Cannot access temporary tables from within a function.")
	case *Merge:
		return sideEffect("MERGE")
	case *Print:
		return sideEffect("PRINT")
	case *RaiseError:
		return sideEffect("RAISERROR")
	case *Throw:
		return sideEffect("THROW")
	case *Try:
		return sideEffect("BEGIN TRY")
	case *Transaction:
		return sideEffect([...]string{"BEGIN TRANSACTION", "COMMIT TRANSACTION", "ROLLBACK TRANSACTION", "SAVE TRANSACTION"}[st.Action])
	case *SetOption:
		return sideEffect("SET OPTION " + st.Value)
	case *Definition:
		return sideEffect(st.Verb + " " + st.Kind)
	}
	return nil
}

// sideEffect returns error 443.
func sideEffect(what string) *Error {
	e := failure(443, 16, "Invalid use of a side-effecting operator '%s' within a function.", what)
	e.State = 14
	return e
}

// functionNamed returns the columns of the function of that name from the schema; nil: the schema has no such function.
func (p *parser) functionNamed(name string) []Column {
	if p.body != nil && p.body.function != nil && strings.EqualFold(p.body.function.Name.Object, name) {
		return p.body.function.Signature()
	}
	if p.schema == nil {
		return nil
	}
	return p.schema(Name{Schema: FunctionSchema, Object: name})
}

// userFunction parses a call of a user-defined function, whose name was parsed before: schema.name (arguments). It
// writes tsql_call (caller, name, which are DEFAULT, arguments); see [NewCaller].
func (p *parser) userFunction(n Name) fragment {
	line := p.line()
	switch {
	case p.in.definition:
		p.unsupported("Function", n.String()+" in a definition")
	case n.Database != "":
		p.unsupported("Function", n.String()+" with the name of a database")
	}
	known := p.functionNamed(n.Object)
	var defaults, args string
	number := 0
	p.expectSymbol("(")
	for !p.peek(0).isSymbol(")") && !p.atEnd() {
		number++
		if p.accept("DEFAULT") {
			defaults, args = defaults+"d", args+", NULL"
		} else {
			f := p.typed(p.value())
			p.needValue(f)
			if number < len(known) {
				f = p.convertTo(f, known[number].Type)
			}
			defaults, args = defaults+".", args+", "+f.sql
		}
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.expectSymbol(")")
	f := fragment{sql: "tsql_call(" + p.caller(n) + ", " + quoteText(n.Object) + ", '" + defaults + "'" + args + ")"}
	if known == nil {
		return f
	}
	f.typ = known[0].Type
	var e *Error
	switch {
	case number < len(known)-1:
		e = failure(313, 16, "An insufficient number of arguments were supplied for the procedure or function %s.", n)
	case number > len(known)-1:
		e = failure(8144, 16, "Procedure or function %s has too many arguments specified.", n)
	default:
		return f
	}
	e.Line, e.State = line, 2
	p.fail(e)
	return f
}

// caller returns the parameter with which SQLite's function finds the caller of the user-defined function.
func (p *parser) caller(n Name) string {
	for _, known := range p.in.System {
		if known.Name == "FUNCTION" && known.Function == n {
			return "@" + known.Param
		}
	}
	call := SystemCall{Name: "FUNCTION", Function: n, Param: "s" + integerText(int64(len(p.in.System)+1))}
	p.in.System = append(p.in.System, call)
	return "@" + call.Param
}

// convertTo converts a value to the type of a variable.
func (p *parser) convertTo(f fragment, typ TypeSpec) fragment {
	if !convertible(typ.Name) || f.isConstant && f.constant == nil || p.holds(f, typ) {
		return f
	}
	return convertFragment(f, typ, -1)
}

// returnValue parses the value of a function's RETURN.
func (p *parser) returnValue(typ TypeSpec) Expr {
	line := p.line()
	f := p.typed(p.value())
	p.needValue(f)
	p.noColumns(line)
	return p.expression(p.convertTo(f, typ))
}

// callsFunctions reports whether the statement calls a user-defined function. Such a function may read the table that
// the statement writes, and must see it as it was before.
func (p *parser) callsFunctions() bool {
	return slices.ContainsFunc(p.in.System, func(c SystemCall) bool { return c.Name == "FUNCTION" })
}

// materialized writes a query that is computed completely before its first row is used.
func materialized(query string) string {
	return " WITH [$all] AS MATERIALIZED (" + strings.TrimSpace(query) + ") SELECT * FROM [$all]"
}
