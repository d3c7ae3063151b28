package tsql

import (
	"database/sql/driver"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// exactDigits is the number of digits that a REAL, which stores decimals here, keeps exactly.
const exactDigits = 15

// decimal is n divided by 10^scale.
type decimal struct {
	n     *big.Int
	scale int
}

func tenTo(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// decimalOf converts a value to a decimal; ok is false if it is not a number.
func decimalOf(v driver.Value) (d decimal, ok bool) {
	switch v := v.(type) {
	case int64:
		return decimal{n: big.NewInt(v)}, true
	case float64:
		if math.IsNaN(v) || math.Abs(v) > 1e40 {
			return decimal{}, false
		}
		return decimalText(strconv.FormatFloat(v, 'f', -1, 64))
	case string:
		return decimalText(strings.TrimSpace(v))
	}
	return decimal{}, false
}

// decimalText parses digits with an optional sign and decimal point.
func decimalText(text string) (d decimal, ok bool) {
	sign := ""
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, text = strings.TrimPrefix(text[:1], "+"), text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits := whole + fraction
	if digits == "" || len(digits) > 400 || strings.Trim(digits, "0123456789") != "" {
		return decimal{}, false
	}
	n, ok := new(big.Int).SetString(sign+digits, 10)
	return decimal{n: n, scale: len(fraction)}, ok
}

// at returns the decimal with that scale: rounded half away from zero, or truncated.
func (d decimal) at(scale int, cut bool) decimal {
	if scale >= d.scale {
		return decimal{n: new(big.Int).Mul(d.n, tenTo(scale-d.scale)), scale: scale}
	}
	unit := tenTo(d.scale - scale)
	q, r := new(big.Int).QuoRem(d.n, unit, new(big.Int))
	if !cut && r.Abs(r).Lsh(r, 1).Cmp(unit) >= 0 {
		q.Add(q, big.NewInt(int64(d.n.Sign())))
	}
	return decimal{n: q, scale: scale}
}

// digits returns the number of digits before and after the decimal point.
func (d decimal) digits() int { return len(new(big.Int).Abs(d.n).String()) }

// text returns the decimal with all its digits.
func (d decimal) text() string {
	digits := new(big.Int).Abs(d.n).String()
	if len(digits) <= d.scale {
		digits = strings.Repeat("0", d.scale-len(digits)+1) + digits
	}
	if d.scale > 0 {
		digits = digits[:len(digits)-d.scale] + "." + digits[len(digits)-d.scale:]
	}
	if d.n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// value returns the decimal as SQLite stores it. It is an error if a REAL would round the decimal, unless the decimal
// is an integer of 64 bits.
func (d decimal) value() (driver.Value, *Error) {
	x, _ := strconv.ParseFloat(d.text(), 64)
	if d.digits() <= exactDigits {
		return x, nil
	}
	if back, ok := decimalOf(x); ok && back.at(d.scale, true).n.Cmp(d.n) == 0 && back.scale <= d.scale && len(strings.Trim(back.text(), "-0.")) <= exactDigits {
		return x, nil
	}
	if whole := d.at(0, true); whole.n.IsInt64() && whole.at(d.scale, true).n.Cmp(d.n) == 0 {
		return whole.n.Int64(), nil
	}
	return nil, failure(unsupportedNumber, 16, "A decimal of more than %d digits, %s, is not supported by the embedded partner.", exactDigits, clip(d.text(), 50))
}

// within returns the value of a decimal within a type's precision; from is the source type, for the error.
func (d decimal) within(t TypeSpec, from string) (driver.Value, *Error) {
	switch {
	case t.Name == "money" && !d.n.IsInt64(), t.Name == "smallmoney" && (!d.n.IsInt64() || d.n.Int64() != int64(int32(d.n.Int64()))):
		return nil, failure(8115, 16, "Arithmetic overflow error converting %s to data type %s.", from, t.Name)
	case t.Name == "decimal" && d.n.Sign() != 0 && d.digits() > t.Length:
		return nil, failure(8115, 16, "Arithmetic overflow error converting %s to data type numeric.", from)
	}
	return d.value()
}

// moneyScale is the number of decimals of money.
const moneyScale = 4

// decimalArithmetic implements an operation on decimals: operator, the result's type, precision and scale, and the
// operands.
func decimalArithmetic(args []driver.Value) (driver.Value, *Error) {
	operator := textOf(args[0])
	precision, _ := args[2].(int64)
	scale, _ := args[3].(int64)
	t := TypeSpec{Name: textOf(args[1]), Length: int(precision), Scale: int(scale)}
	a, aok := decimalOf(args[4])
	b, bok := decimalOf(args[5])
	if !aok || !bok {
		return nil, failure(8114, 16, "Error converting data type varchar to numeric.")
	}
	var d decimal
	switch operator {
	case "+", "-":
		wide := max(a.scale, b.scale)
		a, b = a.at(wide, true), b.at(wide, true)
		if operator == "-" {
			b.n = new(big.Int).Neg(b.n)
		}
		d = decimal{n: new(big.Int).Add(a.n, b.n), scale: wide}
	case "*":
		d = decimal{n: new(big.Int).Mul(a.n, b.n), scale: a.scale + b.scale}
	default:
		if b.n.Sign() == 0 {
			return nil, failure(8134, 16, "Divide by zero error encountered.")
		}
		wide := max(a.scale, b.scale)
		a, b = a.at(wide, true), b.at(wide, true)
		if operator == "%" {
			d = decimal{n: new(big.Int).Rem(a.n, b.n), scale: wide}
			break
		}
		d = decimal{n: new(big.Int).Quo(new(big.Int).Mul(a.n, tenTo(t.Scale)), b.n), scale: t.Scale}
	}
	return d.at(t.Scale, false).within(t, "expression")
}

// divideFloats implements / if one operand is a float: then integers are divided as floats too.
func divideFloats(args []driver.Value) (driver.Value, *Error) {
	divisor, err := number(args[1])
	if err == nil && divisor == 0 {
		err = failure(8134, 16, "Divide by zero error encountered.")
	}
	if err != nil {
		return nil, err
	}
	return floats(args, func(a, b float64) float64 { return a / b })
}

// decimalOperation writes an operation whose result is a decimal or money.
func decimalOperation(operator string, typ TypeSpec, a, b fragment) fragment {
	precision, scale := typ.Length, typ.Scale
	if typ.isMoney() {
		precision, scale = 19, moneyScale
	}
	before := []driver.Value{operator, typ.Name, int64(precision), int64(scale)}
	sql := "tsql_decimal('" + operator + "', '" + typ.Name + "', " + strconv.Itoa(precision) + ", " + strconv.Itoa(scale) + ", " + a.sql + ", " + b.sql + ")"
	return fragment{sql: sql, typ: typ, eval: calling("tsql_decimal", before, a, b)}
}

// DecimalValue returns a decimal number in text as SQLite stores it; the text itself if SQLite would round it.
func DecimalValue(text string) any {
	if d, ok := decimalText(text); ok {
		if v, err := d.value(); err == nil {
			return v
		}
	}
	return text
}

// ToVariable converts v to the value of a variable of type t, as SET does: text and binary values are truncated without
// an error. from is the type of v, "" if unknown. The error is an *Error.
func ToVariable(v any, from string, t TypeSpec) (any, error) {
	convert := families[t.Name]
	if v == nil || convert == nil {
		return v, nil
	}
	r := conversionRequest{to: t, style: -1, from: from}
	if t.Max {
		r.to.Length = 0
	}
	value, err := convert(r, v)
	if err != nil {
		return nil, err
	}
	return value, nil
}
