package tsql

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strings"
)

// further describes a function of its arguments alone whose type depends on the arguments.
type further struct {
	min, max int
	call     func(args []driver.Value) (driver.Value, *Error)
	typ      func(args []fragment) TypeSpec
	lenient  bool // the value is not NULL merely because an argument is NULL
	typed    bool // the first argument's type is appended to the arguments
}

// always returns a type that does not depend on the arguments.
func always(t TypeSpec) func([]fragment) TypeSpec { return func([]fragment) TypeSpec { return t } }

// asFirst returns the type of the first argument; int for smaller integer types.
func asFirst(args []fragment) TypeSpec {
	switch t := args[0].typ; t.Name {
	case "bit", "tinyint", "smallint":
		return intType
	default:
		return t
	}
}

// asWhole returns the type of FLOOR and CEILING: that of the argument, with scale 0 for a decimal.
func asWhole(args []fragment) TypeSpec {
	t := asFirst(args)
	if t.Name == "decimal" {
		t.Scale = 0
	}
	return t
}

// asText returns varchar if no argument is Unicode, or might be.
func asText(args []fragment) TypeSpec {
	for _, a := range args {
		switch a.typ.Name {
		case "nvarchar", "nchar", "ntext", "xml", "sql_variant", "":
			if a.sql != "NULL" {
				return textType
			}
		}
	}
	return TypeSpec{Name: "varchar", Length: maxText}
}

// asRepeated returns the type of REPLICATE.
func asRepeated(args []fragment) TypeSpec {
	if args[0].typ.Max {
		return args[0].typ
	}
	return asText(args[:1])
}

// asSecond returns the type of CHOOSE: that of its choices.
func asSecond(args []fragment) TypeSpec { return chosenType(args[1:]) }

// chosenType returns the type of a value that is one of several: the longest type if all are strings, the common type
// if all have the same type, and otherwise unknown.
func chosenType(list []fragment) TypeSpec {
	var t TypeSpec
	for _, f := range list {
		switch {
		case f.sql == "NULL":
		case t.Name == "":
			t = f.typ
		case t.isString() && f.typ.isString():
			t = longer(t, f.typ)
		case t != f.typ:
			return TypeSpec{}
		}
		if f.sql != "NULL" && f.typ.Name == "" {
			return TypeSpec{}
		}
	}
	return t
}

// longer returns the string type that holds the values of both.
func longer(a, b TypeSpec) TypeSpec {
	name := "varchar"
	if a.Name[0] == 'n' || b.Name[0] == 'n' {
		name = "nvarchar"
	}
	if a.Name == b.Name {
		name = a.Name
	}
	if a.Max || b.Max || name == "text" || name == "ntext" {
		return TypeSpec{Name: name, Max: true}
	}
	return TypeSpec{Name: name, Length: max(a.Length, b.Length)}
}

var (
	floatType   = TypeSpec{Name: "float"}
	dateType    = TypeSpec{Name: "date"}
	varcharType = TypeSpec{Name: "varchar", Length: maxText}
)

// furtherFunctions has the functions of type further, by name.
var furtherFunctions = map[string]further{
	// Text
	"STUFF":      {min: 4, max: 4, call: stuff, typ: func(a []fragment) TypeSpec { return asText([]fragment{a[0], a[3]}) }, lenient: true},
	"REPLICATE":  {min: 2, max: 2, call: replicate, typ: asRepeated, typed: true},
	"REVERSE":    {min: 1, max: 1, call: reverse, typ: asText},
	"SPACE":      {min: 1, max: 1, call: spaces, typ: always(varcharType)},
	"PATINDEX":   {min: 2, max: 2, call: patIndex, typ: always(intType)},
	"CHAR":       {min: 1, max: 1, call: character, typ: always(TypeSpec{Name: "char", Length: 1})},
	"NCHAR":      {min: 1, max: 1, call: unicodeCharacter, typ: always(TypeSpec{Name: "nchar", Length: 1})},
	"UNICODE":    {min: 1, max: 1, call: codeUnit, typ: always(intType)},
	"STR":        {min: 1, max: 3, call: str, typ: always(varcharType)},
	"CONCAT_WS":  {min: 3, max: 254, call: concatWith, typ: asText, lenient: true},
	"TRANSLATE":  {min: 3, max: 3, call: translate, typ: asText},
	"QUOTENAME":  {min: 1, max: 2, call: quoteName, typ: always(TypeSpec{Name: "nvarchar", Length: 258})},
	"PARSENAME":  {min: 2, max: 2, call: parseName, typ: always(sysnameType)},
	"SOUNDEX":    {min: 1, max: 1, call: soundex, typ: always(TypeSpec{Name: "varchar", Length: 5})},
	"DIFFERENCE": {min: 2, max: 2, call: difference, typ: always(intType)},
	"ISNUMERIC":  {min: 1, max: 1, call: isNumeric, typ: always(intType), lenient: true},
	"CHOOSE":     {min: 2, max: 254, call: choose, typ: asSecond, lenient: true},
	// Dates
	"EOMONTH":                {min: 1, max: 2, call: endOfMonth, typ: always(dateType), lenient: true},
	"ISDATE":                 {min: 1, max: 1, call: isDateText, typ: always(intType), lenient: true},
	"DATEFROMPARTS":          {min: 3, max: 3, call: fromParts("date"), typ: always(dateType), lenient: true},
	"SMALLDATETIMEFROMPARTS": {min: 5, max: 5, call: fromParts("smalldatetime"), typ: always(TypeSpec{Name: "smalldatetime"}), lenient: true},
	"DATETIMEFROMPARTS":      {min: 7, max: 7, call: fromParts("datetime"), typ: always(datetimeType), lenient: true},
	"DATETIME2FROMPARTS":     {min: 8, max: 8, call: fromParts("datetime2"), typ: func(a []fragment) TypeSpec { return fromPartsType(preciseType, a) }, lenient: true},
	"TIMEFROMPARTS":          {min: 5, max: 5, call: fromParts("time"), typ: func(a []fragment) TypeSpec { return fromPartsType(TypeSpec{Name: "time", Scale: 7}, a) }, lenient: true},
	// Numbers
	"ROUND":   {min: 2, max: 3, call: round, typ: asFirst, typed: true},
	"FLOOR":   {min: 1, max: 1, call: whole(math.Floor), typ: asWhole},
	"CEILING": {min: 1, max: 1, call: whole(math.Ceil), typ: asWhole},
	"SQRT":    {min: 1, max: 1, call: mathematical(math.Sqrt), typ: always(floatType)},
	"SQUARE":  {min: 1, max: 1, call: mathematical(func(x float64) float64 { return x * x }), typ: always(floatType)},
	"EXP":     {min: 1, max: 1, call: mathematical(math.Exp), typ: always(floatType)},
	"LOG10":   {min: 1, max: 1, call: mathematical(positive(math.Log10)), typ: always(floatType)},
	"LOG":     {min: 1, max: 2, call: logarithm, typ: always(floatType)},
	"POWER":   {min: 2, max: 2, call: power, typ: asFirst, typed: true},
	"PI":      {call: pi, typ: always(floatType)},
	"SIN":     {min: 1, max: 1, call: mathematical(math.Sin), typ: always(floatType)},
	"COS":     {min: 1, max: 1, call: mathematical(math.Cos), typ: always(floatType)},
	"TAN":     {min: 1, max: 1, call: mathematical(math.Tan), typ: always(floatType)},
	"ASIN":    {min: 1, max: 1, call: mathematical(math.Asin), typ: always(floatType)},
	"ACOS":    {min: 1, max: 1, call: mathematical(math.Acos), typ: always(floatType)},
	"ATAN":    {min: 1, max: 1, call: mathematical(math.Atan), typ: always(floatType)},
	"DEGREES": {min: 1, max: 1, call: mathematical(func(x float64) float64 { return x * 180 / math.Pi }), typ: always(floatType)},
	"RADIANS": {min: 1, max: 1, call: mathematical(func(x float64) float64 { return x * math.Pi / 180 }), typ: always(floatType)},
}

// furtherCall parses the arguments of one of them. Its function in SQLite is "tsql_more_" and its name, in lower case.
func (p *parser) furtherCall(t token, name string, f further) fragment {
	args := p.arguments(t, f.min, f.max)
	if p.err != nil {
		return fragment{}
	}
	for i := range args {
		args[i] = p.typed(args[i])
	}
	typ := f.typ(args)
	if f.typed {
		first := args[0].typ
		name := first.Name
		switch {
		case first.Max:
			name = "max"
		case name == "decimal":
			name = fmt.Sprintf("decimal %d %d", first.Length, first.Scale)
		}
		args = append(args, stringLiteral(token{kind: stringToken, text: quoteText(name)}))
	}
	function := furtherName(name)
	return fragment{sql: function + "(" + join(args) + ")", typ: typ, eval: calling(function, nil, args...)}
}

// furtherName returns the function's name in SQLite.
func furtherName(name string) string { return "tsql_more_" + strings.ToLower(name) }

// init adds furtherFunctions to sqlFunctions.
func init() {
	sqlFunctions["tsql_datename"] = sqlFunction{args: 2, strict: true, call: dateName}
	for name, f := range furtherFunctions {
		sqlFunctions[furtherName(name)] = sqlFunction{args: -1, strict: !f.lenient, call: f.call}
	}
}

// trim parses TRIM(x) and TRIM(characters FROM x).
func (p *parser) trim() fragment {
	p.expectSymbol("(")
	f := p.typed(p.value())
	sql := "trim(" + f.sql + ")"
	if p.accept("FROM") {
		of := p.typed(p.value())
		sql = "trim(" + of.sql + ", " + f.sql + ")"
		f = of
	}
	p.expectSymbol(")")
	return fragment{sql: sql, typ: asText([]fragment{f})}
}
