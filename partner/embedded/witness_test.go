package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

func TestWitness_automaticFailover(t *testing.T) {
	for _, kind := range []embedded.Fault{embedded.Crash, embedded.Stop, embedded.Freeze, embedded.Isolate} {
		t.Run(kind.String(), func(t *testing.T) {
			pair := startPair(t, true)
			a, b := pair.Partner("a"), pair.Partner("b")
			insert(t, connect(t, a, "ASPState"), "one")
			inject(t, a, kind)
			waitPrincipal(t, pair, "b")
			db := connect(t, b, "ASPState")
			if n := sessions(t, db); n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
			insert(t, db, "two")
			inject(t, a, embedded.Heal)
			waitState(t, pair, "SYNCHRONIZED")
			if got, want := viewOf(t, connect(t, a, "master")), (view{"MIRROR", "SYNCHRONIZED", "FULL", 2}); got != want {
				t.Errorf("the old principal: %+v, want %+v", got, want)
			}
			sameContents(t, pair)
		})
	}
}

func TestWitness_partitionIsNoFailover(t *testing.T) {
	pair := startPair(t, true)
	a, b := pair.Partner("a"), pair.Partner("b")
	db := connect(t, a, "ASPState")
	inject(t, a, embedded.Partition)
	waitState(t, pair, "DISCONNECTED")
	insert(t, db, "exposed")
	// A failover would lose what the principal committed while exposed.
	inject(t, a, embedded.Crash)
	stays(t, pair, "a")
	if got := viewOf(t, connect(t, b, "master")); got.role != "MIRROR" {
		t.Errorf("b: %+v", got)
	}
	inject(t, a, embedded.Heal)
	waitState(t, pair, "SYNCHRONIZED")
	if n := sessions(t, db); n != 1 || pair.Principal() != "a" {
		t.Errorf("%d sessions, principal %s", n, pair.Principal())
	}
	sameContents(t, pair)
}

// stays checks for longer than a failover takes that the partner stays principal.
func stays(t testing.TB, pair *embedded.Pair, name string) {
	t.Helper()
	over := time.After(2 * patience)
	for {
		if got := pair.Principal(); got != name {
			t.Fatalf("principal %s, want %s to stay", got, name)
		}
		select {
		case <-over:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestWitness_allLostEachOther(t *testing.T) {
	pair := startPair(t, true)
	a, b := pair.Partner("a"), pair.Partner("b")
	inject(t, b, embedded.Isolate) // isolate the mirror first: an isolated mirror cannot take over, however late the next fault comes
	inject(t, a, embedded.Isolate)
	waitState(t, pair, "DISCONNECTED")
	inject(t, a, embedded.Crash)
	inject(t, b, embedded.Heal) // mirror and witness reconnect first
	stays(t, pair, "a")
	inject(t, a, embedded.Heal)
	waitState(t, pair, "SYNCHRONIZED")
}

func TestWitness_outdatedPrincipalStaysClosed(t *testing.T) {
	pair := startPair(t, true)
	a, b := pair.Partner("a"), pair.Partner("b")
	inject(t, a, embedded.Crash)
	waitPrincipal(t, pair, "b")
	insert(t, connect(t, b, "ASPState"), "new")
	inject(t, b, embedded.Crash)
	inject(t, a, embedded.Start) // the old principal is connected only to the witness, which has a higher role sequence
	master := connect(t, a, "master")
	refused(t, master, "USE ASPState", 955)
	refused(t, master, "EXEC ASPState.dbo.TempResetTimeout 'x'", 955)
	if got := scalar[string](t, master, "SELECT state_desc FROM sys.databases WHERE name = 'ASPState'"); got != "RECOVERING" {
		t.Errorf("the closed database is %s", got)
	}
	inject(t, b, embedded.Start)
	waitState(t, pair, "SYNCHRONIZED")
	if got := pair.Principal(); got != "b" {
		t.Errorf("principal %s", got)
	}
	if n := sessions(t, connect(t, b, "ASPState")); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	sameContents(t, pair)
}

func TestWitness_statements(t *testing.T) {
	pair := startPair(t, false)
	a, b := connect(t, pair.Partner("a"), "master"), connect(t, pair.Partner("b"), "master")
	const seen = "SELECT mirroring_witness_name + ' ' + mirroring_witness_state_desc FROM sys.database_mirroring WHERE mirroring_guid IS NOT NULL"
	const on = "ALTER DATABASE ASPState SET WITNESS = 'TCP://w.example:5022'"
	refused(t, b, on, 1470)
	mustExec(t, a, on)
	if got := scalar[string](t, b, seen); !pair.Witness() || got != "TCP://127.0.0.1:5022 CONNECTED" {
		t.Errorf("witness %v, shown as %q", pair.Witness(), got)
	}
	// Forced service requires that the mirror is connected to the witness.
	inject(t, pair.Partner("b"), embedded.Isolate)
	waitState(t, pair, "DISCONNECTED")
	var e *tds.Error
	if err := pair.Partner("b").ForceService(limit(t)); !errors.As(err, &e) || e.Number != 1431 {
		t.Errorf("forced without the witness: %v, want 1431", err)
	}
	inject(t, pair.Partner("b"), embedded.Heal)
	waitState(t, pair, "SYNCHRONIZED")
	mustExec(t, a, "ALTER DATABASE ASPState SET WITNESS OFF")
	refused(t, a, "ALTER DATABASE ASPState SET WITNESS OFF", 1439)
	if pair.Witness() {
		t.Error("the witness is still there")
	}
	inject(t, pair.Partner("a"), embedded.Crash)
	stays(t, pair, "a")
}

// TestWitness_underLoad has writers that count while the principal fails in every
// way. At the end every acknowledged write must be there.
func TestWitness_underLoad(t *testing.T) {
	pair := startPair(t, true)
	pools := map[string]*sql.DB{"a": pool(t, pair.Partner("a"), "ASPState", "load"), "b": pool(t, pair.Partner("b"), "ASPState", "load")}
	const writers = 6
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	acknowledged, last := make([]int, writers), make([]int, writers)
	done := make(chan struct{})
	var group sync.WaitGroup
	for w := range writers {
		id := fmt.Sprint("w", w)
		insert(t, pools["a"], id)
		group.Go(func() {
			for n := 1; ctx.Err() == nil; n++ { // never the same value twice, so that a late execution is detected
				last[w] = n
				err, answered := within(patience, func() error {
					_, err := pools[pair.Principal()].ExecContext(context.WithoutCancel(ctx), "TempUpdateStateItemShort", sql.Named("id", id),
						sql.Named("itemShort", fmt.Appendf(nil, "%d", n)), sql.Named("timeout", 20), sql.Named("lockCookie", 1))
					return err
				})
				if err != nil || !answered {
					continue
				}
				acknowledged[w] = n
				select {
				case done <- struct{}{}:
				case <-ctx.Done():
				}
			}
		})
	}
	for _, kind := range []embedded.Fault{embedded.Crash, embedded.Freeze, embedded.Isolate, embedded.Stop, embedded.Crash, embedded.Isolate, embedded.Freeze} {
		for range 20 {
			select {
			case <-done:
			case <-time.After(15 * time.Second):
				t.Fatal("the writers make no progress")
			}
		}
		old := pair.Principal()
		inject(t, pair.Partner(old), kind)
		next := map[string]string{"a": "b", "b": "a"}[old]
		waitPrincipal(t, pair, next)
		select {
		case <-done: // on the new principal, while the old one is down
		case <-time.After(15 * time.Second):
			t.Fatal("the writers make no progress")
		}
		inject(t, pair.Partner(old), embedded.Heal)
		waitState(t, pair, "SYNCHRONIZED")
	}
	stop()
	group.Wait()
	db := connect(t, pair.Partner(pair.Principal()), "ASPState")
	for w, want := range acknowledged {
		var got int
		item := scalar[[]byte](t, db, "SELECT SessionItemShort FROM ASPStateTempSessions WHERE SessionId = @id", sql.Named("id", fmt.Sprint("w", w)))
		if _, err := fmt.Sscan(string(item), &got); err != nil || got < want || got > last[w] {
			t.Errorf("writer %d: found %d, acknowledged %d, last tried %d", w, got, want, last[w])
		}
	}
	sameContents(t, pair)
}
