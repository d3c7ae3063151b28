package embedded_test

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/golang-sql/sqlexp"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// response returns the whole response to a text, in the order of its tokens: "i text" is a message, "e number" an error,
// "r value" a row, "n count" a count, and "." the end of a statement.
func (c client) response(text string, args ...any) []string {
	c.t.Helper()
	ctx := limit(c.t)
	queue := &sqlexp.ReturnMessage{}
	rows, err := c.c.QueryContext(ctx, text, append(args, queue)...)
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	var all []string
	for more := true; more; {
		switch m := queue.Message(ctx).(type) {
		case sqlexp.MsgNotice:
			all = append(all, "i "+m.Message.String())
		case sqlexp.MsgError:
			e, ok := m.Error.(mssql.Error)
			if !ok {
				c.t.Fatalf("%s: %v", text, m.Error)
			}
			all = append(all, fmt.Sprintf("e %d/%d/%d", e.Number, e.Class, e.LineNo))
		case sqlexp.MsgRowsAffected:
			all = append(all, fmt.Sprint("n ", m.Count))
		case sqlexp.MsgNext:
			for rows.Next() {
				var v sql.NullString
				if err := rows.Scan(&v); err != nil {
					c.t.Fatal(err)
				}
				all = append(all, "r "+v.String)
			}
		case sqlexp.MsgNextResultSet:
			all = append(all, ".")
			more = rows.NextResultSet()
		default:
			c.t.Fatalf("%s: %v", text, reflect.TypeOf(m))
		}
	}
	return all
}

func TestBatch_Tokens(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.must(addsApp(1))
	for text, want := range map[string]string{
		"PRINT 'msg1'; select 100 as c; PRINT 'msg2'":        "i msg1|.|r 100|n 1|.|i msg2|.",
		"PRINT 'a' PRINT 'b'":                                "i a|.|i b|.|.",
		addsApp(11) + " RAISERROR('m', 10, 1) SELECT 1":      "n 1|.|i m|.|r 1|n 1|.",
		"RAISERROR('m %d', 11, 1, 7) SELECT 2":               "e 50000/11/1|.|r 2|n 1|.",
		"SELECT 1\n" + addsApp(1) + "\nSELECT 2":             "r 1|n 1|.|e 2627/14/2|.|r 2|n 1|.", // the batch continues
		"DECLARE @a int = 1 SET @a = 2 SELECT @a":            "r 2|n 1|.",
		"SET NOCOUNT ON " + addsApp(2) + " SET NOCOUNT OFF":  ".|.|.|.",
		"EXEC sp_executesql N'PRINT ''x'' SELECT 5'":         "i x|r 5|n 1|.|.",
		"SELECT 1 SELECT 1/0 SELECT 3":                       "r 1|n 1|.|e 8134/16/1|.|r 3|n 1|.",
		"IF 1 = 1 PRINT 'x' ELSE PRINT 'y'":                  "i x|.|.",
		"BEGIN TRAN DELETE FROM ASPStateTempSessions COMMIT": ".|n 0|.|.|.",
	} {
		if got := strings.Join(c.response(text), "|"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestBatch_Flow(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	for text, want := range map[string]string{
		"DECLARE @i int = 0, @s varchar(20) = '' WHILE @i < 9 BEGIN SET @i += 1 IF @i = 2 CONTINUE IF @i = 5 BREAK SET @s = @s + CAST(@i AS varchar(2)) END SELECT @s": "134",
		"BEGIN TRY RAISERROR('a %s|%5d|%-4d|%x|%%|%.2s', 16, 3, 'b', 7, 8, 255, 'xyz') END TRY BEGIN CATCH SELECT ERROR_MESSAGE() END CATCH":                           "a b|    7|8   |ff|%|xy",
		"BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT CONCAT(ERROR_NUMBER(), '/', ERROR_SEVERITY(), '/', ERROR_STATE(), '/', ERROR_LINE()) END CATCH":               "8134/16/1/1",
		"BEGIN TRY THROW 50123, 'm', 9 END TRY BEGIN CATCH BEGIN TRY THROW END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH END CATCH":                              "50123",
		"BEGIN TRY BEGIN TRY THROW 50001, 'in', 1 END TRY BEGIN CATCH THROW 50002, 'out', 1 END CATCH END TRY BEGIN CATCH SELECT ERROR_MESSAGE() END CATCH":            "out",
		"BEGIN TRY EXEC sp_executesql N'THROW 50003, ''deep'', 1' END TRY BEGIN CATCH SELECT ERROR_MESSAGE() END CATCH":                                                "deep",
		"BEGIN TRY EXEC NoSuchThing END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH":                                                                               "2812",
		"SELECT ERROR_NUMBER()":                          "",
		"RETURN SELECT 1":                                "none",
		"WHILE 1 = 1 BEGIN IF 1 = 1 RETURN END SELECT 1": "none",
		"SELECT 1 WHERE 1 = 0 IF @@ROWCOUNT = 0 SELECT 'zero' ELSE SELECT 'one'": "zero",
		"DECLARE @a int SET @a = 1 SELECT @@ROWCOUNT":                            "1",
		"SELECT 1 WHERE 1 = 0 PRINT 'x' SELECT @@ROWCOUNT":                       "0",
	} {
		if got := c.last(text); got != want {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
	c.must(addsApp(1))
	c.fails("2627 "+addsApp(1)+" IF @@ERROR = 2627 "+addsApp(2)+" IF @@ERROR = 0 "+addsApp(3), "50009 THROW 50009, 'x', 1 "+addsApp(4),
		"40510 BEGIN TRY SET ANSI_NULLS OFF END TRY BEGIN CATCH SELECT 1 END CATCH", "35100 THROW 7, 'x', 1", "2786 RAISERROR('%d', 16, 1, 'x')", "18054 RAISERROR(50005, 16, 1)",
		"2754 RAISERROR('x', 19, 1)")
	c.is(countApp, "3")
}

// last returns the first value of the last rows in the response to a text; "none": there are no rows.
func (c client) last(text string) string {
	c.t.Helper()
	got := "none"
	for _, one := range c.response(text) {
		if v, ok := strings.CutPrefix(one, "r "); ok {
			got = v
		}
	}
	return got
}

// An endless loop ends when its client disconnects or cancels.
func TestBatch_EndlessLoop(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	ctx, cancel := context.WithCancel(limit(t))
	queue := &sqlexp.ReturnMessage{}
	rows, err := c.c.QueryContext(ctx, "PRINT 'begun' WHILE 1 = 1 PRINT 'x'", queue)
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := queue.Message(ctx).(sqlexp.MsgNotice); !ok || m.Message.String() != "begun" {
		t.Errorf("first %v", m)
	}
	cancel()
	_ = rows.Close() // Close returns because of the attention
}

func TestTransactions_InTexts(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	c, other := alone(t, db), alone(t, db)
	c.fails("3903 ROLLBACK", "3903 ROLLBACK TRAN x", "3902 COMMIT", "628 SAVE TRAN s")

	c.must("BEGIN TRAN", "BEGIN TRAN", "BEGIN TRAN", addsApp(1), "COMMIT", "COMMIT")
	c.is("SELECT @@TRANCOUNT", "1")
	c.is("SELECT XACT_STATE()", "1")
	c.must("ROLLBACK")
	c.is("SELECT @@TRANCOUNT", "0")
	c.is("SELECT XACT_STATE()", "0")
	other.is(countApp, "0")

	// Savepoints: before the transaction uses the database, after that, and two of one name.
	c.must("BEGIN TRAN outer_one SAVE TRANSACTION early", addsApp(1), "SAVE TRAN s", addsApp(2), "DECLARE @n varchar(10) = 's' SAVE TRAN @n", addsApp(3))
	c.must("ROLLBACK TRAN s")
	c.is(countApp, "2")
	c.must("ROLLBACK TRAN s") // the same again
	c.is(countApp, "2")
	c.is("SELECT @@TRANCOUNT", "1")
	c.fails("6401 ROLLBACK TRAN S", "6401 ROLLBACK TRAN nobody") // names are case-sensitive
	c.must("ROLLBACK TRAN early")
	c.is(countApp, "0")
	c.must(addsApp(4), "SAVE TRAN s", addsApp(5), "ROLLBACK TRAN s", "COMMIT TRAN whatever")
	other.is("SELECT AppId FROM ASPStateTempApplications", "4")

	c.must("BEGIN TRAN outer_one", "BEGIN TRAN inner_one", addsApp(6), "ROLLBACK TRAN outer_one")
	c.is("SELECT @@TRANCOUNT", "0")
	c.must("BEGIN TRAN", "SAVE TRAN s")
	c.must("ROLLBACK")
	c.fails("3903 ROLLBACK TRAN s")
	other.is(countApp, "1")
}

// The mirror does not get what a savepoint undoes, and gets the rest.
func TestTransactions_SavepointsAreMirrored(t *testing.T) {
	pair := aspstatetest.Start(t)
	c := alone(t, connect(t, pair.Partner("a"), "ASPState"))
	c.must("BEGIN TRAN", addsApp(1), "SAVE TRAN s", addsApp(2), "UPDATE ASPStateTempApplications SET AppName = 'y'", "ROLLBACK TRAN s", addsApp(3), "COMMIT")
	c.is(countApp, "2")
	sameContents(t, pair)
}

func TestTransactions_XactAbort(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	c, other := alone(t, db), alone(t, db)
	c.must(addsApp(1), "BEGIN TRAN")
	c.fails("2627 " + addsApp(2) + " " + addsApp(1) + " " + addsApp(3)) // OFF: only the statement fails
	c.is("SELECT @@TRANCOUNT", "1")
	c.must("COMMIT")
	other.is(countApp, "3")

	c.must("SET XACT_ABORT ON", "BEGIN TRAN")
	c.fails("2627 " + addsApp(4) + " " + addsApp(1) + " " + addsApp(5))
	c.is("SELECT @@TRANCOUNT", "0")
	other.is(countApp, "3")

	// Within TRY the transaction becomes uncommittable.
	got := c.response("BEGIN TRY BEGIN TRAN " + addsApp(6) + " " + addsApp(1) + " END TRY BEGIN CATCH SELECT XACT_STATE() ROLLBACK END CATCH SELECT @@TRANCOUNT")
	if want := []string{"r -1", "r 0"}; !slices.Equal(rowsOf(got), want) {
		t.Errorf("%q, want %q", got, want)
	}
	c.fails("3930 BEGIN TRY BEGIN TRAN "+addsApp(1)+" END TRY BEGIN CATCH COMMIT END CATCH", "3998 BEGIN TRY BEGIN TRAN "+addsApp(1)+" END TRY BEGIN CATCH SELECT 1 END CATCH",
		"3930 BEGIN TRY BEGIN TRAN "+addsApp(1)+" END TRY BEGIN CATCH "+addsApp(7)+" END CATCH")
	c.is("SELECT @@TRANCOUNT", "0")
	// A call by RPC.
	c.must("BEGIN TRAN", addsApp(9))
	if n := c.do("TempGetAppID", sql.Named("appName", "z"), sql.Named("nobody", 1)); !slices.Equal(n, []int32{8145}) {
		t.Errorf("errors %d", n)
	}
	c.is("SELECT @@TRANCOUNT", "0")
	// RAISERROR does not roll back the transaction.
	c.must("BEGIN TRAN")
	c.fails("50000 RAISERROR('x', 16, 1)")
	c.is("SELECT @@TRANCOUNT", "1")
	c.fails("50001 THROW 50001, 'x', 1")
	c.is("SELECT @@TRANCOUNT", "0")
	// A failed conversion always ends the transaction.
	c.must("SET XACT_ABORT OFF", "BEGIN TRAN", addsApp(8))
	c.fails("245 SELECT CAST('x' AS int)")
	c.is("SELECT @@TRANCOUNT", "0")
	other.is(countApp, "3")
}

func rowsOf(response []string) []string {
	return slices.DeleteFunc(slices.Clone(response), func(s string) bool { return !strings.HasPrefix(s, "r ") })
}

// The options that Management Studio writes, where they matter.
func TestBackup_ManagementStudio(t *testing.T) {
	pair := aspstatetest.Start(t)
	c := alone(t, connect(t, pair.Partner("a"), "master"))
	file := t.TempDir() + "/d.bak"
	backup := "BACKUP DATABASE [ASPState] TO DISK = N'" + file + "' WITH NOFORMAT, %s, NAME = N'ASPState-Full Database Backup', SKIP, NOREWIND, NOUNLOAD, COMPRESSION, STATS = 10, CHECKSUM"
	c.must(fmt.Sprintf(backup, "NOINIT"))
	c.fails("40510 " + fmt.Sprintf(backup, "NOINIT")) // the file already holds a backup, which would be lost
	c.must(fmt.Sprintf(backup, "INIT"))
	c.is("RESTORE FILELISTONLY FROM DISK = N'"+file+"' WITH FILE = 1, NOUNLOAD", "ASPState")
	b := alone(t, connect(t, pair.Partner("b"), "master"))
	restore := "RESTORE DATABASE [other] FROM DISK = N'" + file + "' WITH FILE = %d, MOVE N'ASPState' TO N'/x/d.mdf', MOVE N'ASPState_log' TO N'/x/d.ldf', NORECOVERY, NOUNLOAD, REPLACE, STATS = 5"
	b.fails("4038 " + fmt.Sprintf(restore, 2))
	b.must(fmt.Sprintf(restore, 1))
	b.is("SELECT state_desc FROM sys.databases WHERE name = 'other'", "RESTORING")
	again := strings.Replace(strings.Replace(restore, "NORECOVERY", "RECOVERY", 1), "%d", "1", 1)
	b.must(again)
	b.fails("3159 " + strings.Replace(again, "REPLACE, ", "", 1))
	inside := alone(t, connect(t, pair.Partner("b"), "other"))
	inside.is(countApp, "0")
	b.fails("3101 " + again)
	inside.must("USE master")
	b.must(again)
	c.must("ALTER DATABASE ASPState SET SAFETY OFF", "ALTER DATABASE ASPState SET SAFETY FULL")
	c.fails("40510 INSERT BULK ASPStateTempApplications ([AppId] Int) WITH (TABLOCK)")
}
