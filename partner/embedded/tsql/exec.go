package tsql

import (
	"fmt"
	"strings"
)

// exec parses a call of a procedure, from after EXEC on.
func (p *parser) exec(at position) Statement {
	e := &Exec{position: at}
	if p.peek(0).isVariable() && p.peek(1).isSymbol("=") {
		e.Return = p.declaredVariable()
		p.pos++
	}
	switch t := p.peek(0); {
	case t.is("AS"):
		p.unsupported("Statement", "EXECUTE AS")
	case t.isSymbol("("):
		p.unsupported("Statement", "EXECUTE of a string")
	case t.isVariable():
		p.unsupported("Statement", "EXECUTE of a procedure named by a variable")
	}
	e.Procedure = p.name()
	if p.startsArgument(p.peek(0)) {
		e.Args = append(e.Args, p.argument())
		for p.acceptSymbol(",") {
			arg := p.argument()
			if last := e.Args[len(e.Args)-1]; last.Name != "" && arg.Name == "" {
				p.positionAfterName(len(e.Args) + 1)
			}
			e.Args = append(e.Args, arg)
		}
	}
	p.accept("WITH", "RECOMPILE")
	if p.peek(0).is("WITH") && p.peek(1).is("RESULT") {
		p.unsupported("Clause", "WITH RESULT SETS")
	}
	p.finish()
	return e
}

// positionAfterName fails with 119: the n-th argument has no name, but an earlier argument has one.
func (p *parser) positionAfterName(n int) {
	p.fail(&Error{Number: 119, State: 1, Class: 15, Line: p.line(), Message: fmt.Sprintf("Must pass parameter number %d and subsequent parameters as '@name = value'. "+
		"After the form '@name = value' has been used, all subsequent parameters must be passed in the form '@name = value'.", n)})
}

// startsArgument reports whether a token can begin an argument, and not a statement.
func (p *parser) startsArgument(t token) bool {
	switch t.kind {
	case variableToken, stringToken, numberToken, binaryToken:
		return true
	case symbolToken:
		return t.text == "-" || t.text == "+"
	case wordToken:
		return t.isName() && !otherStatements[strings.ToUpper(t.text)] || t.is("NULL") || t.is("DEFAULT") || t.is("ON") || t.is("OFF")
	}
	return t.kind == quotedToken
}

// argument parses [@name =] value [OUTPUT] or DEFAULT.
func (p *parser) argument() Arg {
	var a Arg
	p.in = &inputs{noQuery: true}
	if p.peek(0).isVariable() && p.peek(1).isSymbol("=") {
		a.Name = p.variable()
		p.pos++
	}
	if p.accept("DEFAULT") {
		a.Default = true
		return a
	}
	a.Value = p.argumentValue()
	a.Variable = a.Value.Variable
	if p.accept("OUTPUT") || p.accept("OUT") {
		if a.Output = true; a.Variable == "" {
			p.fail(&Error{Number: 179, State: 1, Class: 15, Line: p.line(),
				Message: "Cannot use the OUTPUT option when passing a constant to a stored procedure."})
		}
	}
	return a
}

// argumentValue parses a constant, a variable, or a plain word, which is a string.
func (p *parser) argumentValue() Expr {
	t := p.peek(0)
	switch {
	case !p.startsArgument(t):
		p.unexpected()
		return Expr{}
	case t.is("NULL"):
		p.pos++
		return p.expression(fragment{sql: "NULL", isConstant: true})
	case t.kind == wordToken || t.kind == quotedToken:
		p.pos++
		text := t.plain()
		return p.expression(fragment{sql: quoteText(text), typ: TypeSpec{Name: "nvarchar", Length: max(1, len(text))},
			isConstant: true, constant: text})
	case t.kind == symbolToken && p.peek(1).kind != numberToken:
		p.unexpected()
		return Expr{}
	case t.kind == symbolToken:
		return p.expression(p.sign())
	}
	return p.expression(p.operand())
}
