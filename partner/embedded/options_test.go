package embedded_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// client is one connection to a partner, for one test only.
type client struct {
	t testing.TB
	c *sql.Conn
}

// alone opens a new connection.
func alone(t testing.TB, db *sql.DB) client {
	t.Helper()
	c, err := db.Conn(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return client{t, c}
}

// do runs a text and returns the numbers of its errors.
func (c client) do(text string, args ...any) []int32 {
	c.t.Helper()
	_, err := c.c.ExecContext(limit(c.t), text, args...)
	if err != nil && len(numbers(err)) == 0 {
		c.t.Fatalf("%s: %v", text, err)
	}
	return numbers(err)
}

// must runs texts that must not fail.
func (c client) must(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		if n := c.do(text); n != nil {
			c.t.Fatalf("%s: error %d", text, n)
		}
	}
}

// fails runs texts; each begins with the error number that it must fail with.
func (c client) fails(texts ...string) {
	c.t.Helper()
	for _, one := range texts {
		var want int32
		_, _ = fmt.Sscan(one, &want)
		_, text, _ := strings.Cut(one, " ")
		if n := c.do(text); !slices.Contains(n, want) {
			c.t.Errorf("%s: errors %d, want %d", text, n, want)
		}
	}
}

// value returns the first value of the first row of a text's result; "none" if there is no row.
func (c client) value(text string) string {
	c.t.Helper()
	rows, err := c.c.QueryContext(limit(c.t), text)
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	for {
		for rows.Next() {
			columns, _ := rows.Columns()
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			if err := rows.Scan(values...); err != nil {
				c.t.Fatalf("%s: %v", text, err)
			}
			return values[0].(*sql.NullString).String
		}
		if !rows.NextResultSet() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return "none"
}

// is compares the value of a text with want.
func (c client) is(text, want string) {
	c.t.Helper()
	if got := c.value(text); got != want {
		c.t.Errorf("%s: %s, want %s", text, got, want)
	}
}

const (
	addApp   = "INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (%d, 'x')"
	countApp = "SELECT COUNT(*) FROM ASPStateTempApplications"
)

func addsApp(id int) string { return fmt.Sprintf(addApp, id) }

func TestOptions_NothingRuns(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	for _, option := range []string{"NOEXEC", "PARSEONLY"} {
		c.must("SET "+option+" ON", addsApp(1), "EXEC TempGetAppID 'y', NULL", "IF 1 = 1 "+addsApp(2))
		if n := c.do("EXEC sp_executesql N'" + strings.ReplaceAll(addsApp(3), "'", "''") + "'"); n != nil {
			t.Errorf("%s: errors %d", option, n)
		}
		if n := c.do("INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (@p1, 'x')", 4); n != nil { // an RPC
			t.Errorf("%s: errors %d", option, n)
		}
		if n := c.do("TempGetAppID", sql.Named("appName", "z"), sql.Named("appId", sql.Out{Dest: new(int)})); n != nil {
			t.Errorf("%s: errors %d", option, n)
		}
		if n := c.do("SELEC 1 FROM"); n == nil {
			t.Errorf("%s: a syntax error was not found", option)
		}
		c.is("SELECT 1", "none")
		c.must("SET " + option + " OFF")
		c.is(countApp, "0")
	}
	c.must("SET NOEXEC ON " + addsApp(1) + " SET NOEXEC OFF " + addsApp(2))
	c.is(countApp, "1")
}

// IMPLICIT_TRANSACTIONS as mssql-jdbc and Perl's DBI use it.
func TestOptions_ImplicitTransactions(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	c, other := alone(t, db), alone(t, db)
	c.must("CREATE ROLE readers", "set implicit_transactions on ")
	c.is("SELECT @@TRANCOUNT", "0") // reads no table
	for _, begins := range []string{
		countApp, "SELECT COUNT(*) FROM sys.databases", addsApp(1), "UPDATE ASPStateTempApplications SET AppName = 'y'", "DELETE FROM ASPStateTempApplications",
		"EXEC TempGetAppID 'q', NULL", "CREATE ROLE r", "GRANT SELECT ON ASPStateTempApplications TO readers", "SELECT 1 WHERE EXISTS (SELECT * FROM ASPStateTempApplications)",
	} {
		c.must(begins)
		c.is("SELECT @@TRANCOUNT", "1")
		c.must("IF @@TRANCOUNT > 0 ROLLBACK TRAN")
		other.is(countApp, "0")
	}
	c.must(addsApp(1), "IF @@TRANCOUNT > 0 COMMIT TRAN")
	other.is(countApp, "1")
	c.must("BEGIN TRAN")
	c.is("SELECT @@TRANCOUNT", "2")
	c.must("COMMIT", "ROLLBACK")
	// As setSavepoint of mssql-jdbc sends it.
	c.must("IF @@TRANCOUNT = 0 BEGIN BEGIN TRAN IF @@TRANCOUNT = 2 COMMIT TRAN END SAVE TRAN S1", addsApp(2), "ROLLBACK TRAN S1")
	c.is("SELECT @@TRANCOUNT", "1")
	c.must("COMMIT", "SET IMPLICIT_TRANSACTIONS OFF", addsApp(3))
	c.is("SELECT @@TRANCOUNT", "0")
	other.is(countApp, "2")

	// A procedure call too begins a transaction, and the driver gets a message about it.
	c.must("SET IMPLICIT_TRANSACTIONS ON")
	if n := c.do("TempGetAppID", sql.Named("appName", "z"), sql.Named("appId", sql.Out{Dest: new(int)})); n != nil {
		t.Fatalf("errors %d", n)
	}
	c.is("SELECT @@TRANCOUNT", "1")
	c.must("ROLLBACK")
	c.is(countApp, "2")
}

func TestOptions_FmtOnly(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.must(addsApp(1))
	text := "SET FMTONLY ON SELECT AppId, AppName FROM ASPStateTempApplications DELETE FROM ASPStateTempApplications IF 1 = 0 SELECT 1 AS a ELSE SELECT 'x' AS b SET FMTONLY OFF SELECT COUNT(*) AS n FROM ASPStateTempApplications"
	rows, err := c.c.QueryContext(limit(t), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for more := true; more; more = rows.NextResultSet() {
		names, _ := rows.Columns()
		n := 0
		for rows.Next() {
			n++
		}
		got = append(got, fmt.Sprint(strings.Join(names, ","), n))
	}
	if want := []string{"AppId,AppName0", "a0", "b0", "n1"}; !slices.Equal(got, want) || rows.Err() != nil {
		t.Errorf("%q, %v; want %q", got, rows.Err(), want)
	}
	c.must("SET FMTONLY ON")
	c.fails("40510 EXEC TempGetAppID 'y', NULL")
	c.must("SET FMTONLY OFF")
	c.is(countApp, "1")
}

func TestOptions_RowCount(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	for i := range 5 {
		c.must(addsApp(i))
	}
	c.must("SET ROWCOUNT 2")
	c.is("SELECT AppId FROM ASPStateTempApplications ORDER BY AppId DESC SELECT @@ROWCOUNT", "4")
	c.is("DECLARE @a int SELECT @a = AppId FROM ASPStateTempApplications ORDER BY AppId SELECT @a", "1")
	c.must("UPDATE ASPStateTempApplications SET AppName = 'y' WHERE AppId < 2")
	c.fails("40510 DELETE FROM ASPStateTempApplications", "40510 EXEC TempGetAppID 'y', NULL")
	c.must("BEGIN TRAN", addsApp(7))
	c.fails("40510 DELETE FROM ASPStateTempApplications")
	c.must("COMMIT", "DECLARE @n int = 0 SET ROWCOUNT @n")
	c.is(countApp, "6")
}

func TestOptions_Bits(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	const login = 5432
	c.is("SELECT @@OPTIONS", fmt.Sprint(login))
	for option, bit := range map[string]int{"IMPLICIT_TRANSACTIONS": 2, "ARITHABORT": 64, "ARITHIGNORE": 128, "NOCOUNT": 512, "XACT_ABORT": 16384} {
		c.is("SET "+option+" ON SELECT @@OPTIONS", fmt.Sprint(login|bit))
		c.is("SET "+option+" OFF SELECT @@OPTIONS", fmt.Sprint(login))
	}
	for option, bit := range map[string]int{"QUOTED_IDENTIFIER": 256, "ANSI_PADDING": 16} {
		c.is("SET "+option+" OFF SELECT @@OPTIONS", fmt.Sprint(login&^bit))
		c.is("SET "+option+" ON SELECT @@OPTIONS", fmt.Sprint(login))
	}
	c.is("SET ANSI_NULL_DFLT_OFF ON SELECT @@OPTIONS", fmt.Sprint(login&^1024|2048))
	c.fails("40510 CREATE TABLE t (a int)")
	c.is("SET ANSI_NULL_DFLT_ON ON SELECT @@OPTIONS", fmt.Sprint(login))
	c.must("SET ANSI_PADDING OFF")
	c.fails("40510 CREATE TABLE t (a int)")
}

// SET of an option fails if its effect is not supported, and succeeds if it has no effect or already has
// the value.
func TestOptions_Refused(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.fails("40510 SET ANSI_NULLS OFF", "40510 SET ANSI_WARNINGS OFF", "40510 SET CONCAT_NULL_YIELDS_NULL OFF", "40510 SET NUMERIC_ROUNDABORT ON",
		"40510 SET CURSOR_CLOSE_ON_COMMIT ON", "40510 SET SHOWPLAN_ALL ON", "40510 SET SHOWPLAN_XML ON", "40510 SET STATISTICS XML ON", "40510 SET DATEFIRST 1",
		"40510 SET DATEFORMAT dmy", "40510 SET LANGUAGE Deutsch", "40510 SET ANSI_DEFAULTS ON", "40510 SET QUERY_GOVERNOR_COST_LIMIT 7", "40510 SET ROWCOUNT -1",
		"40510 SET OFFSETS SELECT ON", "40510 SET FIPS_FLAGGER 'FULL'", "40510 DECLARE @d int = 2 SET DATEFIRST @d")
	c.must("SET ANSI_NULLS, ANSI_WARNINGS, CONCAT_NULL_YIELDS_NULL ON", "SET NUMERIC_ROUNDABORT, CURSOR_CLOSE_ON_COMMIT OFF", "SET SHOWPLAN_ALL OFF", "SET STATISTICS IO, TIME ON",
		"SET DATEFIRST 7", "SET DATEFORMAT mdy", "SET LANGUAGE us_english", "SET DEADLOCK_PRIORITY LOW", "SET FORCEPLAN ON", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
		"SET CONTEXT_INFO 0x01", "SET NO_BROWSETABLE ON", "SET QUERY_GOVERNOR_COST_LIMIT 0", "SET REMOTE_PROC_TRANSACTIONS OFF")
}

func TestOptions_QuotedIdentifier(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.must("SET QUOTED_IDENTIFIER OFF")
	c.is(`SELECT "it's"`, "it's")
	c.must("SET QUOTED_IDENTIFIER ON")
	c.is(`SELECT "name" FROM sys.databases WHERE database_id = 1`, "master")
}

func TestOptions_TextSize(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.must("SET TEXTSIZE 4")
	c.is("SELECT @@TEXTSIZE", "4")
	c.is("SELECT CAST('abcdef' AS varchar(max))", "abcd")
	c.is("SELECT CAST(N'abcdef' AS nvarchar(max))", "ab")
	c.is("SELECT CAST(N'abcdef' AS nvarchar(10))", "abcdef")
	c.must("SET TEXTSIZE 2147483647")
	c.is("SELECT CAST('abcdef' AS varchar(max))", "abcdef")
	c.is("SET TEXTSIZE 0 SELECT @@TEXTSIZE", "4096")
}

// The options that sp_executesql sets, by EXEC or RPC, are restored at its end. A reset restores those
// after login.
func TestOptions_Scope(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	db.SetMaxOpenConns(1)
	c := alone(t, db)
	c.must("EXEC sp_executesql N'SET XACT_ABORT ON SET NOCOUNT ON SET LOCK_TIMEOUT 5'")
	c.is("SELECT @@OPTIONS", "5432")
	if n := c.do("SET IMPLICIT_TRANSACTIONS ON SELECT @p1", 1); n != nil {
		t.Fatal(n)
	}
	c.is("SELECT @@OPTIONS", "5432")
	c.must("SET XACT_ABORT, NOCOUNT ON SET ROWCOUNT 1 SET TEXTSIZE 7")
	if err := c.c.Close(); err != nil {
		t.Fatal(err)
	}
	c = alone(t, db) // the same connection, reset
	c.is("SELECT @@OPTIONS", "5432")
	c.is("SELECT @@TEXTSIZE", "2147483647")

}

// A client sees the same version of the server everywhere.
func TestVersion_Agrees(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	product := c.value("SELECT CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion'))")
	if version := c.value("SELECT @@VERSION"); !strings.Contains(version, product) || !strings.HasPrefix(product, "15.0.2000.") {
		t.Errorf("@@VERSION %q, ProductVersion %q", version, product)
	}
	c.is("SELECT @@MICROSOFTVERSION", fmt.Sprint(15<<24|2000))
}
