package embedded_test

import (
	"database/sql"
	"fmt"
	"net"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// as connects with a new login.
func as(t *testing.T, p *embedded.Partner, user, password, database string) *sql.DB {
	t.Helper()
	host, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlserver", fmt.Sprintf("server=%s;port=%s;user id=%s;password=%s;database=%s;encrypt=disable", host, port, user, password, database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestRights(t *testing.T) {
	pair, a := startEmpty(t, t.TempDir())
	mustExec(t, a, "CREATE DATABASE ASPState")
	mustExec(t, a, "CREATE LOGIN web WITH PASSWORD = N'se''cret', SID = 0x0102, CHECK_POLICY = OFF")
	refuses(t, a, "CREATE LOGIN web WITH PASSWORD = N'x'", 15025)
	refuses(t, a, "CREATE LOGIN other WITH PASSWORD = N'x', SID = 0x0102", 15433)
	own := connect(t, pair.Partner("a"), "ASPState")
	install(t, own)

	master := as(t, pair.Partner("a"), "web", "se'cret", "master")
	refuses(t, master, "USE ASPState", 916)
	refuses(t, master, "SELECT * FROM ASPState.dbo.ASPStateTempSessions", 916)
	refuses(t, master, "CREATE DATABASE x", 262)
	refuses(t, master, "CREATE LOGIN x WITH PASSWORD = N'x'", 15247)
	refuses(t, master, "ALTER DATABASE ASPState SET RECOVERY SIMPLE", 5011)
	if n := scalar[int](t, master, "SELECT IS_SRVROLEMEMBER('sysadmin')"); n != 0 {
		t.Error("the login is sysadmin")
	}

	refuses(t, own, "CREATE USER web FOR LOGIN nobody", 15007)
	mustExec(t, own, "CREATE USER web FOR LOGIN web")
	refuses(t, own, "CREATE USER again FOR LOGIN web", 15063)
	web := as(t, pair.Partner("a"), "web", "se'cret", "ASPState")
	refuses(t, web, "EXEC dbo.TempResetTimeout 'x'", 229)
	refuses(t, web, "SELECT * FROM ASPStateTempSessions", 229)
	if id := scalar[sql.NullInt64](t, web, "SELECT OBJECT_ID('dbo.ASPStateTempSessions')"); id.Valid {
		t.Error("the login sees objects without a permission on them")
	}
	refuses(t, web, "DROP PROCEDURE dbo.TempResetTimeout", 262)
	refuses(t, web, "CREATE ROLE x", 262)

	mustExec(t, own, "CREATE ROLE callers")
	mustExec(t, own, "GRANT EXECUTE ON dbo.TempResetTimeout TO callers GRANT SELECT ON OBJECT::dbo.ASPStateTempSessions TO callers")
	refuses(t, own, "GRANT EXECUTE ON dbo.Nothing TO callers", 15151)
	refuses(t, own, "ALTER ROLE callers ADD MEMBER nobody", 15151)
	mustExec(t, own, "ALTER ROLE callers ADD MEMBER web")
	mustExec(t, web, "EXEC dbo.TempResetTimeout 'x'")
	if n := scalar[int](t, web, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 0 {
		t.Errorf("%d rows", n)
	}
	refuses(t, web, "DELETE FROM ASPStateTempSessions", 229)
	if n := scalar[int](t, web, "SELECT COUNT(*) FROM sys.procedures"); n != 1 {
		t.Errorf("the login sees %d procedures", n)
	}
	if name := scalar[string](t, web, "SELECT SUSER_SNAME() + '/' + USER_NAME()"); name != "web/web" {
		t.Errorf("the login is %s", name)
	}
	refuses(t, own, "DROP ROLE callers", 15144)
	mustExec(t, own, "DROP USER web DROP ROLE callers")
	refuses(t, web, "EXEC ASPState.dbo.TempResetTimeout 'x'", 916)
	mustExec(t, a, "DROP LOGIN web")
	if err := as(t, pair.Partner("a"), "web", "se'cret", "master").PingContext(limit(t)); err == nil {
		t.Error("a dropped login can log in")
	}
}
