package operate

import "context"

// Row is one row of a query: each column's value as text, a bit as 0 or 1. A column that is NULL has no entry.
type Row map[string]string

// Server is a connection to one server, in the database master. One goroutine at a
// time uses it. Each call ends when ctx ends.
type Server interface {
	Query(ctx context.Context, query string) ([]Row, error)
	Exec(ctx context.Context, statement string) error
}

// numbered is an error of a server. The errors of the driver implement it.
type numbered interface {
	error
	SQLErrorNumber() int32
	SQLErrorMessage() string
}
