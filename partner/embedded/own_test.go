package embedded_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// Tables, a view and procedures of an application work as their text defines, in their own database and in that of
// ASPState. The mirror has them when it takes over.
func TestOwn_Objects(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	for _, text := range []string{
		"CREATE TABLE dbo.Customers (Id int IDENTITY(1, 1) PRIMARY KEY, Name nvarchar(40) NOT NULL CONSTRAINT UQ_Name UNIQUE, Since datetime NOT NULL DEFAULT GETUTCDATE())",
		"CREATE TABLE dbo.Orders (Id int IDENTITY(100, 1) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Customer int NOT NULL CONSTRAINT FK_Customer REFERENCES dbo.Customers (Id), Total decimal(9, 2) NOT NULL CONSTRAINT CK_Total CHECK (Total >= 0), Note varchar(10) NULL)",
		"CREATE INDEX IX_Total ON dbo.Orders (Total DESC)",
		"CREATE VIEW dbo.Sums AS SELECT c.Name, COUNT(o.Id) AS Orders, SUM(o.Total) AS Total FROM dbo.Customers c LEFT JOIN dbo.Orders o ON o.Customer = c.Id GROUP BY c.Name",
		`CREATE PROCEDURE dbo.Buy @name nvarchar(40), @total decimal(9, 2), @order int OUTPUT AS
			SET NOCOUNT ON
			DECLARE @customer int
			BEGIN TRANSACTION
			SELECT @customer = Id FROM dbo.Customers WHERE Name = @name
			IF @customer IS NULL
			BEGIN
				INSERT INTO dbo.Customers (Name) VALUES (@name)
				SET @customer = SCOPE_IDENTITY()
			END
			INSERT INTO dbo.Orders (Customer, Total) VALUES (@customer, @total)
			SET @order = SCOPE_IDENTITY()
			COMMIT TRANSACTION`,
	} {
		mustExec(t, db, text)
	}
	buy := func(db *sql.DB, name string, total float64) (order int64) {
		t.Helper()
		_, err := db.ExecContext(limit(t), "dbo.Buy", sql.Named("name", name), sql.Named("total", total), sql.Named("order", sql.Out{Dest: &order}))
		if err != nil {
			t.Fatal(err)
		}
		return order
	}
	if a, b := buy(db, "Ann", 10), buy(db, "Ben", 2.5); a != 100 || b != 101 {
		t.Errorf("orders %d, %d", a, b)
	}
	refuses(t, db, "INSERT INTO dbo.Orders (Customer, Total) VALUES (9, 1)", 547)
	refuses(t, db, "INSERT INTO dbo.Orders (Customer, Total) VALUES (1, -1)", 547)
	refuses(t, db, "INSERT INTO dbo.Customers (Name) VALUES (N'ann')", 2627)
	refuses(t, db, "INSERT INTO dbo.Customers (Name) VALUES (NULL)", 515)
	refuses(t, db, "UPDATE dbo.Orders SET Note = '12345678901'", 8152)
	refuses(t, db, "INSERT INTO dbo.Orders (Id, Customer, Total) VALUES (7, 1, 1)", 544)
	refuses(t, db, "CREATE TABLE dbo.Orders (Id int)", 2714)
	refuses(t, db, "DROP TABLE dbo.Customers", 3726)
	mustExec(t, db, "MERGE dbo.Customers AS t USING (VALUES (N'Ann', '2001-02-03'), (N'Cem', '2004-05-06')) AS s (Name, Since) ON s.Name = t.Name WHEN MATCHED THEN UPDATE SET Since = s.Since WHEN NOT MATCHED THEN INSERT (Name, Since) VALUES (s.Name, s.Since);")
	mustExec(t, db, "ALTER TABLE dbo.Orders ADD Paid bit NOT NULL CONSTRAINT DF_Paid DEFAULT 0")
	mustExec(t, db, "CREATE DATABASE Alone")
	alone := connect(t, pair.Partner("a"), "Alone")
	mustExec(t, alone, "CREATE TABLE T (A int) INSERT INTO T VALUES (1), (2)")
	if n := scalar[int](t, alone, "SELECT SUM(A) FROM T"); n != 3 {
		t.Errorf("sum %d", n)
	}

	if err := pair.Partner("a").Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	db = connect(t, pair.Partner("b"), "ASPState")
	rows, err := db.QueryContext(limit(t), "SELECT Name, Orders, Total FROM dbo.Sums ORDER BY Name")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rows.Next() {
		var name, orders string
		var total sql.NullString
		if err := rows.Scan(&name, &orders, &total); err != nil {
			t.Fatal(err)
		}
		got = append(got, name+" "+orders+" "+total.String)
	}
	if want := []string{"Ann 1 10.00", "Ben 1 2.50", "Cem 0 "}; !slices.Equal(got, want) || rows.Err() != nil {
		t.Errorf("on the mirror %q (%v), want %q", got, rows.Err(), want)
	}
	if order := buy(db, "Ann", 1); order != 102 {
		t.Errorf("order %d on the mirror", order)
	}
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM dbo.Orders WHERE Paid = 0"); n != 3 {
		t.Errorf("%d orders that are not paid", n)
	}
}

// The mirror does not get changes of the schema that a transaction or a savepoint undoes. A partner that was
// disconnected gets the current schema.
func TestOwn_SchemaOfTheMirror(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	mustExec(t, db, "BEGIN TRANSACTION CREATE TABLE A (n int) ROLLBACK")
	mustExec(t, db, "BEGIN TRANSACTION CREATE TABLE B (n int) SAVE TRANSACTION s CREATE TABLE C (n int) ROLLBACK TRANSACTION s INSERT INTO B VALUES (1) COMMIT")
	refuses(t, db, "CREATE TABLE D (n int, CHECK (m > 0))", 207)
	mustExec(t, db, "INSERT INTO B VALUES (2)")
	if err := pair.Partner("b").Inject(t.Context(), embedded.Stop); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "CREATE TABLE E (n int PRIMARY KEY, s varchar(9)) INSERT INTO E VALUES (1, 'x') ALTER TABLE B ADD m int NULL")
	mustExec(t, db, "UPDATE B SET m = n * 2")
	if err := pair.Partner("b").Inject(t.Context(), embedded.Heal); err != nil {
		t.Fatal(err)
	}
	synchronized(t, pair)
	if err := pair.Partner("a").Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	db = connect(t, pair.Partner("b"), "ASPState")
	names := scalar[string](t, db, "SELECT STRING_AGG(name, ',') FROM (SELECT TOP 100 name FROM sys.tables WHERE LEN(name) = 1 ORDER BY name) x")
	sum := scalar[int](t, db, "SELECT SUM(m) FROM B")
	if names != "B,E" || sum != 6 || scalar[string](t, db, "SELECT s FROM E") != "x" {
		t.Errorf("tables %s, sum %d", names, sum)
	}
	mustExec(t, db, "DROP TABLE B DROP TABLE E")
	refuses(t, db, "SELECT * FROM B", 208)
}

// synchronized waits until the pair is SYNCHRONIZED.
func synchronized(t *testing.T, pair *embedded.Pair) {
	t.Helper()
	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	for pair.State() != "SYNCHRONIZED" {
		if ctx.Err() != nil {
			t.Fatal("never synchronized: " + strings.ToLower(pair.State()))
		}
	}
}
