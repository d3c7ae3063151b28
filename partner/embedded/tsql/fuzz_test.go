package tsql

import (
	"errors"
	"regexp"
	"testing"
)

// badSQL is what SQLite says of text that this package should not have written.
var badSQL = regexp.MustCompile(`syntax error|unrecognized token|incomplete input|no such function|wrong number of arguments`)

// FuzzParse checks that whatever comes in gives statements or an *Error, that
// what is written for SQLite is well-formed there, and that all its parameters are listed.
func FuzzParse(f *testing.F) {
	for _, batch := range []string{
		tediousLogin, statusQuery, epochQuery, "select 1;\nGO", "IF @@TRANCOUNT > 0 ROLLBACK TRAN",
		"declare @a int = 1, @b nvarchar(max) exec @a = p @b output, 1 select @a, [x]]y] from t where 'a''b' like N'%[^a-c]_' escape '!'",
		"update top (@n) x set a += 0x1F, b = case when 1 = 1 and not a in (1, 2) then -1.5e3 else ~a end from db..t as x with (nolock) where exists (select * from u)",
		"insert into t (a) select top 3 convert(varchar(10), getdate(), 121) + 'x' from t order by 1 desc option (recompile)",
		"delete from t where a between 1 and 2 or b is not null /* c /* d */ */ -- e", "select object_id(db_name()), avg(a), \x00'\x00' collate x_bin",
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
			return // longer texts cost time and find nothing new
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

// flatten gives the statements with those within them.
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

// FuzzLike compares LIKE with itself read backwards where that is the same
// question: a pattern without sets.
func FuzzLike(f *testing.F) {
	f.Add("a%b_c", "aXXbYc")
	f.Add("%%", "")
	f.Add("_%ab", "abab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		for _, r := range pattern {
			if r == '[' {
				compileLike(pattern, '!') // only: no panic
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
