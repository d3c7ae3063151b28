package tsql

import (
	"fmt"
	"strings"
)

// declare parses the tokens after DECLARE.
func (p *parser) declare(at position) Statement {
	d := &Declare{position: at}
	for {
		if p.peek(0).kind != variableToken && p.peek(1).is("CURSOR") {
			p.unsupported("Statement", "DECLARE CURSOR")
		}
		v := Variable{Name: p.variable()}
		p.accept("AS")
		if p.accept("TABLE") {
			st := p.localTable(at, v.Name)
			p.finish()
			return st
		}
		v.Type = p.typeSpec(1)
		if p.acceptSymbol("=") {
			p.in = &inputs{}
			value := p.scalar()
			v.Init = &value
		}
		if p.body != nil {
			p.body.types[v.Name] = v.Type
		} else {
			if p.declared == nil {
				p.declared = map[string]TypeSpec{}
			}
			p.declared[v.Name] = v.Type
		}
		d.Vars = append(d.Vars, v)
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.finish()
	return d
}

// scalar parses an expression outside of a query: without columns, except those
// of its subqueries.
func (p *parser) scalar() Expr {
	line := p.line()
	f := p.value()
	p.noColumns(line)
	return p.expression(f)
}

// noColumns refuses an expression that names a column where columns are not
// allowed.
func (p *parser) noColumns(line int) {
	if p.in.columns > 0 {
		p.fail(&Error{Number: 128, State: 1, Class: 15, Line: line,
			Message: "The name is not permitted in this context. Valid expressions are constants, constant expressions, and (in some contexts) variables. Column names are not permitted."})
	}
}

// print parses the tokens after PRINT.
func (p *parser) print(at position) Statement {
	s := &Print{position: at}
	p.in.noQuery = true // PRINT does not allow a subquery (1046)
	s.Value = p.scalar()
	p.finish()
	return s
}

// compoundOperators are the compound assignment operators.
var compoundOperators = []string{"+=", "-=", "*=", "/=", "%=", "&=", "^=", "|="}

// assigned parses "= value" or "+= value"; old is the target's old value.
func (p *parser) assigned(old fragment) fragment {
	operator := p.acceptAny(compoundOperators)
	if operator == "" {
		p.expectSymbol("=")
		return p.value()
	}
	return p.arithmetic(operator[:1], old, p.value())
}

// set parses the tokens after SET: a variable or options of the session.
func (p *parser) set(at position) []Statement {
	if p.isVariable(p.peek(0)) {
		return []Statement{p.assign(at)}
	}
	if p.accept("TRANSACTION", "ISOLATION", "LEVEL") {
		return []Statement{p.isolationLevel(at)}
	}
	prefix := ""
	if p.accept("STATISTICS") {
		prefix = "STATISTICS "
	}
	if prefix == "" && p.accept("IDENTITY_INSERT") {
		s := &SetOption{position: at, Option: "IDENTITY_INSERT", Table: p.name()}
		s.Value = p.optionValue(true, s.Option)
		p.finish()
		return []Statement{s}
	}
	var statements []Statement
	for {
		name := p.optionName(prefix)
		statements = append(statements, &SetOption{position: at, Option: name})
		if !p.acceptSymbol(",") {
			break
		}
	}
	last := statements[len(statements)-1].(*SetOption)
	value := p.optionValue(len(statements) > 1 || onOffOptions[last.Option], last.Option)
	for _, s := range statements {
		s.(*SetOption).Value = value
	}
	p.finish()
	return statements
}

// assign parses SET @x = expr, and the compound assignments.
func (p *parser) assign(at position) Statement {
	s := &Assign{position: at, Variable: p.declaredVariable()}
	if operator := p.acceptAny(compoundOperators); operator != "" {
		old := fragment{sql: p.in.needParameter(s.Variable)}
		if p.body != nil {
			old.typ, old.eval = p.body.types[s.Variable], ofVariable(s.Variable)
		}
		line := p.line()
		f := p.arithmetic(operator[:1], old, p.typed(p.value()))
		p.noColumns(line)
		s.Value = p.expression(f)
	} else {
		p.expectSymbol("=")
		s.Value = p.scalar()
	}
	p.finish()
	return s
}

// isolationLevel parses the keywords of the level.
func (p *parser) isolationLevel(at position) Statement {
	s := &SetOption{position: at, Option: "TRANSACTION ISOLATION LEVEL"}
	for _, level := range []string{"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE"} {
		if p.accept(strings.Fields(level)...) {
			s.Value = level
			p.finish()
			return s
		}
	}
	p.unexpected()
	return s
}

// onOffOptions are ON or OFF.
var onOffOptions = wordSet(`
ANSI_DEFAULTS ANSI_NULLS ANSI_NULL_DFLT_OFF ANSI_NULL_DFLT_ON ANSI_PADDING ANSI_WARNINGS ARITHABORT ARITHIGNORE
CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT FMTONLY FORCEPLAN IMPLICIT_TRANSACTIONS NOCOUNT NOEXEC
NUMERIC_ROUNDABORT PARSEONLY QUOTED_IDENTIFIER REMOTE_PROC_TRANSACTIONS SHOWPLAN_ALL SHOWPLAN_TEXT SHOWPLAN_XML
XACT_ABORT NO_BROWSETABLE`)

// valueOptions have a value.
var valueOptions = wordSet(`
CONTEXT_INFO DATEFIRST DATEFORMAT DEADLOCK_PRIORITY LANGUAGE LOCK_TIMEOUT QUERY_GOVERNOR_COST_LIMIT ROWCOUNT TEXTSIZE`)

// optionName takes the name of an option, in upper case.
func (p *parser) optionName(prefix string) string {
	t := p.peek(0)
	name := prefix + strings.ToUpper(t.text)
	switch {
	case t.kind != wordToken:
		p.unexpected()
	case prefix != "" || onOffOptions[name] || valueOptions[name]:
		p.pos++
	case name == "OFFSETS" || name == "FIPS_FLAGGER":
		p.unsupported("Statement", "SET "+name)
	default:
		p.fail(&Error{Number: 195, State: 5, Class: 15, Line: int(t.line),
			Message: fmt.Sprintf("'%s' is not a recognized SET option.", t.text)})
	}
	return name
}

// optionValue takes ON or OFF, or the value of a value option.
func (p *parser) optionValue(onOff bool, option string) string {
	if onOff || strings.HasPrefix(option, "STATISTICS ") {
		for _, word := range []string{"ON", "OFF"} {
			if p.accept(word) {
				return word
			}
		}
		p.unexpected()
		return ""
	}
	sign := ""
	if p.acceptSymbol("-") {
		sign = "-"
	}
	t := p.peek(0)
	if t.kind == symbolToken || t.kind == endToken || sign != "" && t.kind != numberToken {
		p.unexpected()
		return ""
	}
	p.pos++
	if t.kind == wordToken && option != "LANGUAGE" {
		return strings.ToUpper(t.text)
	}
	return sign + t.plain()
}
