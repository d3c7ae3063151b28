package embedded

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

// scanner reads the columns of one row in order. What an ad-hoc statement put
// into a column may not be what the column was made for: the first such value is err.
type scanner struct {
	v   []driver.Value
	err error
}

func (s *scanner) next() driver.Value {
	v := s.v[0]
	s.v = s.v[1:]
	return v
}

func (s *scanner) wrong(v driver.Value, want string) {
	if s.err == nil {
		s.err = fmt.Errorf("a column holds %T where %s belongs", v, want)
	}
}

func (s *scanner) text() string {
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

func (s *scanner) int64() int64 {
	v := s.next()
	n, ok := v.(int64)
	if !ok && v != nil {
		s.wrong(v, "bigint")
	}
	return n
}

func (s *scanner) date() datetime {
	v := s.next()
	if v == nil {
		return noDate
	}
	text, _ := v.(string)
	d, ok := parseDatetime(text)
	if !ok {
		s.wrong(v, "datetime")
	}
	return d
}

// trimBlanks drops the blanks that pad a char.
func trimBlanks(s string) string { return strings.TrimRight(s, " ") }

func dateValue(d datetime) driver.Value {
	if d.null() {
		return nil
	}
	return d.text()
}
