package engine

import (
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// TestPrincipal_commitsAfterAFailedCommit: the mirror has a commit that the principal
// could not make, and the principal makes another of the same number before the two
// reconnect. They must not take the two commits for the same one.
func TestPrincipal_commitsAfterAFailedCommit(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	storeItem(t, a, "s", []byte("1"))
	a.Main().BeforeCommit = func(*storage.Record) {
		if _, err := a.Main().Store.Main.Rollback.Exec(); err != nil { // so that COMMIT fails
			t.Error(err)
		}
	}
	err := putSession(a, "only the mirror's", nil)
	a.Main().BeforeCommit = nil
	if err == nil {
		t.Fatal("a failed commit was acknowledged")
	}
	storeItem(t, a, "s", []byte("acknowledged"))

	again := reopen(t, copyData(t, pair.Folder.Dir)) // killed before they reconnect
	if got := again.Principal(); got != "a" {
		t.Errorf("principal %s after reopening", got)
	}
	if err := pair.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if dump(t, a) != dump(t, b) {
		t.Errorf("the partners differ:\na: %s\nb: %s", dump(t, a), dump(t, b))
	}
	storeItem(t, b, "s", []byte("on"))
	if dump(t, a) != dump(t, b) {
		t.Errorf("the partners differ after the failover:\na: %s\nb: %s", dump(t, a), dump(t, b))
	}
}
