package tsql

import (
	"database/sql/driver"
	"math"
	"strconv"
	"strings"
)

// number converts a value to a number, as T-SQL does for the other operand of a
// number.
func number(v driver.Value) (float64, *Error) {
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case string:
		text := strings.TrimSpace(v)
		if text == "" {
			return 0, nil
		}
		if x, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x, nil
		}
		return 0, failure(245, 16, "Conversion failed when converting the nvarchar value '%s' to data type int.", clip(v, 100))
	}
	return 0, failure(402, 16, "The data types varbinary and int are incompatible in the operator.")
}

// integer converts a value to an integer; ok is false if it has a fraction.
func integer(v driver.Value) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// plus implements T-SQL's +. It concatenates two texts or two binary values, adds
// numbers, and adds a number of days to a date. Text with a number must be
// numeric.
func plus(args []driver.Value) (driver.Value, *Error) {
	switch a := args[0].(type) {
	case string:
		if b, ok := args[1].(string); ok {
			return a + b, nil
		}
	case []byte:
		if b, ok := args[1].([]byte); ok {
			return append(append(make([]byte, 0, len(a)+len(b)), a...), b...), nil
		}
	}
	if isDate(args[0]) {
		return addDays(args[0], args[1], 1)
	}
	if isDate(args[1]) {
		return addDays(args[1], args[0], 1)
	}
	a, aok := integer(args[0])
	b, bok := integer(args[1])
	if aok && bok {
		if sum := a + b; (sum > a) == (b > 0) {
			return sum, nil
		}
		return nil, overflow("bigint")
	}
	return floats(args, func(a, b float64) float64 { return a + b })
}

// minus implements T-SQL's -: it subtracts numbers, and days from a date.
func minus(args []driver.Value) (driver.Value, *Error) {
	if isDate(args[0]) {
		return addDays(args[0], args[1], -1)
	}
	a, aok := integer(args[0])
	b, bok := integer(args[1])
	if aok && bok {
		if difference := a - b; (difference < a) == (b > 0) {
			return difference, nil
		}
		return nil, overflow("bigint")
	}
	return floats(args, func(a, b float64) float64 { return a - b })
}

// isDate reports whether a value has the stored form of a date.
func isDate(v driver.Value) bool {
	s, ok := v.(string)
	return ok && storedForm.MatchString(s)
}

// addDays adds a number of days, possibly fractional, to a date, or subtracts it.
func addDays(date, days driver.Value, sign float64) (driver.Value, *Error) {
	t, precise, err := dateOf(date)
	if err != nil {
		return nil, err
	}
	n, err := number(days)
	if err != nil {
		return nil, err
	}
	if math.Abs(n) > 4e6 {
		return dateText(base.AddDate(10000, 0, 0), precise)
	}
	whole, fraction := math.Modf(n * sign)
	return dateText(t.AddDate(0, 0, int(whole)).Add(durationOfDay(fraction)), precise)
}

// overflow returns error 8115.
func overflow(typ string) *Error {
	return failure(8115, 16, "Arithmetic overflow error converting expression to data type %s.", typ)
}

// floats computes with floating-point numbers.
func floats(args []driver.Value, f func(a, b float64) float64) (driver.Value, *Error) {
	a, err := number(args[0])
	if err != nil {
		return nil, err
	}
	b, err := number(args[1])
	if err != nil {
		return nil, err
	}
	return f(a, b), nil
}

// divide implements /. The quotient of integers is an integer, rounded towards
// zero.
func divide(args []driver.Value) (driver.Value, *Error) {
	return quotient(args, func(a, b int64) int64 { return a / b }, func(a, b float64) float64 { return a / b })
}

// modulo implements %: the remainder has the sign of the dividend.
func modulo(args []driver.Value) (driver.Value, *Error) {
	return quotient(args, func(a, b int64) int64 { return a % b }, math.Mod)
}

// quotient divides after a check of the divisor.
func quotient(args []driver.Value, whole func(a, b int64) int64, fraction func(a, b float64) float64) (driver.Value, *Error) {
	divisor, err := number(args[1])
	if err != nil {
		return nil, err
	}
	if divisor == 0 {
		return nil, failure(8134, 16, "Divide by zero error encountered.")
	}
	a, aok := integer(args[0])
	b, bok := integer(args[1])
	if aok && bok {
		if a == math.MinInt64 && b == -1 {
			return nil, overflow("bigint")
		}
		return whole(a, b), nil
	}
	return floats(args, fraction)
}

// exclusiveOr implements ^.
func exclusiveOr(args []driver.Value) (driver.Value, *Error) {
	a, aok := integer(args[0])
	b, bok := integer(args[1])
	if !aok || !bok {
		return nil, failure(402, 16, "The data types are incompatible in the '^' operator.")
	}
	return a ^ b, nil
}

// rowLimit checks the number of TOP and FETCH, which SQLite would not check.
func rowLimit(args []driver.Value) (driver.Value, *Error) {
	n, ok := integer(args[0])
	if !ok {
		return nil, failure(1060, 15, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.")
	}
	if n < 0 {
		return nil, failure(127, 15, "A TOP N or FETCH rowcount value may not be negative.")
	}
	return n, nil
}
