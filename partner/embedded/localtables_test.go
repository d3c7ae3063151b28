package embedded_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// Temporary tables belong to the session, table variables to the batch. Source: the manual's CREATE TABLE,
// DECLARE and "table (Transact-SQL)".
func TestBatch_LocalTables(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	c, other := alone(t, db), alone(t, db)
	c.must("CREATE TABLE #t (id int NOT NULL PRIMARY KEY, name nvarchar(10) NULL, at datetime NULL)")
	c.must("INSERT INTO #t (id, name, at) VALUES (1, N'a', '20200102'), (2, N'B', NULL)", "INSERT #t SELECT 3, N'c', '2020-01-02 03:04:05.004'")
	c.is("SELECT COUNT(*) FROM #t WHERE name = 'b'", "1")
	c.is("SELECT CONVERT(varchar(30), at, 121) FROM tempdb..#t WHERE id = 3", "2020-01-02 03:04:05.003")
	c.must("UPDATE #t SET name = name + 'x' WHERE id < 3", "DELETE FROM #t WHERE id = 2")
	c.is("SELECT name FROM #t WHERE id = 1", "ax")
	other.fails("208 SELECT * FROM #t")
	c.fails("2714 CREATE TABLE #t (id int)", "2627 INSERT #t (id) VALUES (1)", "515 INSERT #t (name) VALUES ('x')", "1087 SELECT * FROM @v",
		"3701 DROP TABLE #u", "134 DECLARE @v TABLE (a int) DECLARE @v TABLE (a int)")
	c.is("SELECT COUNT(*) FROM #t", "2")

	// With tables of the database in both directions, and mirrored.
	c.must("INSERT INTO ASPStateTempApplications (AppId, AppName) SELECT id, name FROM #t")
	c.must("INSERT INTO #t (id, name) SELECT AppId + 10, 'app' FROM ASPStateTempApplications")
	c.is("SELECT COUNT(*) FROM #t AS t JOIN ASPStateTempApplications AS a ON a.AppId = t.id", "2")
	c.is("IF EXISTS (SELECT * FROM #t WHERE id = 11) SELECT 'yes' ELSE SELECT 'no'", "yes")
	sameContents(t, pair)

	// A rollback restores temporary tables, and does not change table variables.
	got := c.response("DECLARE @v TABLE (n int, PRIMARY KEY (n)) BEGIN TRAN DELETE #t INSERT @v VALUES (7) SAVE TRAN s INSERT #t (id) VALUES (99) CREATE TABLE #u (a int) ROLLBACK TRAN s " +
		"SELECT COUNT(*) FROM #t ROLLBACK SELECT COUNT(*) FROM #t SELECT COUNT(*) FROM @v")
	if want := []string{"r 0", "r 4", "r 1"}; !slices.Equal(rowsOf(got), want) {
		t.Errorf("%q, want %q", got, want)
	}
	c.fails("208 SELECT * FROM #u", "1087 SELECT * FROM @v")
	c.is("DECLARE @i int = 0 DECLARE @v TABLE (n int) WHILE @i < 5 BEGIN SET @i += 1 INSERT @v VALUES (@i) END SELECT SUM(n) FROM @v", "15")
	c.must("IF OBJECT_ID('tempdb..#t') IS NOT NULL DROP TABLE #t", "DROP TABLE IF EXISTS #t")
	c.fails("208 SELECT * FROM #t")

	// sp_executesql drops the tables that it creates, and sees those that existed before.
	c.must("CREATE TABLE #o (a int)", "EXEC sp_executesql N'CREATE TABLE #i (a int) INSERT #i VALUES (1) INSERT #o SELECT a FROM #i'")
	c.is("SELECT a FROM #o", "1")
	c.fails("208 SELECT * FROM #i")
	if n := c.do("INSERT #o VALUES (@p1)", 8); n != nil {
		t.Errorf("errors %d", n)
	}
	c.is("SELECT MAX(a) FROM #o", "8")
}

func TestBatch_LocalTablesEndWithTheReset(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE #t (a int)")
	refused(t, db, "SELECT * FROM #t", 208) // the pool resets the connection
}

func TestBatch_LocalTablesOfLongTexts(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.must("CREATE TABLE #t (a nvarchar(max), b varbinary(max), c decimal(9,2))")
	if n := c.do("INSERT #t VALUES (@p1, @p2, 1.5)", strings.Repeat("x", 100_000), make([]byte, 9000)); n != nil {
		t.Fatal(n)
	}
	c.is("SELECT LEN(a) + DATALENGTH(b) FROM #t", "109000")
	rows, err := c.c.QueryContext(limit(t), "SELECT a, b, c FROM #t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"NVARCHAR", "VARBINARY", "DECIMAL"} {
		if got := types[i].DatabaseTypeName(); got != want {
			t.Errorf("column %d is %s, want %s", i, got, want)
		}
	}
}

func TestBatch_Output(t *testing.T) {
	pair := aspstatetest.Start(t)
	c := alone(t, connect(t, pair.Partner("a"), "ASPState"))
	for text, want := range map[string]string{
		"INSERT INTO ASPStateTempApplications (AppId, AppName) OUTPUT inserted.AppId VALUES (1, 'a'), (2, 'b')": "r 1|r 2|n 2|.",
		"UPDATE #t SET n = n + 1 OUTPUT deleted.n":                                                              "r 5|n 1|.",
		"DECLARE @d int UPDATE #t SET @d = n, n = 9 SELECT @d":                                                  "n 1|.|r 6|n 1|.",
		"DECLARE @v TABLE (n int) DELETE FROM #d OUTPUT deleted.n INTO @v SELECT n FROM @v":                     "n 1|.|r 3|n 1|.",
	} {
		c.must("CREATE TABLE #t (n int) INSERT #t VALUES (5)", "CREATE TABLE #d (n int) INSERT #d VALUES (3)")
		if strings.Contains(text, "@d") {
			c.must("UPDATE #t SET n = 6")
		}
		if got := strings.Join(c.response(text), "|"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
		c.must("DROP TABLE #t", "DROP TABLE #d")
	}
	rows, err := c.c.QueryContext(limit(t), "UPDATE ASPStateTempApplications SET AppName = @p1 OUTPUT deleted.AppName AS was, inserted.AppName WHERE AppId = 1", "z")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil || len(types) != 2 || types[0].Name() != "was" || types[1].DatabaseTypeName() != "CHAR" {
		t.Errorf("%v %v", types, err)
	}
	var was, is sql.NullString
	for rows.Next() {
		if err := rows.Scan(&was, &is); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(strings.TrimSpace(was.String), strings.TrimSpace(is.String)); got != "az" {
		t.Errorf("%s", got)
	}
	sameContents(t, pair)
}
