package tsql

import (
	"database/sql/driver"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Caller runs the user-defined function of that name, called by the statement that SQLite is running. defaults has a
// "d" for each argument that is DEFAULT. The Caller may run other statements on the same connection, but no running
// one. [FromSQLite] returns its *Error.
type Caller func(name, defaults string, args []driver.Value) (driver.Value, error)

// callers maps the numbers of NewCaller to their callers.
var (
	callers    sync.Map
	lastCaller atomic.Int64
)

// NewCaller registers a caller and returns its number: the value of a [SystemCall] named "FUNCTION". release ends the
// registration.
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
