package embedded_test

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// A procedure and a function may query the catalogue in an open transaction of their session.
func TestCatalogue_InTransaction(t *testing.T) {
	c := alone(t, connect(t, aspstatetest.Start(t).Partner("a"), "ASPState"))
	c.do("CREATE TABLE dbo.Numbered (Id int IDENTITY, x int)")
	c.do("INSERT INTO dbo.Numbered (x) VALUES (1), (2)")
	c.do("CREATE PROCEDURE dbo.Asks AS SELECT CASE WHEN OBJECT_ID('dbo.Made') IS NULL THEN 0 ELSE 10 END + IDENT_CURRENT('dbo.Numbered')")
	c.do("CREATE FUNCTION dbo.Known (@name sysname) RETURNS int AS BEGIN RETURN CASE WHEN OBJECT_ID(@name) IS NULL THEN 0 ELSE 1 END END")
	c.do("BEGIN TRANSACTION CREATE TABLE dbo.Made (x int)")
	for text, want := range map[string]string{"EXEC dbo.Asks": "12", "SELECT dbo.Known('dbo.Made')": "1", "SELECT dbo.Known('dbo.Nothing')": "0"} {
		if got := c.last(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	c.do("ROLLBACK")
	if got := c.last("EXEC dbo.Asks"); got != "2" {
		t.Errorf("after the transaction: %s, want 2", got)
	}
}
