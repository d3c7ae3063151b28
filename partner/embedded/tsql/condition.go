package tsql

// If is IF condition statement [ELSE statement]; a BEGIN … END block becomes the list of its
// statements.
type If struct {
	position
	Condition Expr // 1 if it is true
	Then      []Statement
	Else      []Statement
}

// ifStatement parses what follows IF.
func (p *parser) ifStatement(at position) Statement {
	p.in = &inputs{}
	line := p.line()
	f := p.condition()
	p.noColumns(line)
	st := &If{position: at, Condition: p.expression(f)}
	if !p.enter() {
		return st
	}
	defer p.leave()
	st.Then = p.branch()
	p.skipElseSemicolons()
	if p.accept("ELSE") {
		st.Else = p.branch()
	}
	return st
}

// branch parses the statement, or block, of an IF.
func (p *parser) branch() []Statement {
	if p.atEnd() {
		p.unexpected()
		return nil
	}
	return p.nested()
}

// nested parses a nested statement, one level deeper.
func (p *parser) nested() []Statement {
	depth := p.depth
	list := p.statementAt(false, depth)
	p.depth = depth
	return list
}

// skipElseSemicolons skips the semicolons before an ELSE, and no others.
func (p *parser) skipElseSemicolons() {
	ahead := 0
	for p.peek(ahead).isSymbol(";") {
		ahead++
	}
	if p.peek(ahead).is("ELSE") {
		p.pos += ahead
	}
}

// block parses the tokens after BEGIN, up to END.
func (p *parser) block() []Statement {
	if !p.enter() {
		return nil
	}
	var list []Statement
	for p.skipSemicolons(); !p.accept("END"); p.skipSemicolons() {
		if p.atEnd() {
			p.unexpected()
			return nil
		}
		list = append(list, p.nested()...)
	}
	if len(list) == 0 {
		p.unexpected()
	}
	p.leave()
	return list
}
