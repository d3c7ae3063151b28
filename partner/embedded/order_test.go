package embedded

import (
	"fmt"
	"testing"
)

// TestCommit_theMirrorHasItFirst: when a commit begins to be seen on the principal, the
// mirror has it. One commit might have it there in time by chance.
func TestCommit_theMirrorHasItFirst(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	a.main().beforeCommit = func(rec *record) {
		if has := b.main().store.lsn.Load(); has != rec.lsn {
			t.Errorf("commit %d is about to be published, and the mirror has got to %d", rec.lsn, has)
		}
	}
	for i := range 100 {
		storeItem(t, a, fmt.Sprint("s", i), []byte("item"))
	}
	a.main().beforeCommit = nil
}

// TestWitness_oneOfTheTwo: that the principal goes on without the mirror, and that the
// mirror takes over without the principal, exclude each other, whoever comes first.
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
		if !pair.main().witness.elect(1) {
			t.Fatal("a mirror that has everything is not elected")
		}
		if pair.main().mayExpose(a.main()) {
			t.Error("the principal may go on without the mirror that has been elected")
		}
	})
	t.Run("the principal", func(t *testing.T) {
		pair, a := open(t)
		if !pair.main().mayExpose(a.main()) {
			t.Fatal("a principal that sees the witness may not go on")
		}
		if pair.main().witness.fit(1) || pair.main().witness.elect(1) {
			t.Error("a mirror is elected that the principal has gone on without")
		}
	})
	t.Run("the principal, which does not see the witness", func(t *testing.T) {
		pair, a := open(t)
		if err := a.Inject(t.Context(), Isolate); err != nil {
			t.Fatal(err)
		}
		if pair.main().mayExpose(a.main()) {
			t.Error("the principal may go on, and nobody can tell the mirror")
		}
		if !pair.main().witness.elect(1) {
			t.Error("a mirror that has everything is not elected")
		}
	})
}

// TestCommit_afterACrashIsAnotherReign: the principal was killed when only the mirror had
// its commit; started again, and without the mirror, it makes another of the same number.
// They must not be taken for the same.
func TestCommit_afterACrashIsAnotherReign(t *testing.T) {
	pair := servePair(t)
	if err := pair.SetWitness(false); err != nil {
		t.Fatal(err)
	}
	a, b := pair.Partner("a"), pair.Partner("b")
	inject := func(p *Partner, kind string) {
		t.Helper()
		if err := p.Inject(t.Context(), Fault{kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	crashed := make(chan error, 1)
	a.main().beforeCommit = func(*record) {
		a.main().beforeCommit = nil
		go func() { crashed <- a.Inject(t.Context(), Crash) }() // it waits for the commit
		until(t, "dead", a.dead.Load)
	}
	if err := storeApplication(a, 1, "only the mirror's"); err == nil {
		t.Fatal("a commit of a server that was killed was acknowledged")
	}
	if err := <-crashed; err != nil {
		t.Fatal(err)
	}
	inject(b, faultPartition)
	inject(a, faultStart)
	until(t, "open", func() bool { return a.main().serving() == nil })
	if err := storeApplication(a, 1, "acknowledged"); err != nil {
		t.Fatal(err)
	}
	if lsnA, lsnB := a.main().store.lsn.Load(), b.main().store.lsn.Load(); lsnA != lsnB {
		t.Fatalf("commits %d and %d: this test wants them the same", lsnA, lsnB)
	}
	inject(b, faultNone)
	until(t, "SYNCHRONIZED", func() bool { return pair.State() == "SYNCHRONIZED" })
	if got := applicationName(t, b, "1"); got != "acknowledged" {
		t.Errorf("the mirror has %q", got)
	}
}
