package aspstate_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// secretOf returns the fleet's secret as a store reads it.
func secretOf(t *testing.T, store *aspstate.Store) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	secret, err := store.FleetSecret(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// All stores on a database have the same secret. It is read once, and later in the background. A change of the secret
// is noticed.
func TestStore_FleetSecret(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair := openPair(t, servers)
	store, other := openStore(t, pair), openStore(t, pair)
	asked := func(want int64) {
		t.Helper()
		if got := servers.Partner("a").Counters().Calls["MirrorState_FleetSecret_1"]; got != want {
			t.Errorf("the database was asked %d times for the secret, want %d", got, want)
		}
	}
	ref := newSession(t, store)
	first := secretOf(t, store)
	if len(first) != 32 || bytes.Equal(first, make([]byte, 32)) || !bytes.Equal(first, secretOf(t, other)) {
		t.Fatalf("two stores have the secrets %x and %x", first, secretOf(t, other))
	}
	asked(2)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 25 {
				if _, err := store.Get(t.Context(), ref, session.GetOptions{}); err != nil || !bytes.Equal(secretOf(t, store), first) {
					t.Errorf("another secret, or %v", err)
				}
			}
		})
	}
	callers.Wait()
	asked(2)

	second := make([]byte, 32)
	rand.Read(second)
	db := openDB(t, servers.Partner("a").ConnectionString("ASPState"))
	if _, err := db.ExecContext(t.Context(), "UPDATE dbo.MirrorStateEpoch SET FleetSecret = @p1 WHERE Id = 1", second); err != nil {
		t.Fatal(err)
	}
	store.AgeSecret(11 * time.Second)
	if got := secretOf(t, store); !bytes.Equal(got, first) {
		t.Errorf("a call waits for the secret to be read again, and gets %x", got)
	}
	store.WaitForSecret()
	asked(3)
	if got := secretOf(t, store); !bytes.Equal(got, second) {
		t.Errorf("the database's other secret was not noticed: %x", got)
	}
	other.AgeSecret(2 * time.Minute)
	if got := secretOf(t, other); !bytes.Equal(got, second) {
		t.Errorf("after a minute without calls the secret is %x", got)
	}
	asked(4)
}

// A stock schema has no secret, and the store makes none. After the extension is installed there is a secret at once.
// After it is removed and installed again there is a new one.
func TestStore_FleetSecretFollowsTheSchema(t *testing.T) {
	servers, db := emptyServers(t)
	whole := aspstate.InstallOptions{Database: "ASPState"}
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState", StockOnly: true}, stepCreate, stepStock)
	pair := pairAs(t, servers, "ASPState", servers.User(), servers.Password())
	store := openStore(t, pair)
	app := storetest.Applications()[0]
	n := 0
	// until makes calls until the schema is noticed, and one more.
	until := func(schema string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for seen := false; ; n++ {
			ref := session.Ref{App: &app, ID: session.ID(fmt.Sprintf("s%d", n))}
			_, err := store.Put(ctx, ref, session.Write{Item: []byte("one"), Timeout: 20}, session.Condition{}, session.Operation{})
			switch {
			case ctx.Err() != nil:
				t.Fatalf("the schema is %s still, and not %s: %v", pair.Status().Schema, schema, err)
			case err == nil && seen:
				return
			}
			seen = pair.Status().Schema == schema
		}
	}
	none := func() {
		t.Helper()
		until("stock")
		if got := secretOf(t, store); got != nil {
			t.Errorf("a stock schema has the secret %x", got)
		}
	}
	one := func() []byte {
		t.Helper()
		mustInstall(t, db, whole, stepColumns, stepExtension)
		until("extended")
		got := secretOf(t, store)
		if len(got) != 32 || !bytes.Equal(got, secretOf(t, openStore(t, pair))) {
			t.Errorf("the secret of the extended schema is %x, and another store's %x", got, secretOf(t, openStore(t, pair)))
		}
		return got
	}
	none()
	first := one()
	uninstall(t, db, "ASPState")
	none()
	if bytes.Equal(one(), first) {
		t.Error("the database that was installed again has the old secret")
	}
}
