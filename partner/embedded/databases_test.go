package embedded_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// startEmpty starts two servers without user databases.
func startEmpty(t *testing.T, dir string) (pair *embedded.Pair, a *sql.DB) {
	t.Helper()
	pair = embeddedtest.StartWith(t, embedded.Options{Dir: dir, Empty: true})
	return pair, connect(t, pair.Partner("a"), "")
}

// install runs the complete schema of ASPState in a database.
func install(t *testing.T, db *sql.DB) {
	t.Helper()
	batches, err := schema.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if _, err := db.ExecContext(limit(t), b.Text); err != nil {
			t.Fatalf("%s, line %d: %v", b.File, b.Line, err)
		}
	}
}

func refuses(t *testing.T, db *sql.DB, text string, want ...int32) {
	t.Helper()
	_, err := db.ExecContext(limit(t), text)
	if got := numbers(err); !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", text, err, want)
	}
}

func TestEmpty_noPair(t *testing.T) {
	pair, a := startEmpty(t, t.TempDir())
	if pair.Principal() != "" || pair.State() != "" || pair.Witness() {
		t.Errorf("principal %q, state %q: servers without databases must have no mirroring", pair.Principal(), pair.State())
	}
	if n := scalar[int](t, a, "SELECT COUNT(*) FROM sys.databases"); n != 4 {
		t.Errorf("%d databases, want the system's four", n)
	}
	refuses(t, a, "USE ASPState", 911)
	refuses(t, a, "ALTER DATABASE ASPState SET PARTNER FAILOVER", 5011)
}

func TestCreateDatabase(t *testing.T) {
	dir := t.TempDir()
	t.Run("created, used, opened again", func(t *testing.T) {
		pair, a := startEmpty(t, dir)
		mustExec(t, a, "CREATE DATABASE [Shop 'State'!]")
		refuses(t, a, "create database [shop 'STATE'!]", 1801)
		refuses(t, a, "CREATE DATABASE master", 1801)
		shop := connect(t, pair.Partner("a"), "Shop 'State'!")
		if name := scalar[string](t, shop, "SELECT DB_NAME()"); name != "Shop 'State'!" {
			t.Errorf("in %q", name)
		}
		install(t, shop)
		mustExec(t, shop, "EXEC dbo.TempInsertStateItemShort 'x', 0x01, 20")
		mustExec(t, a, "CREATE DATABASE ASPState")
		if id := scalar[int](t, a, "SELECT DB_ID('ASPState')"); id != 6 {
			t.Errorf("database_id %d, want 6", id)
		}
		refuses(t, a, "ALTER DATABASE [Shop 'State'!] SET PARTNER FAILOVER", 1416)
		if n := scalar[int](t, a, "SELECT COUNT(*) FROM [Shop 'State'!].dbo.ASPStateTempSessions"); n != 1 {
			t.Errorf("%d rows", n)
		}
		b := connect(t, pair.Partner("b"), "")
		if n := scalar[int](t, b, "SELECT COUNT(*) FROM sys.databases"); n != 4 {
			t.Errorf("the other server has %d databases", n)
		}
	})
	t.Run("the next start", func(t *testing.T) {
		pair := aspstatetest.StartWith(t, embedded.Options{Dir: dir}) // the folder keeps the kind with which it was created
		shop := connect(t, pair.Partner("a"), "Shop 'State'!")
		if n := scalar[int](t, shop, "SELECT COUNT(*) FROM ASPStateTempSessions WHERE SessionId = 'x'"); n != 1 {
			t.Errorf("%d rows", n)
		}
		if role := scalar[sql.NullString](t, shop, "SELECT mirroring_role_desc FROM sys.database_mirroring WHERE database_id = DB_ID()"); role.Valid {
			t.Errorf("role %q of a database that is not mirrored", role.String)
		}
	})
}

// Open with Options.Empty refuses a folder that holds a pair, and does not
// change it.
func TestEmpty_onlyNew(t *testing.T) {
	dir := t.TempDir()
	pair, err := embedded.Open(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Open(embedded.Options{Dir: dir, Empty: true}); err == nil || !strings.Contains(err.Error(), "already holds a pair") {
		t.Errorf("got %v", err)
	}
	if pair, err = embedded.Open(embedded.Options{Dir: dir}); err != nil || pair.Principal() != "a" {
		t.Fatalf("the pair was lost: %v", err)
	}
	if err := pair.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDropDatabase(t *testing.T) {
	pair, a := startEmpty(t, t.TempDir())
	mustExec(t, a, "CREATE DATABASE x")
	inside := connect(t, pair.Partner("a"), "x")
	if err := inside.PingContext(limit(t)); err != nil {
		t.Fatal(err)
	}
	refuses(t, a, "DROP DATABASE x", 3702)
	if err := inside.Close(); err != nil {
		t.Fatal(err)
	}
	for ctx := limit(t); numbers(exec(t, a, "DROP DATABASE x")) != nil; { // the server has not noticed yet that the other session has ended
		if ctx.Err() != nil {
			t.Fatal("the database is still in use")
		}
	}
	refuses(t, a, "DROP DATABASE x", 3701)
	refuses(t, a, "USE x", 911)
	mustExec(t, a, "CREATE DATABASE x")
	refuses(t, a, "SELECT * FROM x.dbo.ASPStateTempSessions", 208)
}

func exec(t *testing.T, db *sql.DB, text string) error {
	_, err := db.ExecContext(limit(t), text)
	return err
}

func TestDropDatabase_mirrored(t *testing.T) {
	pair := aspstatetest.Start(t)
	a := connect(t, pair.Partner("a"), "")
	refuses(t, a, "DROP DATABASE ASPState", 3743)
	refuses(t, a, "ALTER DATABASE ASPState SET RECOVERY SIMPLE", 1468)
}

func TestDefinitions(t *testing.T) {
	pair, a := startEmpty(t, t.TempDir())
	mustExec(t, a, "CREATE DATABASE ASPState")
	mustExec(t, a, "ALTER DATABASE ASPState SET RECOVERY SIMPLE")
	if model := scalar[string](t, a, "SELECT recovery_model_desc FROM sys.databases WHERE name = 'ASPState'"); model != "SIMPLE" {
		t.Errorf("recovery model %s", model)
	}
	db := connect(t, pair.Partner("a"), "ASPState")
	refuses(t, db, "EXEC dbo.TempResetTimeout 'x'", 2812)
	refuses(t, db, "SELECT * FROM ASPStateTempSessions", 208)
	refuses(t, db, "CREATE FUNCTION dbo.F (@a int) RETURNS TABLE AS RETURN SELECT @a AS a", 40510)
	refuses(t, db, "SELECT 1 CREATE PROCEDURE dbo.X AS RETURN 1", 111)
	refuses(t, db, "DROP TABLE dbo.ASPStateTempSessions", 3701)
	install(t, db)
	install(t, db) // the files can be run again, as their comments say
	if n := scalar[int](t, db, "SELECT Epoch FROM dbo.MirrorStateEpoch"); n != 0 {
		t.Errorf("epoch %d", n)
	}
	refuses(t, db, "EXEC dbo.CreateTempTables", 2714)
	mustExec(t, db, "EXEC dbo.TempInsertStateItemShort 'x', 0x01, 20")

	t.Run("rolled back with its transaction", func(t *testing.T) {
		tx, err := db.BeginTx(limit(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		for _, text := range []string{"DROP PROCEDURE dbo.TempResetTimeout", "DROP TABLE dbo.ASPStateTempSessions",
			"IF OBJECT_ID('dbo.ASPStateTempSessions', 'U') IS NULL CREATE ROLE seen"} {
			if _, err := tx.ExecContext(limit(t), text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		if _, err := tx.ExecContext(limit(t), "DROP ROLE seen"); err != nil {
			t.Errorf("a transaction does not see its own definitions: %v", err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 1 {
			t.Errorf("%d rows after a rollback", n)
		}
		mustExec(t, db, "EXEC dbo.TempResetTimeout 'x'")
	})

	mustExec(t, db, "DROP PROCEDURE dbo.TempResetTimeout")
	refuses(t, db, "EXEC dbo.TempResetTimeout 'x'", 2812)
	mustExec(t, db, "DROP TABLE dbo.ASPStateTempSessions")
	refuses(t, db, "EXEC dbo.TempRemoveStateItem 'x', 1", 208)
}

// Objects that are defined on the principal exist on the mirror too.
func TestDefinitions_mirrored(t *testing.T) {
	pair := aspstatetest.Start(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	db := connect(t, a, "ASPState")
	mustExec(t, db, "DROP PROCEDURE dbo.TempGetVersion")
	mustExec(t, db, "CREATE ROLE readers")
	if err := a.Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	there := connect(t, b, "ASPState")
	refuses(t, there, "DECLARE @v char(10) EXEC dbo.TempGetVersion @v OUTPUT", 2812)
	refuses(t, there, "CREATE ROLE readers", 15023)
	mustExec(t, there, "EXEC dbo.TempResetTimeout 'x'")
}

func TestIf(t *testing.T) {
	_, a := startEmpty(t, t.TempDir())
	mustExec(t, a, `IF 1 = 1 AND EXISTS (SELECT name FROM sys.databases WHERE name = N'master')
BEGIN
	CREATE DATABASE one;
	IF DB_ID('one') IS NULL CREATE DATABASE two; ELSE CREATE DATABASE three
END
ELSE CREATE DATABASE four`)
	if names := scalar[string](t, a, "SELECT MIN(name) FROM sys.databases WHERE database_id = 6"); names != "three" {
		t.Errorf("made %q", names)
	}
	refuses(t, a, "IF 1 = 1", 102)
	refuses(t, a, "IF 1 = 1 BEGIN SELECT 1", 102)
}

// A row that a transaction writes twice is mirrored once, with its last values.
func TestTransaction_writesARowTwice(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	tx, err := db.BeginTx(limit(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, server := range []string{"one", "two"} {
		if _, err := tx.ExecContext(limit(t), "EXEC dbo.MirrorState_TakeEpoch_1 @p1", server); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := pair.Partner("a").Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	if epoch := scalar[int](t, connect(t, pair.Partner("b"), "ASPState"), "SELECT Epoch FROM MirrorStateEpoch"); epoch != 2 {
		t.Errorf("epoch %d on the mirror, want 2", epoch)
	}
}

// An interrupted CREATE DATABASE leaves no database.
func TestCreateDatabase_interrupted(t *testing.T) {
	dir := t.TempDir()
	pair, err := embedded.Open(embedded.Options{Dir: dir, Empty: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.db", "ASPState.db"} {
		if err := os.WriteFile(filepath.Join(dir, "a", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, a := startEmpty(t, dir)
	if n := scalar[int](t, a, "SELECT COUNT(*) FROM sys.databases"); n != 4 {
		t.Errorf("%d databases", n)
	}
	mustExec(t, a, "CREATE DATABASE Shop CREATE DATABASE ASPState")
}
