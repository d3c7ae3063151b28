package tsql

import (
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	deep := strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300)
	tests := []struct {
		batch   string
		number  int32
		line    int
		message string
	}{
		// Syntax
		{"select", 156, 1, "Incorrect syntax near the keyword 'select'."},
		{"select 1,\nfrom t", 156, 2, "Incorrect syntax near the keyword 'from'."},
		{"select 1 2", 102, 1, "Incorrect syntax near '2'."},
		{"\n\nselect (1", 102, 3, "Incorrect syntax near '1'."},
		{"select 1 = 1", 102, 1, "Incorrect syntax near '1'."},
		{"select a from t where", 156, 1, "Incorrect syntax near the keyword 'where'."},
		{"select a from t where a", 4145, 1, "An expression of non-boolean type specified in a context where a condition is expected, near 'a'."},
		{"select ?", 102, 1, "Incorrect syntax near '?'."},
		{"select 1\x00", 102, 1, "Incorrect syntax near '\x00'."},
		{"select 'a\nb", 105, 1, "Unclosed quotation mark after the character string 'a\nb'."},
		{"select 1\n/* a /* b */", 113, 2, "Missing end comment mark '*/'."},
		{"select [a\x00b] from t", 102, 1, "Incorrect syntax near 'a\x00b'."},
		{"select 1 as 'a\x00b'", 102, 1, "Incorrect syntax near 'a\x00b'."},
		{"select 'a\x00b' = 1", 102, 1, "Incorrect syntax near 'a\x00b'."},
		{"select 1 '" + strings.Repeat("x", 129) + "'", 103, 1, "The identifier that starts with '" + strings.Repeat("x", 128) + "' is too long. Maximum length is 128."},
		{"select [" + strings.Repeat("x", 129) + "]", 103, 1, "The identifier that starts with '" + strings.Repeat("x", 128) + "' is too long. Maximum length is 128."},
		{"select a.b.c.d.e", 117, 1, "The object name 'a.b.c.d.e' contains more than the maximum number of prefixes. The maximum is 3."},
		{"select 1\nGO\nselect 2 x y", 102, 3, "Incorrect syntax near 'y'."},
		{"set nocount on sp_who", 102, 1, "Incorrect syntax near 'sp_who'."},
		{"set nocount maybe", 102, 1, "Incorrect syntax near 'maybe'."},
		{"set frobnicate on", 195, 1, "'frobnicate' is not a recognized SET option."},
		{"select " + deep, 191, 1, ""},
		{"select " + strings.Repeat("1+", 300) + "1", 191, 1, ""},
		{"select " + strings.Repeat("-", 300) + " 1", 156, 1, ""}, // a comment
		{"select " + strings.Repeat("~", 300) + " 1", 191, 1, ""},
		{"select 1 where " + strings.Repeat("not ", 300) + "1 = 1", 191, 1, ""},
		{"select 1 where " + strings.Repeat("1 = 1 and ", 300) + "1 = 1", 191, 1, ""},
		{"select dateadd(fortnight, 1, x) from t", 155, 1, "'fortnight' is not a recognized dateadd option."},
		{"select dateadd(day, 1)", 174, 1, "The dateadd function requires 3 argument(s)."},
		{"select len()", 174, 1, "The len function requires 1 argument(s)."},
		{"select object_id()", 189, 1, "The object_id function requires 1 to 2 arguments."},
		{"select cast(1 as frob)", 243, 1, "Type frob is not a defined system type."},
		{"declare @x nvarchar(5000)", 131, 1, "The size (5000) given to the type 'nvarchar' exceeds the maximum allowed for any data type (8000)."},
		{"set @x = a", 128, 1, ""},
		{"exec p 1 output", 179, 1, "Cannot use the OUTPUT option when passing a constant to a stored procedure."},
		{"select @a = 1, 2", 141, 1, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations."},
		{"delete from sys.databases", 259, 1, "Ad hoc updates to system catalogs are not allowed."},
		{"update sysobjects set name = 'x'", 259, 1, "Ad hoc updates to system catalogs are not allowed."},
		{"select * from s1.db.dbo.t", 7202, 1, "Could not find server 's1' in sys.servers."},
		{"select sum((select 1))", 130, 1, ""},
		{"alter database d set partner", 102, 1, "Incorrect syntax near 'partner'."},
		{"alter database d set partner = 5", 102, 1, "Incorrect syntax near '5'."},
		// Not supported, by name
		{"create view v as select 1", 40510, 1, "Statement 'CREATE VIEW' is not supported by the embedded partner."},
		{"select 1\ndrop trigger p", 40510, 2, "Statement 'DROP TRIGGER' is not supported by the embedded partner."},
		{"truncate table t", 40510, 1, "Statement 'TRUNCATE TABLE' is not supported by the embedded partner."},
		{"backup certificate c to file = 'x'", 40510, 1, "Statement 'BACKUP CERTIFICATE' is not supported by the embedded partner."},
		{"alter table t rebuild", 40510, 1, "Statement 'ALTER TABLE … REBUILD' is not supported by the embedded partner."},
		{"alter database [d] set read_only;", 40510, 1, "Statement 'ALTER DATABASE [d] set read_only' is not supported by the embedded partner."},
		{"with x as (select 1) select * from x", 40510, 1, "Statement 'WITH' is not supported by the embedded partner."},
		{"merge t using u on 1 = 1", 40510, 1, "Statement 'MERGE' is not supported by the embedded partner."},
		{"if 1 = 1", 102, 1, ""},
		{"if 1 = 1 select 1; select 2 else select 3", 156, 1, ""},
		{"if a = 1 select 1", 128, 1, ""},
		{strings.Repeat("if 1 = 1 ", 300) + "select 1", 191, 1, ""},
		{strings.Repeat("begin ", 300) + "select 1", 191, 1, ""},
		{"begin end", 156, 1, ""},
		{"select 1 create procedure p as select 1", 111, 1, "'CREATE/ALTER PROCEDURE' must be the first statement in a query batch."},
		{"create table t", 102, 1, ""},
		{"grant to x", 156, 1, ""},
		{"grant select on schema::dbo to x", 40510, 1, "Statement 'GRANT … ON SCHEMA' is not supported by the embedded partner."},
		{"while 1 = 1 select 1", 40510, 1, "Statement 'WHILE' is not supported by the embedded partner."},
		{"begin try select 1 end try", 40510, 1, "Statement 'BEGIN' is not supported by the embedded partner."},
		{"waitfor delay '1'", 40510, 1, "Statement 'WAITFOR' is not supported by the embedded partner."},
		{"raiserror('x', 16, 1)", 40510, 1, "Statement 'RAISERROR' is not supported by the embedded partner."},
		{"exec ('select 1')", 40510, 1, "Statement 'EXECUTE of a string' is not supported by the embedded partner."},
		{"declare @t table (a int)", 40510, 1, "Type 'TABLE' is not supported by the embedded partner."},
		{"declare c cursor for select 1", 40510, 1, "Statement 'DECLARE CURSOR' is not supported by the embedded partner."},
		{"set identity_insert t on", 40510, 1, "Statement 'SET IDENTITY_INSERT' is not supported by the embedded partner."},
		{"select * from #t", 40510, 1, "Clause 'temporary table #t' is not supported by the embedded partner."},
		{"select * from @t", 40510, 1, "Clause 'table variable @t' is not supported by the embedded partner."},
		{"insert into @t values (1)", 40510, 1, "Clause 'table variable @t' is not supported by the embedded partner."},
		{"select * from (select 1) x", 40510, 1, ""},
		{"select * from t cross apply u", 40510, 1, "Clause 'CROSS APPLY' is not supported by the embedded partner."},
		{"select * from fn_x(1)", 40510, 1, "Function 'fn_x' is not supported by the embedded partner."},
		{"select 1 union select 2", 40510, 1, "Clause 'UNION' is not supported by the embedded partner."},
		{"select a into x from t", 40510, 1, "Clause 'INTO' is not supported by the embedded partner."},
		{"select a from t for xml auto", 40510, 1, "Clause 'FOR' is not supported by the embedded partner."},
		{"select count(*) over () from t", 40510, 1, "Clause 'OVER' is not supported by the embedded partner."},
		{"select top 5 percent a from t", 40510, 1, "Clause 'TOP … PERCENT' is not supported by the embedded partner."},
		{"select (select a from t)", 40510, 1, ""},
		{"select 1 where 1 > all (select 1)", 40510, 1, "Clause '> ALL' is not supported by the embedded partner."},
		{"delete from t output deleted.* where a = 1", 40510, 1, "Clause 'OUTPUT' is not supported by the embedded partner."},
		{"update t set a = 1 output inserted.a", 40510, 1, "Clause 'OUTPUT' is not supported by the embedded partner."},
		{"insert into t (a) output inserted.a values (1)", 40510, 1, "Clause 'OUTPUT' is not supported by the embedded partner."},
		{"insert into t exec p", 40510, 1, "Clause 'INSERT … EXECUTE' is not supported by the embedded partner."},
		{"insert into t values (default)", 40510, 1, "Clause 'DEFAULT in VALUES' is not supported by the embedded partner."},
		{"update t set @a = 1", 40510, 1, "Clause 'UPDATE … SET @a' is not supported by the embedded partner."},
		{"update t set a = default", 40510, 1, "Clause 'SET … = DEFAULT' is not supported by the embedded partner."},
		{"delete t from t join u on 1 = 1", 40510, 1, "Clause 'UPDATE or DELETE with a join' is not supported by the embedded partner."},
		{"delete t from u", 40510, 1, "Clause 'UPDATE or DELETE with FROM another table' is not supported by the embedded partner."},
		{"select frob(1)", 40510, 1, "Function 'frob' is not supported by the embedded partner."},
		{"select dbo.frob(1)", 40510, 1, "Function 'dbo.frob' is not supported by the embedded partner."},
		{"select @@frob", 40510, 1, "Function '@@frob' is not supported by the embedded partner."},
		{"select object_id(name) from sys.objects", 40510, 1, "Function 'object_id of a column' is not supported by the embedded partner."},
		{"select @a = a, @b = @a from t", 40510, 1, "Clause 'SELECT with @a assigned and used' is not supported by the embedded partner."},
		{"select @a = @a + a from t", 40510, 1, "Clause 'SELECT that adds up rows in @a' is not supported by the embedded partner."},
		{"print (select max(a) from t)", 40510, 1, "Clause 'subquery outside a query' is not supported by the embedded partner."},
		{"set @a = (select max(a) from t) + b", 128, 1, ""},
		{strings.Repeat("1 ", maxTokens+1), 40510, 1, "Batch 'of more than 200000 words' is not supported by the embedded partner."},
	}
	for _, test := range tests {
		statements, err := Parse(test.batch)
		name := clip(test.batch, 60)
		if err == nil || statements != nil {
			t.Errorf("Parse(%q): %s, %v, want error %d", name, describeAll(statements), err, test.number)
			continue
		}
		e := asError(t, err)
		if e.Number != test.number || e.Line != test.line || test.message != "" && e.Message != test.message {
			t.Errorf("Parse(%q): %d, line %d: %s\nwant %d, line %d: %s", name, e.Number, e.Line, e.Message, test.number, test.line, test.message)
		}
		if e.Class < 11 || e.State == 0 {
			t.Errorf("Parse(%q): class %d, state %d", name, e.Class, e.State)
		}
	}
}

func TestErrorWithSchema(t *testing.T) {
	_, err := ParseFor("\nselect 1 from ASPStateTempSessions where Expires < 'soon'", testSchema)
	if e := asError(t, err); e.Number != 241 || e.Line != 2 {
		t.Errorf("%d, line %d: %s, want 241 at line 2", e.Number, e.Line, e.Message)
	}
}

func TestErrorText(t *testing.T) {
	_, err := Parse("select")
	if want := "Incorrect syntax near the keyword 'select'. (156)"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
