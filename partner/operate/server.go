package operate

import "context"

// Row is one row of a query: each column's value as text, a bit as 0 or 1. A NULL is not there.
type Row map[string]string

// Server is a connection to one server, in master. It is used by one goroutine at a
// time. Each call ends with ctx.
type Server interface {
	Query(ctx context.Context, query string) ([]Row, error)
	Exec(ctx context.Context, statement string) error
}

// numbered is what errors of a server have. The driver's do.
type numbered interface {
	error
	SQLErrorNumber() int32
	SQLErrorMessage() string
}
