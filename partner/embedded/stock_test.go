package embedded_test

import (
	"bytes"
	"database/sql"
	"slices"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// read is the result of a stock read procedure. Pointers are nil for NULL.
type read struct {
	short  []byte
	long   []byte
	locked *bool
	age    *int64
	cookie *int64
	flags  *int64
}

// getItem calls a read procedure of the third generation.
func getItem(t testing.TB, db *sql.DB, procedure, id string) read {
	t.Helper()
	var r read
	locked, age, cookie, flags := sql.NullBool{}, sql.NullInt64{}, sql.NullInt64{}, sql.NullInt64{}
	rows, err := db.QueryContext(limit(t), procedure, sql.Named("id", id),
		sql.Named("itemShort", sql.Out{Dest: &r.short}), sql.Named("locked", sql.Out{Dest: &locked}),
		sql.Named("lockAge", sql.Out{Dest: &age}), sql.Named("lockCookie", sql.Out{Dest: &cookie}),
		sql.Named("actionFlags", sql.Out{Dest: &flags}))
	if err != nil {
		t.Fatalf("%s: %v", procedure, err)
	}
	for rows.Next() {
		if err := rows.Scan(&r.long); err != nil {
			t.Fatalf("%s: %v", procedure, err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", procedure, err)
	}
	if locked.Valid {
		r.locked = &locked.Bool
	}
	for _, v := range []struct {
		from sql.NullInt64
		to   **int64
	}{{age, &r.age}, {cookie, &r.cookie}, {flags, &r.flags}} {
		if v.from.Valid {
			*v.to = &v.from.Int64
		}
	}
	return r
}

// call runs a procedure without outputs.
func call(t testing.TB, db *sql.DB, procedure string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(limit(t), procedure, args...); err != nil {
		t.Fatalf("%s: %v", procedure, err)
	}
}

func TestStock_readAndLock(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	item := bytes.Repeat([]byte{1, 0, 255}, 200)

	if r := getItem(t, db, "TempGetStateItem3", "nobody"); r.locked != nil || r.cookie != nil || r.age != nil || r.short != nil || r.flags != nil {
		t.Errorf("a session that does not exist: %+v, want only NULLs", r)
	}
	call(t, db, "TempInsertStateItemShort", sql.Named("id", "s1"), sql.Named("itemShort", item), sql.Named("timeout", 20))
	r := getItem(t, db, "TempGetStateItem3", "S1") // ids are not case-sensitive
	if !bytes.Equal(r.short, item) || *r.locked || *r.cookie != 1 || *r.flags != 0 {
		t.Errorf("read: %+v", r)
	}
	r = getItem(t, db, "TempGetStateItemExclusive3", "s1")
	if !bytes.Equal(r.short, item) || *r.locked || *r.cookie != 2 || *r.age != 0 {
		t.Errorf("first lock: %+v (cookie %d), want not locked before, cookie 2", r, *r.cookie)
	}
	for _, procedure := range []string{"TempGetStateItemExclusive3", "TempGetStateItem3"} {
		if r = getItem(t, db, procedure, "s1"); !*r.locked || *r.cookie != 2 || r.short != nil {
			t.Errorf("%s of a locked session: %+v, want the holder's cookie and no item", procedure, r)
		}
	}
	update := func(cookie int) {
		call(t, db, "TempUpdateStateItemShort", sql.Named("id", "s1"), sql.Named("itemShort", []byte("new")),
			sql.Named("timeout", 30), sql.Named("lockCookie", cookie))
	}
	update(1) // a stale cookie: no effect and no error
	if r = getItem(t, db, "TempGetStateItem3", "s1"); !*r.locked {
		t.Error("a stale cookie unlocked the session")
	}
	update(2)
	if r = getItem(t, db, "TempGetStateItem3", "s1"); *r.locked || string(r.short) != "new" || *r.cookie != 2 {
		t.Errorf("after update: %+v", r)
	}
	update(2) // the cookie is correct, but the session is not locked: the update still writes
	call(t, db, "TempRemoveStateItem", sql.Named("id", "s1"), sql.Named("lockCookie", 1))
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 1 {
		t.Errorf("removed with a stale cookie: %d rows", n)
	}
	call(t, db, "TempRemoveStateItem", sql.Named("id", "s1"), sql.Named("lockCookie", 2))
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 0 {
		t.Errorf("%d rows after removal", n)
	}
}

func TestStock_longItems(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	long := bytes.Repeat([]byte("0123456789"), 10_000)
	call(t, db, "TempInsertStateItemLong", sql.Named("id", "l"), sql.Named("itemLong", long), sql.Named("timeout", 20))
	r := getItem(t, db, "TempGetStateItemExclusive3", "l")
	if !bytes.Equal(r.long, long) || r.short != nil || *r.cookie != 2 {
		t.Errorf("long item: %d bytes, short %d, cookie %d", len(r.long), len(r.short), *r.cookie)
	}
	change := func(procedure, item string, value []byte) read {
		call(t, db, procedure, sql.Named("id", "l"), sql.Named(item, value), sql.Named("timeout", 20), sql.Named("lockCookie", 2))
		return getItem(t, db, "TempGetStateItem3", "l")
	}
	if r = change("TempUpdateStateItemShort", "itemShort", []byte("s")); string(r.short) != "s" || !bytes.Equal(r.long, long) {
		t.Error("UpdateStateItemShort must leave the long item in its place")
	}
	if r = change("TempUpdateStateItemShortNullLong", "itemShort", []byte("s2")); string(r.short) != "s2" || r.long != nil {
		t.Errorf("ShortNullLong: short %q, long %d bytes", r.short, len(r.long))
	}
	if r = change("TempUpdateStateItemLong", "itemLong", long[:8001]); string(r.short) != "s2" || len(r.long) != 8001 {
		t.Errorf("UpdateStateItemLong: short %q, long %d bytes", r.short, len(r.long))
	}
	if r = change("TempUpdateStateItemLongNullShort", "itemLong", long); r.short != nil || len(r.long) != len(long) {
		t.Errorf("LongNullShort: short %q, long %d bytes", r.short, len(r.long))
	}
}

func TestStock_peculiarities(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	call(t, db, "TempInsertUninitializedItem", sql.Named("id", "w"), sql.Named("itemShort", []byte{1}), sql.Named("timeout", 20))

	t.Run("a read clears the uninitialized flag, once", func(t *testing.T) {
		if r := getItem(t, db, "TempGetStateItemExclusive3", "w"); *r.flags != 1 {
			t.Errorf("action flags %d, want 1", *r.flags)
		}
		if r := getItem(t, db, "TempGetStateItem3", "w"); *r.flags != 0 {
			t.Errorf("action flags %d at the second read, want 0", *r.flags)
		}
	})
	t.Run("reading an expired session renews it, locked or not", func(t *testing.T) {
		mustExec(t, db, "UPDATE ASPStateTempSessions SET Expires = DATEADD(minute, -1, GETUTCDATE()) WHERE SessionId = 'w'")
		if r := getItem(t, db, "TempGetStateItem3", "w"); r.locked == nil {
			t.Error("the expired session was not found")
		}
		left := scalar[int](t, db, "SELECT DATEDIFF(second, GETUTCDATE(), Expires) FROM ASPStateTempSessions WHERE SessionId = 'w'")
		if left < 1190 || left > 1201 {
			t.Errorf("%d s left, want 20 minutes", left)
		}
	})
	t.Run("an insert on an existing id is 2627 and changes nothing", func(t *testing.T) {
		_, err := db.ExecContext(limit(t), "TempInsertStateItemShort", sql.Named("id", "W"), sql.Named("itemShort", []byte{2}), sql.Named("timeout", 20))
		if got := numbers(err); !slices.Contains(got, 2627) {
			t.Errorf("got %v (%v), want 2627", got, err)
		}
	})
	t.Run("release and touch renew a session, no matter who holds the lock", func(t *testing.T) {
		mustExec(t, db, "UPDATE ASPStateTempSessions SET Expires = GETUTCDATE()")
		call(t, db, "TempResetTimeout", sql.Named("id", "w"))
		call(t, db, "TempReleaseStateItemExclusive", sql.Named("id", "w"), sql.Named("lockCookie", 2))
		if r := getItem(t, db, "TempGetStateItem3", "w"); *r.locked {
			t.Error("still locked after release")
		}
	})
	t.Run("only the sweep removes expired sessions", func(t *testing.T) {
		for i := range 120 {
			mustExec(t, db, "INSERT INTO ASPStateTempSessions (SessionId, Expires, LockDate, LockDateLocal, LockCookie, Timeout, Locked) "+
				"VALUES (@id, DATEADD(minute, -5, GETUTCDATE()), GETUTCDATE(), GETDATE(), 1, 20, 1)", sql.Named("id", "old"+string(rune('a'+i/26))+string(rune('a'+i%26))))
		}
		call(t, db, "DeleteExpiredSessions")
		if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 1 {
			t.Errorf("%d sessions left, want 1", n)
		}
	})
}

func TestStock_meta(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	var appID int64
	var version string
	major := scalar[int](t, db, "declare @v int exec dbo.GetMajorVersion @v output select @v")
	call(t, db, "dbo.TempGetVersion", sql.Named("ver", sql.Out{Dest: &version}))
	if major != 15 || version != "2         " {
		t.Errorf("major %d, version %q", major, version)
	}
	for _, name := range []string{"/LM/W3SVC/1/ROOT", "/lm/w3svc/1/root"} {
		call(t, db, "[ASPState].dbo.TempGetAppID", sql.Named("appName", name), sql.Named("appId", sql.Out{Dest: &appID}))
		if appID != 538231025 {
			t.Errorf("%s: application id %d", name, appID)
		}
	}
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempApplications"); n != 1 {
		t.Errorf("%d applications, want 1", n)
	}
	var status mssql.ReturnStatus
	if _, err := db.ExecContext(limit(t), "TempResetTimeout", sql.Named("id", "x"), &status); err != nil || status != 0 {
		t.Errorf("status %d, %v", status, err)
	}
	mustExec(t, db, "UPDATE ASPStateTempApplications SET AppName = 'other'")
	_, err := db.ExecContext(limit(t), "TempGetAppID", sql.Named("appName", "/LM/W3SVC/1/ROOT"), sql.Named("appId", sql.Out{Dest: &appID}))
	if got := numbers(err); !slices.Equal(got, []int32{2627, 50000}) || appID != 538231025 {
		t.Errorf("collision: errors %v, id %d", got, appID)
	}
}

func TestStock_olderGenerations(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	call(t, db, "TempInsertStateItemShort", sql.Named("id", "o"), sql.Named("itemShort", []byte("x")), sql.Named("timeout", 20))
	var short []byte
	var locked bool
	date := time.Now()
	var cookie, age int64
	call(t, db, "TempGetStateItemExclusive", sql.Named("id", "o"), sql.Named("itemShort", sql.Out{Dest: &short}),
		sql.Named("locked", sql.Out{Dest: &locked}), sql.Named("lockDate", sql.Out{Dest: &date}), sql.Named("lockCookie", sql.Out{Dest: &cookie}))
	if string(short) != "x" || cookie != 2 || locked || time.Since(date) > 14*time.Hour {
		t.Errorf("first generation: %q %d %v %v", short, cookie, locked, date)
	}
	call(t, db, "TempGetStateItem2", sql.Named("id", "o"), sql.Named("itemShort", sql.Out{Dest: &short}),
		sql.Named("locked", sql.Out{Dest: &locked}), sql.Named("lockAge", sql.Out{Dest: &age}), sql.Named("lockCookie", sql.Out{Dest: &cookie}))
	if !locked || cookie != 2 || age < 0 || age > 5 {
		t.Errorf("second generation: %v %d %d", locked, cookie, age)
	}
}
