package embedded_test

import (
	"database/sql"
	"errors"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// A procedure called by a driver rolls back its client's transaction. The client's writes are undone, and the driver
// gets a message. The procedure's writes after the ROLLBACK stay, on both partners.
func TestProcedure_endsItsClientsTransaction(t *testing.T) {
	pair := embeddedtest.StartWith(t, embeddedtest.Options{Schema: `
CREATE TABLE dbo.T (a int)
CREATE TABLE dbo.Errors (text nvarchar(100))
GO
CREATE PROCEDURE dbo.P AS
SET NOCOUNT ON
BEGIN TRY
    BEGIN TRANSACTION
    INSERT INTO dbo.T (a) VALUES (2);
    THROW 50001, 'mine', 1
END TRY
BEGIN CATCH
    IF XACT_STATE() <> 0 ROLLBACK TRANSACTION
    INSERT INTO dbo.Errors (text) VALUES (ERROR_MESSAGE());
    THROW
END CATCH`})
	db := connect(t, pair.Partner("a"), pair.Database())
	tx, err := db.BeginTx(limit(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(limit(t), "INSERT INTO dbo.T (a) VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	_, err = tx.ExecContext(limit(t), "dbo.P")
	if e, ok := errors.AsType[mssql.Error](err); !ok || e.Number != 50001 {
		t.Errorf("%v, want 50001", err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("the driver was not told that its transaction has ended")
	}
	if err := pair.Partner("a").Failover(limit(t)); err != nil {
		t.Fatal(err)
	}
	b := connect(t, pair.Partner("b"), pair.Database())
	var rows int
	var text sql.NullString
	if err := b.QueryRowContext(limit(t), "SELECT (SELECT COUNT(*) FROM dbo.T), (SELECT MAX(text) FROM dbo.Errors)").Scan(&rows, &text); err != nil {
		t.Fatal(err)
	}
	if rows != 0 || text.String != "mine" {
		t.Errorf("%d rows and %q, want none and mine", rows, text.String)
	}
}
