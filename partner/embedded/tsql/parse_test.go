package tsql

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// describe writes a statement in one line, for comparison in tables.
func describe(s Statement) string {
	switch s := s.(type) {
	case *Declare:
		var vars []string
		for _, v := range s.Vars {
			text := v.Name + " " + typeText(v.Type)
			if v.Init != nil {
				text += "=" + v.Init.SQL
			}
			vars = append(vars, text)
		}
		return "declare " + strings.Join(vars, ", ")
	case *Assign:
		return "assign " + s.Variable + "=" + s.Value.SQL
	case *SetOption:
		return "set " + s.Option + "=" + s.Value
	case *Use:
		return "use " + s.Database
	case *Print:
		return "print " + s.Value.SQL
	case *Exec:
		text := "exec " + s.Return + ">" + s.Procedure.String()
		for _, a := range s.Args {
			text += fmt.Sprintf(" %s=%s", a.Name, a.Value.SQL)
			if a.Output {
				text += "!" + a.Variable
			}
			if a.Default {
				text += "DEFAULT"
			}
		}
		return text
	case *Transaction:
		return fmt.Sprintf("transaction %d %q %v", s.Action, s.Name, s.IfOpen)
	case *AlterDatabase:
		return fmt.Sprintf("alter %s %d %q %d", s.Database, s.Clause, s.Argument, s.Number)
	case *Query:
		return s.Kind.String() + " " + s.SQL
	}
	return fmt.Sprintf("%T", s)
}

func typeText(t TypeSpec) string {
	if t.Max {
		return t.Name + "(max)"
	}
	return fmt.Sprintf("%s(%d,%d)", t.Name, t.Length, t.Scale)
}

// describeAll joins the statements of a batch.
func describeAll(statements []Statement) string {
	texts := make([]string, len(statements))
	for i, s := range statements {
		texts[i] = describe(s)
	}
	return strings.Join(texts, "; ")
}

func TestStatements(t *testing.T) {
	tests := []struct{ batch, want string }{
		{"", ""}, {" ;; \r\n", ""}, {"-- nothing\n/* at /* all */ */", ""}, {"GO", ""}, {"select 1;\nGO\n", "SELECT SELECT 1 AS []"}, {"\ufeffselect 1", "SELECT SELECT 1 AS []"},
		// Declarations and assignments
		{"DECLARE @a int", "declare @a int(0,0)"}, {"declare @A AS nvarchar(88) = N'x', @b varbinary(max), @c bit;", "declare @a nvarchar(88,0)='x', @b varbinary(max), @c bit(0,0)"},
		{"declare @d datetime2, @e decimal(10,2), @f varchar, @g dbo.tSessionId, @h [int], @i double precision, @j time(3)",
			"declare @d datetime2(0,7), @e decimal(10,2), @f varchar(1,0), @g tsessionid(0,0), @h int(0,0), @i float(0,0), @j time(0,3)"},
		{"SET @x = 1 + 2", "assign @x=(1 + 2)"}, {"set @x += 1", "assign @x=tsql_plus(@v_x, 1)"}, {"SET @x = @@ROWCOUNT", "assign @x=@s1"}, {"SET @x = (SELECT COUNT(*) FROM T)", "assign @x=(SELECT count(*) AS [] FROM [T])"},
		{"set @x = -5 set @y = 'z'", "assign @x=(-5); assign @y='z'"},
		// Options
		{"SET NOCOUNT ON", "set NOCOUNT=ON"}, {"set ansi_nulls, ansi_padding off", "set ANSI_NULLS=OFF; set ANSI_PADDING=OFF"}, {"SET TEXTSIZE 64512", "set TEXTSIZE=64512"},
		{"SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "set TRANSACTION ISOLATION LEVEL=READ UNCOMMITTED"}, {"set transaction isolation level snapshot", "set TRANSACTION ISOLATION LEVEL=SNAPSHOT"},
		{"SET LOCK_TIMEOUT -1", "set LOCK_TIMEOUT=-1"}, {"SET DEADLOCK_PRIORITY LOW", "set DEADLOCK_PRIORITY=LOW"}, {"SET DEADLOCK_PRIORITY @p", "set DEADLOCK_PRIORITY=@p"}, {"SET LANGUAGE N'us_english'", "set LANGUAGE=us_english"},
		{"SET LANGUAGE us_english", "set LANGUAGE=us_english"}, {"SET ROWCOUNT 0", "set ROWCOUNT=0"}, {"SET CONTEXT_INFO 0x01", "set CONTEXT_INFO=0x01"}, {"SET STATISTICS IO, TIME ON", "set STATISTICS IO=ON; set STATISTICS TIME=ON"},
		// Use, print
		{"use ASPState", "use ASPState"}, {"USE [ASP]]State]", "use ASP]State"}, {`USE "ASPState"`, "use ASPState"}, {"PRINT 'a' + 'b'", "print tsql_plus('a', 'b')"},
		// Procedures
		{"sp_who", "exec >sp_who"}, {"exec p +5, -1.5, on, [a b]", "exec >p =(+5) =(-1.5) ='on' ='a b'"}, {"sp_who 'sa'", "exec >sp_who ='sa'"}, {"exec sp_who2 active", "exec >sp_who2 ='active'"}, {"exec dbo.TempResetTimeout @id = 'x'", "exec >dbo.TempResetTimeout @id='x'"},
		{"EXECUTE @r = ASPState..P 1, -2, NULL, DEFAULT, @a OUT, 0x01, @@SPID", "exec @r>ASPState..P =1 =(-2) =NULL =DEFAULT =@v_a!@a =x'01' =@s1"},
		{"exec [my db].[dbo].[p q] @A = @b OUTPUT, @c=N'x' with recompile", "exec >my db.dbo.p q @a=@v_b!@b @c='x'"}, {"exec p select 1", "exec >p; SELECT SELECT 1 AS []"}, {"exec sp_reset_connection;", "exec >sp_reset_connection"},
		{"exec sp_configure 'show advanced options', 1\nexec p2", "exec >sp_configure ='show advanced options' =1; exec >p2"}, {"exec s.db.dbo.p", "exec >s.db.dbo.p"},
		{"exec sp_executesql N'select @p', N'@p int', @p = 3", "exec >sp_executesql ='select @p' ='@p int' @p=3"},
		// Transactions
		{"BEGIN TRAN", `transaction 0 "" false`}, {"begin transaction [t 1] commit tran", `transaction 0 "t 1" false; transaction 1 "" false`}, {"COMMIT", `transaction 1 "" false`}, {"commit work", `transaction 1 "" false`}, {"ROLLBACK TRANSACTION @t", `transaction 2 "@t" false`},
		{"SAVE TRAN s1", `transaction 3 "s1" false`}, {"IF @@TRANCOUNT > 0 ROLLBACK TRAN", `transaction 2 "" true`}, {"if (@@trancount <> 0) commit", `transaction 1 "" true`}, {"rollback select 1", `transaction 2 "" false; SELECT SELECT 1 AS []`},
		// Mirroring
		{"ALTER DATABASE [ASPState] SET PARTNER = N'TCP://b.example:5022'", `alter ASPState 0 "TCP://b.example:5022" 0`}, {"alter database ASPState set partner failover;", `alter ASPState 1 "" 0`},
		{"ALTER DATABASE ASPState SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS", `alter ASPState 2 "" 0`}, {"ALTER DATABASE ASPState SET PARTNER SUSPEND", `alter ASPState 3 "" 0`}, {"ALTER DATABASE ASPState SET PARTNER RESUME", `alter ASPState 4 "" 0`},
		{"ALTER DATABASE ASPState SET PARTNER OFF", `alter ASPState 5 "" 0`}, {"ALTER DATABASE ASPState SET PARTNER SAFETY full", `alter ASPState 6 "FULL" 0`}, {"ALTER DATABASE ASPState SET PARTNER SAFETY OFF", `alter ASPState 6 "OFF" 0`},
		{"ALTER DATABASE CURRENT SET PARTNER TIMEOUT 15", `alter  7 "" 15`}, {"ALTER DATABASE ASPState SET WITNESS = 'TCP://w:5022'", `alter ASPState 8 "TCP://w:5022" 0`}, {"ALTER DATABASE ASPState SET WITNESS OFF", `alter ASPState 9 "" 0`},
		// Queries, as far as their text matters
		{"select name from sys.databases", "SELECT SELECT [name] AS [name] FROM [sys_databases] AS [databases]"}, {"select d.[a]]b] x from ASPState..T d", "SELECT SELECT [d].`a]b` AS [x] FROM [T] AS [d]"},
		{"SELECT * FROM INFORMATION_SCHEMA.TABLES", "SELECT SELECT * FROM [information_schema_tables] AS [TABLES]"}, {"select * from master.dbo.sysdatabases", "SELECT SELECT * FROM [sys_sysdatabases] AS [sysdatabases]"},
		{"delete top (5) from T where a = 1 option (maxdop 1)", "DELETE DELETE FROM [T] WHERE rowid IN (SELECT rowid FROM [T] WHERE ([a] = 1) LIMIT 5)"}, {"insert T default values", "INSERT INSERT INTO [T] DEFAULT VALUES"},
		{"delete x from dbo.T x where x.a is null", "DELETE DELETE FROM [T] AS [x] WHERE ([x].[a] IS NULL)"}, {"update x set a += 1 from dbo.T as x with (rowlock)", "UPDATE UPDATE [T] AS [x] SET [a] = tsql_plus([a], 1)"},
	}
	for _, test := range tests {
		statements, err := Parse(test.batch)
		if err != nil {
			t.Errorf("Parse(%q): %v", test.batch, err)
		} else if got := describeAll(statements); got != test.want {
			t.Errorf("Parse(%q)\n got %s\nwant %s", test.batch, got, test.want)
		}
	}
}

// tediousLogin is the batch that tedious sends after the login.
const tediousLogin = "set ansi_nulls on\nset ansi_null_dflt_on on\nset ansi_padding on\nset ansi_warnings on\nset arithabort on\nset concat_null_yields_null on\n" +
	"set cursor_close_on_commit off\nset datefirst 7\nset dateformat mdy\nset deadlock_priority normal\nset implicit_transactions off\nset language us_english\n" +
	"set numeric_roundabort off\nset quoted_identifier on\nset textsize 2147483647\nset transaction isolation level read committed\nset xact_abort off"

func TestTediousLogin(t *testing.T) {
	statements, err := Parse(tediousLogin)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ANSI_NULLS=ON", "ANSI_NULL_DFLT_ON=ON", "ANSI_PADDING=ON", "ANSI_WARNINGS=ON", "ARITHABORT=ON", "CONCAT_NULL_YIELDS_NULL=ON", "CURSOR_CLOSE_ON_COMMIT=OFF", "DATEFIRST=7",
		"DATEFORMAT=MDY", "DEADLOCK_PRIORITY=NORMAL", "IMPLICIT_TRANSACTIONS=OFF", "LANGUAGE=us_english", "NUMERIC_ROUNDABORT=OFF", "QUOTED_IDENTIFIER=ON", "TEXTSIZE=2147483647",
		"TRANSACTION ISOLATION LEVEL=READ COMMITTED", "XACT_ABORT=OFF"}
	if len(statements) != len(want) {
		t.Fatalf("%d statements, want %d", len(statements), len(want))
	}
	for i, s := range statements {
		if got := describe(s); got != "set "+want[i] || s.Line() != i+1 {
			t.Errorf("statement %d: %s at line %d, want %s at line %d", i, got, s.Line(), want[i], i+1)
		}
	}
}

// TestMonoCall parses a procedure call in a text, as the oldest drivers send it.
func TestMonoCall(t *testing.T) {
	statements, err := Parse("declare @s varbinary(7000), @l bit, @a int, @c int, @f int exec TempGetStateItemExclusive3 N'abc2014c0f1', " +
		"@s output, @l output, @a output, @c output, @f output select @s, @l as locked, @a, @c, @f")
	if err != nil {
		t.Fatal(err)
	}
	want := "declare @s varbinary(7000,0), @l bit(0,0), @a int(0,0), @c int(0,0), @f int(0,0); " +
		"exec >TempGetStateItemExclusive3 ='abc2014c0f1' =@v_s!@s =@v_l!@l =@v_a!@a =@v_c!@c =@v_f!@f; " +
		"SELECT SELECT @v_s AS [], @v_l AS [locked], @v_a AS [], @v_c AS [], @v_f AS []"
	if got := describeAll(statements); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	q := statements[2].(*Query)
	hints := q.Hints([]string{"", "locked", "", "", ""})
	if want := (ColumnHint{Name: "locked", Type: TypeSpec{Name: "bit"}, Variable: "@l"}); hints[1] != want {
		t.Errorf("hint %+v, want %+v", hints[1], want)
	}
	call := statements[1].(*Exec)
	if a := call.Args[0].Value; !a.IsConstant || a.Constant != "abc2014c0f1" || a.Type != (TypeSpec{Name: "nvarchar", Length: 11}) {
		t.Errorf("first argument %+v", a)
	}
}

func TestLines(t *testing.T) {
	statements, err := Parse("-- first\nset nocount on /* two\nlines */ select\n 'a\nb'\n\nexec p")
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, s := range statements {
		lines = append(lines, s.Line())
	}
	if want := []int{2, 3, 7}; !reflect.DeepEqual(lines, want) {
		t.Errorf("lines %v, want %v", lines, want)
	}
}

func TestInputs(t *testing.T) {
	q := one[*Query](t, "SELECT @B, @a, @b, @@SPID, @@spid, GETUTCDATE(), SERVERPROPERTY('Edition'), SERVERPROPERTY('edition'), SERVERPROPERTY('Edition') "+
		"FROM ASPState..ASPStateTempSessions s LEFT JOIN sys.databases d ON d.database_id = DB_ID('x') JOIN ASPState..ASPStateTempSessions t ON 1 = 1")
	if want := []string{"@b", "@a"}; !reflect.DeepEqual(q.Parameters, want) {
		t.Errorf("parameters %v, want %v", q.Parameters, want)
	}
	var system []string
	for _, call := range q.System {
		text := call.Param + ":" + call.Name
		for _, arg := range call.Args {
			text += fmt.Sprintf(" %v", arg.Constant)
		}
		system = append(system, text)
	}
	if want := []string{"s1:@@SPID", "s2:GETUTCDATE", "s3:SERVERPROPERTY Edition", "s4:SERVERPROPERTY edition"}; !reflect.DeepEqual(system, want) {
		t.Errorf("system %q, want %q", system, want)
	}
	want := []Name{{Database: "ASPState", Object: "ASPStateTempSessions"}, {Schema: "sys", Object: "databases"}}
	if !reflect.DeepEqual(q.Tables, want) {
		t.Errorf("tables %v, want %v", q.Tables, want)
	}
}

func TestKeyAndTables(t *testing.T) {
	tests := []struct{ batch, key, tables string }{
		{"insert into ASPState.dbo.[T] (a) select b from U", "T", "ASPState.dbo.T U"},
		{"update T set a = 1 where b in (select b from U)", "T", "T U"},
		{"update x set a = (select max(b) from U) from dbo.T x", "T", "dbo.T U"},
		{"delete from T", "T", "T"},
		{"delete T from T where exists (select * from sys.objects)", "T", "T sys.objects"},
	}
	for _, test := range tests {
		q := one[*Query](t, test.batch)
		var names []string
		for _, n := range q.Tables {
			names = append(names, n.String())
		}
		if got := strings.Join(names, " "); q.Key != test.key || got != test.tables {
			t.Errorf("%s: key %s, tables %s, want %s, %s", test.batch, q.Key, got, test.key, test.tables)
		}
	}
}

func TestHints(t *testing.T) {
	table := Name{Database: "ASPState", Object: "T"}
	int32Type := TypeSpec{Name: "int"}
	tests := []struct {
		query string
		names []string
		want  []ColumnHint
	}{
		{"select a, 1 as n, @v from ASPState..T", []string{"a", "n", ""}, []ColumnHint{{Name: "a", Column: "a", Table: table}, {Name: "n", Type: int32Type}, {Variable: "@v"}}},
		{"select 1 as n, *, len(x) from ASPState..T", []string{"n", "x", "y", ""}, []ColumnHint{{Name: "n", Type: int32Type}, {Name: "x", Column: "x", Table: table}, {Name: "y", Column: "y", Table: table}, {Type: int32Type}}},
		{"select t.*, u.* from ASPState..T t, U u", []string{"x", "y"}, []ColumnHint{{Name: "x", Column: "x"}, {Name: "y", Column: "y"}}},
		{"select x = t.a from ASPState..T t, U", []string{"x"}, []ColumnHint{{Name: "x", Column: "a", Table: table}}},
		{"select a from T, U", []string{"a"}, []ColumnHint{{Name: "a", Column: "a"}}},
	}
	for _, test := range tests {
		if got := one[*Query](t, test.query).Hints(test.names); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\n got %+v\nwant %+v", test.query, got, test.want)
		}
	}
}

// TestHintTypes checks the type of an expression that is sent to the client.
func TestHintTypes(t *testing.T) {
	tests := []struct{ expression, want string }{
		{"CONVERT(nvarchar(60), x)", "nvarchar(60,0)"}, {"CAST(x AS varbinary(max))", "varbinary(max)"}, {"SYSUTCDATETIME()", "datetime2(0,7)"}, {"GETDATE()", "datetime(0,0)"}, {"@@SERVERNAME", "nvarchar(128,0)"},
		{"COUNT(*)", "int(0,0)"}, {"COUNT_BIG(*)", "bigint(0,0)"}, {"DATEDIFF(second, a, b)", "int(0,0)"}, {"DATEADD(second, 1, a)", "datetime(0,0)"}, {"N'abc'", "nvarchar(3,0)"}, {"'abc'", "varchar(3,0)"}, {"0x0102", "varbinary(2,0)"},
		{"1 + 2", "int(0,0)"}, {"3000000000", "decimal(10,0)"}, {"1.5 * 2", "decimal(4,1)"}, {"1.5e0 * 2", "float(0,0)"}, {"ISNULL(CAST(x AS int), 0)", "int(0,0)"}, {"CASE WHEN a = 1 THEN N'x' END", "nvarchar(1,0)"}, {"@@SPID", "smallint(0,0)"}, {"x", "(0,0)"}, {"@v", "(0,0)"},
		{"(SELECT MAX(CAST(y AS bit)) FROM u)", "bit(0,0)"}, {"GETUTCDATE() - 1", "datetime(0,0)"},
	}
	for _, test := range tests {
		if got := typeText(one[*Query](t, "SELECT "+test.expression+" FROM t").Columns[0].Type); got != test.want {
			t.Errorf("%s: %s, want %s", test.expression, got, test.want)
		}
	}
}

func TestAssigns(t *testing.T) {
	q := one[*Query](t, "select @A = a, @b = 1 from T")
	if want := []string{"@a", "@b"}; !reflect.DeepEqual(q.Assigns, want) {
		t.Errorf("assigns %v, want %v", q.Assigns, want)
	}
}

func TestParseType(t *testing.T) {
	for text, want := range map[string]TypeSpec{
		"nvarchar(88)": {Name: "nvarchar", Length: 88}, "INTEGER": {Name: "int"}, "datetime2(7)": {Name: "datetime2", Scale: 7},
		"varbinary(max)": {Name: "varbinary", Max: true}, "sysname": {Name: "nvarchar", Length: 128}, "numeric": {Name: "decimal", Length: 18},
	} {
		if got, err := ParseType(text); err != nil || got != want {
			t.Errorf("ParseType(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "int int", "nvarchar(0)", "varchar(8001)", "datetime2(8)", "int("} {
		if got, err := ParseType(text); err == nil {
			t.Errorf("ParseType(%q) = %+v, want an error", text, got)
		}
	}
}
