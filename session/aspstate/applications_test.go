package aspstate_test

import (
	"context"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// renamed shows the principal under another name.
type renamed struct {
	aspstate.Pair
	name partner.Name
}

// Do implements aspstate.Pair.
func (r *renamed) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return r.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		other := *a
		other.Partner = r.name
		return op(ctx, &other)
	})
}

// TestApplications_LookedUpAgainOnAnotherPrincipal: after a forced failover the registration may be lost, or the id may
// belong to another application. So the id is looked up again.
func TestApplications_LookedUpAgainOnAnotherPrincipal(t *testing.T) {
	servers := aspstatetest.Start(t)
	pair := &renamed{openPair(t, servers), partner.A}
	store := openStore(t, pair)
	ref := newSession(t, store)
	asked := func(principal partner.Name, want int64) {
		t.Helper()
		pair.name = principal
		if _, err := store.Get(t.Context(), ref, session.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := servers.Partner("a").Counters().Calls["MirrorState_GetAppId_1"]; got != want {
			t.Errorf("asked %d times for the application's id, want %d", got, want)
		}
	}
	asked(partner.A, 1)
	asked(partner.B, 2)
	asked(partner.B, 2)
}
