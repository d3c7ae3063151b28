package tsql

import (
	"errors"
	"regexp"
	"slices"
	"testing"
)

// badSQL matches SQLite's errors for a text that this package should not have written.
var badSQL = regexp.MustCompile(`syntax error|unrecognized token|incomplete input|no such function|wrong number of arguments`)

// FuzzParse checks that any input gives statements or an *Error, that the SQL written for SQLite
// is well-formed, and that all its parameters are listed.
func FuzzParse(f *testing.F) {
	for _, batch := range []string{
		tediousLogin, statusQuery, epochQuery, "select 1;\nGO", "IF @@TRANCOUNT > 0 ROLLBACK TRAN",
		"declare @a int = 1, @b nvarchar(max) exec @a = p @b output, 1 select @a, [x]]y] from t where 'a''b' like N'%[^a-c]_' escape '!'",
		"update top (@n) x set a += 0x1F, b = case when 1 = 1 and not a in (1, 2) then -1.5e3 else ~a end from db..t as x with (nolock) where exists (select * from u)",
		"insert into t (a) select top 3 convert(varchar(10), getdate(), 121) + 'x' from t order by 1 desc option (recompile)",
		"delete from t where a between 1 and 2 or b is not null /* c /* d */ */ -- e", "select object_id(db_name()), avg(a), \x00'\x00' collate x_bin",
		"with n (i) as (select 1 union all select i + 1 from n where i < 9), m as (select * from n) select top 3 x.i, sum(count(*)) over (partition by x.i order by x.i rows 2 preceding) from m x left join (values (1, 'a')) v (a, b) join t on 1 = 1 on v.a = x.i group by x.i order by 1 offset 1 rows option (maxrecursion 5)",
		"merge into t as x using (select a, b from u) s on s.a = x.a when matched and x.b > @n then update set b = s.b, x.c += 1 when not matched then insert (a, b) values (s.a, 1) when not matched by source then delete;",
		"create table dbo.[a]]b] (id int identity(5, 1) not null constraint pk primary key clustered, n nvarchar(max) collate x_bin null default (N'x' + 'y') check (n <> 'z'), d decimal(5, 2) default getdate() references p (q) on delete set null, unique (n, d desc), index i (d) where d > 1) on [primary]",
		"alter table t add a int not null constraint df default 1 with values, constraint c check (a > 0), constraint d default 5 for b drop index if exists i on t, t.j truncate table t drop table if exists a, b",
		"create or alter view v (a, b) as (select a, (select b from u where u.a = t.a) from t) union select 'x', dbo.f(1, @a) except select 1, 2 intersect select c, d from w",
		"create trigger r on dbo.t with encryption for insert, delete as select * from inserted where a > all (select b from deleted)", "create function dbo.f (@a int) returns int as begin return @a end",
		"update o set a = i.b, c += 1 from t o join i on i.a = o.a where i.b is null delete t from t, u where t.a = u.a create unique index i on t (a desc, b) include (c) where a is not null with (online = on)",
		"create table #t (a int not null primary key, b nvarchar(max), c decimal(9, 2), unique (a, b)) insert #t select a, b, 1 from t drop table if exists #t",
		"declare @v table (n int) update t set @x = a, a = 1 output deleted.a, inserted.a into @v (n, m) where a = @y while exists (select * from @v) begin break end",
		"set quoted_identifier off begin try select \"it's\" end try begin catch throw; end catch raiserror('%d', 16, 1, @n) with nowait return",
		"backup database d to disk = 'x' with stats = 10, name = 'n'; restore log d from disk = 'x' with file = 1, move 'a' to 'b', norecovery",
		"alter database [d] set partner timeout 10; set ansi_nulls, ansi_padding on; set transaction isolation level snapshot",
	} {
		f.Add(batch)
	}
	if err := RegisterFunctions(); err != nil {
		f.Fatal(err)
	}
	db := openTables(f)
	nothing := func(string) (any, error) { return nil, nil }
	f.Fuzz(func(t *testing.T, batch string) {
		if len(batch) > 1<<14 {
			return // longer texts take time and find no new errors
		}
		check := func(sql string, in Inputs) {
			args, _ := in.Bind(nothing, func(SystemCall) (any, error) { return nil, nil })
			rows, err := db.QueryContext(t.Context(), "EXPLAIN "+sql, args...)
			if err == nil {
				err = rows.Close()
			}
			if err != nil && (badSQL.MatchString(err.Error()) || regexp.MustCompile(`missing (named )?argument`).MatchString(err.Error())) {
				t.Errorf("%q became %q: %v", batch, sql, err)
			}
		}
		for _, schema := range []Schema{nil, testSchema} {
			statements, err := ParseFor(batch, schema)
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Line < 1 || statements != nil) {
				t.Errorf("%q: %v, statements %v", batch, err, statements)
			}
			for _, s := range flatten(statements) {
				switch s := s.(type) {
				case *Query:
					check(s.SQL, s.Inputs)
					if s.Output != nil && s.Output.Before != "" {
						check(s.Output.Before, s.Inputs)
					}
				case *Merge:
					check(s.Snapshot, s.Inputs)
					for _, q := range s.Writes {
						check(q.SQL, q.Inputs)
					}
				case *Definition:
					checkDefinition(t, batch, s, func(sql string) { check(sql, Inputs{}) })
				case *CreateLocal:
					check(s.SQL, Inputs{})
				case *If:
					check("SELECT "+s.Condition.SQL, s.Condition.Inputs)
				case *While:
					check("SELECT "+s.Condition.SQL, s.Condition.Inputs)
				case *Assign:
					check("SELECT "+s.Value.SQL, s.Value.Inputs)
				case *Exec:
					for _, a := range s.Args {
						if !a.Default {
							check("SELECT "+a.Value.SQL, a.Value.Inputs)
						}
					}
				}
			}
		}
	})
}

// checkDefinition checks the result for a definition, and that a table's text parses to an equal
// table.
func checkDefinition(t *testing.T, batch string, d *Definition, check func(sql string)) {
	t.Helper()
	if d.View != nil {
		check(d.View.SQL)
	}
	if d.Kind != "TABLE" || d.Verb != "CREATE" {
		return
	}
	for _, sql := range d.Table.SQL() {
		check(sql)
	}
	again, err := ParseTable(d.Table.Text())
	if err != nil || !slices.Equal(again.SQL(), d.Table.SQL()) {
		t.Errorf("%q became %q: %v", batch, d.Table.Text(), err)
	}
}

// flatten returns the statements, including nested ones.
func flatten(list []Statement) []Statement {
	var all []Statement
	for _, s := range list {
		all = append(all, s)
		switch s := s.(type) {
		case *If:
			all = append(append(all, flatten(s.Then)...), flatten(s.Else)...)
		case *While:
			all = append(all, flatten(s.Body)...)
		case *Try:
			all = append(append(all, flatten(s.Body)...), flatten(s.Catch)...)
		}
	}
	return all
}

// FuzzLike compares LIKE with itself on reversed texts. That is the same question for a pattern
// without sets.
func FuzzLike(f *testing.F) {
	f.Add("a%b_c", "aXXbYc")
	f.Add("%%", "")
	f.Add("_%ab", "abab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		for _, r := range pattern {
			if r == '[' {
				compileLike(pattern, '!') // must not panic
				return
			}
		}
		pattern, text = string([]rune(pattern)), string([]rune(text))
		forward := matchLike(compileLike(pattern, 0), text)
		backward := matchLike(compileLike(reversed(pattern), 0), reversed(text))
		if forward != backward {
			t.Errorf("%q LIKE %q: forward %v, backward %v", text, pattern, forward, backward)
		}
	})
}

func reversed(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}
