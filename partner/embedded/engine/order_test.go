package engine

import (
	"fmt"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// TestCommit_theMirrorHasItFirst: when a commit becomes visible on the principal, the mirror has it. It repeats
// commits, because the mirror could have a single commit in time by chance.
func TestCommit_theMirrorHasItFirst(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	a.Main().BeforeCommit = func(rec *storage.Record) {
		if has := b.Main().Store.LSN.Load(); has != rec.LSN {
			t.Errorf("commit %d is about to be published, and the mirror has got to %d", rec.LSN, has)
		}
	}
	for i := range 100 {
		storeItem(t, a, fmt.Sprint("s", i), []byte("item"))
	}
	a.Main().BeforeCommit = nil
}

// TestWitness_oneOfTheTwo: either the principal continues without the mirror, or the
// mirror takes over without the principal, never both, whichever comes first.
func TestWitness_oneOfTheTwo(t *testing.T) {
	open := func(t *testing.T) (*Pair, *Partner) {
		pair := openPair(t)
		if err := pair.SetWitness(true); err != nil {
			t.Fatal(err)
		}
		return pair, pair.Partner("a")
	}
	t.Run("the mirror", func(t *testing.T) {
		pair, a := open(t)
		if !pair.Main().Arbiter.Elect(1) {
			t.Fatal("a synchronized mirror is not elected")
		}
		if pair.Main().MayExpose(a.Main()) {
			t.Error("the principal may continue without the elected mirror")
		}
	})
	t.Run("the principal", func(t *testing.T) {
		pair, a := open(t)
		if !pair.Main().MayExpose(a.Main()) {
			t.Fatal("a principal connected to the witness may not continue")
		}
		if pair.Main().Arbiter.Fit(1) || pair.Main().Arbiter.Elect(1) {
			t.Error("a mirror is elected although the principal has continued without it")
		}
	})
	t.Run("the principal, not connected to the witness", func(t *testing.T) {
		pair, a := open(t)
		if err := a.Inject(t.Context(), mirror.Isolate); err != nil {
			t.Fatal(err)
		}
		if pair.Main().MayExpose(a.Main()) {
			t.Error("the principal may continue, although the mirror cannot learn of it")
		}
		if !pair.Main().Arbiter.Elect(1) {
			t.Error("a synchronized mirror is not elected")
		}
	})
}

// TestCommit_afterACrashIsAnotherFork: the principal was killed when only the mirror had
// its commit. Started again, and without the mirror, it makes another commit of the same
// number. The partners must not take the two for the same one.
func TestCommit_afterACrashIsAnotherFork(t *testing.T) {
	pair := servePair(t)
	if err := pair.SetWitness(false); err != nil {
		t.Fatal(err)
	}
	a, b := pair.Partner("a"), pair.Partner("b")
	inject := func(p *Partner, kind string) {
		t.Helper()
		if err := p.Inject(t.Context(), mirror.Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	crashed := make(chan error, 1)
	a.Main().BeforeCommit = func(*storage.Record) {
		a.Main().BeforeCommit = nil
		go func() { crashed <- a.Inject(t.Context(), mirror.Crash) }() // it waits for the commit
		until(t, "dead", a.Dead.Load)
	}
	if err := storeApplication(a, 1, "only the mirror's"); err == nil {
		t.Fatal("a commit of a killed server was acknowledged")
	}
	if err := <-crashed; err != nil {
		t.Fatal(err)
	}
	inject(b, mirror.FaultPartition)
	inject(a, mirror.FaultStart)
	until(t, "open", func() bool { return a.Main().Serving() == nil })
	if err := storeApplication(a, 1, "acknowledged"); err != nil {
		t.Fatal(err)
	}
	if lsnA, lsnB := a.Main().Store.LSN.Load(), b.Main().Store.LSN.Load(); lsnA != lsnB {
		t.Fatalf("commits %d and %d: this test needs equal numbers", lsnA, lsnB)
	}
	inject(b, mirror.FaultNone)
	until(t, "SYNCHRONIZED", func() bool { return pair.State() == "SYNCHRONIZED" })
	if got := applicationName(t, b, "1"); got != "acknowledged" {
		t.Errorf("the mirror has %q", got)
	}
}
