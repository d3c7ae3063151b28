package tsql

import (
	"fmt"
	"strings"
)

// maxDepth limits the nesting of expressions and the length of a chain of operators: SQLite's own limit is a depth of
// 1000.
const maxDepth = 200

// parser parses the tokens of one batch. It keeps the first error and moves to the end of the batch, so that every loop
// and every caller ends soon; their results are discarded then.
type parser struct {
	tokens []token
	pos    int
	err    *Error
	depth  int
	in     *inputs // of the statement being parsed
	schema Schema
	// declared has the types of the variables that the batch declares, by name in lower case.
	declared map[string]TypeSpec
	body     *body               // of the procedure whose body is parsed; nil: a batch is parsed
	locals   map[string][]Column // table variables and temporary tables of a batch, by name in lower case
	loops    int                 // number of WHILE loops around the statement
	caught   int                 // number of CATCH blocks around the statement

	defined map[string]defined // tables that the text has defined so far; see defineKey
}

// peek returns the next token, or one further ahead.
func (p *parser) peek(ahead int) token {
	return p.tokens[min(p.pos+ahead, len(p.tokens)-1)]
}

// next takes a token; at the end it stays at the end token.
func (p *parser) next() token {
	t := p.peek(0)
	if t.kind != endToken {
		p.pos++
	}
	return t
}

// line returns the line of the next token.
func (p *parser) line() int { return int(p.peek(0).line) }

// atEnd reports whether no token is left, or an error has occurred.
func (p *parser) atEnd() bool { return p.peek(0).kind == endToken }

// fail stores the first error and ends the parsing.
func (p *parser) fail(err *Error) {
	if p.err == nil {
		p.err = err
	}
	p.pos = len(p.tokens) - 1
}

// unsupported fails with 40510 at the line of the next token.
func (p *parser) unsupported(kind, what string) {
	p.fail(notSupported(p.line(), kind, what))
}

// unexpected fails with 102 or 156 near the next token; at the end of the batch SQL Server names the last token.
func (p *parser) unexpected() {
	t := p.peek(0)
	if t.kind == endToken && p.pos > 0 {
		t = p.tokens[p.pos-1]
	}
	if t.kind == wordToken && reserved[strings.ToUpper(t.text)] {
		p.fail(&Error{Number: 156, State: 1, Class: 15, Line: int(t.line),
			Message: fmt.Sprintf("Incorrect syntax near the keyword '%s'.", t.text)})
		return
	}
	p.fail(syntaxNear(t.plain(), int(t.line)))
}

// enter goes one nesting level deeper and reports whether that is allowed; leave undoes it.
func (p *parser) enter() bool {
	if p.depth++; p.depth > maxDepth {
		p.tooDeep()
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

// is reports whether the token is this unquoted word, in any case.
func (t token) is(word string) bool {
	return t.kind == wordToken && strings.EqualFold(t.text, word)
}

// isSymbol reports whether the token is this operator or symbol.
func (t token) isSymbol(symbol string) bool {
	return t.kind == symbolToken && t.text == symbol
}

// isName reports whether the token can be a name: quoted, or not a reserved word.
func (t token) isName() bool {
	return t.kind == quotedToken || t.kind == wordToken && !reserved[strings.ToUpper(t.text)]
}

// plain returns the token's value, without quotes and with doubled quotes replaced by single ones.
func (t token) plain() string {
	switch t.kind {
	case quotedToken:
		mark := t.text[len(t.text)-1:]
		return strings.ReplaceAll(t.text[1:len(t.text)-1], mark+mark, mark)
	case stringToken:
		text := t.text[strings.IndexByte(t.text, '\'')+1 : len(t.text)-1]
		return continued(strings.ReplaceAll(text, "''", "'"))
	}
	return t.text
}

// accept takes the words if all of them come next.
func (p *parser) accept(words ...string) bool {
	for i, word := range words {
		if !p.peek(i).is(word) {
			return false
		}
	}
	p.pos += len(words)
	return true
}

// acceptSymbol takes the symbol if it comes next.
func (p *parser) acceptSymbol(symbol string) bool {
	if !p.peek(0).isSymbol(symbol) {
		return false
	}
	p.pos++
	return true
}

// expect takes the word, or fails.
func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.unexpected()
	}
}

// expectSymbol takes the symbol, or fails.
func (p *parser) expectSymbol(symbol string) {
	if !p.acceptSymbol(symbol) {
		p.unexpected()
	}
}

// identifier takes one name.
func (p *parser) identifier() string {
	if !p.peek(0).isName() {
		p.unexpected()
		return ""
	}
	return p.next().plain()
}

// name takes a name of one to four parts; middle parts may be empty.
func (p *parser) name() Name {
	parts := []string{p.identifier()}
	for p.acceptSymbol(".") {
		if p.peek(0).isSymbol(".") {
			parts = append(parts, "")
			continue
		}
		parts = append(parts, p.identifier())
	}
	if len(parts) > 4 {
		p.fail(&Error{Number: 117, State: 1, Class: 15, Line: p.line(), Message: fmt.Sprintf(
			"The object name '%s' contains more than the maximum number of prefixes. The maximum is 3.", clip(strings.Join(parts, "."), 200))})
		return Name{}
	}
	var n Name
	for i, target := range []*string{&n.Object, &n.Schema, &n.Database, &n.Server} {
		if i < len(parts) {
			*target = parts[len(parts)-1-i]
		}
	}
	return n
}

// variable takes a variable's name, in lower case.
func (p *parser) variable() string {
	t := p.peek(0)
	if !p.isVariable(t) {
		p.unexpected()
		return ""
	}
	p.pos++
	return strings.ToLower(t.text)
}

// declaredVariable takes a variable that the procedure has already declared (137).
func (p *parser) declaredVariable() string {
	line := p.line()
	name := p.variable()
	if p.err == nil {
		p.mustBeDeclared(name, line)
	}
	return name
}

// mustBeDeclared fails if a procedure's body uses a variable that it has not declared. For a batch this is checked when
// it runs, because its parameters may declare some.
func (p *parser) mustBeDeclared(name string, line int) {
	if p.body == nil {
		return
	}
	if _, known := p.body.types[name]; !known {
		p.fail(&Error{Number: 137, State: 1, Class: 15, Line: line, Message: fmt.Sprintf(`Must declare the scalar variable "%s".`, name)})
	}
}

// isVariable reports whether the token is a variable and not a system value.
func (t token) isVariable() bool {
	return t.kind == variableToken && !strings.HasPrefix(t.text, "@@")
}
