package embeddedtest_test

import (
	"database/sql"
	"testing"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// A test with a database of its own, whose principal crashes. The witness makes the mirror take over.
func ExampleStartWith() {
	_ = func(t *testing.T) { // func TestMyApplication(t *testing.T)
		pair := embeddedtest.StartWith(t, embeddedtest.Options{
			Database: "Shop",
			Schema:   `CREATE TABLE dbo.Orders (Number int NOT NULL PRIMARY KEY)`,
			Witness:  true,
		})
		db, err := sql.Open("sqlserver", pair.ConnectionString())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := pair.Partner("a").Inject(t.Context(), embedded.Crash); err != nil {
			t.Fatal(err)
		}
		// … what your application does now
	}
}
