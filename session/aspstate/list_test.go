package aspstate_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// An extension of an earlier version has no column for seconds (207). Sessions are listed without them.
func TestStore_ListEarlierVersion(t *testing.T) {
	servers := aspstatetest.Start(t)
	store := openStore(t, openPair(t, servers))
	ref := session.Ref{App: &storetest.Applications()[0], ID: session.NewID()}
	if _, err := store.Put(t.Context(), ref, session.Write{Item: []byte("item"), Seconds: 90}, session.Condition{}, session.NewOperation()); err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int32
	err := servers.Partner(servers.Principal()).Plant(embedded.Planted{Refuse: func(text string) error {
		if !strings.Contains(text, "TimeoutSeconds") {
			return nil
		}
		refused.Add(1)
		return &tds.Error{Number: 207, Class: 16, State: 1, Message: "Invalid column name 'TimeoutSeconds'."}
	}})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.List(t.Context(), ref.App, "", 10)
	if err != nil || refused.Load() != 1 || len(entries) != 1 || entries[0].ID != ref.ID || entries[0].Timeout != 2 || entries[0].Seconds != 0 {
		t.Errorf("got %+v, %v, after %d refusals; want the session with its 2 minutes after 1", entries, err, refused.Load())
	}
}
