package tsql

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
)

// round implements ROUND(x, decimals [, cut]). The result for an integer is an integer.
func round(args []driver.Value) (driver.Value, *Error) {
	decimals, err := count(args[1])
	if err != nil {
		return nil, err
	}
	cut, typ := false, textOf(args[len(args)-1])
	if len(args) > 3 {
		n, err := count(args[2])
		if err != nil {
			return nil, err
		}
		cut = n != 0
	}
	decimals = max(-400, min(decimals, 400))
	if n, ok := args[0].(int64); ok {
		rounded, _ := roundDigits(strconv.FormatInt(n, 10)+".0", int(decimals), cut)
		x, perr := strconv.ParseFloat(rounded, 64)
		if perr != nil || tooLarge(x, typ) {
			return nil, overflow(wholeType(typ))
		}
		if decimals >= 0 {
			return n, nil
		}
		return int64(x), nil
	}
	x, err := number(args[0])
	if err != nil {
		return nil, err
	}
	rounded, ok := roundDigits(strconv.FormatFloat(x, 'f', -1, 64), int(decimals), cut)
	if !ok {
		return x, nil
	}
	y, perr := strconv.ParseFloat(rounded, 64)
	if perr != nil {
		return nil, overflow("float")
	}
	var precision, scale int
	if n, _ := fmt.Sscanf(typ, "decimal %d %d", &precision, &scale); n == 2 && math.Abs(y) >= math.Pow10(precision-scale) {
		return nil, overflow("numeric")
	}
	return y, nil
}

// wholeType returns the integer type of a result computed from the named type.
func wholeType(from string) string {
	if from == "bigint" || from == "" {
		return "bigint"
	}
	return "int"
}

// tooLarge reports whether a number exceeds the integer type of a result computed from the named
// type.
func tooLarge(x float64, from string) bool {
	if wholeType(from) == "bigint" {
		return math.Abs(x) >= 1<<63
	}
	return math.Abs(x) >= 1<<31
}

// whole returns the function for FLOOR or CEILING: it returns an integer unchanged.
func whole(of func(float64) float64) func(args []driver.Value) (driver.Value, *Error) {
	return func(args []driver.Value) (driver.Value, *Error) {
		if n, ok := args[0].(int64); ok {
			return n, nil
		}
		x, err := number(args[0])
		if err != nil {
			return nil, err
		}
		return of(x), nil
	}
}

// mathematical returns a function of one float; error 3623 if it has no value.
func mathematical(of func(float64) float64) func(args []driver.Value) (driver.Value, *Error) {
	return func(args []driver.Value) (driver.Value, *Error) {
		x, err := number(args[0])
		if err != nil {
			return nil, err
		}
		return finite(of(x))
	}
}

// finite returns a finite float: error 3623 for NaN, 8115 for infinity.
func finite(x float64) (driver.Value, *Error) {
	switch {
	case math.IsNaN(x):
		return nil, failure(3623, 16, "An invalid floating point operation occurred.")
	case math.IsInf(x, 0):
		return nil, overflow("float")
	}
	return x, nil
}

// logarithm implements LOG(x [, base]).
func logarithm(args []driver.Value) (driver.Value, *Error) {
	x, err := number(args[0])
	if err != nil {
		return nil, err
	}
	if x <= 0 {
		return nil, failure(3623, 16, "An invalid floating point operation occurred.")
	}
	if len(args) == 1 {
		return math.Log(x), nil
	}
	b, err := number(args[1])
	if err != nil {
		return nil, err
	}
	if b <= 0 || b == 1 {
		return nil, failure(3623, 16, "An invalid floating point operation occurred.")
	}
	return finite(math.Log(x) / math.Log(b))
}

// power implements POWER(x, y). The result for an integer is an integer, truncated.
func power(args []driver.Value) (driver.Value, *Error) {
	x, err := number(args[0])
	if err != nil {
		return nil, err
	}
	y, err := number(args[1])
	if err != nil {
		return nil, err
	}
	v := math.Pow(x, y)
	if _, isInt := args[0].(int64); !isInt {
		return finite(v)
	}
	if x == 0 && y < 0 {
		return nil, failure(8134, 16, "Divide by zero error encountered.")
	}
	if typ := textOf(args[2]); tooLarge(v, typ) {
		return nil, failure(232, 16, "Arithmetic overflow error for type %s, value = %f.", wholeType(typ), v)
	}
	return int64(v), nil
}

// moneyLiteral parses a money constant after its $: $12, $-1.5.
func (p *parser) moneyLiteral() fragment {
	sign := p.acceptAny([]string{"-", "+"})
	t := p.next()
	x, err := strconv.ParseFloat(t.text, 64)
	if t.kind != numberToken || err != nil {
		p.pos = max(p.pos-1, 0)
		p.unexpected()
		return fragment{}
	}
	if sign == "-" {
		x = -x
	}
	x = roundTo(x, 4)
	sql := "(" + strconv.FormatFloat(x, 'f', 4, 64) + ")"
	if math.Abs(x) > 922337203685477.58 {
		p.fail(&Error{Number: 8115, State: 1, Class: 16, Line: int(t.line), Message: "Arithmetic overflow error converting expression to data type money."})
	}
	return fragment{sql: sql, typ: TypeSpec{Name: "money"}, isConstant: true, constant: x, eval: constantly(x)}
}

// pi implements PI().
func pi([]driver.Value) (driver.Value, *Error) { return math.Pi, nil }

// positive returns a function that has no value at 0 and below.
func positive(of func(float64) float64) func(float64) float64 {
	return func(x float64) float64 {
		if x <= 0 {
			return math.NaN()
		}
		return of(x)
	}
}
