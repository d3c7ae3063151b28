package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// audited creates a table whose trigger writes each change into another table, and a procedure that writes the
// first one.
var audited = []string{
	"CREATE TABLE dbo.Stock (Item int NOT NULL PRIMARY KEY, Number int NOT NULL)",
	"CREATE TABLE dbo.Audit (Id int IDENTITY NOT NULL PRIMARY KEY, Item int NOT NULL, Was int NULL, Became int NULL)",
	`CREATE TRIGGER dbo.StockAudit ON dbo.Stock AFTER INSERT, UPDATE, DELETE AS
SET NOCOUNT ON
INSERT INTO dbo.Audit (Item, Was, Became) SELECT COALESCE(i.Item, d.Item), d.Number, i.Number FROM inserted i FULL JOIN deleted d ON d.Item = i.Item`,
	`CREATE TRIGGER dbo.StockCheck ON dbo.Stock AFTER INSERT, UPDATE AS
IF EXISTS (SELECT 1 FROM inserted WHERE Number < 0)
BEGIN
    DECLARE @item int = (SELECT MAX(Item) FROM inserted WHERE Number < 0)
    ROLLBACK TRANSACTION
    INSERT INTO dbo.Audit (Item) VALUES (-@item)
    RAISERROR('item %d: no negatives', 16, 1, @item)
END`,
	"CREATE PROCEDURE dbo.Take @item int, @n int AS UPDATE dbo.Stock SET Number -= @n WHERE Item = @item",
}

// The writes of a trigger, even those after its ROLLBACK, are on both partners, and the trigger fires after a
// failover.
func TestTriggers_Failover(t *testing.T) {
	pair := aspstatetest.Start(t)
	a := connect(t, pair.Partner("a"), "ASPState")
	for _, text := range audited {
		mustExec(t, a, text)
	}
	mustExec(t, a, "INSERT INTO dbo.Stock VALUES (1, 10), (2, 20)")
	mustExec(t, a, "EXEC dbo.Take 1, 3")
	refuses(t, a, "EXEC dbo.Take 1, 8", 50000, 3609)
	refuses(t, a, "UPDATE dbo.Stock SET Number = -1 WHERE Item = 2", 50000, 3609)
	mustExec(t, a, "DISABLE TRIGGER StockCheck ON dbo.Stock")
	mustExec(t, a, "DELETE dbo.Stock WHERE Item = 2")
	want := scalar[string](t, a, "SELECT STRING_AGG(CONCAT(Item, ':', Was, '>', Became), ' ') FROM dbo.Audit")
	if want != "1:>10 2:>20 1:10>7 -1:> -2:> 2:20>" {
		t.Errorf("the audit is %q", want)
	}
	if err := pair.Partner("a").Inject(limit(t), embedded.Crash); err != nil {
		t.Fatal(err)
	}
	if err := pair.Partner("b").ForceService(limit(t)); err != nil {
		t.Fatal(err)
	}
	b := connect(t, pair.Partner("b"), "ASPState")
	if got := scalar[string](t, b, "SELECT STRING_AGG(CONCAT(Item, ':', Was, '>', Became), ' ') FROM dbo.Audit"); got != want {
		t.Errorf("the other partner has %q, want %q", got, want)
	}
	mustExec(t, b, "EXEC dbo.Take 1, 8")
	if n := scalar[int](t, b, "SELECT Became FROM dbo.Audit WHERE Id = (SELECT MAX(Id) FROM dbo.Audit)"); n != -1 {
		t.Errorf("the trigger wrote %d", n)
	}
	mustExec(t, b, "UPDATE dbo.Stock SET Number = 1 ALTER TABLE dbo.Stock ENABLE TRIGGER ALL")
	refuses(t, b, "EXEC dbo.Take 1, 8", 50000, 3609)
}

// A rollback undoes the writes of a trigger, and the CREATE of a trigger.
func TestTriggers_RolledBack(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.do("BEGIN TRANSACTION")
	for _, text := range audited {
		c.do(text)
	}
	c.do("INSERT INTO dbo.Stock VALUES (1, 10)")
	c.do("SAVE TRANSACTION before")
	c.do("UPDATE dbo.Stock SET Number = 11")
	if got := c.last("SELECT COUNT(*) FROM dbo.Audit"); got != "2" {
		t.Errorf("%s rows in the transaction", got)
	}
	c.do("ROLLBACK TRANSACTION before")
	if got := c.last("SELECT COUNT(*) FROM dbo.Audit"); got != "1" {
		t.Errorf("%s rows after the rollback to the savepoint", got)
	}
	c.do("ROLLBACK TRANSACTION")
	if got := c.last("SELECT COUNT(*) FROM sys.triggers"); got != "0" {
		t.Errorf("%s triggers after the transaction", got)
	}
	for _, text := range audited {
		c.do(text)
	}
	c.do("BEGIN TRANSACTION INSERT INTO dbo.Stock VALUES (1, 10)")
	c.do("EXEC dbo.Take 1, 5")
	c.do("ROLLBACK TRANSACTION")
	if got := c.last("SELECT (SELECT COUNT(*) FROM dbo.Audit) + (SELECT COUNT(*) FROM dbo.Stock)"); got != "0" {
		t.Errorf("%s rows are left", got)
	}
	c.fails("40510 BEGIN TRANSACTION INSERT INTO dbo.Stock VALUES (1, -1)")
	if got := c.last("SELECT @@TRANCOUNT + (SELECT COUNT(*) FROM dbo.Stock)"); got != "0" {
		t.Errorf("%s transactions and rows are left", got)
	}
}

// A ROLLBACK in a trigger ends the transaction of the procedure whose statement fired it.
func TestTriggers_ProcedureTransaction(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	for _, text := range audited {
		c.do(text)
	}
	c.do("CREATE PROCEDURE dbo.Twice AS BEGIN TRANSACTION INSERT INTO dbo.Stock VALUES (5, 5) INSERT INTO dbo.Stock VALUES (6, -6) COMMIT")
	c.fails("50000 EXEC dbo.Twice")
	if got := c.last("SELECT CONCAT((SELECT COUNT(*) FROM dbo.Stock), ' ', (SELECT MIN(Item) FROM dbo.Audit))"); got != "0 -6" {
		t.Errorf("%q", got)
	}
	c.do("DROP TRIGGER dbo.StockCheck")
	c.do("CREATE TRIGGER dbo.StockThrows ON dbo.Stock AFTER INSERT AS IF EXISTS (SELECT 1 FROM inserted WHERE Number < 0) THROW 50007, 'no', 1")
	c.do(`CREATE PROCEDURE dbo.Caught AS
BEGIN TRANSACTION
INSERT INTO dbo.Stock VALUES (7, 7)
BEGIN TRY
    INSERT INTO dbo.Stock VALUES (8, -8)
END TRY
BEGIN CATCH
    SELECT XACT_STATE()
    ROLLBACK TRANSACTION
END CATCH`)
	if got := c.last("EXEC dbo.Caught"); got != "-1" {
		t.Errorf("XACT_STATE() is %s", got)
	}
	c.do(`CREATE PROCEDURE dbo.Commits AS
BEGIN TRANSACTION
BEGIN TRY
    INSERT INTO dbo.Stock VALUES (8, -8)
END TRY
BEGIN CATCH
    COMMIT TRANSACTION
END CATCH`)
	c.fails("3930 EXEC dbo.Commits")
	if got := c.last("SELECT COUNT(*) FROM dbo.Stock"); got != "0" {
		t.Errorf("%s rows", got)
	}
}

func TestTriggers_Rights(t *testing.T) {
	pair := aspstatetest.Start(t)
	own := connect(t, pair.Partner("a"), "ASPState")
	for _, text := range audited {
		mustExec(t, own, text)
	}
	mustExec(t, own, "CREATE LOGIN clerk WITH PASSWORD = N'secret', CHECK_POLICY = OFF")
	mustExec(t, own, "CREATE USER clerk FOR LOGIN clerk GRANT INSERT ON dbo.Stock TO clerk")
	clerk := as(t, pair.Partner("a"), "clerk", "secret", "ASPState")
	mustExec(t, clerk, "INSERT INTO dbo.Stock VALUES (1, 1)") // the trigger writes with the rights of the table's owner
	refuses(t, clerk, "INSERT INTO dbo.Audit (Item) VALUES (1)", 229)
	refuses(t, clerk, "DISABLE TRIGGER ALL ON dbo.Stock", 262)
	refuses(t, clerk, "DROP TRIGGER dbo.StockAudit", 262)
	refuses(t, clerk, "CREATE TRIGGER dbo.Other ON dbo.Stock AFTER INSERT AS RETURN", 262)
	if n := scalar[int](t, own, "SELECT COUNT(*) FROM dbo.Audit"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// The client can cancel an endless trigger, which has then written nothing.
func TestTriggers_Runaway(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	mustExec(t, db, "CREATE TABLE dbo.Endless (x int)")
	mustExec(t, db, "CREATE TRIGGER dbo.Loops ON dbo.Endless AFTER INSERT AS DECLARE @i int = 0 WHILE @i >= 0 SET @i = @i * 1")
	mustExec(t, db, "CREATE PROCEDURE dbo.Add1 AS INSERT INTO dbo.Endless VALUES (1)")
	for _, text := range []string{"INSERT INTO dbo.Endless VALUES (1)", "EXEC dbo.Add1"} {
		ctx, cancel := context.WithTimeout(limit(t), 50*time.Millisecond)
		if _, err := db.ExecContext(ctx, text); err == nil {
			t.Errorf("%s: it ended without the cancellation", text)
		}
		cancel()
	}
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM dbo.Endless"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// An application may have a table named inserted, which is not the trigger's table.
func TestTriggers_Names(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.do("CREATE TABLE dbo.inserted (x int) INSERT INTO dbo.inserted VALUES (77)")
	c.do("CREATE TABLE dbo.T (x int)")
	c.do("CREATE TRIGGER dbo.Tr ON dbo.T AFTER INSERT AS IF EXISTS (SELECT 1 FROM inserted WHERE x < 0) ROLLBACK")
	c.do("INSERT INTO dbo.T VALUES (1)")
	c.fails("3609 INSERT INTO dbo.T VALUES (-1)")
	c.do("BEGIN TRANSACTION INSERT INTO dbo.T VALUES (2)")
	if got := c.last("SELECT x FROM dbo.inserted"); got != "77" {
		t.Errorf("the table has %s", got)
	}
	c.do("COMMIT")
	c.do("CREATE TABLE dbo.Other (x int)")
	c.fails("40510 ALTER TRIGGER dbo.Tr ON dbo.Other AFTER INSERT AS RETURN")
	for _, body := range []string{"COMMIT", "BEGIN TRANSACTION", "ROLLBACK BEGIN TRANSACTION", "ROLLBACK TRANSACTION client"} {
		c.do("ALTER TRIGGER dbo.Tr ON dbo.T AFTER INSERT AS " + body)
		c.fails("40510 BEGIN TRANSACTION SAVE TRANSACTION client INSERT INTO dbo.T VALUES (9)")
		if got := c.last("SELECT @@TRANCOUNT + (SELECT COUNT(*) FROM dbo.T WHERE x = 9)"); got != "0" {
			t.Errorf("%s: %s transactions and rows are left", body, got)
		}
	}
	c.do("ALTER TABLE dbo.T ADD y varchar(5) NULL")
	c.do("ALTER TRIGGER dbo.Tr ON dbo.T AFTER UPDATE AS SELECT TOP 1 CONCAT(d.x, d.y, i.x, i.y) FROM inserted i CROSS JOIN deleted d ORDER BY i.x")
	if got := c.last("UPDATE dbo.T SET y = 'b' WHERE x = 2"); got != "22b" {
		t.Errorf("the trigger sees %s", got)
	}
	c.do("ALTER TABLE dbo.T DROP COLUMN y")
	c.fails("207 UPDATE dbo.T SET x = 2 WHERE x = 2", "1088 DISABLE TRIGGER nobody ON dbo.T", "1088 ENABLE TRIGGER ALL ON dbo.Nobody", "4920 ALTER TABLE dbo.T DISABLE TRIGGER nobody",
		"4902 ALTER TABLE dbo.Nobody DISABLE TRIGGER ALL", "40510 DROP TRIGGER x ON DATABASE")
}
