package tsql

// Return is RETURN [status].
type Return struct {
	position
	Status *Expr // nil: 0
}

// Throw is THROW; without Number it rethrows the error that was caught.
type Throw struct {
	position
	Number, Message, State *Expr
}

// RaiseError is RAISERROR (message, severity, state, arguments).
type RaiseError struct {
	position
	Message, Severity, State Expr
	Args                     []Expr
	SetError                 bool // @@ERROR is set to its number, whatever the severity
}

// While is WHILE condition statement.
type While struct {
	position
	Condition Expr // 1 if it is true
	Body      []Statement
}

// Break is BREAK, and Continue CONTINUE, of the nearest WHILE.
type (
	Break    struct{ position }
	Continue struct{ position }
)

// Try is BEGIN TRY … END TRY BEGIN CATCH … END CATCH.
type Try struct {
	position
	Body, Catch []Statement
}

// flow parses a control-of-flow statement, or one that only a procedure's body may have; false: it is
// another statement.
func (p *parser) flow(at position, word string) (Statement, bool) {
	switch {
	case word == "RETURN":
		p.pos++
		return p.returns(at), true
	case word == "THROW":
		p.pos++
		return p.throw(at), true
	case word == "RAISERROR":
		p.pos++
		return p.raiseError(at), true
	case word == "WHILE":
		p.pos++
		return p.while(at), true
	case word == "BREAK" || word == "CONTINUE":
		if p.pos++; p.loops == 0 {
			p.fail(&Error{Number: 135, State: 1, Class: 15, Line: int(at), Message: "Cannot use a " + word + " statement outside the scope of a WHILE statement."})
		}
		p.finish()
		if word == "BREAK" {
			return &Break{at}, true
		}
		return &Continue{at}, true
	case p.accept("BEGIN", "TRY"):
		return p.try(at), true
	case (word == "CREATE" || word == "DROP") && p.peek(1).is("TABLE") && p.peek(2).isTemporary(),
		word == "DROP" && p.peek(1).is("TABLE") && p.peek(2).is("IF") && p.peek(3).is("EXISTS") && p.peek(4).isTemporary():
		return p.temporaryTable(at, word), true
	case p.body == nil:
		return nil, false
	case word == "DECLARE" && !p.peek(1).isVariable() && p.peek(2).is("CURSOR"):
		p.pos++
		return p.declareCursor(at), true
	case word == "OPEN" || word == "FETCH" || word == "CLOSE" || word == "DEALLOCATE":
		return p.cursor(at, word), true
	}
	return nil, false
}

func (p *parser) returns(at position) Statement {
	st := &Return{position: at}
	if p.body != nil && p.body.function != nil {
		e := p.returnValue(p.body.function.Returns)
		st.Status = &e
	} else if t := p.peek(0); t.kind == numberToken || t.kind == variableToken || t.isSymbol("-") || t.isSymbol("(") {
		if p.body == nil || p.body.trigger != nil {
			p.fail(&Error{Number: 178, State: 1, Class: 15, Line: int(at), Message: "A RETURN statement with a return value cannot be used in this context."})
		}
		e := p.scalar()
		st.Status = &e
	}
	p.finish()
	return st
}

func (p *parser) throw(at position) Statement {
	st := &Throw{position: at}
	if t := p.peek(0); t.kind == numberToken || t.isVariable() {
		for i, place := range []**Expr{&st.Number, &st.Message, &st.State} {
			if i > 0 {
				p.expectSymbol(",")
			}
			p.in = &inputs{noQuery: true}
			e := p.argumentValue()
			*place = &e
		}
	} else if p.caught == 0 {
		p.fail(&Error{Number: 10704, State: 1, Class: 15, Line: int(at), Message: "To rethrow an error, a THROW statement must be used inside a CATCH block."})
	}
	p.finish()
	return st
}

func (p *parser) raiseError(at position) Statement {
	st := &RaiseError{position: at}
	p.expectSymbol("(")
	for i := 0; ; i++ {
		p.in = &inputs{noQuery: true}
		e := p.argumentValue()
		switch i {
		case 0:
			st.Message = e
		case 1:
			st.Severity = e
		case 2:
			st.State = e
		default:
			st.Args = append(st.Args, e)
		}
		if !p.acceptSymbol(",") {
			if i < 2 {
				p.unexpected()
			}
			break
		}
	}
	p.expectSymbol(")")
	if p.accept("WITH") {
		for more := true; more; {
			sets := p.accept("SETERROR")
			st.SetError = st.SetError || sets
			more = sets || p.accept("NOWAIT") || p.acceptSymbol(",")
		}
	}
	p.finish()
	return st
}

func (p *parser) while(at position) Statement {
	p.in = &inputs{}
	line := p.line()
	f := p.condition()
	p.noColumns(line)
	st := &While{position: at, Condition: p.expression(f)}
	if !p.enter() {
		return st
	}
	defer p.leave()
	p.loops++
	st.Body = p.branch()
	p.loops--
	return st
}

func (p *parser) try(at position) Statement {
	st := &Try{position: at, Body: p.block()}
	p.expect("TRY")
	p.skipSemicolons()
	p.expectAll("BEGIN", "CATCH")
	p.caught++
	st.Catch = p.block()
	p.caught--
	p.expect("CATCH")
	return st
}
