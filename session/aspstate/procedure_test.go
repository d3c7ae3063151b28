package aspstate

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"
)

// scripted is a connection, a statement and its rows. The driver returns the result sets that the test gives.
type scripted struct {
	sets   [][][]driver.Value
	failed error // the error of the rows, after the last one
	late   error // the error of Close
	sent   []driver.NamedValue
	closed bool
}

func (s *scripted) CheckNamedValue(*driver.NamedValue) error { return nil }

func (s *scripted) PrepareContext(context.Context, string) (driver.Stmt, error) {
	return struct {
		driver.Stmt
		driver.StmtQueryContext
	}{statement{}, s}, nil
}

func (s *scripted) QueryContext(_ context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.sent = args
	return s, nil
}

func (s *scripted) Columns() []string {
	if len(s.sets) == 0 || len(s.sets[0]) == 0 {
		return nil
	}
	return make([]string, len(s.sets[0][0]))
}

func (s *scripted) Next(dest []driver.Value) error {
	if len(s.sets) == 0 || len(s.sets[0]) == 0 {
		if s.failed != nil && len(s.sets) <= 1 {
			return s.failed
		}
		return io.EOF
	}
	copy(dest, s.sets[0][0])
	s.sets[0] = s.sets[0][1:]
	return nil
}

func (s *scripted) HasNextResultSet() bool { return len(s.sets) > 1 }

func (s *scripted) NextResultSet() error {
	s.sets = s.sets[1:]
	return nil
}

func (s *scripted) Close() error {
	s.closed = true
	return s.late
}

// statement has the other methods of a statement.
type statement struct{ driver.Stmt }

func (statement) Close() error { return nil }

// Every row of every result set is read. A wrong column is an error, and so is an error after the last row.
func TestQuery_ReadsAll(t *testing.T) {
	broken := errors.New("broken")
	one := func(values ...driver.Value) [][]driver.Value { return [][]driver.Value{values} }
	for name, c := range map[string]struct {
		scripted
		want string // the numbers that were read, or the error
	}{
		"one row":                {scripted{sets: [][][]driver.Value{one(int64(7), []byte("x"))}}, "7"},
		"rows and result sets":   {scripted{sets: [][][]driver.Value{{{int64(1), nil}, {int64(2), nil}}, one(int64(3), nil)}}, "123"},
		"an empty set between":   {scripted{sets: [][][]driver.Value{one(int64(1), nil), {}, one(int64(2), nil)}}, "12"},
		"no row":                 {scripted{}, ""},
		"NULL":                   {scripted{sets: [][][]driver.Value{one(nil, nil)}}, "-"},
		"another type":           {scripted{sets: [][][]driver.Value{one("7", nil)}}, "column 1 of the answer is a string, not a int64"},
		"too few columns":        {scripted{sets: [][][]driver.Value{one(int64(7))}}, "the answer has only 1 columns"},
		"broken after a row":     {scripted{sets: [][][]driver.Value{one(int64(7), nil)}, failed: broken}, "broken"},
		"an error at the end":    {scripted{sets: [][][]driver.Value{one(int64(7), nil)}, late: broken}, "broken"},
		"the first error counts": {scripted{sets: [][][]driver.Value{one("7", nil)}, late: broken}, "column 1 of the answer is a string, not a int64"},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			err := query(t.Context(), &c.scripted, "p", []driver.NamedValue{arg("a", int64(1)), arg("b", nil)}, func(r *row) error {
				if n := next[int64](r); !n.Valid {
					got.WriteByte('-')
				} else {
					got.WriteByte(byte('0' + n.V))
				}
				next[[]byte](r)
				return r.err
			})
			if err != nil {
				got.Reset()
				got.WriteString(err.Error())
			}
			if got.String() != c.want {
				t.Errorf("got %q, want %q", got.String(), c.want)
			}
			if !c.closed || len(c.sent) != 2 || c.sent[1].Ordinal != 2 {
				t.Errorf("closed %t, arguments %v", c.closed, c.sent)
			}
		})
	}
}
