package embedded_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// typed returns the first row of a result: each column's type as the driver reads it from TDS, and its value.
func typed(t *testing.T, db *sql.DB, text string, args ...any) string {
	t.Helper()
	rows, err := db.QueryContext(limit(t), text, args...)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return ""
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Errorf("%s: no row, %v", text, rows.Err())
		return ""
	}
	values, into := make([]any, len(types)), make([]any, len(types))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	words := make([]string, len(types))
	for i, c := range types {
		name := strings.ToLower(c.DatabaseTypeName())
		if p, s, ok := c.DecimalSize(); ok && p > 0 && name == "decimal" {
			name += fmt.Sprintf("(%d,%d)", p, s)
		} else if n, ok := c.Length(); ok && n > 0 && n < 10000 && strings.HasSuffix(name, "char") {
			name += fmt.Sprintf("(%d)", n)
		}
		switch v := values[i].(type) {
		case []byte:
			words[i] = name + " " + string(v)
		case time.Time:
			words[i] = name + " " + v.Format("2006-01-02 15:04:05.999999999 -07:00")
		default:
			words[i] = fmt.Sprintf("%s %v", name, v)
		}
	}
	return strings.Join(words, ", ")
}

// The result of an expression has the type that the manual specifies ("Data type precedence", "Precision, scale, and
// length"), and its digits.
func TestTypes_expressions(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	for text, want := range map[string]string{
		"1.5, 1e0, 12345678901, .5, 100.":                                                                                                                 "decimal(2,1) 1.5, float 1, decimal(11,0) 12345678901, decimal(1,1) 0.5, decimal(3,0) 100",
		"cast(1.5 as money), cast('1.23' as money), cast(-0.00005 as money)":                                                                              "money 1.5000, money 1.2300, money -0.0001",
		"cast(1.5 as smallmoney), cast('$1,234.5' as money), cast(7 as money)":                                                                            "smallmoney 1.5000, money 1234.5000, money 7.0000",
		"cast(1.5 as money) * 2, cast(2 as money) / 3, cast(1 as money) + 1.5":                                                                            "money 3.0000, money 0.6666, decimal(20,4) 2.5000",
		"10 / 4, -7 / 2, -7 % 3, cast(5 as bigint) / 2, cast(7 as tinyint) / 2":                                                                           "int 2, int -3, int -1, bigint 2, int 3",
		"10 / 4.0, 10.0 / 3, 2.0 / 3, 1.5 * 2, 1.50 + 2.25, 7.5 % 2":                                                                                      "decimal(9,6) 2.500000, decimal(8,6) 3.333333, decimal(7,6) 0.666666, decimal(4,1) 3.0, decimal(4,2) 3.75, decimal(2,1) 1.5",
		"0.1 + 0.2, cast(0.1 as decimal(10,4)) * cast(0.1 as decimal(10,4))":                                                                              "decimal(2,1) 0.3, decimal(21,8) 0.01000000",
		"cast(1.005 as decimal(5,2)), cast('-1.005' as decimal(5,2)), cast(2.5 as int)":                                                                   "decimal(5,2) 1.01, decimal(5,2) -1.01, int 2",
		"cast(3 as decimal(5,2)) / 2, 1 / 2e0, cast(7 as real) / 2":                                                                                       "decimal(9,6) 1.500000, float 0.5, real 3.5",
		"cast(7 as float(24)), cast(7 as float(53))":                                                                                                      "real 7, float 7",
		"cast(7 as tinyint) + cast(2 as tinyint), cast(1 as smallint) + cast(1 as tinyint)":                                                               "tinyint 9, smallint 2",
		"'a' + 'bc', N'a' + 'b', cast('x' as varchar(10)) + cast('y' as char(2)), 0x01 + 0x0203":                                                          "varchar(3) abc, nvarchar(2) ab, varchar(12) xy , varbinary \x01\x02\x03",
		"1 + '2', '3' * 2, '1' + '2'":                                                                                                                     "int 3, int 6, varchar(2) 12",
		"case when 1 = 1 then 1 else 2.5 end, case when 1 = 0 then 1 else 2.5 end":                                                                        "decimal(11,1) 1.0, decimal(11,1) 2.5",
		"case when 1 = 1 then 'a' else N'b' end, case when 1 = 0 then 1 else '2' end":                                                                     "nvarchar(1) a, int 2",
		"iif(1 = 1, 1, 2.5), coalesce(null, 1, 2.5), coalesce(null, 'a', N'bcd')":                                                                         "decimal(11,1) 1.0, decimal(11,1) 1.0, nvarchar(3) a",
		"isnull(cast(null as varchar(2)), 'abcdef'), isnull(null, N'x'), isnull(cast(null as int), '7')":                                                  "varchar(2) ab, nvarchar(1) x, int 7",
		"upper('ab'), left(N'abc', 2), substring('abc', 1, 1), nullif('a ', 'A')":                                                                         "varchar(2) AB, nvarchar(3) ab, varchar(3) a, varchar(2) <nil>",
		"cast(1.50 as varchar(9)), cast(cast(1.5 as money) as varchar(9)), convert(varchar(20), cast(1234567.891 as money), 1), cast(1e10 as varchar(9))": "varchar(9) 1.50, varchar(9) 1.50, varchar(20) 1,234,567.89, varchar(9) 1e+010",
		"cast('2020-01-02 03:04:05.005' as datetime), cast('2020-01-02 03:04:05.999' as datetime)":                                                        "datetime 2020-01-02 03:04:05.007 +00:00, datetime 2020-01-02 03:04:06 +00:00",
		"cast('2020-01-02' as date), dateadd(day, 1, cast('2020-01-02' as date)), cast('03:04:05.1236' as time(3))":                                       "date 2020-01-02 00:00:00 +00:00, date 2020-01-03 00:00:00 +00:00, time 0001-01-01 03:04:05.124 +00:00",
		"cast('<a/>' as xml), cast(1 as sql_variant), cast(N'é' as sql_variant), serverproperty('EngineEdition')":                                         "xml <a/>, sql_variant 1, sql_variant é, sql_variant 3",
		"cast(0x0102 as sql_variant), cast(1.5e0 as sql_variant), cast(null as sql_variant)":                                                              "sql_variant \x01\x02, sql_variant 1.5, sql_variant <nil>",
		"cast(123456789012345678 as decimal(18,0)), cast(9223372036854775807 as bigint)":                                                                  "decimal(18,0) 123456789012345678, bigint 9223372036854775807",
	} {
		if got := typed(t, db, "SELECT "+text); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}

func TestTypes_aggregates(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	if _, err := db.ExecContext(limit(t), "INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (1, 'a'), (2, 'b'), (4, 'c')"); err != nil {
		t.Fatal(err)
	}
	got := typed(t, db, "SELECT SUM(AppId), AVG(AppId), COUNT(*), COUNT_BIG(*), SUM(CAST(AppId AS bigint)), AVG(CAST(AppId AS decimal(5,2))), SUM(CAST(AppId AS money)), AVG(AppId * 1e0), "+
		"MAX(AppName), SUM(AppId * 0.1), SUM(CAST(AppId AS tinyint)) FROM ASPStateTempApplications")
	if want := "int 7, int 2, int 3, bigint 3, bigint 7, decimal(38,6) 2.333333, money 7.0000, float 2.3333333333333335, char(280) c" + strings.Repeat(" ", 279) + ", decimal(38,1) 0.7, int 7"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for text, number := range map[string]int32{
		"SELECT SUM(AppId * 1000000000) FROM ASPStateTempApplications":   8115,
		"SELECT SUM(AppName) FROM ASPStateTempApplications":              8117,
		"SELECT AVG(CAST(AppId AS bit)) FROM ASPStateTempApplications":   8117,
		"SELECT SUM(x.AppId) FROM ASPStateTempApplications x GROUP BY y": 207,
	} {
		refused(t, db, text, number)
	}
}

// The errors of conversions; each kind of source has its own.
func TestTypes_conversionErrors(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	for text, number := range map[string]int32{
		"SELECT CAST('abc' AS int)":                                            245,
		"SELECT CAST('1.5' AS int)":                                            245,
		"SELECT CAST('abc' AS bigint)":                                         8114,
		"SELECT CAST('99999999999' AS int)":                                    248,
		"SELECT CAST('300' AS tinyint)":                                        244,
		"SELECT CAST(300 AS tinyint)":                                          220,
		"SELECT CAST(40000 AS smallint)":                                       220,
		"SELECT CAST(3e9 AS int)":                                              232,
		"SELECT CAST(3000000000 AS int)":                                       8115,
		"SELECT 2147483647 + 1":                                                8115,
		"SELECT 2147483647 * 2147483647 * 2147483647":                          8115,
		"SELECT CAST(200 AS tinyint) + CAST(100 AS tinyint)":                   220,
		"SELECT CAST('abc' AS decimal(5,2))":                                   8114,
		"SELECT CAST('1e3' AS decimal(5,2))":                                   8114,
		"SELECT CAST(1000 AS decimal(3,1))":                                    8115,
		"SELECT CAST(1e6 AS smallmoney)":                                       8115,
		"SELECT CAST('abc' AS money)":                                          235,
		"SELECT CAST('abc' AS float)":                                          8114,
		"SELECT CAST('abc' AS datetime)":                                       241,
		"SELECT CAST('2020-02-30' AS datetime)":                                242,
		"SELECT CAST('17000101' AS datetime)":                                  242,
		"SELECT CAST('2020-02-30' AS datetime2)":                               241,
		"SELECT CAST('abc' AS uniqueidentifier)":                               8169,
		"SELECT CAST(123.456 AS varchar(3))":                                   8115,
		"SELECT CAST(CAST(123 AS money) AS varchar(3))":                        234,
		"SELECT 1 + 'a'":                                                       245,
		"SELECT 'a' - 'b'":                                                     8117,
		"SELECT 5e0 % 2":                                                       402,
		"SELECT CAST(1 AS decimal(39,0))":                                      2750,
		"SELECT CAST(1 AS decimal(5,6))":                                       192,
		"SELECT CAST('/' AS hierarchyid)":                                      40510,
		"SELECT 1 / 0.0":                                                       8134,
		"DECLARE @t tinyint = 300":                                             220,
		"DECLARE @i int = 'abc'":                                               245,
		"DECLARE @d datetime = 'abc'":                                          241,
		"SELECT CAST(1234567890123456789.12 AS decimal(38,2))":                 40510,
		"SELECT CAST(1.5 AS sql_variant)":                                      40510,
		"INSERT INTO ASPStateTempApplications VALUES (1, REPLICATE('x', 281))": 8152,
		"INSERT INTO ASPStateTempApplications VALUES (1, '" + strings.Repeat("x", 281) + "')": 8152,
		"INSERT INTO ASPStateTempApplications VALUES (3000000000, 'x')":                       8115,
		"INSERT INTO ASPStateTempApplications VALUES ('x', 'x')":                              245,
		"UPDATE MirrorStateEpoch SET Server = '" + strings.Repeat("x", 257) + "'":             8152,
		"UPDATE MirrorStateEpoch SET FleetSecret = 'x'":                                       257,
		"UPDATE MirrorStateSweep SET LastRun = 'soon'":                                        241,
	} {
		refused(t, db, text, number)
	}
	if got := typed(t, db, "DECLARE @d decimal(5,2) = 1.239, @f float = '1.5', @m money = '$2', @c char(3) = 'a', @v varchar(2) = 'abc'; SELECT @d + 1, @f, @m, @c + '|', @v"); got !=
		"decimal(6,2) 2.24, float 1.5, money 2.0000, varchar(4) a  |, varchar(2) ab" {
		t.Error(got)
	}
}

// Trailing blanks do not count where text is compared, sorted or grouped. Source: the manual's "= (Equals)" and KB
// 316626; for LIKE its own page.
func TestTypes_trailingBlanks(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	if _, err := db.ExecContext(limit(t), "INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (1, 'Shop'), (2, 'shop  '), (3, 'shops')"); err != nil {
		t.Fatal(err)
	}
	yes := func(condition string) string { return "SELECT CASE WHEN " + condition + " THEN 1 ELSE 0 END" }
	answersAre(t, db, [][]string{
		{yes("'a ' = 'a'"), "1"}, {yes("N'A' = N'a  '"), "1"}, {yes("'a ' <> 'a'"), "0"}, {yes("'a ' < 'a'"), "0"}, {yes("'a ' <= 'a'"), "1"}, {yes("' a' = 'a'"), "0"},
		{yes("'a ' IN ('b', 'A')"), "1"}, {yes("'a' NOT IN ('a ')"), "0"}, {yes("'a ' BETWEEN 'a' AND 'a'"), "1"}, {yes("'a ' LIKE 'a'"), "1"}, {yes("N'a ' LIKE N'a'"), "0"},
		{yes("'a' LIKE 'a '"), "0"}, {yes("'a ' COLLATE Latin1_General_BIN = 'a'"), "1"}, {yes("'A ' COLLATE Latin1_General_BIN = 'a'"), "0"},
		{"SELECT CASE 'a ' WHEN 'A' THEN 1 ELSE 0 END", "1"},
		{"DECLARE @a varchar(9) = 'x  '; SELECT CASE WHEN @a = 'X' THEN 1 ELSE 0 END, '[' + @a + ']'", "1|[x  ]"},
		{"SELECT AppId FROM ASPStateTempApplications WHERE AppName = 'SHOP   ' ORDER BY AppId", "1", "2"},
		{"DECLARE @n varchar(9) = 'shop '; SELECT AppId FROM ASPStateTempApplications WHERE AppName = @n ORDER BY AppId", "1", "2"},
		{"SELECT AppId FROM ASPStateTempApplications WHERE AppName IN ('shop ', 'shops ') ORDER BY AppId", "1", "2", "3"},
		{"SELECT COUNT(*) FROM ASPStateTempApplications GROUP BY AppName ORDER BY 1", "1", "2"},
		{"SELECT COUNT(*) FROM ASPStateTempApplications GROUP BY UPPER(AppName) + ' ' ORDER BY 1", "1", "2"},
		{"SELECT DISTINCT LEFT(AppName, 4) + SUBSTRING('  ', 1, AppId) AS x FROM ASPStateTempApplications WHERE AppId < 3", "Shop "},
		{"SELECT AppId, LOWER(AppName) + SUBSTRING('   ', 1, 3 - AppId) AS x FROM ASPStateTempApplications WHERE AppId < 3 ORDER BY x, AppId", "1|shop  ", "2|shop "},
		{"SELECT name FROM sys.databases WHERE name IN ('MASTER ', 'msdb') AND state_desc = 'online ' ORDER BY name", "master", "msdb"},
	})
	if got := scalar[int](t, db, "SELECT AppId FROM ASPStateTempApplications WHERE AppName = @p1 AND AppId = 1", "SHOP  "); got != 1 {
		t.Errorf("a parameter with trailing blanks finds %d", got)
	}
}

// A datetimeoffset keeps its offset, and is compared as a moment in time.
func TestTypes_datetimeoffset(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	when := time.Date(2020, 1, 2, 3, 4, 5, 123_456_700, time.FixedZone("", 2*3600))
	const shown = "2020-01-02 03:04:05.1234567 +02:00"
	for text, want := range map[string]string{
		"SELECT @p1": "datetimeoffset " + shown,
		"SELECT CAST(@p1 AS datetimeoffset(7)), CAST(@p1 AS datetimeoffset(3)), CAST(@p1 AS datetime2(7)), CAST(@p1 AS datetime), CAST(@p1 AS varchar(40))": "datetimeoffset " + shown +
			", datetimeoffset 2020-01-02 03:04:05.123 +02:00, datetime2 2020-01-02 03:04:05.1234567 +00:00, datetime 2020-01-02 03:04:05.123 +00:00, varchar(40) " + shown,
		"SELECT DATEPART(hour, @p1), DATEDIFF(hour, @p1, CAST('2020-01-02 02:04:05 +00:00' AS datetimeoffset))":                                         "int 3, int 1",
		"DECLARE @o datetimeoffset = @p1; SELECT @o, DATEADD(hour, 1, @o), DATEADD(month, 1, @o)":                                                       "datetimeoffset " + shown + ", datetimeoffset 2020-01-02 04:04:05.1234567 +02:00, datetimeoffset 2020-02-02 03:04:05.1234567 +02:00",
		"DECLARE @o datetimeoffset = '2020-01-02T01:04:05.1234567Z'; SELECT CASE WHEN @o = @p1 THEN 1 ELSE 0 END, CASE WHEN @o < @p1 THEN 1 ELSE 0 END": "int 1, int 0",
		"SELECT CAST('2020-01-02 03:04:05' AS datetimeoffset(0)), CAST('2020-01-02 03:04:05 -05:30' AS datetimeoffset(0))":                              "datetimeoffset 2020-01-02 03:04:05 +00:00, datetimeoffset 2020-01-02 03:04:05 -05:30",
	} {
		if got := typed(t, db, text, when); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
	for condition, want := range map[string]string{
		"@p1 IN (@p2)": "int 1", "@p1 BETWEEN @p2 AND @p2": "int 1", "@p1 <> @p2": "int 0", "@p1 > CAST('2020-01-02 02:00:00' AS datetime2)": "int 0",
	} {
		if got := typed(t, db, "SELECT CASE WHEN "+condition+" THEN 1 ELSE 0 END", when, when.UTC()); got != want {
			t.Errorf("%s: %s, want %s", condition, got, want)
		}
	}
	var out time.Time
	if _, err := db.ExecContext(limit(t), "SET @out = DATEADD(day, 1, @in)", sql.Named("in", when), sql.Named("out", sql.Out{Dest: &out})); err != nil {
		t.Fatal(err)
	}
	if _, offset := out.Zone(); !out.Equal(when.AddDate(0, 0, 1)) || offset != 7200 {
		t.Errorf("is returned as %v", out)
	}
}

// The parameters of a text have the types with which they are sent.
func TestTypes_parameters(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	for _, c := range []struct {
		text string
		args []any
		want string
	}{
		{"SELECT @p1 / 2, @p1 * 1.5", []any{int64(7)}, "bigint 3, decimal(22,1) 10.5"},
		{"SELECT @p1 + 1, CASE WHEN @p1 = 5 THEN 1 ELSE 0 END", []any{"5"}, "int 6, int 1"},
		{"SELECT CASE WHEN @p1 = 5 THEN 1 ELSE 0 END, CASE WHEN @p1 IN (4, 5) THEN 1 ELSE 0 END", []any{" 5"}, "int 1, int 1"},
		{"SELECT CASE WHEN CAST('2020-01-02' AS date) = @p1 THEN 1 ELSE 0 END", []any{time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)}, "int 1"},
		{"SELECT @p1 + N'x'", []any{"ab"}, "nvarchar(4000) abx"},
		{"SELECT CASE WHEN 1 = 0 THEN 1.5 ELSE @p1 END", []any{int64(2)}, "decimal(20,1) 2.0"},
	} {
		if got := typed(t, db, c.text, c.args...); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
	refused(t, db, "EXEC sp_executesql N'SELECT @a + 1', N'@a nvarchar(5)', N'x'", 245)
}
