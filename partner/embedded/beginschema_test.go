package embedded_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// orders is the schema of an application.
const orders = `
CREATE TABLE dbo.Orders (Id int IDENTITY PRIMARY KEY, Item nvarchar(20) NOT NULL)
INSERT INTO dbo.Orders (Item) VALUES (N'first')
GO
CREATE PROCEDURE dbo.AddOrder @item nvarchar(20) AS
INSERT INTO dbo.Orders (Item) VALUES (@item)
GO
EXEC dbo.AddOrder N'second'
`

func items(t *testing.T, db *sql.DB) string {
	t.Helper()
	var list string
	if err := db.QueryRowContext(limit(t), "SELECT STRING_AGG(Item, ',') WITHIN GROUP (ORDER BY Id) FROM dbo.Orders").Scan(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// A schema is run once, and mirrored. The pair keeps the name of its database.
func TestOptions_Schema(t *testing.T) {
	dir := t.TempDir()
	t.Run("new", func(t *testing.T) {
		pair := embeddedtest.StartWith(t, embeddedtest.Options{Dir: dir, Database: "Shop", Schema: orders})
		db, err := sql.Open("sqlserver", pair.ConnectionString())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if got := items(t, db); got != "first,second" || pair.Database() != "Shop" || pair.State() != "SYNCHRONIZED" {
			t.Fatalf("%q in %s, %s", got, pair.Database(), pair.State())
		}
		if n := pair.Partner("a").Counters(); n.Batches > 2 || n.Calls["AddOrder"] != 0 {
			t.Errorf("%+v: the schema counts as a client's request", n)
		}
		if err := pair.Partner("a").Failover(limit(t)); err != nil {
			t.Fatal(err)
		}
		db.SetMaxIdleConns(0) // the driver finds the principal when it connects
		if _, err := db.ExecContext(limit(t), "EXEC dbo.AddOrder N'third'"); err != nil {
			t.Fatal(err)
		}
		if got := items(t, db); got != "first,second,third" {
			t.Errorf("on b: %q", got)
		}
	})
	t.Run("again", func(t *testing.T) {
		pair := embeddedtest.StartWith(t, embeddedtest.Options{Dir: dir, Schema: orders})
		if got := items(t, connect(t, pair.Partner("b"), "shop")); got != "first,second,third" || pair.Database() != "Shop" || pair.Principal() != "b" {
			t.Errorf("%q in %s, principal %s", got, pair.Database(), pair.Principal())
		}
	})
}

// A statement that fails is reported with its line of the script, and nothing is created.
func TestOptions_schemaRefused(t *testing.T) {
	for name, c := range map[string]struct {
		o    embedded.Options
		want string
	}{
		"syntax":               {embedded.Options{Schema: "CREATE TABLE t (a int)\nGO\n\nCREATE TABLE u (\n  a frob frob)"}, "create the schema of ASPState: line 5: sql error "},
		"an error":             {embedded.Options{Schema: "CREATE TABLE t (a int)\nGO\nINSERT INTO u VALUES (1)"}, "line 3: sql error 208"},
		"the batch continues":  {embedded.Options{Schema: "CREATE TABLE t (a int NOT NULL)\nINSERT INTO t VALUES (NULL)\nPRINT 'on'"}, "line 2: sql error 515"},
		"commits":              {embedded.Options{Schema: "CREATE TABLE t (a int)\nGO\nCOMMIT"}, "line 3: the script runs in a transaction"},
		"begins a transaction": {embedded.Options{Schema: "BEGIN TRANSACTION"}, "line 1: the script runs in a transaction"},
		"another database":     {embedded.Options{Schema: "CREATE DATABASE Other"}, "line 1: sql error 226"},
		"names its database":   {embedded.Options{Schema: "CREATE DATABASE Other"}, "in ASPState, which already exists"},
		"empty with schema":    {embedded.Options{Empty: true, Schema: "PRINT 'x'"}, "Options.Empty excludes"},
		"a system database":    {embedded.Options{Database: "Master"}, `invalid name "Master"`},
		"a name with blanks":   {embedded.Options{Database: " x"}, `invalid name " x"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Dir = t.TempDir()
			for range 2 { // the second time in the folder that the first attempt has left
				if _, err := embedded.Open(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%v, want %q", err, c.want)
				}
			}
			if c.o.Empty {
				return
			}
			pair := embeddedtest.StartWith(t, embedded.Options{Dir: c.o.Dir, Schema: "CREATE TABLE t (a int)"})
			if got := connect(t, pair.Partner("a"), pair.Database()); got.PingContext(limit(t)) != nil {
				t.Error("the folder is not usable after a refused schema")
			}
		})
	}
	dir := t.TempDir()
	t.Run("other", func(t *testing.T) {
		embeddedtest.StartWith(t, embedded.Options{Dir: dir, Database: "Shop"})
	})
	if _, err := embedded.Open(embedded.Options{Dir: dir, Database: "Store"}); err == nil || !strings.Contains(err.Error(), "whose first database is Shop, not Store") {
		t.Errorf("%v", err)
	}
}

// A schema that was committed before its process ended exists at the next start, and is not run again, even if
// mirroring had not begun.
func TestOptions_schemaCommittedBeforeProcessEnd(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		embeddedtest.StartWith(t, embeddedtest.Options{Dir: dir, Database: "Shop", Schema: orders})
	})
	forgetMirroring(t, filepath.Join(dir, "a", "shop.db"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, "b", "shop.db"+suffix)) // the file may not exist
	}
	pair := embeddedtest.StartWith(t, embeddedtest.Options{Dir: dir, Schema: orders})
	if err := pair.Partner("a").Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	if got := items(t, connect(t, pair.Partner("b"), "Shop")); got != "first,second" {
		t.Errorf("%q", got)
	}
}

// forgetMirroring deletes the mirroring state from a file.
func forgetMirroring(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM partner_state; DELETE FROM partner_roles"); err != nil {
		t.Fatal(err)
	}
}
