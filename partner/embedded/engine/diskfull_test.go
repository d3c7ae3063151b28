package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// putSession writes a session without the procedures.
func putSession(p *Partner, id string, item []byte) error {
	now := sqlvalue.UtcNow().Text()
	return alter(p, "INSERT OR REPLACE INTO ASPStateTempSessions (SessionId, Created, LockDate, LockDateLocal, Expires, Timeout, LockCookie, Locked, SessionItemShort) VALUES (?1, ?2, ?2, ?2, ?3, 20, 1, 0, ?4)",
		id, now, sqlvalue.DatetimeOf(time.Now().Add(19*time.Minute)).Text(), item)
}

// fillDisk stops the partner's file from growing, and writes until there is no room. It
// returns the first error. setPages removes the limit.
func fillDisk(t *testing.T, p *Partner) (first error) {
	t.Helper()
	setPages(t, p, full)
	for _, size := range []int{6000, 600, 4} {
		for i := 0; ; i++ {
			id := "s"
			if size > 4 {
				id = fmt.Sprintf("filler-%d-%d", size, i)
			}
			if err := putSession(p, id, []byte("item"+strings.Repeat(".", size-4))); err != nil {
				if first == nil {
					first = err
				}
				break
			}
			if i == 100_000 {
				t.Fatal("the file never becomes full")
			}
		}
	}
	return first
}

// The values for setPages: the current number of pages, and SQLite's default.
const (
	full  = ""
	ample = "1073741823"
)

// setPages limits the file of the partner, on the connection of the procedures' writes.
func setPages(t *testing.T, p *Partner, most string) {
	t.Helper()
	s := p.Main().Store
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if most == full {
		n, err := s.Main.Number("PRAGMA page_count")
		if err != nil {
			t.Fatal(err)
		}
		most = fmt.Sprint(n)
	}
	if err := s.Main.Script("PRAGMA max_page_count = " + most); err != nil {
		t.Fatal(err)
	}
}

// meet reconnects the partners and waits until they are synchronized.
func meet(t *testing.T, pair *Pair) {
	t.Helper()
	if err := pair.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, a, b := pair.State(), dump(t, pair.Partner("a")), dump(t, pair.Partner("b")); got != "SYNCHRONIZED" || a != b {
		t.Errorf("state %s\na: %s\nb: %s", got, a, b)
	}
}

// numberOf returns the error's number, 0 for none.
func numberOf(err error) int32 {
	if e, ok := errors.AsType[*tds.Error](err); ok {
		return e.Number
	}
	return 0
}

// TestFullDisk: on a full disk reads are served, and a write is refused with SQL Server's
// number. When there is room again, nothing is lost and the partners are equal.
func TestFullDisk(t *testing.T) {
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprintf("the mirror too %v", both), func(t *testing.T) {
			pair := openPair(t)
			a, b := pair.Partner("a"), pair.Partner("b")
			if err := putSession(a, "s", []byte("item")); err != nil {
				t.Fatal(err)
			}
			if both {
				setPages(t, b, full)
			}
			first := fillDisk(t, a)
			if n := numberOf(first); n != sqlerror.NoRoom && n != 596 || n == 596 && both {
				t.Errorf("the first write without room: %v", first)
			}
			meet(t, pair)
			if err := putSession(a, "more", make([]byte, 6000)); numberOf(err) != sqlerror.NoRoom {
				t.Errorf("a write without room: %v, want %d", err, sqlerror.NoRoom)
			}
			if got := pair.State(); got != "SYNCHRONIZED" {
				t.Errorf("state %s after a write that no partner has", got)
			}

			due := func() ask { q := asking("s"); q.renew = 1; return q }
			before := due().get(t, a)
			expect(t, "a read whose renewal has no room", before, resultDone)
			if string(before[9].([]byte)) != "item" {
				t.Errorf("the read returned %q", before[9])
			}
			session := &session{p: a, database: mirror.DatabaseName}
			_, err := session.runProcedure(t.Context(), findProcedure(t, a, "MirrorState_Touch_1"), a.Main(),
				sqlvalue.Arguments{text("s"), number64(0), moment(time.Now().Add(time.Hour)), number64(110), {}, {}, {}})
			if numberOf(err) != sqlerror.NoRoom {
				t.Errorf("a touch without room: %v, want %d", err, sqlerror.NoRoom)
			}

			setPages(t, a, ample)
			setPages(t, b, ample)
			if after := due().get(t, a); !after[4].(time.Time).After(before[4].(time.Time)) {
				t.Errorf("with room again a read does not renew the session: %v, then %v", before[4], after[4])
			}
			if err := putSession(a, "more", []byte("m")); err != nil {
				t.Errorf("with room again: %v", err)
			}
			meet(t, pair)
		})
	}
}

// TestFullDisk_pendingFork: the mirror has a commit that the principal could not make, and the
// principal could not record that either. Its next commit has the same number. The partners must
// not mistake it for the commit of the mirror.
func TestFullDisk_pendingFork(t *testing.T) {
	pair := openPair(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	d := a.Main()
	if err := putSession(a, "s", []byte("before")); err != nil {
		t.Fatal(err)
	}
	err := d.Alone(t.Context(), true, func() error {
		rec := &storage.Record{LSN: d.Store.LSN.Load() + 1, Changes: []storage.Change{{RowKey: storage.RowKey{Table: "ASPStateTempSessions", Rowid: 1}}}}
		err := b.Main().Receive(rec, d.State.Load())
		d.Mirror, d.ForkPending = nil, true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := putSession(a, "s", []byte("after")); err != nil {
		t.Fatal(err)
	}
	d.Mirroring.ShowState(mirror.StateDisconnected)
	meet(t, pair)
}
