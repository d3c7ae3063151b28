package tsql

import (
	"database/sql/driver"
	"strconv"
	"strings"
)

// hoisted has what a procedure's query computes of variables and constants alone computed once, before it, and
// not by SQLite for each row: the value becomes a parameter, or a literal where it is constant.
func (p *parser) hoisted(f fragment) fragment {
	if p.err != nil || p.body == nil || !p.body.query || f.eval == nil || f.predicate || f.isConstant || f.variable != "" || strings.Contains(f.sql, "@s") {
		return f // what asks the session has one value a statement: SQLite gets it as a parameter
	}
	if !strings.Contains(f.sql, "@") {
		value, err := f.eval(&Values{})
		if sql, ok := literalSQL(value); ok && err == nil {
			f.sql = sql
		}
		return f
	}
	call := SystemCall{Param: "h" + strconv.Itoa(len(p.in.System)+1), Args: []Expr{{eval: f.eval}}}
	p.in.System = append(p.in.System, call)
	f.sql = "@" + call.Param
	return f
}

// literalSQL is a value as SQLite reads it.
func literalSQL(value driver.Value) (string, bool) {
	switch v := value.(type) {
	case int64:
		return strconv.FormatInt(v, 10), true
	case string:
		return quoteText(v), !strings.Contains(v, "\x00")
	}
	return "", false
}

// Hoisted is the expression whose value the call stands for, if it is one of variables and constants, to be computed by
// [Expr.Evaluate].
func (c *SystemCall) Hoisted() *Expr {
	if c.Name != "" {
		return nil
	}
	return &c.Args[0]
}

// keepUsed drops the calls that stand in none of the texts: a larger expression was hoisted around them.
func (in *Inputs) keepUsed(texts ...string) {
	kept := in.System[:0]
	for _, call := range in.System {
		for _, text := range texts {
			if call.Name != "" || hasParameter(text, "@"+call.Param) {
				kept = append(kept, call)
				break
			}
		}
	}
	in.System = kept
}

// hasParameter reports whether the text has the parameter.
func hasParameter(text, parameter string) bool {
	for {
		at := strings.Index(text, parameter)
		if at < 0 {
			return false
		}
		text = text[at+len(parameter):]
		if text == "" || !isParameterByte(text[0]) {
			return true
		}
	}
}

// undeclared writes a date's column so that SQLite does not tell its declared type: the driver would make a time of its text.
func (f fragment) undeclared() string {
	if f.column != "" && f.typ.isDateTime() {
		return "+" + f.sql
	}
	return f.sql
}

// noName gives a column of a result no name. The driver asks SQLite for the name, and for the declared type, of each column of
// each result: what has none costs nothing.
const noName = ` AS ""`

// anonymous writes a column so that SQLite does not tell its declared type.
func (f fragment) anonymous() string {
	if f.column != "" {
		return "+" + f.sql
	}
	return f.sql
}

// isBinary says whether values of the type are binaries.
func (t TypeSpec) isBinary() bool {
	return t.Name == "binary" || t.Name == "varbinary" || t.Name == "image"
}

// asItIs says whether a value of the first type is one of the other type as it stands: binaries of any length.
func asItIs(from, to TypeSpec) bool {
	return from.isBinary() && (to.Name == "image" || to.Name == "varbinary" && to.Max)
}
