package tsql

import (
	"fmt"
	"strconv"
	"strings"
)

// synonyms maps the synonyms of types to the manual's main name.
var synonyms = map[string]string{
	"integer": "int", "dec": "decimal", "character": "char", "rowversion": "timestamp", "numeric": "decimal",
}

// typeSpec parses a data type. length is the default length of a string or
// binary type: 1 in a declaration, 30 in a conversion.
func (p *parser) typeSpec(length int) TypeSpec {
	if p.accept("DOUBLE", "PRECISION") {
		return TypeSpec{Name: "float"}
	}
	if t := p.peek(0); t.is("TABLE") || t.is("CURSOR") {
		p.unsupported("Type", strings.ToUpper(t.text))
		return TypeSpec{}
	}
	t := TypeSpec{Name: strings.ToLower(p.name().Object)}
	if first := synonyms[t.Name]; first != "" {
		t.Name = first
	}
	first, second, written := p.typeArguments(&t)
	switch t.Name {
	case "sysname":
		return TypeSpec{Name: "nvarchar", Length: 128}
	case "char", "nchar", "varchar", "nvarchar", "binary", "varbinary":
		if t.Length = first; !written {
			t.Length = length
		}
		p.checkLength(t)
	case "decimal":
		if t.Length, t.Scale = first, second; !written {
			t.Length = 18
		}
		p.checkPrecision(t)
	case "float":
		if written && first <= 24 { // Source: the manual's "float and real"
			t.Name = "real"
		}
	case "hierarchyid", "geometry", "geography", "vector", "json":
		p.unsupported("Type", t.Name)
	case "datetime2", "datetimeoffset", "time":
		if t.Scale = first; !written {
			t.Scale = 7
		}
		if t.Scale > 7 {
			p.fail(&Error{Number: 1002, State: 1, Class: 15, Line: p.line(), Message: fmt.Sprintf("Line %d: Specified scale %d is invalid.", p.line(), t.Scale)})
		}
	}
	return t
}

// typeArguments parses (n), (n, m) or (max), if there are any.
func (p *parser) typeArguments(t *TypeSpec) (first, second int, written bool) {
	if !p.acceptSymbol("(") {
		return 0, 0, false
	}
	if p.accept("MAX") {
		t.Max = true
	} else if first = p.smallNumber(); p.acceptSymbol(",") {
		second = p.smallNumber()
	}
	p.expectSymbol(")")
	return first, second, true
}

// checkLength refuses lengths that SQL Server refuses.
func (p *parser) checkLength(t TypeSpec) {
	limit := 8000
	if t.Name[0] == 'n' {
		limit = 4000
	}
	if t.Max || 0 < t.Length && t.Length <= limit {
		return
	}
	p.fail(&Error{Number: 131, State: 3, Class: 15, Line: p.line(), Message: fmt.Sprintf(
		"The size (%d) given to the type '%s' exceeds the maximum allowed for any data type (8000).", t.Length, t.Name)})
}

// checkPrecision refuses a precision and scale that SQL Server refuses.
func (p *parser) checkPrecision(t TypeSpec) {
	switch {
	case t.Length > 38:
		p.invalid(2750, "Column or parameter: Specified column precision %d is greater than the maximum precision of 38.", t.Length)
	case t.Length < 1:
		p.invalid(1001, "Line %d: Length or precision specification %d is invalid.", p.line(), t.Length)
	case t.Scale > t.Length:
		p.invalid(192, "The scale must be less than or equal to the precision.")
	}
}

// smallNumber takes a number without sign and fraction.
func (p *parser) smallNumber() int {
	n, err := strconv.ParseInt(p.peek(0).text, 10, 32)
	if err != nil || p.peek(0).kind != numberToken {
		p.unexpected()
		return 0
	}
	p.pos++
	return int(n)
}

// ParseType parses a data type as in a declaration, such as "nvarchar(88)", to
// build a Schema. The error is an *Error.
func ParseType(declaration string) (TypeSpec, error) {
	tokens, err := tokenize(declaration)
	if err != nil {
		return TypeSpec{}, err
	}
	p := &parser{tokens: tokens, in: &inputs{}}
	t := p.typeSpec(1)
	if !p.atEnd() {
		p.unexpected()
	}
	if p.err != nil {
		return TypeSpec{}, p.err
	}
	return t, nil
}
