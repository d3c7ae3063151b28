// Package message has the errors of the embedded servers: SQL Server's numbers, severities and texts, and how an error of SQLite
// or of package tsql becomes one of them. It does no I/O.
//
// The packages below partner/embedded are its rooms; their interfaces may change with it.
package message
