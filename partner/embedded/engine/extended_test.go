package engine

import (
	"bytes"
	"database/sql/driver"
	"fmt"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// The results of the extended procedures, by the text of 40-extension-sessions.sql.

// outcome returns the Result of a row.
func outcome(row []any) int64 {
	if row == nil {
		return -1
	}
	return row[0].(int64)
}

func expect(t testing.TB, what string, row []any, want int64) {
	t.Helper()
	if got := outcome(row); got != want {
		t.Errorf("%s: result %d, want %d", what, got, want)
	}
}

// ask has the arguments of the extended procedures by name, with values that allow the call.
type ask struct {
	id                                    string
	epoch                                 int64
	notAfter, firstSent, sent             sqlvalue.Argument
	op                                    sqlvalue.Argument
	resent                                int64
	lockOp, lockCookie                    sqlvalue.Argument
	keep                                  int64
	mode                                  int64
	created, cookie, locked, newest       sqlvalue.Argument
	timeout, defaultTimeout, short, long  sqlvalue.Argument
	renew, allowLocked, item, lockTimeout int64
	flags                                 int64
}

func asking(id string) ask {
	now := time.Now()
	return ask{id: id, notAfter: moment(now.Add(time.Hour)), firstSent: moment(now), sent: moment(now), op: newOperation(),
		timeout: number64(20), defaultTimeout: number64(20), short: blobArgument([]byte("item")), item: 1, lockTimeout: 110}
}

func (q ask) get(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Get_1", text(q.id), number64(q.epoch), number64(q.lockTimeout), number64(q.renew), number64(q.allowLocked), number64(q.item))
}

func (q ask) touch(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Touch_1", text(q.id), number64(q.epoch), q.notAfter, number64(q.lockTimeout))
}

func (q ask) acquire(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Acquire_1", text(q.id), number64(q.epoch), q.notAfter, q.op, q.sent, number64(q.lockTimeout))
}

func (q ask) acquireOrMake(t testing.TB, p *Partner) []any {
	t.Helper()
	var null sqlvalue.Argument
	return do(t, p, "MirrorState_Acquire_1", text(q.id), number64(q.epoch), q.notAfter, q.op, q.sent, number64(q.lockTimeout), number64(q.resent),
		null, null, number64(0), null, null, number64(1), q.short, q.defaultTimeout)
}

func (q ask) update(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Update_1", text(q.id), number64(q.epoch), q.notAfter, q.op, q.firstSent, number64(q.resent), q.lockOp, q.lockCookie,
		number64(q.keep), q.timeout, number64(q.flags), q.short, q.long)
}

func (q ask) release(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Release_1", text(q.id), number64(q.epoch), q.notAfter, q.op, q.firstSent, number64(q.resent), q.lockOp, q.lockCookie)
}

func (q ask) store(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Store_1", text(q.id), number64(q.epoch), q.notAfter, q.op, q.firstSent, number64(q.resent), number64(q.lockTimeout), number64(q.mode),
		q.created, q.cookie, q.locked, q.newest, q.timeout, q.defaultTimeout, number64(q.flags), q.short, q.long)
}

func (q ask) remove(t testing.TB, p *Partner) []any {
	t.Helper()
	return do(t, p, "MirrorState_Remove_1", text(q.id), number64(q.epoch), q.notAfter, q.op, number64(q.lockTimeout), q.lockOp, q.lockCookie, q.sent)
}

// locked creates a session and locks it; the result has the lock for the next calls.
func locked(t testing.TB, p *Partner, id string) ask {
	t.Helper()
	expect(t, "create", asking(id).store(t, p), resultCreated)
	q := asking(id)
	row := q.acquire(t, p)
	expect(t, "acquire", row, resultDone)
	held := asking(id)
	held.lockOp, held.lockCookie = q.op, number64(row[1].(int64))
	return held
}

// dateOf returns a date of a session's row.
func dateOf(t testing.TB, p *Partner, id, column string) (at time.Time) {
	t.Helper()
	err := p.Main().Store.Read(func(r *storage.Reader) error {
		st, err := r.Query("SELECT +" + column + " FROM ASPStateTempSessions WHERE SessionId = ?1")
		if err != nil {
			return err
		}
		v := make([]driver.Value, 1)
		if _, err = st.Row(v, id); err == nil {
			text, _ := v[0].(string)
			d, _ := sqlvalue.ParseDatetime(text)
			at = d.Time()
		}
		return err
	})
	if err != nil || at.IsZero() {
		t.Fatal(column, err)
	}
	return at
}

// age moves the session's dates back, as if time had passed.
func age(t testing.TB, p *Partner, id string, d time.Duration) {
	t.Helper()
	back := []driver.Value{id}
	for _, column := range []string{"Created", "Expires", "LockDate"} {
		at := dateOf(t, p, id, column)
		back = append(back, sqlvalue.DatetimeOf(at.Add(-d)).Text())
	}
	err := alter(p, "UPDATE ASPStateTempSessions SET Created = ?2, Expires = ?3, LockDate = ?4 WHERE SessionId = ?1", back...)
	if err != nil {
		t.Fatal(err)
	}
}

func TestExtended_storeAndRead(t *testing.T) {
	p := openPair(t).Partner("a")
	expect(t, "read nothing", asking("s").get(t, p), resultNoSession)
	expect(t, "create", asking("s").store(t, p), resultCreated)
	row := asking("S").get(t, p)
	expect(t, "read", row, resultDone)
	if string(row[9].([]byte)) != "item" || row[3].(int64) != 20 || row[6].(bool) {
		t.Errorf("read %v", row)
	}
	q := asking("s")
	q.item = 0
	if row := q.get(t, p); row[9] != nil {
		t.Errorf("the item was returned although not requested: %v", row[9])
	}
	long := bytes.Repeat([]byte{7}, 7001)
	q = asking("s")
	q.short, q.long, q.timeout = sqlvalue.Argument{}, blobArgument(long), sqlvalue.Argument{}
	expect(t, "overwrite", q.store(t, p), resultDone)
	if row := asking("s").get(t, p); !bytes.Equal(row[9].([]byte), long) || row[1].(int64) != 2 {
		t.Errorf("a store must increase the cookie: %v", row[1])
	}
	q = asking("s")
	q.mode = modeCreate
	expect(t, "create an existing session", q.store(t, p), resultPrecondition)
}

func TestExtended_locking(t *testing.T) {
	p := openPair(t).Partner("a")
	held := locked(t, p, "s")
	expect(t, "second acquire", asking("s").acquire(t, p), resultLocked)
	expect(t, "read", asking("s").get(t, p), resultLocked)
	beside := asking("s")
	beside.allowLocked = 1
	if row := beside.get(t, p); outcome(row) != resultDone || string(row[9].([]byte)) != "item" {
		t.Errorf("read while another holds the lock: %v", row)
	}
	expect(t, "store", asking("s").store(t, p), resultLocked)
	expect(t, "remove", asking("s").remove(t, p), resultLocked)
	wrong := held
	wrong.lockOp = newOperation()
	expect(t, "update by another", wrong.update(t, p), resultLockLost)
	wrong = held
	wrong.lockCookie = number64(99)
	expect(t, "update with another cookie", wrong.update(t, p), resultLockLost)

	held.keep = 1
	expect(t, "update and keep", held.update(t, p), resultDone)
	expect(t, "still locked", asking("s").acquire(t, p), resultLocked)
	held.keep, held.op = 0, newOperation()
	expect(t, "update", held.update(t, p), resultDone)
	held.op = newOperation()
	expect(t, "update after the release", held.update(t, p), resultLockLost)
	expect(t, "acquire again", asking("s").acquire(t, p), resultDone)
}

func TestExtended_repeated(t *testing.T) {
	p := openPair(t).Partner("a")
	t.Run("an acquire finds its own lock, and later that it is lost", func(t *testing.T) {
		expect(t, "create", asking("r1").store(t, p), resultCreated)
		q := asking("r1")
		first, second := q.acquire(t, p), q.acquire(t, p)
		if outcome(second) != resultDone || second[1] != first[1] || string(second[9].([]byte)) != "item" {
			t.Errorf("the repeated acquire: %v, the first %v", second, first)
		}
		release := asking("r1")
		release.lockOp, release.lockCookie = q.op, number64(first[1].(int64))
		expect(t, "release", release.release(t, p), resultDone)
		expect(t, "release again", release.release(t, p), resultDone)
		expect(t, "acquire after release", q.acquire(t, p), resultLockLost)
	})
	t.Run("an update is done once", func(t *testing.T) {
		held := locked(t, p, "r2")
		expect(t, "update", held.update(t, p), resultDone)
		held.resent = 1
		expect(t, "again", held.update(t, p), resultDone)
		if row := asking("r2").get(t, p); row[1].(int64) != 2 {
			t.Errorf("cookie %v", row[1])
		}
	})
	t.Run("an operation that the session has forgotten is unknown", func(t *testing.T) {
		held := locked(t, p, "r3")
		age(t, p, "r3", time.Minute) // so that only the ring prevents the next calls
		expect(t, "update", held.update(t, p), resultDone)
		for range 5 {
			expect(t, "store", asking("r3").store(t, p), resultDone)
		}
		held.resent = 1
		expect(t, "update again", held.update(t, p), resultUnknown)
		held.resent = 0
		expect(t, "a first attempt", held.update(t, p), resultLockLost)
	})
	t.Run("a late acquire must be sent again", func(t *testing.T) {
		expect(t, "create", asking("r4").store(t, p), resultCreated)
		age(t, p, "r4", time.Minute)
		late := asking("r4")
		for range 5 {
			expect(t, "store", asking("r4").store(t, p), resultDone)
		}
		expect(t, "a late acquire", late.acquire(t, p), resultAgain)
	})
	t.Run("a create reports that it created the session", func(t *testing.T) {
		q := asking("r5")
		q.mode = modeCreate
		expect(t, "create", q.store(t, p), resultCreated)
		q.resent = 1
		expect(t, "again", q.store(t, p), resultCreated)
		expect(t, "another store", asking("r5").store(t, p), resultDone)
		expect(t, "create again", q.store(t, p), resultCreated)
	})
}

func TestExtended_removed(t *testing.T) {
	pair := openPair(t)
	p := pair.Partner("a")
	created := asking("s")
	expect(t, "create", created.store(t, p), resultCreated)
	q := asking("s")
	expect(t, "remove", q.remove(t, p), resultDone)
	expect(t, "remove again", q.remove(t, p), resultDone)
	expect(t, "remove nothing", asking("s").remove(t, p), resultDone)
	created.resent = 1
	expect(t, "the store, sent again", created.store(t, p), resultDone)
	expect(t, "the session stays removed", asking("s").get(t, p), resultNoSession)
	created.mode, created.op = modeIfMatch, newOperation()
	expect(t, "another store first sent before the removal", created.store(t, p), resultNoSession)
	expect(t, "a new session with the id", asking("s").makesAnew(t, p), resultCreated)
	expect(t, "the removal, sent again, does not remove the new session", q.remove(t, p), resultDone)
	expect(t, "the new session exists", asking("s").get(t, p), resultDone)
	if a, b := dump(t, p), dump(t, p.Other()); a != b {
		t.Errorf("the partners differ: %s %s", a, b)
	}
}

// An attempt does not change a session that was certainly created after the attempt was sent, no matter how its
// predecessor was removed.
func TestExtended_lateAttempt(t *testing.T) {
	p := openPair(t).Partner("a")
	expect(t, "create", asking("s").store(t, p), resultCreated)
	before := dump(t, p)
	for name, call := range map[string]func(q ask) []any{
		"acquire": func(q ask) []any { return q.acquire(t, p) },
		"store":   func(q ask) []any { return q.store(t, p) },
		"remove":  func(q ask) []any { return q.remove(t, p) },
	} {
		q := asking("s")
		q.sent = moment(time.Now().Add(-time.Second))
		q.firstSent = q.sent
		expect(t, name, call(q), resultAgain)
	}
	match := asking("s") // by the accuracy of the clock it may have been sent before the session was created
	match.sent = moment(time.Now().Add(-time.Second))
	match.firstSent, match.mode = match.sent, modeIfMatch
	row := asking("s").get(t, p)
	match.cookie, match.locked, match.newest = number64(row[1].(int64)), number64(0), text(string(row[7].([]byte)))
	match.created = sqlvalue.Argument{Ok: true, N: int64(sqlvalue.DatetimeOf(row[5].(time.Time)))}
	expect(t, "store if it matches", match.store(t, p), resultAgain)
	match.newest = newOperation()
	expect(t, "store if it matches another version", match.store(t, p), resultPrecondition)
	if after := dump(t, p); after != before {
		t.Errorf("the session was %s and is now %s", before, after)
	}
}

// A session that was removed and created again is another session: a call sent for the first one does not overwrite the
// second. The first one's tombstone shows that the call was not applied to the first.
func TestExtended_createdAgain(t *testing.T) {
	p := openPair(t).Partner("a")
	held := locked(t, p, "again")
	lateStore := asking("again") // sent now, executed after the removal
	late := held
	late.op, late.firstSent, late.resent = newOperation(), moment(time.Now()), 1
	gone := held
	gone.op = newOperation()
	expect(t, "remove", gone.remove(t, p), resultDone)
	second := asking("again")
	second.short = blobArgument([]byte("second"))
	expect(t, "the second session", second.makesAnew(t, p), resultCreated)

	expect(t, "a store first sent before the removal", lateStore.store(t, p), resultAgain)
	lateStore.resent = 1
	expect(t, "the same store, sent again", lateStore.store(t, p), resultNoSession)
	expect(t, "an update of the first session, sent again", late.update(t, p), resultLockLost)
	expect(t, "a release of the first session, sent again", late.release(t, p), resultLockLost)
	if item := asking("again").get(t, p)[9]; !bytes.Equal(item.([]byte), []byte("second")) {
		t.Errorf("the second session has %q", item)
	}
}

// makesAnew stores a session whose predecessor has just been removed. Within the tick of the predecessor's creation the
// procedure asks to send it again.
func (q ask) makesAnew(t testing.TB, p *Partner) []any {
	t.Helper()
	for range 1000 {
		if row := q.store(t, p); outcome(row) != resultAgain {
			return row
		}
	}
	return nil
}

// Created distinguishes a session from its predecessor of the same id, even if both would have been created within one
// tick of datetime.
func TestExtended_twoInOneTick(t *testing.T) {
	for _, again := range []func(ask, *Partner) []any{
		func(q ask, p *Partner) []any { return q.store(t, p) },
		func(q ask, p *Partner) []any { return q.acquireOrMake(t, p) },
	} {
		inBubble(t, mirror.Options{}, func(s *bubblePair) {
			expect(t, "the first session", asking("tick").store(t, s.a), resultCreated)
			expect(t, "remove", asking("tick").remove(t, s.a), resultDone)
			s.after(time.Millisecond)
			expect(t, "the second session, in the same tick", again(asking("tick"), s.a), resultAgain)
			s.after(2 * time.Millisecond)
			expect(t, "the second session, in the next tick", again(asking("tick"), s.a), resultCreated)
		})
	}
}

func TestExtended_tombstonesAreSwept(t *testing.T) {
	p := openPair(t).Partner("a")
	for i := range 6 {
		expect(t, "create", asking(fmt.Sprint("s", i)).store(t, p), resultCreated)
	}
	for i := range 6 {
		err := alter(p, "INSERT INTO MirrorStateTombstones (SessionId, OperationId, Removed) VALUES (?1, ?2, ?3)",
			fmt.Sprint("old", i), []byte(newOperation().S), sqlvalue.Datetime2Of(time.Now().Add(-11*time.Minute)).Text())
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{3, 2} { // four old ones are removed and one is added; then two and one
		expect(t, "remove", asking(fmt.Sprint("s", i)).remove(t, p), resultDone)
		err := p.Main().Store.Read(func(r *storage.Reader) error {
			n, err := r.Number("SELECT COUNT(*) FROM MirrorStateTombstones")
			if err == nil && int(n) != want {
				t.Errorf("%d tombstones after removal %d, want %d", n, i+1, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestExtended_limits(t *testing.T) {
	p := openPair(t).Partner("a")
	held := locked(t, p, "s")
	age(t, p, "s", time.Second) // older than the calls, so that only the limits prevent them
	for name, call := range map[string]func(q ask) []any{
		"touch":   func(q ask) []any { q.id = "touched"; return q.touch(t, p) },
		"acquire": func(q ask) []any { q.id = "free"; return q.acquire(t, p) },
		"store":   func(q ask) []any { q.id = "free"; return q.store(t, p) },
		"remove": func(q ask) []any {
			q.id = "free"
			q.lockOp, q.lockCookie = sqlvalue.Argument{}, sqlvalue.Argument{}
			return q.remove(t, p)
		},
		"update":  func(q ask) []any { return q.update(t, p) },
		"release": func(q ask) []any { return q.release(t, p) },
	} {
		for _, id := range []string{"free", "touched"} {
			asking(id).store(t, p)
		}
		age(t, p, "free", time.Second)
		age(t, p, "touched", 2*time.Minute)
		q := held
		q.op = newOperation()
		q.notAfter = moment(time.Now().Add(-time.Second))
		expect(t, name+" too late", call(q), resultAgain)
		q = held
		q.op, q.epoch = newOperation(), 7
		expect(t, name+" in another epoch", call(q), resultMoved)
	}
	q := held
	q.epoch = 7
	if row := q.get(t, p); outcome(row) != resultMoved || row[9] != nil {
		t.Errorf("read in another epoch: %v", row)
	}
	expect(t, "the lock was not touched", held.release(t, p), resultDone)
}

// A touch in another epoch changes nothing.
func TestExtended_touchOfAnotherEpoch(t *testing.T) {
	p := openPair(t).Partner("a")
	storeItem(t, p, "s", []byte("item"))
	later := moment(time.Now().Add(time.Hour))
	expect(t, "touch", do(t, p, "MirrorState_Touch_1", text("s"), number64(1), later, number64(110), later, number64(30), sqlvalue.Argument{}), resultMoved)
	if row := asking("s").get(t, p); row[3] != int64(20) {
		t.Errorf("a touch in another epoch has set the timeout to %v", row[3])
	}
}

func TestExtended_expiry(t *testing.T) {
	p := openPair(t).Partner("a")
	expect(t, "create", asking("s").store(t, p), resultCreated)
	age(t, p, "s", 21*time.Minute)
	expect(t, "read", asking("s").get(t, p), resultNoSession)
	expect(t, "touch", asking("s").touch(t, p), resultNoSession)
	expect(t, "acquire", asking("s").acquire(t, p), resultNoSession)
	q := asking("s")
	q.mode, q.flags = modeCreate, 1
	row := q.store(t, p)
	expect(t, "an expired row is a new session", row, resultCreated)
	if row[1].(int64) != 2 || row[8].(int64) != 1 {
		t.Errorf("cookie %v, flags %v", row[1], row[8])
	}

	t.Run("a read renews only a session that is due, before it expires", func(t *testing.T) {
		age(t, p, "s", 30*time.Second)
		before := p.Main().Store.LSN.Load()
		q := asking("s")
		q.renew = 1
		q.get(t, p)
		renewed := p.Main().Store.LSN.Load()
		q.get(t, p)
		if renewed != before+1 || p.Main().Store.LSN.Load() != renewed {
			t.Errorf("commits %d, %d, %d: a second read wrote again", before, renewed, p.Main().Store.LSN.Load())
		}
	})
	t.Run("a live lock keeps an expired session", func(t *testing.T) {
		held := locked(t, p, "l")
		age(t, p, "l", 60*time.Second)
		err := alter(p, "UPDATE ASPStateTempSessions SET Expires = ?1 WHERE SessionId = 'l'", (sqlvalue.UtcNow() - 1).Text())
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "read", asking("l").get(t, p), resultLocked)
		expect(t, "update", held.update(t, p), resultDone)
	})
	t.Run("an abandoned lock counts only for its holder", func(t *testing.T) {
		held := locked(t, p, "b")
		age(t, p, "b", 120*time.Second)
		expect(t, "read", asking("b").get(t, p), resultDone)
		expect(t, "acquire", asking("b").acquire(t, p), resultDone)
		expect(t, "the old holder", held.update(t, p), resultLockLost)
	})
}

func TestExtended_uninitialized(t *testing.T) {
	p := openPair(t).Partner("a")
	q := asking("s")
	q.flags = 1
	q.store(t, p)
	for range 2 {
		if row := asking("s").get(t, p); row[8].(int64) != 1 {
			t.Errorf("a read does not change the flags: %v", row[8])
		}
	}
	lock := asking("s")
	for range 2 { // the same operation sees it again
		if row := lock.acquire(t, p); row[8].(int64) != 1 {
			t.Errorf("acquire: flags %v", row[8])
		}
	}
	beside := asking("s")
	beside.allowLocked = 1
	if row := beside.get(t, p); row[8].(int64) != 0 {
		t.Errorf("after the acquire: flags %v", row[8])
	}
}

func TestExtended_entityTag(t *testing.T) {
	p := openPair(t).Partner("a")
	asking("s").store(t, p)
	row := asking("s").get(t, p)
	match := func() ask {
		q := asking("s")
		q.mode = modeIfMatch
		q.created = number64(int64(sqlvalue.DatetimeOf(row[5].(time.Time))))
		q.cookie = number64(row[1].(int64))
		q.locked = number64(sqlvalue.BoolInt(row[6].(bool)))
		q.newest = text(string(row[7].([]byte)))
		return q
	}
	expect(t, "unchanged", match().store(t, p), resultDone)
	expect(t, "changed", match().store(t, p), resultPrecondition)
	row = asking("s").get(t, p)
	expect(t, "lock", asking("s").acquire(t, p), resultDone)
	expect(t, "locked", match().store(t, p), resultLocked)
	q := match()
	q.id = "nobody"
	expect(t, "no session", q.store(t, p), resultPrecondition)
}

func TestExtended_withNet(t *testing.T) {
	p := openPair(t).Partner("a")
	held := locked(t, p, "s")
	// ASP.NET breaks a lock: it releases it with the holder's cookie, then takes it.
	do(t, p, "TempReleaseStateItemExclusive", text("s"), held.lockCookie)
	expect(t, "our update after a release by .NET", held.update(t, p), resultLockLost)
	do(t, p, "TempGetStateItemExclusive3", text("s"), sqlvalue.Argument{}, sqlvalue.Argument{}, sqlvalue.Argument{}, sqlvalue.Argument{}, sqlvalue.Argument{})
	expect(t, "our acquire of a lock of .NET", asking("s").acquire(t, p), resultLocked)
	expect(t, "our update under a lock of .NET", held.update(t, p), resultLockLost)
}

func TestExtended_pair(t *testing.T) {
	p := openPair(t).Partner("a")
	row := do(t, p, "MirrorState_TakeEpoch_1", text("A"))
	if row[0].(int64) != 1 || row[1] != "A" {
		t.Errorf("first: %v", row)
	}
	if row = do(t, p, "MirrorState_TakeEpoch_1", text("a")); row[0].(int64) != 1 {
		t.Errorf("the same server: %v", row)
	}
	if row = do(t, p, "MirrorState_TakeEpoch_1", text("B")); row[0].(int64) != 2 {
		t.Errorf("another server: %v", row)
	}
	secret, other := text(string(bytes.Repeat([]byte{1}, 32))), text(string(bytes.Repeat([]byte{2}, 32)))
	if row = do(t, p, "MirrorState_FleetSecret_1", number64(1), secret); outcome(row) != resultMoved || row[1] != nil {
		t.Errorf("secret in an old epoch: %v", row)
	}
	for _, proposal := range []sqlvalue.Argument{secret, other} {
		if row = do(t, p, "MirrorState_FleetSecret_1", number64(2), proposal); outcome(row) != resultDone || string(row[1].([]byte)) != secret.S {
			t.Errorf("secret: %v", row)
		}
	}
	name := text("/LM/W3SVC/1/ROOT")
	if row = do(t, p, "MirrorState_GetAppId_1", name, number64(2), number64(0)); outcome(row) != resultDone || row[1] != nil {
		t.Errorf("unknown application: %v", row)
	}
	if row = do(t, p, "MirrorState_GetAppId_1", name, number64(2), number64(1)); row[1].(int64) != 538231025 {
		t.Errorf("registered: %v", row)
	}
	if row = do(t, p, "MirrorState_GetAppId_1", name, number64(2), number64(0)); row[1].(int64) != 538231025 {
		t.Errorf("looked up: %v", row)
	}
	if row = do(t, p, "MirrorState_GetAppId_1", name, number64(1), number64(0)); outcome(row) != resultMoved {
		t.Errorf("in an old epoch: %v", row)
	}
	if row = do(t, p, "MirrorState_RaiseEpoch_1", text("B"), number64(1)); row[0].(int64) != 3 || row[1] != "B" {
		t.Errorf("raised above less than the row's: %v", row)
	}
	if row = do(t, p, "MirrorState_RaiseEpoch_1", text("A"), number64(7)); row[0].(int64) != 8 || row[1] != "A" {
		t.Errorf("raised above more than the row's: %v", row)
	}
	if row = do(t, p, "MirrorState_RaiseEpoch_1", text("A"), number64(8)); row[0].(int64) != 9 {
		t.Errorf("raised above the row's own: %v", row)
	}
}
