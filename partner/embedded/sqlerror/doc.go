// Package sqlerror has the errors of the embedded servers: SQL Server's numbers, severities and texts, and the
// conversion of errors of SQLite and of package tsql to them. It does no I/O.
//
// The packages below partner/embedded are parts of it; their interfaces may change with it.
package sqlerror
