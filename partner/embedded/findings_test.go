package embedded_test

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// Errors that were found with the application of another project.
func TestApplication_findings(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	for text, want := range map[string]string{
		"SELECT CONVERT(varchar(9), SUM(a)) FROM (SELECT 3 AS a UNION ALL SELECT 1.5) x": "4.5",
		"SELECT CONVERT(varchar(9), SUM(a)) FROM (VALUES (1), (2.5)) x (a)":              "3.5",
	} {
		if got := scalar[string](t, db, text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, number := range map[string]int32{
		"SELECT 'a' UNION SELECT 1":                                             40510,
		"SELECT CAST(1 AS bit) + CAST(1 AS bit)":                                8117,
		"SELECT dbo.NoSuch(1)":                                                  4121,
		"BEGIN TRY SELECT * FROM nosuch END TRY BEGIN CATCH SELECT 1 END CATCH": 208,
		"SELECT AppName FROM ASPStateTempApplications ORDER BY 5":               108,
	} {
		refuses(t, db, text, number)
	}
	mustExec(t, db, "CREATE TABLE Named (Id int IDENTITY(7, 1) CONSTRAINT PK_Named PRIMARY KEY, Name varchar(9) CONSTRAINT UQ_Named UNIQUE)")
	mustExec(t, db, "INSERT INTO Named (Name) VALUES ('x')")
	if n := scalar[string](t, db, "SELECT CONVERT(varchar(9), IDENT_CURRENT('Named'))"); n != "7" {
		t.Errorf("IDENT_CURRENT %s", n)
	}
	if err := exec(t, db, "INSERT INTO Named (Name) OUTPUT inserted.Id VALUES ('x')"); err == nil || !strings.Contains(err.Error(), "UQ_Named") {
		t.Errorf("with OUTPUT: %v", err)
	}
	if err := exec(t, db, "SELECT n.nosuch FROM Named n"); err == nil || !strings.Contains(err.Error(), "'nosuch'") {
		t.Errorf("a column that does not exist: %v", err)
	}
}
