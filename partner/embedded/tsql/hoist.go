package tsql

import (
	"database/sql/driver"
	"strconv"
	"strings"
)

// hoisted makes SQLite compute an expression of variables and constants once for a procedure's query, before the query,
// and not for each row: the value becomes a parameter, or a literal if it is constant.
func (p *parser) hoisted(f fragment) fragment {
	if p.err != nil || p.body == nil || !p.body.query || f.eval == nil || f.predicate || f.isConstant || f.variable != "" || strings.Contains(f.sql, "@s") {
		return f // a system value has one value per statement: SQLite gets it as a parameter
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

// literalSQL returns a value as a literal of SQLite.
func literalSQL(value driver.Value) (string, bool) {
	switch v := value.(type) {
	case int64:
		return strconv.FormatInt(v, 10), true
	case string:
		return quoteText(v), !strings.Contains(v, "\x00")
	}
	return "", false
}

// Hoisted returns the expression that the call stands for, if it consists of variables and constants; [Expr.Evaluate]
// computes it.
func (c *SystemCall) Hoisted() *Expr {
	if c.Name != "" {
		return nil
	}
	return &c.Args[0]
}

// keepUsed drops the calls that are in none of the texts: a larger expression that contains them was hoisted.
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

// undeclared writes a date column so that SQLite does not report its declared type; the driver would convert its text
// to a time.
func (f fragment) undeclared() string {
	if f.column != "" && f.typ.isDateTime() {
		return "+" + f.sql
	}
	return f.sql
}

// noName is an empty name for a result column. The driver asks SQLite for the name and the declared type of each column
// of each result; an empty name costs nothing.
const noName = ` AS ""`

// anonymous writes a column so that SQLite does not report its declared type.
func (f fragment) anonymous() string {
	if f.column != "" {
		return "+" + f.sql
	}
	return f.sql
}

// isBinary reports whether values of the type are binary values.
func (t TypeSpec) isBinary() bool {
	return t.Name == "binary" || t.Name == "varbinary" || t.Name == "image"
}

// needsNoConversion reports whether a value of the first type is a value of the other type without conversion: binary
// values of any length.
func needsNoConversion(from, to TypeSpec) bool {
	return from.isBinary() && (to.Name == "image" || to.Name == "varbinary" && to.Max)
}
