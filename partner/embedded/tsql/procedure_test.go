package tsql

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// ParseProcedure returns the parts of a procedure.
func TestParseProcedure(t *testing.T) {
	p, err := ParseProcedure(`CREATE OR ALTER PROC dbo.[My Proc] (@a int, @B nvarchar(88) = N'x', @c datetime2(7) = NULL OUTPUT, @@d bit OUT) WITH RECOMPILE
AS
BEGIN
    SET @@d = 1;
    RETURN -@a
END
GO`, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %v", p.Name, p.Params)
	want := "dbo.My Proc [{@a @a {int 0 0 false} false <nil> false} {@b @B {nvarchar 88 0 false} true x false} {@c @c {datetime2 0 7 false} true <nil> true} {@@d @@d {bit 0 0 false} false <nil> true}]"
	if got != want || len(p.Body) != 2 {
		t.Errorf("got %s, %d statements; want %s, 2", got, len(p.Body), want)
	}
}

// An error in a body is found when the procedure is created, with its number and its line.
func TestParseProcedure_Refuses(t *testing.T) {
	for _, c := range []struct {
		body   string
		number int32
		line   int
	}{
		{"SET @a = 1\n\nIF (@a = 1)) SET @a = 2", 102, 4},
		{"BREAK", 135, 2},
		{"WHILE 1 = 1 BEGIN SET @a = 1 END CONTINUE", 135, 2},
		{"THROW", 10704, 2},
		{"BEGIN TRY SET @a = 1 END TRY", 102, 2},
		{"WHILE 1 = 1", 102, 2},
		{"DECLARE c CURSOR FOR DELETE t", 156, 2},
		{"UPDATE t SET a = 1 OUTPUT inserted.a + deleted.a", 40510, 2},
		{"SET @a = x", 128, 2},
		{"RETURN a", 102, 2},
		{"SELECT a INTO x FROM t", 40510, 2},
		{"SELECT * INTO #x FROM t", 40510, 2},
		{"SELECT a + 1 INTO #x FROM t", 1038, 2},
		{"SELECT @a = a INTO #x FROM t", 156, 2},
		{"SELECT a FROM t UNION SELECT a INTO #x FROM t", 102, 2},
		{"SET @a = 1 SAVE TRANSACTION t\nFROB t", 102, 3},
	} {
		_, err := ParseProcedure("CREATE PROCEDURE p @a int AS\n"+c.body, testSchema)
		var e *Error
		if !errors.As(err, &e) || e.Number != c.number || e.Line != c.line {
			t.Errorf("%q: got %v, want %d at line %d", c.body, err, c.number, c.line)
		}
	}
	if _, err := ParseProcedure("CREATE PROCEDURE p @a int = @b AS RETURN 0", nil); err == nil {
		t.Error("a default that is not a constant was accepted")
	}
	if _, err := Parse("OPEN c"); err == nil || !strings.Contains(err.Error(), "OPEN") {
		t.Errorf("a batch has no cursors, got %v", err)
	}
}

// FuzzParseProcedure checks that any input gives a procedure or an *Error with a line.
func FuzzParseProcedure(f *testing.F) {
	for _, body := range []string{
		"WHILE @a < 3 BEGIN SET @a += 1 IF @a = 2 CONTINUE BREAK END RETURN @a",
		"BEGIN TRY UPDATE t SET @a = a, b = 2 OUTPUT deleted.a, inserted.b AS x INTO @t (n) WHERE a = @a END TRY BEGIN CATCH IF ERROR_NUMBER() = 1 THROW; THROW 50000, 'x', 1 END CATCH",
		"DECLARE @t TABLE (n int NOT NULL PRIMARY KEY, s nvarchar(10) NULL) CREATE TABLE #t (a int) DROP TABLE #t DELETE TOP (4) FROM @t OUTPUT deleted.n WHERE n IN (SELECT TOP (@a) x.a FROM #t AS x)",
		"DECLARE c CURSOR LOCAL FOR SELECT a FROM t OPEN c FETCH NEXT FROM c INTO @a WHILE @@FETCH_STATUS = 0 CLOSE c DEALLOCATE c",
		"WITH x AS (SELECT a, b FROM t) SELECT a, b AS c INTO #x FROM x WHERE a = @a UNION SELECT 1, 2 SELECT c FROM #x DECLARE c CURSOR FOR WITH y (i) AS (SELECT 1) SELECT i FROM y",
		"DECLARE @t TABLE (a int IDENTITY PRIMARY KEY, b datetime DEFAULT getdate(), UNIQUE (a, b)) MERGE t USING @t s ON s.a = t.a WHEN MATCHED THEN UPDATE SET b = @b WHEN NOT MATCHED THEN INSERT (a) VALUES (@a);",
		"RAISERROR('%s', 16, 1, @a) WITH NOWAIT BEGIN TRANSACTION EXEC @a = p @b OUTPUT, @c = 1 ROLLBACK", "IF ((@a = 1) BREAK",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 1<<13 {
			return
		}
		p, err := ParseProcedure("CREATE PROCEDURE p @a int = 1, @b datetime OUTPUT AS\n"+body, testSchema)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || p != nil) || err == nil && p == nil {
			t.Errorf("%q: %v, %v", body, p, err)
		}
	})
}
