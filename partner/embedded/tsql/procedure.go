package tsql

import "strings"

// Procedure is a parsed CREATE or ALTER PROCEDURE. It is immutable after ParseProcedure has returned it.
type Procedure struct {
	Name   Name
	Text   string // as it was written
	Params []Param
	Body   []Statement
}

// Param is a parameter of a procedure.
type Param struct {
	Name     string // lower case, with its "@"
	Written  string // as it was written
	Type     TypeSpec
	Optional bool // a call may omit it; Default is its value then
	Default  any  // a constant: nil, int64, float64, string or []byte
	Output   bool
}

// ParseProcedure parses the text of CREATE [OR ALTER] or ALTER PROCEDURE name parameters AS body. It parses the whole
// body, so that an error in it is found when the procedure is created. The error is an *Error. Statements of the body
// are translated to SQLite like those of a batch. In addition to those of Parse a body may have
//
//	RETURN with a status
//	OUTPUT of inserted and deleted columns, to the client or INTO a table; UPDATE … SET @v = …
//	table variables, temporary tables (#t) and cursors
//
// In a body variables have their declared types. The schema determines the types of columns: a datetime is converted
// for a comparison with a datetime2, and a value of the column's type is stored without conversion.
func ParseProcedure(text string, schema Schema) (*Procedure, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: withoutGo(tokens), schema: schema, body: &body{types: map[string]TypeSpec{}, tables: map[string][]Column{}}}
	proc := p.procedure()
	if p.err != nil {
		return nil, p.err
	}
	proc.Text = text
	return proc, nil
}

// body is the parser's state for the procedure whose body it parses.
type body struct {
	types  map[string]TypeSpec // of variables, by name in lower case
	tables map[string][]Column // table variables and temporary tables, by name in lower case
	query  bool                // the statement is a query: constant subexpressions are hoisted

	trigger  *Trigger  // of a trigger's body
	function *Function // of a function's body: RETURN has a value of any type; nil: not a function
}

// procedure parses the whole procedure.
func (p *parser) procedure() *Procedure {
	p.in = &inputs{}
	if !p.accept("ALTER") {
		p.expect("CREATE")
		p.accept("OR", "ALTER")
	}
	if !p.accept("PROC") {
		p.expect("PROCEDURE")
	}
	d := &Procedure{Name: p.name()}
	parentheses := p.acceptSymbol("(")
	for p.peek(0).kind == variableToken {
		d.Params = append(d.Params, p.param())
		if !p.acceptSymbol(",") {
			break
		}
	}
	if parentheses {
		p.expectSymbol(")")
	}
	if p.accept("WITH") {
		for p.accept("RECOMPILE") || p.accept("ENCRYPTION") || p.acceptSymbol(",") {
			continue
		}
	}
	p.expect("AS")
	for p.skipSemicolons(); !p.atEnd(); p.skipSemicolons() {
		d.Body = append(d.Body, p.statement(false)...)
	}
	return d
}

// param parses @name type [= constant] [OUTPUT].
func (p *parser) param() Param {
	q := Param{Written: p.next().text}
	q.Name = strings.ToLower(q.Written)
	p.body.types[q.Name] = TypeSpec{} // its name may begin with @@
	p.accept("AS")
	q.Type = p.typeSpec(1)
	if p.acceptSymbol("=") {
		q.Optional = true
		switch f := p.argumentValue(); {
		case !f.IsConstant:
			p.unexpected()
		default:
			q.Default = f.Constant
		}
	}
	q.Output = p.accept("OUTPUT") || p.accept("OUT")
	p.body.types[q.Name] = q.Type
	return q
}

// isVariable reports whether the token is a variable, even a procedure's own that looks like a system value.
func (p *parser) isVariable(t token) bool {
	if t.isVariable() || p.body == nil || t.kind != variableToken {
		return t.isVariable()
	}
	_, own := p.body.types[strings.ToLower(t.text)]
	return own
}

// typeOf returns the type of an expression, if the text and the schema determine it.
func (p *parser) typeOf(f fragment) TypeSpec {
	if f.typ.Name != "" {
		return f.typ
	}
	return p.columnType(f)
}

// typed sets the fragment's type within a procedure.
func (p *parser) typed(f fragment) fragment {
	f.typ = p.typeOf(f)
	return f
}

// local returns the columns of a table variable or a temporary table; nil for another table.
func (p *parser) local(n Name) []Column {
	if p.body == nil {
		return p.locals[strings.ToLower(n.Object)]
	}
	columns := p.body.tables[strings.ToLower(n.Object)]
	if columns == nil && p.schema != nil && strings.HasPrefix(n.Object, "#") {
		return p.schema(n) // a table of a caller
	}
	return columns
}
