package tsql

import (
	"database/sql/driver"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Caller runs the user's function of that name for the statement that SQLite runs. defaults has a "d" at each argument that is to be the
// parameter's default. It may run statements on the same connection, but none that is running. An *Error comes back from [FromSQLite].
type Caller func(name, defaults string, args []driver.Value) (driver.Value, error)

// callers are those of NewCaller by their numbers.
var (
	callers    sync.Map
	lastCaller atomic.Int64
)

// NewCaller gives a number for a caller: the value of a [SystemCall] named "FUNCTION". The caller is known until release is called.
func NewCaller(c Caller) (number int64, release func()) {
	number = lastCaller.Add(1)
	callers.Store(number, c)
	return number, func() { callers.Delete(number) }
}

// registerCaller registers tsql_call (number, name, defaults, arguments).
func registerCaller() error {
	return sqlite.RegisterScalarFunction("tsql_call", -1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		number, _ := args[0].(int64)
		c, ok := callers.Load(number)
		if !ok {
			return nil, failure(4121, 16, "Cannot find the user-defined function or aggregate \"dbo.%s\", or the name is ambiguous.", textOf(args[1])).asText()
		}
		value, err := c.(Caller)(textOf(args[1]), textOf(args[2]), append([]driver.Value(nil), args[3:]...))
		if e, ok := err.(*Error); ok && e != nil {
			return nil, e.asText()
		}
		return value, err
	})
}
