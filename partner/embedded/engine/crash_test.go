package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// copyData copies the current state of a data folder: the files that a new
// process finds after a kill. It copies one file after the other, so that the
// caller must prevent all writes meanwhile.
func copyData(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case strings.HasSuffix(path, "-shm"): // created again from the -wal file
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// reopen opens a copied folder and checks that the partners synchronize.
func reopen(t testing.TB, dir string) *Pair {
	t.Helper()
	pair, err := Open(mirror.Options{Schema: schema.Script(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pair.Close(); err != nil {
			t.Error(err)
		}
	})
	if pair.State() != "SYNCHRONIZED" {
		t.Fatalf("state %s after reopening", pair.State())
	}
	a, b := dump(t, pair.Partner("a")), dump(t, pair.Partner("b"))
	if a != b {
		t.Fatalf("the partners differ after reopening:\na: %s\nb: %s", a, b)
	}
	return pair
}

// dump returns the contents of a partner's database.
func dump(t testing.TB, p interface{ Main() *mirror.Database }) string {
	t.Helper()
	var all strings.Builder
	fmt.Fprintln(&all, p.Main().Store.LSN.Load())
	err := p.Main().Store.Read(func(r *storage.Reader) error {
		s, err := r.Query("SELECT SessionId || ' ' || LockCookie || ' ' || Expires || ' ' || ifnull(hex(SessionItemShort), '') FROM ASPStateTempSessions ORDER BY SessionId")
		if err != nil {
			return err
		}
		v := r.Buffer[:1]
		return s.Rows(v, func() bool {
			fmt.Fprintln(&all, v[0])
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestCrash_betweenTheCommits copies the files at the worst moment of each
// commit: the mirror has it, the principal does not, and no client got an answer.
func TestCrash_betweenTheCommits(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	for i := range 5 {
		storeItem(t, p, fmt.Sprint("s", i), []byte{byte(i)})
	}
	var copied string
	p.Main().BeforeCommit = func(*storage.Record) { copied = copyData(t, pair.Folder.Dir) }
	storeItem(t, p, "s1", []byte("torn"))
	storeItem(t, p, "new", []byte("torn"))
	p.Main().BeforeCommit = nil

	again := reopen(t, copied)
	row := do(t, again.Partner("a"), "MirrorState_Get_1", text("s1"), number64(0), number64(110), number64(0), number64(0), number64(1))
	if got := row[9]; string(got.([]byte)) != "torn" { // acknowledged before the second one
		t.Errorf("s1 is %q", got)
	}
	storeItem(t, again.Partner("a"), "s2", []byte("on"))
	if a, b := dump(t, again.Partner("a")), dump(t, again.Partner("b")); a != b {
		t.Errorf("the partners differ:\na: %s\nb: %s", a, b)
	}
}

func TestCrash_anyCommit(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	acknowledged := map[string]string{}
	for i := range 40 {
		id, item := fmt.Sprint("s", i%7), fmt.Sprint("v", i)
		storeItem(t, p, id, []byte(item))
		acknowledged[id] = item
		if i%13 != 12 {
			continue
		}
		again := reopen(t, copyData(t, pair.Folder.Dir))
		for id, want := range acknowledged {
			row := do(t, again.Partner("a"), "MirrorState_Get_1", text(id), number64(0), number64(110), number64(0), number64(0), number64(1))
			if got, _ := row[9].([]byte); string(got) != want {
				t.Errorf("after commit %d: %s is %q, acknowledged %q", i, id, got, want)
			}
		}
	}
}

// TestCrash_inFailover: the new principal has its role, and the old one has not
// given up its role yet.
func TestCrash_inFailover(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	storeItem(t, a, "s", []byte("1"))
	before := *a.Main().State.Load()
	if err := a.Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Main().Store.SaveMirroring(&before); err != nil {
		t.Fatal(err)
	}
	copied := copyData(t, pair.Folder.Dir)
	storeItem(t, b, "s", []byte("2"))
	again := reopen(t, copied)
	if got := again.Principal(); got != "b" {
		t.Errorf("principal %s, want b, whose role change is the most recent", got)
	}
	if m := again.Partner("a").Main().State.Load(); m.Role != storage.RoleMirror || m.Suspended {
		t.Errorf("a is %v, suspended %v", m.Role, m.Suspended)
	}
	again2 := reopen(t, copyData(t, pair.Folder.Dir))
	if got := again2.Principal(); got != "b" {
		t.Errorf("principal %s, want b", got)
	}
}

func TestCrash_oneFolderLost(t *testing.T) {
	for _, lost := range mirror.PartnerNames {
		t.Run("the folder of "+lost, func(t *testing.T) {
			pair := openPair(t)
			for i := range 60 {
				storeItem(t, pair.Partner("a"), fmt.Sprint("s", i), []byte("x"))
			}
			copied := copyData(t, pair.Folder.Dir)
			if err := os.RemoveAll(filepath.Join(copied, lost)); err != nil {
				t.Fatal(err)
			}
			again := reopen(t, copied)
			if got := strings.Count(dump(t, again.Partner(lost)), "\n"); got != 61 {
				t.Errorf("%d lines, want 60 sessions", got)
			}
			if got := again.Principal(); got == lost {
				t.Errorf("the empty partner %s is principal", got)
			}
		})
	}
}

// TestMirror_lost: the principal continues without a mirror whose file cannot be
// written, and synchronizes it later.
func TestMirror_lost(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	storeItem(t, a, "s", []byte("1"))
	if err := b.Main().Store.Main.Script("CREATE TEMP TRIGGER broken BEFORE UPDATE ON main.partner_log BEGIN SELECT RAISE(ABORT, 'disk full'); END"); err != nil {
		t.Fatal(err)
	}
	storeItem(t, a, "s", []byte("2"))
	if got := pair.State(); got != "DISCONNECTED" {
		t.Errorf("state %s, want DISCONNECTED", got)
	}
	if err := b.Main().Store.Main.Script("DROP TRIGGER broken"); err != nil {
		t.Fatal(err)
	}
	if err := pair.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pair.State(); got != "SYNCHRONIZED" || dump(t, a) != dump(t, b) {
		t.Errorf("state %s\na: %s\nb: %s", got, dump(t, a), dump(t, b))
	}
}

// TestPrincipal_commitFails: the mirror has a record that the principal could not
// commit. The client gets an error, and the mirror discards the record.
func TestPrincipal_commitFails(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	storeItem(t, a, "s", []byte("1"))
	a.Main().BeforeCommit = func(*storage.Record) {
		if _, err := a.Main().Store.Main.Rollback.Exec(); err != nil { // so that COMMIT fails
			t.Error(err)
		}
	}
	err := alter(a, "INSERT INTO ASPStateTempApplications VALUES (7, 'x')")
	a.Main().BeforeCommit = nil
	if err == nil {
		t.Fatal("a failed commit was acknowledged")
	}
	if err := pair.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	storeItem(t, a, "s", []byte("2"))
	if dump(t, a) != dump(t, b) {
		t.Errorf("the partners differ:\na: %s\nb: %s", dump(t, a), dump(t, b))
	}
}

func TestTurns_cancelledWait(t *testing.T) {
	var q mirror.Turns
	if lead, err := q.Enter(t.Context(), mirror.NewTicket(), false); !lead || err != nil {
		t.Fatal(lead, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Enter(ctx, mirror.NewTicket(), false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	q.Leave(nil)
	if lead, err := q.Enter(t.Context(), mirror.NewTicket(), false); !lead || err != nil {
		t.Errorf("the turn was not free: %v %v", lead, err)
	}
}

func TestCommonPoint(t *testing.T) {
	fork := func(id string, start int64) storage.RecoveryFork { return storage.RecoveryFork{ID: id, Start: start} }
	one := []storage.RecoveryFork{fork("1", 0)}
	forced := []storage.RecoveryFork{fork("1", 0), fork("2", 100)}
	twice := []storage.RecoveryFork{fork("1", 0), fork("2", 100), fork("3", 140)}
	for _, c := range []struct {
		name       string
		a, b       []storage.RecoveryFork
		lsnA, lsnB int64
		want       int64
	}{
		{"the same fork: the shorter log", one, one, 10, 12, 10},
		{"a fork that the other copy does not have", forced, one, 130, 150, 100},
		{"a fork that begins after the other copy's log", forced, one, 130, 90, 90},
		{"two forks that the other copy does not have", twice, one, 150, 160, 100},
		{"one of three forks that the other copy does not have", twice, forced, 150, 160, 140},
		{"nothing in common", one, []storage.RecoveryFork{fork("x", 0)}, 10, 10, 0},
		{"an empty history", one, nil, 10, 0, 0},
		{"old forks are not kept", twice[1:], forced, 150, 160, 140},
	} {
		if got := storage.CommonPoint(c.a, c.b, c.lsnA, c.lsnB); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		if got := storage.CommonPoint(c.b, c.a, c.lsnB, c.lsnA); got != c.want {
			t.Errorf("%s, with swapped arguments: %d, want %d", c.name, got, c.want)
		}
	}
}
