package engine

import (
	"context"
	"database/sql/driver"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

func TestConnectivity_decide(t *testing.T) {
	for _, c := range []struct {
		name string
		s    mirror.Connectivity
		want mirror.Decision
	}{
		{"no witness, connected", mirror.Connectivity{Partners: true, Fit: true}, mirror.Decision{Serve: true}},
		{"no witness, disconnected", mirror.Connectivity{Fit: true}, mirror.Decision{Serve: true}},
		{"all reach each other", mirror.Connectivity{Witness: true, Partners: true, Principal: true, Mirror: true, Fit: true}, mirror.Decision{Serve: true}},
		{"the witness is lost", mirror.Connectivity{Witness: true, Partners: true, Fit: true}, mirror.Decision{Serve: true}},
		{"only the partners' link is cut", mirror.Connectivity{Witness: true, Principal: true, Mirror: true, Fit: true}, mirror.Decision{Serve: true}},
		{"the mirror is lost", mirror.Connectivity{Witness: true, Principal: true, Fit: true}, mirror.Decision{Serve: true, Unfit: true}},
		{"the principal is lost", mirror.Connectivity{Witness: true, Mirror: true, Fit: true}, mirror.Decision{Promote: true}},
		{"the principal is lost, and the mirror is not synchronized", mirror.Connectivity{Witness: true, Mirror: true}, mirror.Decision{}},
		{"all have lost each other", mirror.Connectivity{Witness: true, Fit: true}, mirror.Decision{Unfit: true}},
		{"principal and mirror reach each other, only the mirror reaches the witness", mirror.Connectivity{Witness: true, Partners: true, Mirror: true, Fit: true}, mirror.Decision{Serve: true}},
	} {
		if got := c.s.Decide(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestConnection(t *testing.T) {
	const patience = 5 * time.Second
	at := time.Unix(1000, 0)
	c := mirror.Connection{}.After(false, true, at).After(false, true, at.Add(3*time.Second))
	if c.Clear() || c.Lost(at.Add(4*time.Second), patience) || !c.Lost(at.Add(5*time.Second), patience) {
		t.Errorf("the silence must count from its beginning: %+v", c)
	}
	if c = c.After(true, true, at.Add(time.Second)); !c.Lost(at.Add(time.Second), patience) {
		t.Error("a cut link must be lost at once")
	}
	if c = c.After(false, false, at); !c.Clear() {
		t.Errorf("healed: %+v", c)
	}
}

// servePair runs a pair with a witness and a short partner timeout.
func servePair(t *testing.T) *Pair {
	t.Helper()
	pair, err := Open(mirror.Options{Schema: schema.Script(), Dir: t.TempDir(), PartnerTimeout: 200 * time.Millisecond, Witness: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pair.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return pair
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-limit:
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// storeApplication writes a row, and returns the error of the commit.
func storeApplication(p *Partner, id int32, name string) error {
	return alter(p, "INSERT OR REPLACE INTO ASPStateTempApplications VALUES (?1, ?2)", int64(id), name)
}

func applicationName(t *testing.T, p *Partner, id string) string {
	t.Helper()
	name := ""
	err := p.Main().Store.Read(func(r *storage.Reader) error {
		st, err := r.Query("SELECT AppName FROM ASPStateTempApplications WHERE AppId = ?1")
		if err != nil {
			return err
		}
		v := make([]driver.Value, 1)
		if _, err = st.Row(v, id); v[0] != nil {
			name = v[0].(string)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCommit_cutShort stops the principal in the middle of a commit, lets the mirror take over,
// and lets the old principal continue. The commit is on both partners or on neither, and if it
// was acknowledged, on both.
func TestCommit_cutShort(t *testing.T) {
	for _, kind := range []string{mirror.FaultFreeze, mirror.FaultIsolate, mirror.FaultCrash} {
		for _, mirrored := range []bool{true, false} {
			name := kind + " before the mirror has it"
			if mirrored {
				name = kind + " after the mirror has it"
			}
			t.Run(name, func(t *testing.T) { cutShort(t, kind, mirrored) })
		}
	}
}

func cutShort(t *testing.T, kind string, mirrored bool) {
	pair := servePair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	if err := storeApplication(a, 1, "before"); err != nil {
		t.Fatal(err)
	}
	injected := make(chan error, 1)
	fail := func() {
		if kind == mirror.FaultCrash { // it waits for the commit that it interrupts
			go func() { injected <- a.Inject(t.Context(), mirror.Fault{Kind: kind}) }()
			until(t, "dead", a.Dead.Load)
			return
		}
		injected <- a.Inject(t.Context(), mirror.Fault{Kind: kind})
	}
	if mirrored {
		a.Main().BeforeCommit = func(*storage.Record) { fail() }
	}
	answer := make(chan error, 1)
	go func() {
		err := a.Main().Write(context.Background(), func(w *storage.Writer) error {
			if !mirrored {
				fail()
			}
			return w.Script("INSERT INTO ASPStateTempApplications VALUES (2, 'torn')")
		})
		answer <- err
	}()
	until(t, "automatic failover", func() bool { return pair.Principal() == "b" })
	if err := <-injected; err != nil {
		t.Fatal(err)
	}
	if err := storeApplication(b, 3, "after"); err != nil {
		t.Fatal(err)
	}
	if err := a.Inject(t.Context(), mirror.Heal); err != nil {
		t.Fatal(err)
	}
	acknowledged := <-answer == nil
	until(t, "SYNCHRONIZED", func() bool { return pair.State() == "SYNCHRONIZED" })
	onA, onB := applicationName(t, a, "2"), applicationName(t, b, "2")
	if onA != onB || acknowledged && onB == "" || mirrored != (onB == "torn") {
		t.Errorf("acknowledged %v, on a %q, on b %q", acknowledged, onA, onB)
	}
	if m := a.Main().State.Load(); m.Role != storage.RoleMirror || applicationName(t, a, "3") != "after" {
		t.Errorf("the old principal is %v", m.Role)
	}
}

// TestCommit_exposedIsAnotherFork: the mirror has a commit whose acknowledgement was lost. The
// principal, without it, makes another of the same number. They must not be taken for the same
// one.
func TestCommit_exposedIsAnotherFork(t *testing.T) {
	pair := servePair(t)
	if err := pair.SetWitness(false); err != nil {
		t.Fatal(err)
	}
	a, b := pair.Partner("a"), pair.Partner("b")
	a.Main().BeforeCommit = func(*storage.Record) {
		a.Main().BeforeCommit = nil
		if _, err := a.Main().Store.Main.Rollback.Exec(); err != nil { // so that COMMIT fails
			t.Error(err)
		}
		if err := b.Inject(t.Context(), mirror.Partition); err != nil {
			t.Error(err)
		}
	}
	if err := storeApplication(a, 1, "only the mirror's"); err == nil {
		t.Fatal("a failed commit was acknowledged")
	}
	if err := storeApplication(a, 1, "acknowledged"); err != nil {
		t.Fatal(err)
	}
	if lsnA, lsnB := a.Main().Store.LSN.Load(), b.Main().Store.LSN.Load(); lsnA != lsnB {
		t.Fatalf("commits %d and %d: this test needs equal numbers", lsnA, lsnB)
	}
	if err := b.Inject(t.Context(), mirror.Heal); err != nil {
		t.Fatal(err)
	}
	until(t, "SYNCHRONIZED", func() bool { return pair.State() == "SYNCHRONIZED" })
	if got := applicationName(t, b, "1"); got != "acknowledged" {
		t.Errorf("the mirror has %q", got)
	}
}
