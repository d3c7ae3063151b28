package tsql

import (
	"database/sql/driver"
	"time"

	"modernc.org/sqlite"
)

// raiseFunction implements tsql_raise(number, class, message): it returns the error.
func raiseFunction(args []driver.Value) (driver.Value, *Error) {
	number, _ := args[0].(int64)
	class, _ := args[1].(int64)
	return nil, failure(int32(number), uint8(class), "%s", textOf(args[2]))
}

// clockFunction implements tsql_clock(name): the current time for a part of the schema, which cannot have
// parameters.
func clockFunction(args []driver.Value) (driver.Value, *Error) {
	v, _ := ClockValue(textOf(args[0]), time.Now())
	return v, nil
}

// depthFunction implements tsql_depth(level, limit): the next level of a recursive common table expression.
func depthFunction(args []driver.Value) (driver.Value, *Error) {
	level, _ := args[0].(int64)
	limit, _ := args[1].(int64)
	if limit > 0 && level >= limit {
		return nil, failure(530, 16, "The statement terminated. The maximum recursion %d has been exhausted before statement completion.", limit)
	}
	return level + 1, nil
}

// single implements the aggregate function tsql_single: the only value, NULL if there is none, error
// 512 if there are several.
type single struct {
	seen  bool
	value driver.Value
}

func (s *single) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	if s.seen {
		return failure(512, 16, "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.").asText()
	}
	s.seen = true
	if s.value = args[0]; s.value != nil {
		if b, ok := s.value.([]byte); ok {
			s.value = append([]byte{}, b...)
		}
	}
	return nil
}

// WindowInverse implements sqlite.AggregateFunction. The function is not a window function.
func (s *single) WindowInverse(*sqlite.FunctionContext, []driver.Value) error {
	s.seen, s.value = false, nil
	return nil
}

// WindowValue implements sqlite.AggregateFunction.
func (s *single) WindowValue(*sqlite.FunctionContext) (driver.Value, error) { return s.value, nil }

// Final implements sqlite.AggregateFunction.
func (s *single) Final(*sqlite.FunctionContext) {}

// registerAggregates registers the aggregate functions.
func registerAggregates() error {
	return sqlite.RegisterFunction("tsql_single", &sqlite.FunctionImpl{NArgs: 1, Deterministic: true,
		MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) { return &single{}, nil }})
}
