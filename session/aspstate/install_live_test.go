package aspstate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// A server that runs on a stock ASPState uses the extension as soon as it is installed, and no call fails. After the
// extension is removed, this is noticed at the next probe. After it is installed again, it is used again, although
// its epochs begin again.
func TestInstall_UnderLiveCalls(t *testing.T) {
	servers, db := emptyServers(t)
	whole := aspstate.InstallOptions{Database: "ASPState"}
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState", StockOnly: true}, stepCreate, stepStock)
	pair := pairAs(t, servers, "ASPState", servers.User(), servers.Password())
	store := openStore(t, pair)
	app := storetest.Applications()[0]
	n := 0
	put := func() error {
		n++
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ref := session.Ref{App: &app, ID: session.ID(fmt.Sprintf("s%d", n))}
		_, err := store.Put(ctx, ref, session.Write{Item: []byte("one"), Timeout: 20}, session.Condition{}, session.Operation{})
		return err
	}
	// until makes calls until the schema is noticed, and one more: the first of them may still belong to the previous
	// term.
	until := func(schema string) (failed int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			noticed, err := pair.Status().Schema == schema, put()
			switch {
			case err != nil:
				failed++
			case noticed:
				return failed
			}
			if ctx.Err() != nil {
				t.Fatalf("the schema is %s, and not %s (%s), or calls fail on it: %v", pair.Status().Schema, schema, pair.Status().Reason, err)
			}
		}
	}
	mustInstall(t, db, whole, stepColumns, stepExtension)
	if failed := until("extended"); failed > 0 {
		t.Errorf("%d calls failed while the extension was installed", failed)
	}
	if _, err := db.ExecContext(t.Context(), "EXEC ASPState.dbo.MirrorState_RaiseEpoch_1 N'MIRRORSTATE\\A', 50"); err != nil {
		t.Fatal(err)
	}
	for pair.Status().Epoch < 51 {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	uninstall(t, db, "ASPState")
	until("stock")
	mustInstall(t, db, whole, stepColumns, stepExtension)
	if failed := until("extended"); failed > 0 {
		t.Errorf("%d calls failed while the extension was installed again", failed)
	}
}
