package tsql

import (
	"fmt"
	"regexp"
	"strconv"
)

// failure returns an error that a function raises while a query runs. SQLite passes on
// only its text, which FromSQLite parses.
func failure(number int32, class uint8, format string, args ...any) *Error {
	return &Error{Number: number, State: 1, Class: class, Message: fmt.Sprintf(format, args...)}
}

// asText encodes an Error as the text that SQLite passes on.
func (e *Error) asText() error {
	return fmt.Errorf("tsql:%d:%d:%s:tsql", e.Number, e.Class, e.Message)
}

// errorPattern matches an Error's text in an error of SQLite.
var errorPattern = regexp.MustCompile(`(?s)tsql:(\d+):(\d+):(.*):tsql`)

// translations maps SQLite's errors to SQL Server's; the first group of the pattern is
// inserted in the message.
var translations = []struct {
	pattern *regexp.Regexp
	number  int32
	class   uint8
	message string
}{
	{regexp.MustCompile(`no such table: (?:main\.|temp\.)?(.*?)(?: \(\d+\))?$`), 208, 16, "Invalid object name '%s'."},
	{regexp.MustCompile(`no such column: (?:[^ ]*\.)?([^.]*?)(?: - should this be.*)?(?: \(\d+\))?$`), 207, 16, "Invalid column name '%s'."},
	{regexp.MustCompile(`has no column named (.*?)(?: \(\d+\))?$`), 207, 16, "Invalid column name '%s'."},
	{regexp.MustCompile(`ambiguous column name: (.*?)(?: \(\d+\))?$`), 209, 16, "Ambiguous column name '%s'."},
	{regexp.MustCompile(`UNIQUE constraint failed: (?:index ')?([^.' (]+)`), 2627, 14,
		"Violation of PRIMARY KEY or UNIQUE constraint. Cannot insert duplicate key in object 'dbo.%s'."},
	{regexp.MustCompile(`NOT NULL constraint failed: [^.]+\.([^ (]+)`), 515, 16,
		"Cannot insert the value NULL into column '%s'; column does not allow nulls."},
	{regexp.MustCompile(`((?:CHECK|FOREIGN KEY) constraint) failed`), 547, 16, "The statement conflicted with a %s."},
	{regexp.MustCompile(`(misuse of window function|misuse of aliased window function)`), 4108, 15, "Windowed functions can only appear in the SELECT or ORDER BY clauses: %s."},
	{regexp.MustCompile(`duplicate WITH table name: (.*?)(?: \(\d+\))?$`), 239, 16, "Duplicate common table expression name '%s' was specified."},
	{regexp.MustCompile(`error in (?:view|index|trigger) (.*?) after drop column`), 5074, 16, "The object '%s' is dependent on the column."},
	{regexp.MustCompile(`(ORDER BY term does not match)`), 104, 16,
		"ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator: %s."},
	{regexp.MustCompile(`(ORDER BY term out of range)`), 108, 15, "The ORDER BY position number is out of range of the number of items in the select list.%.0s"},
	{regexp.MustCompile(`(SELECTs to the left and right of .* do not have the same number)`), 205, 16, unequalOperands + "%.0s"},
	{regexp.MustCompile(`cannot modify (.*?) because it is a view`), unsupportedNumber, 16, "Statement 'write to the view %s' is not supported by the embedded partner."},
	{regexp.MustCompile(`misuse of aggregate(?: function|:)? ?([^ ]*)`), 147, 15,
		"An aggregate may not appear in the WHERE clause: %s."},
	{regexp.MustCompile(`(table \S+ has \d+ columns but \d+ values|\d+ values for \d+ columns)`), 213, 16,
		"Column name or number of supplied values does not match table definition: %s."},
	{regexp.MustCompile(`(all VALUES must have the same number of terms)`), 10709, 16,
		"The number of columns for each row in a table value constructor must be the same: %s."},
	{regexp.MustCompile(`(sub-select returns \d+ columns)`), 116, 16,
		"Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.%.0s"},
	{regexp.MustCompile(`(\d+\w\w) (?:ORDER|GROUP) BY term out of range`), 108, 16,
		"The ORDER BY position number is out of range of the number of items in the select list.%.0s"},
	{regexp.MustCompile(`(Expression tree is too large|parser stack overflow)`), 191, 15,
		"Some part of your SQL statement is nested too deeply: %s."},
	{regexp.MustCompile(`(database or disk is full)`), 1105, 17,
		"Could not allocate space because the 'PRIMARY' filegroup is full due to lack of storage space or database files reaching the maximum allowed size: %s."},
	{regexp.MustCompile(`(integer overflow)`), 8115, 16, "Arithmetic overflow error converting expression to data type bigint: %s."},
}

// FromSQLite returns the SQL Server error for an error of the translated SQL: 207 and
// 208 for an unknown column or table, 209 ambiguous column, 2627 duplicate key, 515
// NULL that is not allowed, 547 other constraints, 213 number of values, the errors
// that functions raise (241, 245, 257, 517, 535, 8114, 8115, 8134, 8152, 8169, …), and
// 1105 for a full disk. It returns nil for an unknown error (such as a locked
// database) and for nil.
func FromSQLite(err error) *Error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if m := errorPattern.FindStringSubmatch(text); m != nil {
		number, _ := strconv.ParseInt(m[1], 10, 32) // matched digits only
		class, _ := strconv.ParseUint(m[2], 10, 8)
		return failure(int32(number), uint8(class), "%s", m[3])
	}
	for _, t := range translations {
		if m := t.pattern.FindStringSubmatch(text); m != nil {
			return failure(t.number, t.class, t.message, m[1])
		}
	}
	return nil
}
