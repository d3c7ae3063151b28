// Package sqlvalue converts values between the wire (package tds), T-SQL (package tsql) and SQLite, by the rules of the manual's
// "Data type conversion". It does no I/O.
//
// SQLite has nil, int64, float64, string and []byte. A datetime is text there, in milliseconds that SQL Server's own rounding gives.
package sqlvalue
