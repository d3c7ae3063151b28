package embedded_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
)

// A pair with a table: a row written on one partner is on the other after a failover.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "pair")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	pair, err := embedded.Open(embedded.Options{Dir: dir, Database: "Shop", Schema: `
		CREATE TABLE dbo.Orders (Id int IDENTITY PRIMARY KEY, Item nvarchar(50) NOT NULL)`})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pair.Run(ctx) }()
	defer func() { stop(); <-done }()

	db, err := sql.Open("sqlserver", pair.ConnectionString())
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxIdleConns(0) // the driver finds the principal when it connects
	if _, err := db.Exec("INSERT INTO dbo.Orders (Item) VALUES (N'tea')"); err != nil {
		log.Fatal(err)
	}
	if err := pair.Partner("a").Failover(ctx); err != nil {
		log.Fatal(err)
	}
	var item, server string
	if err := db.QueryRow("SELECT Item, @@SERVERNAME FROM dbo.Orders").Scan(&item, &server); err != nil {
		log.Fatal(err)
	}
	fmt.Println(item, "on", server)
	// Output: tea on MIRRORSTATE\B
}

// The principal crashes, and the mirror takes over, because the pair has a witness.
func ExamplePartner_Inject() {
	dir, err := os.MkdirTemp("", "pair")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	pair, err := embedded.Open(embedded.Options{Dir: dir, Witness: true})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pair.Run(ctx) }()
	defer func() { stop(); <-done }()

	events, unsubscribe := pair.Events()
	defer unsubscribe()
	if err := pair.Partner("a").Inject(ctx, embedded.Crash); err != nil {
		log.Fatal(err)
	}
	for range events {
		if pair.Principal() == "b" {
			break
		}
	}
	fmt.Println(pair.Partner("a").Faults(), "a; the principal is", pair.Principal())
	// Output: [crash] a; the principal is b
}
