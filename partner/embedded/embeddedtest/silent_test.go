package embeddedtest_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// A client with the pair's connection string reaches the new principal, even if the old one never answers again.
func TestConnectionString_pastASilentPrincipal(t *testing.T) {
	for _, fault := range []embedded.Fault{embedded.Freeze, embedded.Isolate} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			pair := embeddedtest.StartWith(t, embeddedtest.Options{Witness: true, PartnerTimeout: 200 * time.Millisecond})
			db, err := sql.Open("sqlserver", pair.ConnectionString()+";dial timeout=1;connection timeout=1")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := db.PingContext(ctx); err != nil {
				t.Fatal(err)
			}
			if err := pair.Partner("a").Inject(ctx, fault); err != nil {
				t.Fatal(err)
			}
			var server string
			for server == "" && ctx.Err() == nil {
				if err := db.QueryRowContext(ctx, "SELECT @@SERVERNAME").Scan(&server); err != nil {
					server = ""
				}
			}
			if server != pair.Partner("b").ServerName() {
				t.Errorf("%q answers, want b", server)
			}
			if err := pair.Partner("a").Inject(ctx, embedded.Heal); err != nil {
				t.Fatal(err)
			}
			if err := pair.Synchronized(ctx); err != nil || pair.Principal() != "b" {
				t.Errorf("%v, principal %s", err, pair.Principal())
			}
		})
	}
}
