package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// patience is the partner timeout of these tests.
const patience = 250 * time.Millisecond

// startPair starts a pair with that timeout.
func startPair(t testing.TB, witness bool) *embedded.Pair {
	t.Helper()
	return aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir(), PartnerTimeout: patience, Witness: witness})
}

func inject(t testing.TB, p *embedded.Partner, f embedded.Fault) {
	t.Helper()
	if err := p.Inject(limit(t), f); err != nil {
		t.Fatal(err)
	}
}

// pool is connect with a small number of connections and another application name.
func pool(t testing.TB, p *embedded.Partner, database, app string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", p.ConnectionString(database)+";app name="+app)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// retry calls f until it succeeds.
func retry(t testing.TB, what string, f func(ctx context.Context) error) {
	t.Helper()
	ctx := limit(t)
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		err := f(attempt)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// waitPrincipal waits until the partner is principal and its database opens.
func waitPrincipal(t testing.TB, pair *embedded.Pair, name string) {
	t.Helper()
	ctx := limit(t)
	for pair.Principal() != name {
		select {
		case <-ctx.Done():
			t.Fatalf("principal %s, want %s", pair.Principal(), name)
		case <-time.After(time.Millisecond):
		}
	}
}

func sessions(t testing.TB, db *sql.DB) (n int) {
	t.Helper()
	retry(t, "count the sessions", func(ctx context.Context) error {
		return db.QueryRowContext(ctx, "SELECT COUNT(*) FROM ASPStateTempSessions").Scan(&n)
	})
	return n
}

// within runs f, which may hang as long as the fault lasts, because the driver waits for a
// response even after its context has ended. false: f did not return in time.
func within(d time.Duration, f func() error) (error, bool) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err, true
	case <-time.After(d):
		return nil, false
	}
}

// silent reports whether no response arrives for a while.
func silent(t testing.TB, db *sql.DB) bool {
	t.Helper()
	_, answered := within(60*time.Millisecond, func() error {
		_, err := db.ExecContext(context.WithoutCancel(t.Context()), "SELECT 1")
		return err
	})
	return !answered
}

// answers reports whether a response arrives, however busy the machine is.
func answers(t testing.TB, db *sql.DB) bool {
	t.Helper()
	_, err := db.ExecContext(limit(t), "SELECT 1")
	return err == nil
}

func TestFault_downAndUp(t *testing.T) {
	for _, kind := range []embedded.Fault{embedded.Crash, embedded.Stop} {
		t.Run(kind.String(), func(t *testing.T) {
			pair := startPair(t, false)
			a := pair.Partner("a")
			db := connect(t, a, "ASPState")
			insert(t, db, "one")
			inject(t, a, kind)
			if got := a.Faults(); !slices.Equal(got, []string{kind.String()}) {
				t.Errorf("faults %v", got)
			}
			if _, err := net.Dial("tcp", a.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial: %v, want it refused", err)
			}
			if got := pair.State(); got != "DISCONNECTED" {
				t.Errorf("state %s", got)
			}
			inject(t, a, embedded.Start)
			waitState(t, pair, "SYNCHRONIZED")
			if got := a.Faults(); len(got) != 0 || pair.Principal() != "a" || pair.Mirror() != "b" {
				t.Errorf("faults %v, principal %s, mirror %s", got, pair.Principal(), pair.Mirror())
			}
			if n := sessions(t, db); n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
			// The mirror goes down. The principal continues at once, and synchronizes the
			// mirror afterwards.
			inject(t, pair.Partner("b"), kind)
			insert(t, db, "two")
			inject(t, pair.Partner("b"), embedded.Heal)
			waitState(t, pair, "SYNCHRONIZED")
			sameContents(t, pair)
		})
	}
}

func TestFault_freezeThenLate(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"shorter than the timeout": patience / 5, "longer": 2 * patience} {
		t.Run(name, func(t *testing.T) {
			pair := startPair(t, false)
			a := pair.Partner("a")
			db, other := connect(t, a, "ASPState"), pool(t, a, "master", "other")
			insert(t, db, "one")
			inject(t, a, embedded.Freeze)
			late := make(chan error, 1)
			go func() {
				_, err := db.ExecContext(context.WithoutCancel(t.Context()), "TempInsertStateItemShort",
					sql.Named("id", "late"), sql.Named("itemShort", []byte{1}), sql.Named("timeout", 20))
				late <- err
			}()
			if !silent(t, other) { // a login
				t.Error("a frozen server accepted a login")
			}
			select {
			case err := <-late:
				t.Fatalf("a frozen server answered: %v", err)
			case <-time.After(lasts):
			}
			inject(t, a, embedded.Heal)
			if err := <-late; err != nil {
				t.Errorf("the request in the socket did not run after the freeze: %v", err)
			}
			if n := sessions(t, db); n != 2 {
				t.Errorf("%d sessions, want 2", n)
			}
			waitState(t, pair, "SYNCHRONIZED")
			sameContents(t, pair)
		})
	}
}

func TestFault_frozenMirrorIsLost(t *testing.T) {
	for _, kind := range []embedded.Fault{embedded.Freeze, embedded.Isolate} {
		t.Run(kind.String(), func(t *testing.T) {
			pair := startPair(t, true)
			db := connect(t, pair.Partner("a"), "ASPState")
			insert(t, db, "one")
			inject(t, pair.Partner("b"), kind)
			began := time.Now()
			insert(t, db, "two")
			if took := time.Since(began); took < patience/2 || took > 20*patience {
				t.Errorf("a commit without the mirror took %v, the partner timeout is %v", took, patience)
			}
			if got := pair.State(); got != "DISCONNECTED" {
				t.Errorf("state %s", got)
			}
			inject(t, pair.Partner("b"), embedded.Heal)
			waitState(t, pair, "SYNCHRONIZED")
			sameContents(t, pair)
			if pair.Principal() != "a" {
				t.Errorf("principal %s", pair.Principal())
			}
		})
	}
}

func TestFault_byApplication(t *testing.T) {
	pair := startPair(t, false)
	a := pair.Partner("a")
	hit, spared := pool(t, a, "master", "hit"), pool(t, a, "master", "spared")
	mustExec(t, hit, "SELECT 1")
	for _, kind := range []embedded.Fault{embedded.Freeze, embedded.Isolate} {
		inject(t, a, kind.Of("hit"))
		if !silent(t, hit) || !answers(t, spared) {
			t.Errorf("%s of one application affects another one", kind)
		}
		inject(t, a, embedded.Heal)
	}
	inject(t, a, embedded.Slow(80*time.Millisecond, time.Millisecond).Of("hit"))
	if !silent(t, hit) || !answers(t, spared) {
		t.Error("slow of one application affects another one")
	}
	if got := pair.State(); got != "SYNCHRONIZED" {
		t.Errorf("state %s: the faults of an application affect the server", got)
	}
	for _, f := range []embedded.Fault{embedded.Crash.Of("hit"), embedded.Slow(0, 0), {}} {
		if err := a.Inject(limit(t), f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestFault_sever(t *testing.T) {
	pair := startPair(t, false)
	a := pair.Partner("a")
	conn, err := connect(t, a, "master").Conn(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	spared, err := pool(t, a, "master", "spared").Conn(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	defer spared.Close()
	inject(t, a, embedded.Sever.Of("spared"))
	if _, err := conn.ExecContext(limit(t), "SELECT 1"); err != nil {
		t.Errorf("severed with another application: %v", err)
	}
	if _, err := spared.ExecContext(limit(t), "SELECT 1"); err == nil {
		t.Error("not severed")
	}
	inject(t, a, embedded.Sever)
	if _, err := conn.ExecContext(limit(t), "SELECT 1"); err == nil {
		t.Error("not severed")
	}
	if got := a.Faults(); len(got) != 0 {
		t.Errorf("faults %v", got)
	}
	mustExec(t, connect(t, a, "master"), "SELECT 1")
}

func TestFault_composed(t *testing.T) {
	pair := startPair(t, false)
	a := pair.Partner("a")
	events, stop := pair.Events()
	defer stop()
	for _, kind := range []embedded.Fault{embedded.Partition, embedded.Isolate, embedded.Freeze, embedded.Crash} {
		inject(t, a, kind)
	}
	if got, want := strings.Join(a.Faults(), " "), "crash isolate partition"; got != want {
		t.Errorf("faults %q, want %q: a killed process is not frozen any more", got, want)
	}
	inject(t, a, embedded.Start)
	if !silent(t, connect(t, a, "master")) {
		t.Error("an isolated server answers")
	}
	inject(t, a, embedded.Heal)
	waitState(t, pair, "SYNCHRONIZED")
	seen := map[string]bool{}
	for !seen["fault none"] {
		select {
		case e := <-events:
			seen[e.Kind+" "+e.Detail] = true
		case <-limit(t).Done():
			t.Fatalf("events %v", seen)
		}
	}
	if !seen["fault crash"] || !seen["state DISCONNECTED"] {
		t.Errorf("events %v", seen)
	}
}
