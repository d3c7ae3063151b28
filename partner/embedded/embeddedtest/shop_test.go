package embeddedtest_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// schema is the application's own script.
const schema = `
CREATE TABLE dbo.Orders (Number int NOT NULL PRIMARY KEY, Total decimal(9, 2) NOT NULL)
GO
CREATE PROCEDURE dbo.PlaceOrder @number int, @total decimal(9, 2) AS
IF NOT EXISTS (SELECT 1 FROM dbo.Orders WHERE Number = @number)
    INSERT INTO dbo.Orders (Number, Total) VALUES (@number, @total)
`

// placeOrder is the application's code under test. It retries until the order is placed. A retry does no harm.
func placeOrder(ctx context.Context, db *sql.DB, number int, total string) error {
	for {
		_, err := db.ExecContext(ctx, "dbo.PlaceOrder", sql.Named("number", number), sql.Named("total", total))
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// No order is lost in a planned failover or in a crash of the principal.
func TestShop(t *testing.T) {
	pair := embeddedtest.StartWith(t, embeddedtest.Options{Database: "Shop", Schema: schema, Witness: true})
	db, err := sql.Open("sqlserver", pair.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	for number := range 30 {
		switch number {
		case 10:
			err = pair.Partner("a").Failover(ctx)
		case 20:
			err = pair.Partner("b").Inject(ctx, embedded.Crash) // because of the witness, a takes over
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := placeOrder(ctx, db, number, "9.50"); err != nil {
			t.Fatalf("order %d: %v", number, err)
		}
	}
	var orders int
	var total string
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*), SUM(Total) FROM dbo.Orders").Scan(&orders, &total); err != nil {
		t.Fatal(err)
	}
	if orders != 30 || total != "285.00" || pair.Principal() != "a" {
		t.Errorf("%d orders, %s, on %s", orders, total, pair.Principal())
	}
}
