package tsql

import (
	"strings"
	"testing"
)

// TestExpressions evaluates expressions on SQLite and compares the values with SQL Server's.
func TestExpressions(t *testing.T) {
	db := openTables(t)
	s := &session{db: db, variables: map[string]any{
		"@a": int64(5), "@s": "Abc", "@null": nil, "@b": []byte{1, 2}, "@d": "2026-11-22 20:28:05.123", "@_x#": int64(9),
	}}
	tests := []struct{ expression, want string }{
		// Literals
		{`1`, "1"}, {`-1`, "-1"}, {`- -1`, "1"}, {`+2`, "2"}, {`1.5`, "1.5"}, {`1e3`, "1000"}, {`.5`, "0.5"}, {`N'it''s'`, "it's"}, {`'ü€𐍈'`, "ü€𐍈"},
		{`0xAB`, "0xab"}, {`0xABC`, "0x0abc"}, {`0x`, "0x"}, {`NULL`, "NULL"}, {`9223372036854775807`, "9223372036854775807"},
		{"'a\x00b'", "a\x00b"},
		// Variables
		{`@a`, "5"}, {`@A + 1`, "6"}, {`@_x#`, "9"}, {`@null`, "NULL"},
		// Arithmetic
		{`7 / 2`, "3"}, {`-7 / 2`, "-3"}, {`7 % 3`, "1"}, {`-7 % 3`, "-1"}, {`7 / 2.0`, "3.5"}, {`1 + 2 * 3`, "7"}, {`(1 + 2) * 3`, "9"}, {`10 - 2 - 3`, "5"},
		{`5 & 3`, "1"}, {`5 | 3`, "7"}, {`5 ^ 3`, "6"}, {`~5`, "-6"}, {`~CAST(1 AS bit)`, "0"}, {`@a / 2`, "2"}, {`1 + 2 & 1`, "1"},
		{`@a - 2`, "3"}, {`'5' - @a`, "0"}, {`1.5 - @a`, "-3.5"}, {`@a + 0.5`, "5.5"}, {`@a * 2`, "10"}, {`@null - 1`, "NULL"}, {`7.5 % 2`, "1.5"}, {`1 + @d`, "2026-11-23 20:28:05.123"}, {`-@a`, "-5"},
		// Plus
		{`'a' + 'b'`, "ab"}, {`'a' + NULL`, "NULL"}, {`@s + N'x'`, "Abcx"}, {`'1' + 2`, "3"}, {`@b + 0x03`, "0x010203"}, {`1 + @null`, "NULL"},
		{`@d + 1`, "2026-11-23 20:28:05.123"}, {`@d - 1`, "2026-11-21 20:28:05.123"}, {`@d + 0.5`, "2026-11-23 08:28:05.123"}, {`'a' + 'b' + 'c'`, "abc"},
		// NULL handling
		{`ISNULL(NULL, 3)`, "3"}, {`ISNULL(@null, 'x')`, "x"}, {`COALESCE(NULL, NULL, 4)`, "4"}, {`NULLIF(3, 3)`, "NULL"}, {`NULLIF(3, 4)`, "3"},
		// CASE
		{`CASE WHEN 1 = 1 THEN 'y' ELSE 'n' END`, "y"}, {`CASE @s WHEN 'ABC' THEN 1 ELSE 2 END`, "1"}, {`CASE 3 WHEN 4 THEN 1 END`, "NULL"},
		{`CASE WHEN @null = @null THEN 1 ELSE 0 END`, "0"}, {`IIF(1 < 2, 'a', 'b')`, "a"},
		// Conditions
		{`CASE WHEN 'ABC' = 'abc' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 'ABC' COLLATE Latin1_General_BIN = 'abc' THEN 1 ELSE 0 END`, "0"},
		{`CASE WHEN 'b' IN ('A', 'B') THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 3 NOT IN (1, 2) THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN 'B' BETWEEN 'a' AND 'c' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 2 NOT BETWEEN 1 AND 3 THEN 1 ELSE 0 END`, "0"},
		{`CASE WHEN NOT (1 = 2 OR 2 = 3) AND 1 <> 2 THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 3 !> 3 AND 3 !< 3 AND 3 != 4 THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN (((1))) = ((1)) THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN @null IS NULL AND 1 IS NOT NULL THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN EXISTS (SELECT * FROM sys.databases WHERE name = 'aspstate') THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN GETUTCDATE() > '2026-11-22T20:00:00' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN GETUTCDATE() < '20261122 21:00' THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN @@SPID = '51' THEN 1 ELSE 0 END`, "1"},
		// LIKE
		{`CASE WHEN 'Hello' LIKE 'h_l%o' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 'x' LIKE '[a-w]' THEN 1 ELSE 0 END`, "0"}, {`CASE WHEN 'x' LIKE '[^a-w]' THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN '50%' LIKE '%!%' ESCAPE '!' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 'abc' NOT LIKE 'b%' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 'a_c' LIKE 'a[_]c' THEN 1 ELSE 0 END`, "1"},
		{`CASE WHEN 'abab' LIKE '%ab' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN '' LIKE '%' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN 'ÄB' LIKE 'ä_' THEN 1 ELSE 0 END`, "1"}, {`CASE WHEN '[' LIKE '[' THEN 1 ELSE 0 END`, "0"},
		// Text
		{`LEN('ab  ')`, "2"}, {`LEN(N'𐍈')`, "2"}, {`LEN(0x010203)`, "3"}, {`LEN(@null)`, "NULL"}, {`DATALENGTH(N'ab')`, "4"}, {`DATALENGTH('ab')`, "2"}, {`DATALENGTH(0x010203)`, "3"},
		{`DATALENGTH(5)`, "4"}, {`DATALENGTH(3000000000)`, "9"}, {`DATALENGTH(CAST(1 AS bit))`, "1"}, {`DATALENGTH(@d)`, "8"}, {`DATALENGTH(@a)`, "4"}, {`DATALENGTH(1.5)`, "5"}, {`LEN(12)`, "2"}, {`LEN(1.5)`, "3"}, {`UPPER(0x6162)`, "AB"}, {`RIGHT(0x010203, 2)`, "0x0203"}, {`DATALENGTH(GETUTCDATE())`, "8"}, {`LOWER('ÄB')`, "äb"}, {`UPPER('äb')`, "ÄB"}, {`LEFT('abc', 2)`, "ab"}, {`RIGHT('abc', 2)`, "bc"}, {`RIGHT('abc', 9)`, "abc"},
		{`SUBSTRING('abcdef', 2, 3)`, "bcd"}, {`SUBSTRING('abc', 0, 2)`, "a"}, {`SUBSTRING('abc', 9, 2)`, ""}, {`SUBSTRING(0x010203, 2, 1)`, "0x02"},
		{`CHARINDEX('B', 'abcb')`, "2"}, {`CHARINDEX('b', 'abcb', 3)`, "4"}, {`CHARINDEX('x', 'abc')`, "0"}, {`REPLACE('aXbx', 'x', '--')`, "a--b--"}, {`REPLACE('abc', '', 'x')`, "abc"},
		{`LTRIM(RTRIM('  a '))`, "a"}, {`CONCAT('a', NULL, 1)`, "a1"}, {`QUOTENAME('a]b')`, "[a]]b]"}, {`ABS(-3)`, "3"},
		// The catalogue and the session
		{`DB_ID('aspstate')`, "5"}, {`DB_ID(N'nosuch')`, "NULL"}, {`DB_NAME(1)`, "master"}, {`DB_NAME()`, "ASPState"}, {`HAS_DBACCESS('ASPState')`, "1"}, {`HAS_DBACCESS('nosuch')`, "NULL"},
		{`DATABASEPROPERTYEX(N'ASPState', 'status')`, "ONLINE"}, {`DATABASEPROPERTYEX(DB_NAME(), 'Updateability')`, "READ_WRITE"},
		{`SERVERPROPERTY('ProductVersion')`, "SERVERPROPERTY ProductVersion"}, {`OBJECT_ID(N'dbo.' + @s, 'U')`, "OBJECT_ID dbo.Abc U"}, {`IS_SRVROLEMEMBER('sysadmin')`, "IS_SRVROLEMEMBER sysadmin"},
		{`@@SPID`, "51"}, {`@@servername`, "PARTNERA"}, {`SUSER_SNAME()`, "SUSER_SNAME"}, {`SYSTEM_USER`, "SYSTEM_USER"}, {`CURRENT_USER`, "USER_NAME"}, {`@@VERSION`, "@@VERSION"},
	}
	for _, test := range tests {
		q := one[*Query](t, "SELECT "+test.expression)
		_, got, err := s.query(t.Context(), q)
		if err != nil {
			t.Errorf("SELECT %s: %v\n\t%s", test.expression, err, q.SQL)
		} else if got != test.want {
			t.Errorf("SELECT %s = %q, want %q\n\t%s", test.expression, got, test.want, q.SQL)
		}
	}
}

func TestDates(t *testing.T) {
	s := &session{db: openTables(t), variables: map[string]any{"@d": "2026-11-22 20:28:05.123", "@p": "2026-11-22 20:28:05.1234567"}}
	tests := []struct{ expression, want string }{
		{`GETUTCDATE()`, "2026-11-22 20:28:05.123"}, {`SYSUTCDATETIME()`, "2026-11-22 20:28:05.1234567"}, {`CURRENT_TIMESTAMP`, "2026-11-22 20:28:05.123"},
		// DATEDIFF counts boundaries, not whole units.
		{`DATEDIFF(year, '2025-12-31 23:59:59', '2026-01-01 00:00:00')`, "1"}, {`DATEDIFF(yy, '2026-01-01', '2026-12-31')`, "0"}, {`DATEDIFF(quarter, '2026-03-31', '2026-04-01')`, "1"},
		{`DATEDIFF(month, '2026-01-31', '2026-02-01')`, "1"}, {`DATEDIFF(day, '2026-01-01 23:59:59.997', '2026-01-02')`, "1"}, {`DATEDIFF(hh, '10:59:59', '11:00:00')`, "1"},
		{`DATEDIFF(minute, '2026-01-01 10:00:59', '2026-01-01 10:01:00')`, "1"}, {`DATEDIFF(second, '2026-01-01 00:00:00.997', '2026-01-01 00:00:01.000')`, "1"},
		{`DATEDIFF(ss, '2026-01-01 00:00:00.000', '2026-01-01 00:00:00.997')`, "0"}, {`DATEDIFF(s, '2026-01-01 00:01:00', '2026-01-01')`, "-60"}, {`DATEDIFF(ms, '2026-01-01', '2026-01-01 00:00:01.003')`, "1003"},
		{`DATEDIFF(week, '2026-11-21', '2026-11-22')`, "1"}, {`DATEDIFF(wk, '2026-11-22', '2026-11-28')`, "0"}, {`DATEDIFF(day, '1900-01-01', '1899-12-31 23:00')`, "-1"},
		{`DATEDIFF_BIG(ns, '2026-01-01', '2026-01-02')`, "86400000000000"}, {`DATEDIFF(second, @d, NULL)`, "NULL"}, {`DATEDIFF(day, 0, @d)`, "46346"},
		{`DATEADD(minute, 5, @d)`, "2026-11-22 20:33:05.123"}, {`DATEADD(MONTH, 1, '2026-01-31')`, "2026-02-28 00:00:00.000"}, {`DATEADD(yy, -1, '2024-02-29')`, "2023-02-28 00:00:00.000"},
		{`DATEADD(q, 1, '2026-11-30')`, "2027-02-28 00:00:00.000"}, {`DATEADD(ms, 1, '2026-01-01')`, "2026-01-01 00:00:00.000"}, {`DATEADD(ms, 2, '2026-01-01')`, "2026-01-01 00:00:00.003"},
		{`DATEADD(second, -5, @p)`, "2026-11-22 20:28:00.1234567"}, {`DATEADD(dd, 1.9, @d)`, "2026-11-23 20:28:05.123"}, {`DATEADD(week, 1, @d)`, "2026-11-29 20:28:05.123"}, {`DATEADD(hour, NULL, @d)`, "NULL"},
		{`DATEADD(second, 2147483647, '1960-01-01')`, "2028-01-19 03:14:07.000"}, {`DATEADD(day, DATEDIFF(day, 0, @d), 0)`, "2026-11-22 00:00:00.000"}, {`DATEADD(hour, 2000000, '1900-01-01')`, "2128-02-28 08:00:00.000"},
		{`DATEPART(weekday, '2026-11-22')`, "1"}, {`DATEPART(week, '2026-01-04')`, "2"}, {`YEAR(@d)`, "2026"}, {`MONTH(@d)`, "11"}, {`DAY(@d)`, "22"}, {`DATEPART(ms, @d)`, "123"}, {`DATEPART(dy, '2026-02-01')`, "32"},
		{`CONVERT(varchar(30), @d, 121)`, "2026-11-22 20:28:05.123"}, {`CONVERT(varchar, @d, 120)`, "2026-11-22 20:28:05"}, {`CONVERT(varchar(10), @d, 120)`, "2026-11-22"}, {`CONVERT(varchar(30), @d)`, "Nov 22 2026  8:28PM"},
		{`CONVERT(varchar(8), @d, 112)`, "20261122"}, {`CONVERT(varchar(12), @d, 114)`, "20:28:05:123"}, {`CONVERT(varchar(30), @d, 126)`, "2026-11-22T20:28:05.123"}, {`CONVERT(nvarchar(30), @p, 121)`, "2026-11-22 20:28:05.1234567"},
		{`CONVERT(varchar(30), '2026-11-22 20:28:05.123')`, "2026-11-22 20:28:05.123"}, {`CAST(@p AS datetime)`, "2026-11-22 20:28:05.123"}, {`CAST(@d AS date)`, "2026-11-22"}, {`CAST(@p AS datetime2(3))`, "2026-11-22 20:28:05.1230000"},
		{`CONVERT(datetime, '20261122')`, "2026-11-22 00:00:00.000"}, {`CONVERT(datetime, '2026-11-22T10:20:30.5', 126)`, "2026-11-22 10:20:30.500"}, {`CAST('11/22/2026' AS datetime)`, "2026-11-22 00:00:00.000"}, {`CAST(1 AS datetime)`, "1900-01-02 00:00:00.000"},
		{`CAST(@d AS smalldatetime)`, "2026-11-22 20:28:00.000"}, {`CAST(@d AS time(3))`, "20:28:05.123"}, {`CAST(CAST('2026-01-02 12:00' AS datetime) AS int)`, "46023"},
	}
	for _, test := range tests {
		q := one[*Query](t, "SELECT "+test.expression)
		if _, got, err := s.query(t.Context(), q); err != nil || got != test.want {
			t.Errorf("SELECT %s = %q, %v, want %q\n\t%s", test.expression, got, err, test.want, q.SQL)
		}
	}
}

func TestConversions(t *testing.T) {
	s := &session{db: openTables(t), variables: map[string]any{"@i": int64(258), "@guid": "6f9619ff-8b86-d011-b42d-00c04fc964ff"}}
	tests := []struct{ expression, want string }{
		{`CONVERT(int, '12')`, "12"}, {`CAST(' -7 ' AS int)`, "-7"}, {`CAST('' AS int)`, "0"}, {`CAST(1.9 AS int)`, "1"}, {`CAST(-1.9 AS int)`, "-1"}, {`CAST(0x0102 AS int)`, "258"}, {`CAST(0xFFFFFFFF AS int)`, "-1"},
		{`CAST(5 AS bit)`, "1"}, {`CAST('true' AS bit)`, "1"}, {`CAST(3 AS bigint)`, "3"}, {`CAST(5 AS float)`, "5"}, {`CAST(1.23456 AS money)`, "1.2346"}, {`CAST(0.5 AS real)`, "0.5"}, {`CAST(CAST('1900-01-02 12:00' AS datetime) AS float)`, "1.5"}, {`CAST(0x0102 AS smallint)`, "258"}, {`CAST('false' AS bit)`, "0"},
		{`CAST(CAST(258 AS smallint) AS varbinary(8))`, "0x0102"}, {`CAST(CAST(7 AS tinyint) AS varbinary(8))`, "0x07"}, {`CAST(1.5 AS varbinary(8))`, "0x3ff8000000000000"}, {`CAST(0x01 AS timestamp)`, "0x0100000000000000"}, {`CAST('1.25' AS float)`, "1.25"}, {`CAST('1.255' AS decimal(5, 1))`, "1.3"}, {`CAST(5 AS numeric(5))`, "5"},
		{`CONVERT(varchar(10), 12)`, "12"}, {`CONVERT(varchar(2), 123)`, "*"}, {`CONVERT(nvarchar(2), 'abc')`, "ab"}, {`CAST('abc' AS char(5)) + '|'`, "abc  |"}, {`CAST('abcdefghijklmnopqrstuvwxyz0123456789' AS varchar)`, "abcdefghijklmnopqrstuvwxyz0123"},
		{`CAST('abc' AS nvarchar(max))`, "abc"}, {`CAST(1.5 AS varchar(10))`, "1.5"}, {`CAST(CAST(1234567 AS float) AS varchar(20))`, "1.23457e+006"}, {`CAST(CAST(1 AS bit) AS char(1))`, "1"},
		{`CONVERT(varbinary(10), 'ab')`, "0x6162"}, {`CONVERT(varbinary(10), N'ab')`, "0x61006200"}, {`CONVERT(varbinary(10), 258)`, "0x00000102"}, {`CONVERT(binary(8), 258)`, "0x0000000000000102"}, {`CONVERT(binary(2), 258)`, "0x0102"},
		{`CONVERT(binary(4), 0x0102)`, "0x01020000"}, {`CONVERT(varbinary(1), 0x0102)`, "0x01"}, {`CONVERT(varbinary(8), '0x0A0b', 1)`, "0x0a0b"}, {`CONVERT(varbinary(8), N'0A0B', 2)`, "0x0a0b"}, {`CAST(CAST(1 AS bigint) AS varbinary(8))`, "0x0000000000000001"},
		{`CONVERT(varchar(20), 0x0A0B, 1)`, "0x0A0B"}, {`CONVERT(varchar(20), 0x0A0B, 2)`, "0A0B"}, {`CONVERT(varchar(20), 0x6162)`, "ab"}, {`CONVERT(nvarchar(20), 0x61006200)`, "ab"}, {`CONVERT(varbinary(8), @i)`, "0x00000102"},
		{`CAST(@guid AS uniqueidentifier)`, "6F9619FF-8B86-D011-B42D-00C04FC964FF"}, {`CAST(CAST(@guid AS uniqueidentifier) AS binary(16))`, "0xff19966f868b11d0b42d00c04fc964ff"},
		{`CAST(0xff19966f868b11d0b42d00c04fc964ff AS uniqueidentifier)`, "6F9619FF-8B86-D011-B42D-00C04FC964FF"}, {`CONVERT(nvarchar(36), CAST(@guid AS uniqueidentifier))`, "6F9619FF-8B86-D011-B42D-00C04FC964FF"},
		{`LEN(CONVERT(nvarchar(36), NEWID()))`, "36"}, {`CASE WHEN NEWID() = NEWID() THEN 1 ELSE 0 END`, "0"}, {`TRY_CONVERT(int, 'x')`, "NULL"}, {`TRY_CAST('7' AS int)`, "7"}, {`CAST(NULL AS int)`, "NULL"}, {`CAST(N'x' AS sql_variant)`, "x"},
	}
	for _, test := range tests {
		q := one[*Query](t, "SELECT "+test.expression)
		if _, got, err := s.query(t.Context(), q); err != nil || got != test.want {
			t.Errorf("SELECT %s = %q, %v, want %q\n\t%s", test.expression, got, err, test.want, q.SQL)
		}
	}
}

// TestExecutionErrors runs batches that SQL Server refuses at execution.
func TestExecutionErrors(t *testing.T) {
	db := openTables(t)
	addSessions(t, db, 1)
	s := &session{db: db, variables: map[string]any{"@n": int64(-1), "@null": nil, "@s": "x"}}
	tests := []struct {
		batch   string
		number  int32
		message string
	}{
		{`SELECT 1 / 0`, 8134, "Divide by zero error encountered."},
		{`SELECT @s - 1`, 245, "Conversion failed when converting the nvarchar value 'x' to data type int."},
		{`SELECT 0x01 + @n`, 402, "The data types varbinary and int are incompatible in the operator."},
		{`SELECT @s ^ 1`, 402, "The data types are incompatible in the '^' operator."},
		{`SELECT GETUTCDATE() + 1e9`, 517, "Adding a value to a 'datetime' column caused an overflow."},
		{`SELECT CAST(@s AS int)`, 245, "Conversion failed when converting the nvarchar value 'x' to data type int."},
		{`SELECT CAST(1e9 AS datetime)`, 8115, "Arithmetic overflow error converting expression to data type datetime."},
		{`SELECT CAST(0x01 AS datetime)`, 529, "Explicit conversion from data type varbinary to datetime is not allowed."},
		{`SELECT CAST(1000 AS decimal(3))`, 8115, "Arithmetic overflow error converting int to data type numeric."},
		{`SELECT CONVERT(varbinary(4), 'xy', 1)`, 8114, "Error converting data type varchar to varbinary."},
		{`SELECT CONVERT(varbinary(4), 'xyz', 2)`, 8114, "Error converting data type varchar to varbinary."},
		{`SELECT CONVERT(nvarchar(1), 12)`, 8115, "Arithmetic overflow error converting expression to data type nvarchar."},
		{`SELECT LEFT('a', -1), RIGHT('a', 1)`, 537, "Invalid length parameter passed to the LEFT or SUBSTRING function."},
		{`SELECT RIGHT('a', -1)`, 536, "Invalid length parameter passed to the right function."},
		{`SELECT DATEADD(day, 3e9, GETUTCDATE())`, 8115, "Arithmetic overflow error converting expression to data type int."},
		{`SELECT 1 % 0`, 8134, "Divide by zero error encountered."},
		{`SELECT 'abc' + 1`, 245, "Conversion failed when converting the varchar value 'abc' to data type int."},
		{`SELECT CAST('abc' AS int)`, 245, "Conversion failed when converting the varchar value 'abc' to data type int."},
		{`SELECT CAST('abc' AS float)`, 8114, "Error converting data type varchar to float."},
		{`SELECT CAST(300 AS tinyint)`, 220, "Arithmetic overflow error for data type tinyint, value = 300."},
		{`SELECT CAST(3000000000 AS int)`, 8115, "Arithmetic overflow error converting numeric to data type int."},
		{`SELECT 9223372036854775807 + @@SPID`, 40510, "A decimal of more than 15 digits, 9223372036854775858, is not supported by the embedded partner."},
		{`SELECT CAST(9223372036854775807 AS bigint) + @@SPID + @n`, 8115, "Arithmetic overflow error converting expression to data type bigint."},
		{`SELECT CAST('yesterday' AS datetime)`, 241, "Conversion failed when converting date and/or time from character string."},
		{`SELECT CAST('1600-01-01' AS datetime)`, 242, "The conversion of a varchar data type to a datetime data type resulted in an out-of-range value."},
		{`SELECT CAST('x' AS uniqueidentifier)`, 8169, "Conversion failed when converting from a character string to uniqueidentifier."},
		{`SELECT CONVERT(varchar(30), GETUTCDATE(), 99)`, 281, "99 is not a valid style number when converting from datetime to a character string."},
		{`SELECT DATEADD(year, 9000, GETUTCDATE())`, 517, "Adding a value to a 'datetime' column caused an overflow."},
		{`SELECT DATEDIFF(second, '1753-01-01', '2026-01-01')`, 535, diffOverflow().Message},
		{`SELECT DATEDIFF(ns, '1753-01-01', '2500-01-01')`, 535, diffOverflow().Message},
		{`SELECT SUBSTRING('abc', 1, -1)`, 537, "Invalid length parameter passed to the LEFT or SUBSTRING function."},
		{`SELECT 'a' WHERE 'a' LIKE 'b' ESCAPE 'xy'`, 506, `The invalid escape character "xy" was specified in a LIKE predicate.`},
		{`SELECT TOP (@n) name FROM sys.databases`, 127, "A TOP N or FETCH rowcount value may not be negative."},
		{`SELECT TOP (@null) name FROM sys.databases`, 1060, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer."},
		{`SELECT x FROM NoSuch`, 208, "Invalid object name 'NoSuch'."},
		{`SELECT x FROM other.ASPStateTempSessions`, 208, "Invalid object name 'other.ASPStateTempSessions'."},
		{`SELECT nosuch FROM ASPStateTempSessions`, 207, "Invalid column name 'nosuch'."},
		{`SELECT "nosuch" FROM ASPStateTempSessions`, 207, "Invalid column name 'nosuch'."},
		{`UPDATE ASPStateTempSessions SET nosuch = 1`, 207, "Invalid column name 'nosuch'."},
		{`INSERT INTO ASPStateTempSessions (nosuch) VALUES (1)`, 207, "Invalid column name 'nosuch'."},
		{`SELECT database_id FROM sys.databases d JOIN sys.database_mirroring m ON d.database_id = m.database_id`, 209, "Ambiguous column name 'database_id'."},
		{`INSERT INTO ASPStateTempSessions (SessionId, Expires) VALUES (N'S1', GETUTCDATE())`, 2627,
			"Violation of PRIMARY KEY or UNIQUE constraint. Cannot insert duplicate key in object 'dbo.ASPStateTempSessions'."},
		{`INSERT INTO ASPStateTempSessions (SessionId) VALUES ('s2')`, 515, "Cannot insert the value NULL into column 'Expires'; column does not allow nulls."},
		{`INSERT INTO ASPStateTempApplications VALUES (1, 'x', 3)`, 213, ""},
		{`INSERT INTO ASPStateTempSessions (SessionId, Expires) VALUES (N'` + strings.Repeat("x", 89) + `', GETUTCDATE())`, 8152, "String or binary data would be truncated."},
		{`UPDATE ASPStateTempSessions SET SessionItemShort = 'text'`, 257,
			"Implicit conversion from data type varchar to varbinary is not allowed. Use the CONVERT function to run this query."},
		{`UPDATE ASPStateTempSessions SET LockCookie = 3000000000`, 8115, "Arithmetic overflow error converting numeric to data type int."},
		{`UPDATE ASPStateTempSessions SET Expires = 'soon'`, 241, "Conversion failed when converting date and/or time from character string."},
		{`SELECT name FROM sys.databases WHERE COUNT(*) > 1`, 147, ""},
		{`SELECT name FROM sys.databases WHERE name IN (SELECT name, database_id FROM sys.databases)`, 116, ""},
	}
	for _, test := range tests {
		statements, err := ParseFor(test.batch, testSchema)
		if err != nil {
			t.Errorf("%s: %v", test.batch, err)
			continue
		}
		_, got, err := s.query(t.Context(), statements[0].(*Query))
		e := FromSQLite(err)
		if e == nil || e.Number != test.number || test.message != "" && e.Message != test.message {
			t.Errorf("%s: %q, %v (%v), want %d %s", test.batch, got, e, err, test.number, test.message)
		}
	}
	if e := FromSQLite(nil); e != nil {
		t.Errorf("FromSQLite(nil) = %v", e)
	}
	if _, err := db.Exec("SELECT nosuch("); FromSQLite(err) != nil {
		t.Errorf("FromSQLite(%v) = %v, want nil", err, FromSQLite(err))
	}
}
