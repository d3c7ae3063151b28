// Package sqlvalue converts values between TDS (package tds), T-SQL (package tsql) and SQLite, by the rules of the
// manual's "Data type conversion". It does no I/O.
//
// SQLite has nil, int64, float64, string and []byte. It stores a datetime as text, in milliseconds rounded as SQL
// Server rounds them.
package sqlvalue
