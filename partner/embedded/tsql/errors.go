package tsql

import "fmt"

// Error is an error with SQL Server's number and text, to be sent as an ERROR
// token. Parse returns no other kind of error.
//
// Errors of Parse: 102 and 156 syntax, 103 and 117 a name too long, 105 and 113
// unclosed string or comment, 128 a column that is not allowed, 130 and 141
// misplaced aggregates and assignments, 131, 243 and 1002 types, 155 date
// parts, 174 and 189 number of arguments, 179 OUTPUT of a constant, 191 nested
// too deeply, 195 unknown SET option, 241 and 242 invalid date, 259 write to
// the catalogue, 4145 missing condition, 7202 linked server; and 40510 for
// every feature of SQL Server that the embedded partner does not have: the
// message names it. FromSQLite lists the errors of execution.
type Error struct {
	Number  int32
	State   uint8
	Class   uint8 // severity; 15 syntax, 16 others
	Message string
	Line    int // of the batch, from 1; 0 for an error of execution (see FromSQLite)
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s (%d)", e.Message, e.Number)
}

// unsupportedNumber is the number of every refusal of valid T-SQL that is not
// supported. SQL Server's own 40510 reads "Statement '%s' is not supported in
// this version of SQL Server".
const unsupportedNumber = 40510

// notSupported returns the refusal of what; kind is Statement, Clause,
// Function, …
func notSupported(line int, kind, what string) *Error {
	return &Error{Number: unsupportedNumber, State: 1, Class: 16, Line: line,
		Message: fmt.Sprintf("%s '%s' is not supported by the embedded partner.", kind, what)}
}
