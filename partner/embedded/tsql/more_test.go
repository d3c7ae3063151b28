package tsql

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The values of the functions of morefunctions.go at their limits. Their ordinary values are in the corpus of package
// integration.
func TestFurtherFunctions(t *testing.T) {
	s := &session{db: openTables(t), variables: map[string]any{"@null": nil, "@big": int64(1) << 40}}
	for _, test := range []struct{ expression, want string }{
		{`REPLICATE('', 5)`, ""}, {`LEN(REPLICATE(N'ab', 5000))`, "4000"}, {`LEN(REPLICATE('abc', 3000))`, "8000"}, {`REPLICATE('a', @null)`, "NULL"}, {`LEN(REPLICATE('ab', 2147483647))`, "8000"},
		{`SPACE(0)`, ""}, {`LEN(SPACE(9000) + 'x')`, "8001"},
		{`STUFF('abc', 3, 1, 'x')`, "abx"}, {`STUFF('abc', 2, 0, 'x')`, "axbc"}, {`STUFF(@null, 1, 1, 'x')`, "NULL"}, {`STUFF('abc', @null, 1, 'x')`, "NULL"}, {`STUFF('a𐍈c', 4, 1, 'x')`, "a𐍈x"},
		{`PATINDEX('abc', 'abc')`, "1"}, {`PATINDEX('b', 'abc')`, "0"}, {`PATINDEX('b%', 'abc')`, "0"}, {`PATINDEX('%b', 'abc')`, "0"}, {`PATINDEX('%', 'abc')`, "1"}, {`PATINDEX('%%c', 'abc')`, "3"}, {`PATINDEX('', 'abc')`, "0"}, {`PATINDEX('%c%', @null)`, "NULL"},
		{`PATINDEX('%x%', '𐍈x')`, "3"},
		{`CHAR(255)`, "ÿ"}, {`CHAR(@null)`, "NULL"}, {`NCHAR(65536)`, "NULL"}, {`UNICODE('')`, "NULL"}, {`UNICODE(N'𐍈')`, "55296"},
		{`STR(-1.5, 4)`, "  -2"}, {`STR(0.05, 4, 1)`, " 0.1"}, {`STR(123456, 4)`, "****"}, {`STR(1, 0)`, "NULL"}, {`STR(1.23456, 5, 9)`, "1.235"}, {`STR(1e300, 5)`, "*****"}, {`STR(5, 3, -1)`, "NULL"},
		{`CONCAT_WS(@null, 'a', 'b')`, "ab"}, {`CONCAT_WS('-', @null, @null)`, ""},
		{`TRANSLATE('abc', 'ab', 'x')`, "error 9828"}, {`TRANSLATE('ABC', 'abc', 'xyz')`, "xyz"},
		{`QUOTENAME('a', '*')`, "NULL"}, {`QUOTENAME('a]b', ']')`, "[a]]b]"}, {`QUOTENAME(@null)`, "NULL"}, {`QUOTENAME('a"b', '"')`, `"a""b"`},
		{`PARSENAME('a.b.c.d.e', 1)`, "NULL"}, {`PARSENAME('a..b', 2)`, "NULL"}, {`PARSENAME('a..b', 3)`, "a"}, {`PARSENAME('a', 5)`, "NULL"}, {`PARSENAME('[a', 1)`, "NULL"}, {`PARSENAME('', 1)`, "NULL"},
		{`SOUNDEX('Smythe')`, "S530"}, {`SOUNDEX('')`, "0000"}, {`SOUNDEX('Tymczak')`, "T522"}, {`DIFFERENCE('Blotchet-Halls', 'Greene')`, "0"},
		{`ISNUMERIC('0x1F')`, "0"}, {`ISNUMERIC('')`, "0"}, {`ISNUMERIC('1e5')`, "1"}, {`ISNUMERIC('nan')`, "0"}, {`ISNUMERIC('inf')`, "0"}, {`ISNUMERIC(5)`, "1"}, {`ISNUMERIC(0x05)`, "0"}, {`ISNUMERIC(@null)`, "0"}, {`ISNUMERIC('1,000')`, "1"},
		{`CHOOSE(0, 'a')`, "NULL"}, {`CHOOSE(@null, 'a')`, "NULL"}, {`CHOOSE(2, 'a', NULL)`, "NULL"},
		{`EOMONTH('9999-12-01', 1)`, "error 517"}, {`EOMONTH(@null)`, "NULL"}, {`EOMONTH('20240115', @null)`, "2024-01-31"},
		{`DATEFROMPARTS(2023, 2, 29)`, "error 289"}, {`DATEFROMPARTS(0, 1, 1)`, "error 289"}, {`DATEFROMPARTS(2023, @null, 1)`, "NULL"}, {`TIMEFROMPARTS(24, 0, 0, 0, 0)`, "error 289"}, {`TIMEFROMPARTS(23, 59, 59, 10, 1)`, "error 289"},
		{`DATETIMEFROMPARTS(2026, 1, 1, 0, 0, 0, 999)`, "2026-01-01 00:00:01.000"}, {`DATETIMEFROMPARTS(2026, 1, 1, 0, 0, 0, 1000)`, "error 289"}, {`SMALLDATETIMEFROMPARTS(2026, 1, 1, 1, 2)`, "2026-01-01 01:02:00.000"},
		{`DATENAME(iso_week, '20240101')`, "1"}, {`DATENAME(month, @null)`, "NULL"}, {`ISDATE(@null)`, "0"}, {`ISDATE('20240230')`, "0"},
		{`ROUND(1.005, 2)`, "1.01"}, {`ROUND(-1.005, 2)`, "-1.01"}, {`ROUND(-2.5, 0)`, "-3"}, {`ROUND(9.99, 1)`, "error 8115"}, {`ROUND(5, 3)`, "5"}, {`ROUND(2147483647, -1)`, "error 8115"}, {`ROUND(@big, -3)`, "1099511628000"}, {`ROUND(0.5, -1)`, "0"}, {`ROUND(1e300, 2)`, "1e+300"}, {`ROUND(1.5, @null)`, "NULL"}, {`ROUND(55, -2)`, "100"}, {`ROUND(-49, -2)`, "0"},
		{`FLOOR(-1.5)`, "-2"}, {`CEILING(-1.5)`, "-1"}, {`FLOOR(@big)`, "1099511627776"},
		{`POWER(2, 31)`, "error 232"}, {`POWER(2, -1)`, "0"}, {`POWER(0, -1)`, "error 8134"}, {`POWER(2.5, 2)`, "6.25"}, {`POWER(@big, 1)`, "1099511627776"}, {`POWER(-8.0, 0.5)`, "error 3623"},
		{`LOG(0)`, "error 3623"}, {`LOG(8, 2)`, "3"}, {`LOG(8, 1)`, "error 3623"}, {`LOG10(1000)`, "3"}, {`LOG10(0)`, "error 3623"}, {`EXP(1000)`, "error 8115"}, {`ASIN(2)`, "error 3623"}, {`PI()`, "3.141592653589793"},
		{`TRIM('xy' FROM 'xaby')`, "ab"}, {`TRIM(@null)`, "NULL"},
		{"'a\\\r\nb' + 'c\\d'", "abc\\d"},
	} {
		q := one[*Query](t, "SELECT "+test.expression)
		_, got, err := s.query(t.Context(), q)
		if e := FromSQLite(err); e != nil {
			got = "error " + fmt.Sprint(e.Number)
		} else if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("SELECT %s = %q, want %q\n\t%s", test.expression, got, test.want, q.SQL)
		}
		if len(got) > maxResult {
			t.Errorf("SELECT %s has %d characters", test.expression, len(got))
		}
	}
}

// An INSERT has no deleted rows, and a DELETE has no inserted rows.
func TestOutput_UnavailableRows(t *testing.T) {
	for text, want := range map[string]string{
		"INSERT INTO ASPStateTempApplications (AppId, AppName) OUTPUT deleted.AppId VALUES (1, 'a')":                 "deleted.AppId",
		"INSERT INTO ASPStateTempApplications (AppId, AppName) OUTPUT inserted.AppId, deleted.AppId VALUES (1, 'a')": "deleted.AppId",
		"DELETE ASPStateTempApplications OUTPUT inserted.AppName":                                                    "inserted.AppName",
		"DELETE ASPStateTempApplications OUTPUT deleted.AppName, inserted.AppId + 1":                                 "inserted.AppId",
	} {
		_, err := ParseProcedure("CREATE PROCEDURE p AS\n"+text, testSchema)
		var e *Error
		if !errors.As(err, &e) || e.Number != 4104 || e.Line != 2 || !strings.Contains(e.Message, `"`+want+`"`) {
			t.Errorf("%s: got %v, want 4104 of %s", text, err, want)
		}
	}
}
