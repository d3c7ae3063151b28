package embedded_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// A function is mirrored: after a failover it exists, and reads the rows written before.
func TestFunctions_Failover(t *testing.T) {
	pair := aspstatetest.Start(t)
	a := connect(t, pair.Partner("a"), "ASPState")
	mustExec(t, a, "CREATE TABLE dbo.Prices (Item int NOT NULL PRIMARY KEY, Price decimal(9, 2) NOT NULL)")
	mustExec(t, a, "CREATE FUNCTION dbo.PriceOf (@item int) RETURNS decimal(9, 2) AS BEGIN RETURN (SELECT Price FROM dbo.Prices WHERE Item = @item) END")
	mustExec(t, a, "CREATE FUNCTION dbo.Twice (@item int) RETURNS decimal(9, 2) AS BEGIN RETURN 2 * dbo.PriceOf(@item) END")
	mustExec(t, a, "CREATE PROCEDURE dbo.Raise @item int AS UPDATE dbo.Prices SET Price = dbo.Twice(Item) WHERE Item = @item")
	mustExec(t, a, "INSERT INTO dbo.Prices VALUES (1, 2.50), (2, 10)")
	if err := pair.Partner("a").Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	b := connect(t, pair.Partner("b"), "ASPState")
	mustExec(t, b, "EXEC dbo.Raise 1")
	if price := scalar[string](t, b, "SELECT dbo.PriceOf(1)"); price != "5.00" {
		t.Errorf("the price is %s", price)
	}
	mustExec(t, b, "ALTER FUNCTION dbo.PriceOf (@item int) RETURNS decimal(9, 2) AS BEGIN RETURN @item END")
	if price := scalar[string](t, b, "SELECT dbo.Twice(7)"); price != "14.00" {
		t.Errorf("after ALTER FUNCTION the price is %s", price)
	}
}

// A rollback removes a function that its transaction created; within the transaction it can be called.
func TestFunctions_RolledBack(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.do("BEGIN TRANSACTION")
	c.do("CREATE FUNCTION dbo.F (@a int) RETURNS int AS BEGIN RETURN @a + 1 END")
	if got := c.last("SELECT dbo.F(1)"); got != "2" {
		t.Errorf("within the transaction it is %s", got)
	}
	c.do("ROLLBACK")
	c.fails("4121 SELECT dbo.F(1)")
}

func TestFunctions_Rights(t *testing.T) {
	pair := aspstatetest.Start(t)
	own := connect(t, pair.Partner("a"), "ASPState")
	mustExec(t, own, "CREATE LOGIN clerk WITH PASSWORD = N'secret', CHECK_POLICY = OFF")
	mustExec(t, own, "CREATE USER clerk FOR LOGIN clerk")
	mustExec(t, own, "CREATE TABLE dbo.Secrets (x int)")
	mustExec(t, own, "CREATE FUNCTION dbo.HowMany () RETURNS int AS BEGIN RETURN (SELECT COUNT(*) FROM dbo.Secrets) END")
	clerk := as(t, pair.Partner("a"), "clerk", "secret", "ASPState")
	refuses(t, clerk, "SELECT dbo.HowMany()", 229)
	refuses(t, clerk, "DECLARE @r int EXEC @r = dbo.HowMany", 229)
	refuses(t, clerk, "DROP FUNCTION dbo.HowMany", 262)
	mustExec(t, own, "GRANT EXECUTE ON dbo.HowMany TO public")
	if n := scalar[int](t, clerk, "SELECT dbo.HowMany()"); n != 0 {
		t.Errorf("%d rows", n)
	}
	refuses(t, clerk, "SELECT * FROM dbo.Secrets", 229)
	mustExec(t, own, "DROP FUNCTION dbo.HowMany")
	refuses(t, clerk, "SELECT dbo.HowMany()", 4121)
}

// The client can cancel an endless function, and the nesting limit ends one that calls itself endlessly.
func TestFunctions_Runaway(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	mustExec(t, db, "CREATE FUNCTION dbo.Endless () RETURNS int AS BEGIN DECLARE @i int = 0 WHILE @i >= 0 SET @i = @i * 1 RETURN @i END")
	mustExec(t, db, "CREATE FUNCTION dbo.Deep (@n int) RETURNS int AS BEGIN RETURN dbo.Deep(@n + 1) END")
	mustExec(t, db, "CREATE PROCEDURE dbo.Calls AS SELECT dbo.Endless()")
	refuses(t, db, "SELECT dbo.Deep(1)", 217)
	for _, text := range []string{"SELECT dbo.Endless()", "DECLARE @i int = dbo.Endless()", "EXEC dbo.Calls"} {
		ctx, cancel := context.WithTimeout(limit(t), 50*time.Millisecond)
		if _, err := db.ExecContext(ctx, text); err == nil {
			t.Errorf("%s: it ended without the cancellation", text)
		}
		cancel()
	}
	if n := scalar[int](t, db, "SELECT 1"); n != 1 {
		t.Error("the server does not answer afterwards")
	}
}

// A function may read the table of its calling statement, and be called many times by it.
func TestFunctions_Nested(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	c := alone(t, db)
	c.do("CREATE TABLE dbo.Tree (Id int NOT NULL PRIMARY KEY, Parent int NULL)")
	c.do("INSERT INTO dbo.Tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, 1)")
	c.do("CREATE FUNCTION dbo.Depth (@id int) RETURNS int AS BEGIN DECLARE @p int SELECT @p = Parent FROM dbo.Tree WHERE Id = @id IF @p IS NULL RETURN 0 RETURN (SELECT 1 + dbo.Depth(Parent) FROM dbo.Tree WHERE Id = @id) END")
	for text, want := range map[string]string{
		"SELECT MAX(dbo.Depth(Id)) FROM dbo.Tree":                                                           "3",
		"SELECT SUM(a.d) FROM (SELECT dbo.Depth(Id) AS d FROM dbo.Tree) AS a JOIN dbo.Tree b ON b.Id = a.d": "7",
		"EXEC sp_executesql N'SELECT dbo.Depth(@x)', N'@x int', 4":                                          "3",
		"SELECT COUNT(*) FROM sys.objects WHERE name = 'Depth' AND dbo.Depth(3) = 2":                        "1",
		"CREATE TABLE #t (x int) INSERT INTO #t SELECT dbo.Depth(Id) FROM dbo.Tree SELECT SUM(x) FROM #t":   "7",
		"DECLARE @d int EXEC @d = ASPState.dbo.Depth 4 SELECT @d":                                           "3",
		"SELECT dbo.Depth('4')": "3",
	} {
		if got := c.last(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	c.fails("245 SELECT dbo.Depth('x')", "40510 CREATE VIEW dbo.V AS SELECT dbo.Depth(Id) AS d FROM dbo.Tree")
	if _, err := db.ExecContext(limit(t), "dbo.Depth", 4); !slices.Contains(numbers(err), 40510) {
		t.Errorf("called by name: %v", err)
	}
	c.do("UPDATE dbo.Tree SET Parent = 4 WHERE Id = 1")
	c.fails("217 SELECT dbo.Depth(1)")
}
