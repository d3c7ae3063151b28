package storage

import (
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// Scanner reads the columns of one row in order. An ad-hoc statement can store values
// of another type than the column's. Err is the first such value.
type Scanner struct {
	V   []driver.Value
	Err error
}

func (s *Scanner) next() driver.Value {
	v := s.V[0]
	s.V = s.V[1:]
	return v
}

func (s *Scanner) wrong(v driver.Value, want string) {
	if s.Err == nil {
		s.Err = fmt.Errorf("a column holds a value of type %T, not %s", v, want)
	}
}

// Text returns the next value, which must be text.
func (s *Scanner) Text() string {
	switch v := s.next().(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		s.wrong(v, "text")
		return ""
	}
}

// Int64 returns the next value, which must be an integer.
func (s *Scanner) Int64() int64 {
	v := s.next()
	n, ok := v.(int64)
	if !ok && v != nil {
		s.wrong(v, "bigint")
	}
	return n
}

func (s *Scanner) date() sqlvalue.Datetime {
	v := s.next()
	if v == nil {
		return sqlvalue.NoDate
	}
	text, _ := v.(string)
	d, ok := sqlvalue.ParseDatetime(text)
	if !ok {
		s.wrong(v, "datetime")
	}
	return d
}

// TrimBlanks removes the trailing blanks that pad a char value.
func TrimBlanks(s string) string { return strings.TrimRight(s, " ") }

// DateValue returns the date as SQLite stores it.
func DateValue(d sqlvalue.Datetime) driver.Value {
	if d.Null() {
		return nil
	}
	return d.Text()
}
