package tsql

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"slices"
	"strings"
)

// Values provides the values for the evaluation of an expression without SQLite.
type Values struct {
	// Variable returns the value of a variable, by its name in lower case with its "@".
	Variable func(name string) (any, error)
	// System returns a value of the session or the server.
	System func(call SystemCall) (any, error)

	err   error
	known []knownValue
	stack []driver.Value // the arguments of the functions being called; reused
}

// knownValue is a system value that was evaluated already: within a statement it has one value.
type knownValue struct {
	param string
	value any
}

// evaluator computes an expression with the same result as SQLite for the text of the expression. A predicate is 1, 0
// or, if it is unknown, nil.
type evaluator func(v *Values) (driver.Value, *Error)

// Evaluate computes the expression. It can do so without SQLite if the expression uses no table and is in a procedure's
// body; ok is false otherwise. The error is an *Error, or an error of Values.
func (e *Expr) Evaluate(v *Values) (value any, ok bool, err error) {
	v.err, v.known = nil, v.known[:0]
	if e.eval == nil {
		if e.decided == nil {
			return nil, false, nil
		}
		value, failed := e.decided(v)
		return value, value != nil && failed == nil && v.err == nil, nil
	}
	value, failed := e.eval(v)
	switch {
	case v.err != nil:
		return nil, true, v.err
	case failed != nil:
		return nil, true, failed
	}
	return value, true, nil
}

func constantly(value driver.Value) evaluator {
	return func(*Values) (driver.Value, *Error) { return value, nil }
}

func ofVariable(name string) evaluator {
	return func(v *Values) (driver.Value, *Error) {
		value, err := v.Variable(name)
		if err != nil && v.err == nil {
			v.err = err
		}
		return value, nil
	}
}

func ofSystem(call SystemCall) evaluator {
	return func(v *Values) (driver.Value, *Error) {
		for _, k := range v.known {
			if k.param == call.Param {
				return k.value, nil
			}
		}
		value, err := v.System(call)
		if err != nil && v.err == nil {
			v.err = err
		}
		v.known = append(v.known, knownValue{call.Param, value})
		return value, nil
	}
}

// evaluators returns the evaluators of fragments; nil if one of them has none.
func evaluators(list []fragment) []evaluator {
	all := make([]evaluator, len(list))
	for i, f := range list {
		if all[i] = f.eval; f.eval == nil {
			return nil
		}
	}
	return all
}

// calling returns the evaluator of a function of this package, with constants before its other arguments; nil if one of
// those has no evaluator.
func calling(name string, before []driver.Value, list ...fragment) evaluator {
	args := evaluators(list)
	function, ok := sqlFunctions[name]
	if !ok || args == nil && len(list) > 0 {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		base := len(v.stack)
		v.stack = append(v.stack, before...)
		defer func() {
			clear(v.stack[base:])
			v.stack = v.stack[:base]
		}()
		for _, arg := range args {
			value, err := arg(v)
			if err != nil || v.err != nil {
				return nil, err
			}
			if value == nil && function.strict {
				return nil, nil
			}
			v.stack = append(v.stack, value)
		}
		return function.call(v.stack[base:])
	}
}

// ofTwo returns the evaluator of a function of two values; NULL if one is NULL; nil if one has no evaluator.
func ofTwo(a, b evaluator, of func(a, b driver.Value) (driver.Value, *Error)) evaluator {
	if a == nil || b == nil {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		first, err := a(v)
		if first == nil || err != nil || v.err != nil {
			return nil, err
		}
		second, err := b(v)
		if second == nil || err != nil || v.err != nil {
			return nil, err
		}
		return of(first, second)
	}
}

// ofOne returns the evaluator of a function of one value; NULL if it is NULL.
func ofOne(a evaluator, of func(driver.Value) driver.Value) evaluator {
	if a == nil {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		value, err := a(v)
		if value == nil || err != nil || v.err != nil {
			return nil, err
		}
		return of(value), nil
	}
}

// rank returns the position of the value's storage class in SQLite's order.
func rank(v driver.Value) int {
	switch v.(type) {
	case int64, float64:
		return 0
	case string:
		return 1
	}
	return 2
}

// compareValues orders two values as SQLite does; fold ignores the case of text.
func compareValues(a, b driver.Value, fold bool) int {
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(float64(a), b.(float64))
	case float64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, float64(b))
		}
		return cmp.Compare(a, b.(float64))
	case string:
		b := b.(string)
		if fold {
			return Collate(a, b)
		}
		return strings.Compare(a, b)
	case []byte:
		return bytes.Compare(a, b.([]byte))
	}
	return 0
}

func truth(yes bool) driver.Value {
	if yes {
		return int64(1)
	}
	return int64(0)
}

// comparing returns the evaluator of a comparison with one of SQLite's operators.
func comparing(operator string, a, b evaluator, fold bool) evaluator {
	return ofTwo(a, b, func(a, b driver.Value) (driver.Value, *Error) {
		c := compareValues(a, b, fold)
		switch operator {
		case "=":
			return truth(c == 0), nil
		case "<>":
			return truth(c != 0), nil
		case "<":
			return truth(c < 0), nil
		case "<=":
			return truth(c <= 0), nil
		case ">":
			return truth(c > 0), nil
		}
		return truth(c >= 0), nil
	})
}

// inList returns the evaluator of IN: unknown if the value is not found and one of the values is NULL.
func inList(left evaluator, list []fragment, fold bool) evaluator {
	values := evaluators(list)
	if left == nil || values == nil {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		x, err := left(v)
		if x == nil || err != nil || v.err != nil {
			return nil, err
		}
		var out driver.Value = int64(0)
		for _, value := range values {
			y, err := value(v)
			switch {
			case err != nil || v.err != nil:
				return nil, err
			case y == nil:
				out = nil
			case compareValues(x, y, fold) == 0:
				return int64(1), nil
			}
		}
		return out, nil
	}
}

// joined returns the evaluator of AND, or with any of OR: it stops at the first decisive operand.
func joined(list []fragment, any bool) evaluator {
	parts := evaluators(list)
	if parts == nil {
		return nil
	}
	decisive := int64(0)
	if any {
		decisive = 1
	}
	return func(v *Values) (driver.Value, *Error) {
		var out driver.Value = 1 - decisive
		for _, part := range parts {
			value, err := part(v)
			switch {
			case err != nil || v.err != nil:
				return nil, err
			case value == nil:
				out = nil
			case value == decisive:
				return decisive, nil
			}
		}
		return out, nil
	}
}

// decidedBy returns the evaluator of AND, or with any of OR, over the operands before the first one without an
// evaluator; its value is nil if they do not decide. SQLite too computes an operand only if those before it do not
// decide.
func decidedBy(list []fragment, any bool) evaluator {
	n := slices.IndexFunc(list, func(f fragment) bool { return f.eval == nil })
	if n < 1 {
		return nil
	}
	first := joined(list[:n], any)
	return func(v *Values) (driver.Value, *Error) {
		value, err := first(v)
		if value == nil || err != nil || (value == int64(1)) != any {
			return nil, err
		}
		return value, nil
	}
}

// negated returns the evaluator of NOT.
func negated(f evaluator) evaluator {
	return ofOne(f, func(v driver.Value) driver.Value { return truth(v == int64(0)) })
}

// isNull returns the evaluator of IS NULL.
func isNull(f evaluator) evaluator {
	if f == nil {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		value, err := f(v)
		return truth(value == nil), err
	}
}

// coalesce returns the evaluator of COALESCE and ISNULL.
func coalesce(list []fragment) evaluator {
	values := evaluators(list)
	if values == nil {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		for _, value := range values {
			if x, err := value(v); x != nil || err != nil || v.err != nil {
				return x, err
			}
		}
		return nil, nil
	}
}

// nullIf returns the evaluator of NULLIF.
func nullIf(list []fragment) evaluator {
	values := evaluators(list)
	if len(values) != 2 {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		x, err := values[0](v)
		if x == nil || err != nil || v.err != nil {
			return nil, err
		}
		y, err := values[1](v)
		if err != nil || y != nil && compareValues(x, y, true) == 0 {
			return nil, err
		}
		return x, nil
	}
}

// caseValue returns the evaluator of CASE: the value of the first condition that is true. conditions and values are
// pairs; otherwise may be nil for NULL.
func caseValue(conditions, values []fragment, otherwise *fragment) evaluator {
	when, then := evaluators(conditions), evaluators(values)
	if when == nil || then == nil || otherwise != nil && otherwise.eval == nil {
		return nil
	}
	return func(v *Values) (driver.Value, *Error) {
		for i, condition := range when {
			value, err := condition(v)
			if err != nil || v.err != nil {
				return nil, err
			}
			if value == int64(1) {
				return then[i](v)
			}
		}
		if otherwise == nil {
			return nil, nil
		}
		return otherwise.eval(v)
	}
}

// integers returns the evaluator of one of SQLite's operators on two integers; it returns nil for other values, which
// SQLite computes.
func integers(operator string, a, b evaluator) evaluator {
	return ofTwo(a, b, func(a, b driver.Value) (driver.Value, *Error) {
		x, ok := a.(int64)
		y, also := b.(int64)
		if !ok || !also {
			return mixed(operator, a, b)
		}
		switch operator {
		case "+":
			return x + y, nil
		case "-":
			return x - y, nil
		case "*":
			if p := x * y; x == 0 || p/x == y && !(x == -1 && y == -1<<63) {
				return p, nil
			}
			return float64(x) * float64(y), nil
		case "&":
			return x & y, nil
		}
		return x | y, nil
	})
}

// mixed computes an operation on numbers of which one has a fraction.
func mixed(operator string, a, b driver.Value) (driver.Value, *Error) {
	x, err := number(a)
	if err != nil {
		return nil, err
	}
	y, err := number(b)
	if err != nil {
		return nil, err
	}
	switch operator {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "&":
		return int64(x) & int64(y), nil
	}
	return int64(x) | int64(y), nil
}
