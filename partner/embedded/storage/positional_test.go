package storage

import (
	"database/sql/driver"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

func TestPositional(t *testing.T) {
	for _, c := range []struct {
		text, rewritten string
		order           []int
	}{
		{`SELECT 1`, `SELECT 1`, nil},
		{`SELECT ?1`, `SELECT ?`, []int{0}},
		{`SELECT ?3, ?1, ?3 + ?2, ?1`, `SELECT ?, ?, ?1 + ?, ?2`, []int{2, 0, 1}},
		{`SELECT '?1', "?2", [?3], ` + "`?4`" + `, ?5, 'it''s ?6'`, `SELECT '?1', "?2", [?3], ` + "`?4`" + `, ?, 'it''s ?6'`, []int{4}},
		{`SELECT ?, ?`, `SELECT ?, ?`, nil},
		{`SELECT ?1, @a`, `SELECT ?1, @a`, nil},
		{`SELECT ?1, :a`, `SELECT ?1, :a`, nil},
		{`SELECT ?1, $a`, `SELECT ?1, $a`, nil},
		{`SELECT ?1 -- it's`, `SELECT ?1 -- it's`, nil},
		{`SELECT ?1 /* it's */`, `SELECT ?1 /* it's */`, nil},
		{`SELECT ?0`, `SELECT ?0`, nil},
		{`SELECT ?1, 'open`, `SELECT ?, 'open`, []int{0}},
	} {
		if rewritten, order := positional(c.text); rewritten != c.rewritten || !slices.Equal(order, c.order) {
			t.Errorf("%s: %s %v", c.text, rewritten, order)
		}
	}
}

// TestStatement_argumentsByNumber runs statements whose parameters occur in another order than their numbers, with
// missing and with surplus arguments.
func TestStatement_argumentsByNumber(t *testing.T) {
	c, err := OpenConn(filepath.Join(t.TempDir(), "arguments.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	st, err := c.Prepare(`SELECT ?3, ?1 || ?3, ?2`)
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Value{"c", "ac", int64(2)}
	row := make([]driver.Value, 3)
	for _, args := range [][]driver.Value{{"a", int64(2), "c"}, {"a", int64(2), "c", "d"}} {
		if found, err := st.Row(row, args...); err != nil || !found || !reflect.DeepEqual(row, want) {
			t.Errorf("%v: %v %v", args, row, err)
		}
		var named []driver.NamedValue
		for i, v := range args {
			named = append(named, driver.NamedValue{Ordinal: i + 1, Value: v})
		}
		if rows, err := st.All(named); err != nil || !reflect.DeepEqual(rows, [][]driver.Value{want}) {
			t.Errorf("%v: %v %v", args, rows, err)
		}
	}
	for n := range 3 {
		if _, err := st.Row(row, want[:n]...); err == nil {
			t.Errorf("%d of 3 arguments are counted as complete", n)
		}
		if _, err := st.All(make([]driver.NamedValue, n)); err == nil {
			t.Errorf("%d of 3 arguments are counted as complete", n)
		}
	}
}
