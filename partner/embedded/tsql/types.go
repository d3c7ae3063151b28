package tsql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// precedence has the types from the highest to the lowest: an expression with two types has the higher one.
// Source: the manual's "Data type precedence".
var precedence = []string{
	"sql_variant", "xml", "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real", "decimal", "money", "smallmoney",
	"bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image", "timestamp", "uniqueidentifier", "nvarchar", "nchar", "varchar", "char",
	"varbinary", "binary",
}

// higher returns the type with the higher precedence; zero if one is unknown.
func higher(a, b TypeSpec) TypeSpec {
	first, second := slices.Index(precedence, a.Name), slices.Index(precedence, b.Name)
	switch {
	case first < 0 || second < 0:
		return TypeSpec{}
	case first <= second:
		return a
	}
	return b
}

// common returns the type of a value that has one type or the other, as in CASE; zero if one is unknown.
func common(a, b TypeSpec) TypeSpec {
	t := higher(a, b)
	switch {
	case t.Name == "decimal" && a.isNumber() && b.isNumber():
		a, b = a.asDecimal(), b.asDecimal()
		scale := max(a.Scale, b.Scale)
		return TypeSpec{Name: "decimal", Length: min(38, max(a.Length-a.Scale, b.Length-b.Scale)+scale), Scale: scale}
	case t.isString() && a.isString() && b.isString(), t.isBytes() && a.isBytes() && b.isBytes():
		t.Max = a.Max || b.Max
		if t.Length = max(a.Length, b.Length); t.Max {
			t.Length = 0
		}
	case a.Name == b.Name:
		t.Scale = max(a.Scale, b.Scale)
	}
	return t
}

// isBytes reports whether values of the type are bytes.
func (t TypeSpec) isBytes() bool {
	return t.Name == "binary" || t.Name == "varbinary" || t.Name == "image" || t.Name == "timestamp"
}

// isMoney reports whether the type is money or smallmoney.
func (t TypeSpec) isMoney() bool { return t.Name == "money" || t.Name == "smallmoney" }

// isFloat reports whether the type is float or real.
func (t TypeSpec) isFloat() bool { return t.Name == "float" || t.Name == "real" }

// asDecimal returns the decimal type that holds all values of a numeric type.
func (t TypeSpec) asDecimal() TypeSpec {
	switch t.Name {
	case "decimal":
		return t
	case "money":
		return TypeSpec{Name: "decimal", Length: 19, Scale: 4}
	case "smallmoney":
		return TypeSpec{Name: "decimal", Length: 10, Scale: 4}
	}
	digits := map[string]int{"bit": 1, "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
	return TypeSpec{Name: "decimal", Length: digits[t.Name]}
}

// decimalType returns the operand's type in decimal arithmetic: an integer constant has as many digits as it is written
// with.
func (f fragment) decimalType() TypeSpec {
	if n, ok := f.constant.(int64); ok && f.isConstant && f.typ.isInteger() {
		return TypeSpec{Name: "decimal", Length: len(strings.TrimPrefix(strconv.FormatInt(n, 10), "-"))}
	}
	return f.typ.asDecimal()
}

// resultType returns the type of an operation if the types of both operands determine it; otherwise zero.
// Source: the manual's "Precision, scale, and length".
func resultType(operator string, a, b fragment) TypeSpec {
	t := higher(a.typ, b.typ)
	switch {
	case a.typ.isNumber() && b.typ.isNumber() && t.Name == "decimal":
		return decimalResult(operator, a.decimalType(), b.decimalType())
	case a.typ.isNumber() && b.typ.isNumber():
		return t
	case operator != "+" && operator != "-":
		return TypeSpec{}
	case a.typ.isDateTime() && b.typ.isNumber():
		return a.typ
	case b.typ.isDateTime() && a.typ.isNumber() && operator == "+":
		return b.typ
	case operator == "+" && a.typ.isString() && b.typ.isString():
		return concatResult(t, a.typ, b.typ)
	case operator == "+" && a.typ.isBytes() && b.typ.isBytes():
		return concatResult(TypeSpec{Name: "varbinary"}, a.typ, b.typ)
	}
	return TypeSpec{}
}

// concatResult returns the type of two concatenated texts or binary values.
func concatResult(t, a, b TypeSpec) TypeSpec {
	limit := 8000
	switch t.Name {
	case "text", "ntext", "image":
		return TypeSpec{}
	case "nvarchar", "nchar":
		limit, t.Name = 4000, "nvarchar"
	case "varchar", "char":
		t.Name = "varchar"
	}
	if a.Max || b.Max {
		return TypeSpec{Name: t.Name, Max: true}
	}
	return TypeSpec{Name: t.Name, Length: max(1, min(limit, a.Length+b.Length))}
}

// decimalResult returns the type of an operation on two decimals.
func decimalResult(operator string, a, b TypeSpec) TypeSpec {
	p1, s1, p2, s2 := a.Length, a.Scale, b.Length, b.Scale
	var p, s int
	switch operator {
	case "*":
		p, s = p1+p2+1, s1+s2
	case "/":
		s = max(6, s1+p2+1)
		p = p1 - s1 + s2 + s
	case "%":
		s = max(s1, s2)
		p = min(p1-s1, p2-s2) + s
	default:
		s = max(s1, s2)
		p = max(p1-s1, p2-s2) + s + 1
	}
	if whole := p - s; p > 38 {
		switch {
		case operator == "+" || operator == "-":
			s = min(s, 38-min(38, max(p1-s1, p2-s2)))
		case whole < 32:
			s = min(s, 38-whole)
		default:
			s = min(s, 6)
		}
		p = 38
	}
	return TypeSpec{Name: "decimal", Length: max(p, 1), Scale: s}
}

// convertedTo converts the fragment to the type; it returns it unchanged if its values have the type already, or its
// type is unknown.
func (f fragment) convertedTo(t TypeSpec) fragment {
	from := f.typ
	switch {
	case t.Name == "" || from.Name == "" || f.isNull():
		return f
	case from.Name == t.Name && (from.Name != "binary" || from.Length == t.Length):
		return f
	case from.isInteger() && t.isInteger() && slices.Index(precedence, from.Name) > slices.Index(precedence, t.Name):
		return f
	case from.isString() && t.isString(), from.isBytes() && t.Name == "varbinary", t.Name == "sql_variant":
		return f
	case from.Name == "datetime" && t.Name == "datetime2":
		f = widened(f)
		f.typ = t
		return f
	}
	return f.constantOr(t)
}

// constantOr converts the fragment to the type: a constant at once, if that succeeds.
func (f fragment) constantOr(t TypeSpec) fragment {
	if !f.isConstant {
		return convertFragment(f, t, -1)
	}
	value, err := convertFunction(append(convertArguments(f, t, -1), f.constant))
	out := fragment{typ: t, isConstant: true, constant: value, eval: constantly(value)}
	switch v := value.(type) {
	case int64:
		out.sql = strconv.FormatInt(v, 10)
	case float64:
		out.sql = strconv.FormatFloat(v, 'e', -1, 64)
	case string:
		out.sql = quoteText(v)
	case []byte:
		out.sql = fmt.Sprintf("x'%x'", v)
	}
	if err != nil || out.sql == "" { // if the conversion fails, it fails when it runs
		return convertFragment(f, t, -1)
	}
	return out
}

// commonType converts the values of an expression such as CASE to the type with the highest precedence among theirs.
func (p *parser) commonType(list ...*fragment) TypeSpec {
	var t TypeSpec
	for _, f := range list {
		*f = p.typed(*f)
		switch {
		case f.typ.Name == "":
		case t.Name == "":
			t = f.typ
		default:
			t = common(t, f.typ)
		}
		if t.Name == "" && f.typ.Name != "" { // types without a known common type
			return TypeSpec{}
		}
	}
	for _, f := range list {
		*f = f.convertedTo(t)
	}
	return t
}

// sumType returns the type of SUM and AVG of a type; ok is false for a type that cannot be added.
func sumType(name string, of TypeSpec) (t TypeSpec, ok bool) {
	switch {
	case of.Name == "":
		return of, true
	case of.Name == "bit" || !of.isNumber():
		return of, false
	case of.Name == "tinyint" || of.Name == "smallint":
		return intType, true
	case of.Name == "smallmoney":
		return TypeSpec{Name: "money"}, true
	case of.Name == "real":
		return TypeSpec{Name: "float"}, true
	case of.Name == "decimal" && name == "AVG":
		return TypeSpec{Name: "decimal", Length: 38, Scale: max(of.Scale, 6)}, true
	case of.Name == "decimal":
		return TypeSpec{Name: "decimal", Length: 38, Scale: of.Scale}, true
	}
	return of, true
}

// textResult returns the type of a function's text that is at most as long as its argument's: LEFT, LOWER and similar
// ones.
func textResult(of TypeSpec, otherwise TypeSpec) TypeSpec {
	switch of.Name {
	case "char":
		of.Name = "varchar"
	case "nchar":
		of.Name = "nvarchar"
	case "binary":
		of.Name = "varbinary"
	case "varchar", "nvarchar", "varbinary":
	default:
		return otherwise
	}
	return of
}
