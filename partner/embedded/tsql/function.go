package tsql

import "strings"

// Function is a scalar function of the user's: CREATE or ALTER FUNCTION, taken apart. It runs as a [Procedure] does, and a RETURN
// gives its value. Its Procedure's Body has [*Return] with the value, which becomes what Returns says.
type Function struct {
	Procedure
	Returns TypeSpec
}

// ParseFunction is [ParseProcedure] for a scalar function. One that returns a table is refused by 40510. The error is an *Error.
func ParseFunction(text string, schema Schema) (*Function, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: withoutGo(tokens), schema: schema, body: &body{types: map[string]TypeSpec{}, tables: map[string][]Column{}, function: true}}
	f := p.function()
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

func (p *parser) function() *Function {
	p.in = &inputs{}
	if !p.accept("ALTER") {
		p.expect("CREATE")
		p.accept("OR", "ALTER")
	}
	p.expect("FUNCTION")
	f := &Function{Procedure: Procedure{Name: p.name()}}
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
	p.functionOptions()
	p.accept("AS")
	if !p.peek(0).is("BEGIN") {
		p.unexpected()
		return f
	}
	p.pos++
	f.Body = p.block()
	p.skipSemicolons()
	if p.err == nil && !p.atEnd() {
		p.unexpected()
	}
	if n := len(f.Body); p.err == nil {
		if _, ok := f.Body[n-1].(*Return); !ok {
			p.fail(&Error{Number: 455, State: 2, Class: 16, Line: p.line(), Message: "The last statement included within a function must be a return statement."})
		}
	}
	return f
}

// returnsScalar takes RETURNS and refuses a table.
func (p *parser) returnsScalar() {
	p.expect("RETURNS")
	if t := p.peek(0); t.is("TABLE") || t.kind == variableToken {
		p.unsupported("Statement", "CREATE FUNCTION … RETURNS TABLE")
	}
}

// functionOptions passes WITH SCHEMABINDING, RETURNS NULL ON NULL INPUT and the like.
func (p *parser) functionOptions() {
	if !p.accept("WITH") {
		return
	}
	for {
		switch t := p.peek(0); {
		case p.accept("SCHEMABINDING"), p.accept("ENCRYPTION"), p.accept("CALLED", "ON", "NULL", "INPUT"):
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

// scalarFunction looks at a function's head in a batch: only one that returns a value is known.
func (p *parser) scalarFunction() {
	if p.peek(0).isSymbol("(") {
		p.skipParentheses()
	}
	p.returnsScalar()
}

// userFunction parses a call of the user's function, whose name comes before: schema.name (arguments). The caller computes it, once
// a statement: its arguments can name no column.
func (p *parser) userFunction(n Name) fragment {
	if p.in.definition {
		p.unsupported("Function", n.String()+" in a definition")
		return fragment{}
	}
	line := p.line()
	outer := p.in
	var args []Expr
	p.expectSymbol("(")
	for !p.peek(0).isSymbol(")") && !p.atEnd() {
		p.in = &inputs{noQuery: true}
		if p.accept("DEFAULT") {
			p.unsupported("Clause", "DEFAULT as an argument of "+n.String())
		}
		args = append(args, p.expression(p.value()))
		if p.in.columns > 0 {
			p.fail(notSupported(line, "Function", n.String()+" of a column"))
		}
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.in = outer
	p.expectSymbol(")")
	call := SystemCall{Name: "FUNCTION", Function: n, Args: args, Param: "s" + integerText(int64(len(p.in.System)+1))}
	p.in.System = append(p.in.System, call)
	f := fragment{sql: "@" + call.Param}
	if p.body != nil {
		f.eval = ofSystem(call)
	}
	return f
}
