package tsql

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// An expression that is computed without SQLite has the same value as its text in SQLite.
func TestEvaluate_AsSQLite(t *testing.T) {
	if err := RegisterFunctions(); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{
		"@n": int64(7), "@m": int64(-3), "@null": nil, "@bit": int64(1), "@text": "Abc", "@other": "aBC", "@bytes": []byte{1, 2}, "@id": bytes.Repeat([]byte{7}, 16),
		"@d": "2026-11-30 10:00:00.003", "@p": "2026-11-30 10:00:00.0033333", "@later": "2026-11-30 10:00:01.5000000",
	}
	const declared = "DECLARE @n int, @m int, @null int, @bit bit, @text nvarchar(10), @other nvarchar(10), @bytes varbinary(9), @id binary(16), @d datetime, @p datetime2(7), @later datetime2(7), @x sql_variant\n"
	db := openTables(t)
	computed := 0
	for _, e := range []string{
		"1", "NULL", "'x'", "0x0102", "1.5", "@n", "-@n", "~@n", "@n + 1", "@n - @m", "@n * @m", "@n / 2", "@n % 2", "@n & 3", "@n | 8", "@n ^ 2", "@n / 0", "@null + 1", "-@null", "@n + 1.5", "2147483647 * 3",
		"CASE WHEN @n = 7 THEN 'seven' ELSE 'other' END", "CASE @n WHEN 1 THEN 'a' WHEN 7 THEN 'b' END", "CASE @text WHEN 'ABC' THEN 1 END", "CASE WHEN @null = 1 THEN 1 WHEN @null IS NULL THEN 2 END", "CASE WHEN @n = 8 THEN 1 END",
		"COALESCE(@null, @n)", "COALESCE(@null, NULL)", "ISNULL(@null, 3)", "ISNULL(@id, 0x00)", "NULLIF(@n, 7)", "NULLIF(@n, @null)", "NULLIF(@id, 0x07070707070707070707070707070707)", "IIF(@n > 3, 'more', 'less')",
		"DATEADD(second, @n, @d)", "DATEADD(millisecond, -10, @p)", "DATEADD(second, -@null, @d)", "DATEDIFF(second, @d, @later)", "DATEDIFF(minute, @null, @d)", "DATEPART(year, @d)", "YEAR(@d)", "DATEADD(year, 9000, @d)",
		"CONVERT(int, '12')", "CONVERT(int, 'x')", "CONVERT(varchar(2), @text)", "CONVERT(bit, 5)", "TRY_CONVERT(int, 'x')", "CONVERT(varbinary(max), @bytes)", "CAST(@n AS bigint)", "CONVERT(datetime, @p)",
		"LEN(@text)", "UPPER(@text)", "LEFT(@text, 2)", "SUBSTRING(@text, 2, 1)", "CHARINDEX('b', @text)", "CONCAT(@text, @null, @n)", "@text + @other", "@@ROWCOUNT", "@@ROWCOUNT + @@ROWCOUNT", "GETUTCDATE()",
		"?@n = 7", "?@n <> 7", "?@n < 7", "?@n <= 7", "?@n > @m", "?@n >= 8", "?@null = 1", "?@null IS NULL", "?@n IS NOT NULL", "?@text = @other", "?@text < 'b'", "?@bytes = 0x0102", "?@d = @p", "?@d < @later", "?@p <= @d", "?@d > '2026-01-01'",
		"?@n IN (1, 7)", "?@n IN (1, @null)", "?@n IN (7, @null)", "?@n NOT IN (1, @null)", "?@null IN (1)", "?@text IN ('x', 'ABC')", "?@n BETWEEN 1 AND 7", "?@n NOT BETWEEN 1 AND 7", "?@null BETWEEN 1 AND 2", "?@n BETWEEN @null AND 3",
		"?@n = 7 AND @m = 1", "?@n = 7 OR @null = 1", "?@n = 1 OR @null = 1", "?@null = 1 AND @n = 1", "?@null = 1 AND @n = 7", "?NOT (@null = 1)", "?NOT (@n = 1)", "?(@n = 7 AND (@m = 1 OR @bit = 1)) AND NOT @text IS NULL", "?@text LIKE 'a%'",
		"CONCAT(@text, SUBSTRING(CONCAT(@other, UPPER(@text), @n), 2, LEN(@text)), REPLACE(@text, LEFT(@text, 1), RIGHT(@other, 1)))", "COALESCE(CONVERT(int, SUBSTRING('x7', 2, 1)), 1)", "SUBSTRING(@text, CONVERT(int, @null), 1)",
		"?@n = 1 AND EXISTS (SELECT 1)", "?@n = 7 AND EXISTS (SELECT 1)", "?@null = 1 AND EXISTS (SELECT 1)", "?@null = 1 AND @n = 1 AND EXISTS (SELECT 1)", "?@n = 7 OR EXISTS (SELECT 1)", "?@n = 1 OR EXISTS (SELECT 1)",
	} {
		text, condition := strings.CutPrefix(e, "?")
		if condition {
			text = "IF " + text + " RETURN 1"
		} else {
			text = "SET @x = " + text
		}
		p, err := ParseProcedure("CREATE PROCEDURE p AS "+declared+text, nil)
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		var x Expr
		switch st := p.Body[len(p.Body)-1].(type) {
		case *Assign:
			x = st.Value
		case *If:
			x = st.Condition
		}
		now := time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
		variable := func(name string) (any, error) { return values[name], nil }
		system := func(c SystemCall) (any, error) {
			if v, ok := ClockValue(c.Name, now); ok {
				return v, nil
			}
			return int64(5), nil
		}
		got, ok, failed := x.Evaluate(&Values{Variable: variable, System: system})
		if !ok {
			continue
		}
		computed++
		var args []any
		for _, name := range x.Parameters {
			args = append(args, values[name])
		}
		for _, call := range x.System {
			v, _ := system(call)
			args = append(args, v)
		}
		var want any
		err = db.QueryRowContext(t.Context(), "SELECT "+x.SQL, args...).Scan(&want)
		g, w := fmt.Sprintf("%T %v", got, got), fmt.Sprintf("%T %v", want, want)
		if failed != nil || err != nil {
			g, w = fmt.Sprint(failed), "<nil>"
			if e := FromSQLite(err); e != nil {
				w = e.Error()
			}
		}
		if g != w {
			t.Errorf("%s: %s, SQLite returns %s", e, g, w)
		}
	}
	if computed < 90 {
		t.Errorf("only %d expressions were computed without SQLite", computed)
	}
}

// A condition that its first operands decide needs no query. SQLite computes one that they do not decide, or where one
// of them fails.
func TestEvaluate_Decided(t *testing.T) {
	for condition, want := range map[string]any{
		"@n = 1 AND EXISTS (SELECT 1)": int64(0), "@n = 7 AND EXISTS (SELECT 1)": nil, "@n = 7 OR EXISTS (SELECT 1)": int64(1), "@n = 1 OR EXISTS (SELECT 1)": nil,
		"@null = 1 AND EXISTS (SELECT 1)": nil, "@null = 1 OR EXISTS (SELECT 1)": nil, "EXISTS (SELECT 1) AND @n = 1": nil, "EXISTS (SELECT 1) OR @n = 7": nil, "@n / 0 = 1 AND EXISTS (SELECT 1)": nil,
		"NOT (@n = 1 AND EXISTS (SELECT 1))": nil, "@n = 7 AND @n = 1 AND EXISTS (SELECT 1)": int64(0), "@unknown = 1 AND EXISTS (SELECT 1)": nil,
	} {
		p, err := ParseProcedure("CREATE PROCEDURE p @n int, @null int, @unknown int AS IF "+condition+" RETURN 1", nil)
		if err != nil {
			t.Fatal(err)
		}
		x := p.Body[0].(*If).Condition
		got, ok, err := x.Evaluate(&Values{Variable: func(name string) (any, error) {
			if name == "@unknown" {
				return nil, errors.New("unknown")
			}
			return map[string]any{"@n": int64(7)}[name], nil
		}})
		if ok != (want != nil) || err != nil || ok && got != want {
			t.Errorf("%s: %v %v %v, not %v", condition, got, ok, err, want)
		}
	}
}

// An error of Values is returned; an expression on a table's columns is left to SQLite.
func TestEvaluate_Fails(t *testing.T) {
	p, err := ParseProcedure("CREATE PROCEDURE p @a int, @b int AS SET @a = @a + @b SET @a = (SELECT COUNT(*) FROM t)", nil)
	if err != nil {
		t.Fatal(err)
	}
	unknown := errors.New("unknown")
	v := &Values{Variable: func(string) (any, error) { return nil, unknown }}
	first, second := p.Body[0].(*Assign).Value, p.Body[1].(*Assign).Value
	if _, ok, err := first.Evaluate(v); !ok || !errors.Is(err, unknown) {
		t.Errorf("got %v, %v; want %v", ok, err, unknown)
	}
	if _, ok, _ := second.Evaluate(v); ok {
		t.Error("a query was computed without SQLite")
	}
}

// A system value may be evaluated while a function's arguments are computed, and may itself use the same Values.
func TestEvaluate_Nested(t *testing.T) {
	p, err := ParseProcedure("CREATE PROCEDURE p @n int, @text nvarchar(9) AS SET @text = CONCAT(@text, OBJECT_ID(CONCAT('a', @n, @n, @n, @n, @n, @n, @n)), @n)", nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &Values{Variable: func(name string) (any, error) { return map[string]any{"@n": int64(7), "@text": "Abc"}[name], nil }}
	v.System = func(c SystemCall) (any, error) {
		value, ok, err := c.Args[0].Evaluate(v)
		if !ok || err != nil {
			t.Errorf("the argument: %v %v", ok, err)
		}
		return value, nil
	}
	x := p.Body[0].(*Assign).Value
	if got, ok, err := x.Evaluate(v); got != "Abca77777777" || !ok || err != nil {
		t.Errorf("got %v, %v, %v", got, ok, err)
	}
}
