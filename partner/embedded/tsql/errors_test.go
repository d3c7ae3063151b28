package tsql

import (
	"strings"
	"testing"
)

// refusals are batches, and the error of Parse for each: "" matches any message.
type refusals []struct {
	batch   string
	number  int32
	line    int
	message string
}

func TestErrors(t *testing.T) {
	deep := strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300)
	refusals{
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
	}.run(t)
}

// T-SQL that this package does not support is refused with its name. Words that are not T-SQL are refused too.
func TestNotSupported(t *testing.T) {
	refusals{
		{"create view v as select 1", 4511, 1, "Create View or Function failed because no column name was specified for column 1."},
		{"create view v as select name from sys.databases", 40510, 1, "Clause 'a view of sys.databases' is not supported by the embedded partner."},
		{"create view v as select a from t with check option", 40510, 1, "Clause 'WITH CHECK OPTION' is not supported by the embedded partner."},
		{"create view v as select @@spid as a", 40510, 1, "Function '@@SPID in a definition' is not supported by the embedded partner."},
		{"create view v as select @a as a", 112, 1, "Variables are not allowed in the CREATE VIEW statement."},
		{"create view v as select a from t order by a", 1033, 1, ""},
		{"select 1 create view v as select 1 as a", 111, 1, "'CREATE/ALTER VIEW' must be the first statement in a query batch."},
		{"create trigger r on t instead of insert as select 1", 40510, 1, "Clause 'INSTEAD OF' is not supported by the embedded partner."},
		{"create trigger r on database for create_table as select 1", 40510, 1, "Statement 'CREATE TRIGGER ON DATABASE' is not supported by the embedded partner."},
		{"create schema s", 40510, 1, "Statement 'CREATE SCHEMA' is not supported by the embedded partner."},
		{"create function f() returns table as return select 1", 40510, 1, "Statement 'CREATE FUNCTION … RETURNS TABLE' is not supported by the embedded partner."},
		{"select 1\ndrop sequence p", 40510, 2, "Statement 'DROP SEQUENCE' is not supported by the embedded partner."},
		{"truncate x t", 40510, 1, "Statement 'TRUNCATE X' is not supported by the embedded partner."},
		{"backup certificate c to file = 'x'", 40510, 1, "Statement 'BACKUP CERTIFICATE' is not supported by the embedded partner."},
		{"alter table t rebuild", 40510, 1, "Statement 'ALTER TABLE … REBUILD' is not supported by the embedded partner."},
		{"alter database [d] set read_only;", 40510, 1, "Statement 'ALTER DATABASE [d] set read_only' is not supported by the embedded partner."},
		{"with x as (select 1) select * from x", 8155, 1, "No column name was specified for column 1 of 'x'."},
		{"with x (a, b) as (select 1) select * from x", 8159, 1, "'x' has fewer columns than were specified in the column list."},
		{"with x as (select 1 as a) delete from x", 40510, 1, "Clause 'write to a derived table or a common table expression' is not supported by the embedded partner."},
		{"with x as (select 1 as a union all select * from x) select * from x", 40510, 1, "Clause '* in the recursive part of a common table expression' is not supported by the embedded partner."},
		{"with x as (select 1 as a union select a + 1 from x) select * from x", 252, 1, ""},
		{"merge t using u on 1 = 1 when matched then delete", 10713, 1, "A MERGE statement must be terminated by a semi-colon (;)."},
		{"merge t using u on 1 = 1 when matched then delete output $action;", 40510, 1, "Clause 'OUTPUT of MERGE' is not supported by the embedded partner."},
		{"merge t using u on 1 = 1;", 102, 1, ""},
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
		{"insert bulk t (a int) with (tablock)", 40510, 1, "Statement 'INSERT BULK' is not supported by the embedded partner."},
		{"begin try select 1 end try", 102, 1, "Incorrect syntax near 'try'."},
		{"break", 135, 1, "Cannot use a BREAK statement outside the scope of a WHILE statement."},
		{"throw", 10704, 1, ""},
		{"select 1\nreturn 1", 178, 2, "A RETURN statement with a return value cannot be used in this context."},
		{"waitfor delay '1'", 40510, 1, "Statement 'WAITFOR' is not supported by the embedded partner."},
		{"exec ('select 1')", 40510, 1, "Statement 'EXECUTE of a string' is not supported by the embedded partner."},
		{"declare c cursor for select 1", 40510, 1, "Statement 'DECLARE CURSOR' is not supported by the embedded partner."},
		{"set identity_insert t", 102, 1, ""},
		{"select * from ##t", 40510, 1, "Clause 'global temporary table ##t' is not supported by the embedded partner."},
	}.run(t)
}

// Queries that this package does not support are refused with the name of the feature.
func TestNotSupported_Queries(t *testing.T) {
	refusals{
		{"select * from (select 1) x", 8155, 1, "No column name was specified for column 1 of 'x'."},
		{"select * from (select a from t order by a) x", 1033, 1, ""},
		{"select * from (select a from t)", 102, 1, ""},
		{"select * from t cross apply u", 40510, 1, "Clause 'CROSS APPLY' is not supported by the embedded partner."},
		{"select * from fn_x(1)", 40510, 1, "Function 'fn_x' is not supported by the embedded partner."},
		{"select 1 union select 2, 3", 205, 1, unequalOperands},
		{"select 1 intersect all select 2", 156, 1, ""},
		{"select a into x from t", 40510, 1, "Clause 'INTO' is not supported by the embedded partner."},
		{"select a from t for xml auto", 40510, 1, "Clause 'FOR' is not supported by the embedded partner."},
		{"select row_number() from t", 10753, 1, "The function 'row_number' must have an OVER clause."},
		{"select rank() over (partition by a) from t", 4112, 1, "The function 'rank' must have an OVER clause with ORDER BY."},
		{"select count(distinct a) over () from t", 40510, 1, "Clause 'DISTINCT with OVER' is not supported by the embedded partner."},
		{"select a, count(*) from t", 8120, 1, "Column 't.a' is invalid in the select list because it is not contained in an aggregate function and there is no GROUP BY clause."},
		{"select b from t group by a", 8120, 1, "Column 't.b' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause."},
		{"select a from t group by a having b > 1", 8121, 1, "Column 't.b' is invalid in the HAVING clause because it is not contained in either an aggregate function or the GROUP BY clause."},
		{"select * from t group by a", 40510, 1, "Clause '* with GROUP BY or an aggregate function' is not supported by the embedded partner."},
		{"select a from t group by grouping sets ((a))", 40510, 1, "Clause 'GROUP BY GROUPING' is not supported by the embedded partner."},
		{"select a from t group by rollup (a)", 40510, 1, "Function 'rollup' is not supported by the embedded partner."},
		{"select top 5 percent a from t", 40510, 1, "Clause 'TOP … PERCENT' is not supported by the embedded partner."},
		{"select (select a, b from t)", 116, 1, ""},
		{"select (select * from t)", 40510, 1, "Clause 'subquery as a value with *' is not supported by the embedded partner."},
		{"select 1 where 1 > all (select 1, 2)", 116, 1, ""},
		{"delete from t output deleted.* where a = 1", 40510, 1, "Clause 'OUTPUT deleted.*' is not supported by the embedded partner."},
		{"insert into t exec p", 40510, 1, "Clause 'INSERT … EXECUTE' is not supported by the embedded partner."},
		{"insert into t values (default)", 40510, 1, "Clause 'DEFAULT in VALUES of an unknown table' is not supported by the embedded partner."},
		{"insert into t (a, b) values (1)", 109, 1, ""},
		{"insert into t (a) values (1, 2)", 110, 1, ""},
		{"insert into t (a, b) select 1", 120, 1, ""},
		{"insert into t (a) select 1, 2", 121, 1, ""},
		{"insert into t (a, a) select 1, 2", 264, 1, ""},
		{"update t set a = default", 40510, 1, "Clause 'SET … = DEFAULT of an unknown table' is not supported by the embedded partner."},
		{"delete top (1) t from t join u on 1 = 1", 40510, 1, "Clause 'DELETE TOP with a join' is not supported by the embedded partner."},
		{"update t set a = 1 from t x join t y on x.a = y.b", 8154, 1, "The table 't' is ambiguous."},
		{"update top (1) t set a = 1 from t, u", 40510, 1, "Clause 'UPDATE TOP with a join' is not supported by the embedded partner."},
		{"delete x from (select a from t) x", 40510, 1, "Clause 'write to a derived table or a common table expression' is not supported by the embedded partner."},
		{"select a from t window w as (order by a)", 40510, 1, "Clause 'WINDOW' is not supported by the embedded partner."},
		{"update t set a.write('x', 0, 1)", 40510, 1, "Clause 'SET of .write' is not supported by the embedded partner."},
		{"delete t where current of c", 40510, 1, "Clause 'WHERE CURRENT OF' is not supported by the embedded partner."},
		{"update statistics t", 40510, 1, "Statement 'UPDATE STATISTICS' is not supported by the embedded partner."},
		{"again: select 1", 40510, 1, "Statement 'label again' is not supported by the embedded partner."},
		{"exec p with result sets ((a int))", 40510, 1, "Clause 'WITH RESULT SETS' is not supported by the embedded partner."},
		{"execute as user = 'x'", 40510, 1, "Statement 'EXECUTE AS' is not supported by the embedded partner."},
		{"select {fn now()}", 40510, 1, "Clause '{' is not supported by the embedded partner."},
		{"select a at time zone 'UTC' from t", 40510, 1, "Clause 'AT TIME ZONE' is not supported by the embedded partner."},
		{"select 1 where a is not distinct from b", 40510, 1, "Clause 'IS DISTINCT FROM' is not supported by the embedded partner."},
		{"insert bulk t (a int)", 40510, 1, "Statement 'INSERT BULK' is not supported by the embedded partner."},
		{"select * from openquery(x, 'y')", 40510, 1, "Function 'openquery' is not supported by the embedded partner."},
		{"create table t (a int default next value for s)", 40510, 1, "Clause 'NEXT VALUE FOR' is not supported by the embedded partner."},
		{"select * from (delete from t output deleted.a) x", 40510, 1, "Clause 'DELETE in FROM' is not supported by the embedded partner."},
		{"truncate table t with (partitions (1))", 40510, 1, "Clause 'TRUNCATE TABLE … WITH' is not supported by the embedded partner."},
		{"create table t (RowId int)", 40510, 1, "Clause 'a column named RowId' is not supported by the embedded partner."},
		{"create table sqlite_x (a int)", 40510, 1, "Clause 'a table named sqlite_x' is not supported by the embedded partner."},
		{"select top 50 percent a from t", 40510, 1, "Clause 'TOP … PERCENT' is not supported by the embedded partner."},
		{"select * from (select 1 as a, 2 as a) x", 8156, 1, "The column 'a' was specified multiple times for 'x'."},
		{"with x as (select 1 as a, 2 as A) select 1", 8156, 1, "The column 'A' was specified multiple times for 'x'."},
		{"select frob(1)", 40510, 1, "Function 'frob' is not supported by the embedded partner."},
		{"select other.dbo.frob(a) from t", 40510, 1, "Function 'other.dbo.frob with the name of a database' is not supported by the embedded partner."},
		{"select @@frob", 40510, 1, "Function '@@frob' is not supported by the embedded partner."},
		{"select is_member(name) from sys.objects", 40510, 1, "Function 'is_member of a column' is not supported by the embedded partner."},
		{"select @a = a, @b = @a from t", 40510, 1, "Clause 'SELECT with @a assigned and used' is not supported by the embedded partner."},
		{"select @a = @a + a from t", 40510, 1, "Clause 'SELECT that accumulates rows in @a' is not supported by the embedded partner."},
		{"print (select max(a) from t)", 40510, 1, "Clause 'subquery outside a query' is not supported by the embedded partner."},
		{"set @a = (select max(a) from t) + b", 128, 1, ""},
		{strings.Repeat("1 ", maxTokens+1), 40510, 1, "Batch 'of more than 200000 tokens' is not supported by the embedded partner."},
	}.run(t)
}

func (tests refusals) run(t *testing.T) {
	t.Helper()
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
