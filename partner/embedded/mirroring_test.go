package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// view is a partner's row of sys.database_mirroring.
type view struct {
	role, state, safety string
	sequence            int
}

func viewOf(t testing.TB, master *sql.DB) (v view) {
	t.Helper()
	err := master.QueryRowContext(limit(t), "SELECT mirroring_role_desc, mirroring_state_desc, mirroring_safety_level_desc, mirroring_role_sequence "+
		"FROM sys.database_mirroring WHERE database_id = DB_ID(N'ASPState')").Scan(&v.role, &v.state, &v.safety, &v.sequence)
	if err != nil {
		t.Fatalf("read sys.database_mirroring: %v", err)
	}
	return v
}

// waitState waits until both partners show the state.
func waitState(t testing.TB, pair *embedded.Pair, state string) {
	t.Helper()
	ctx := limit(t)
	for pair.State() != state {
		select {
		case <-ctx.Done():
			t.Fatalf("state %s, want %s", pair.State(), state)
		case <-time.After(time.Millisecond):
		}
	}
}

// refused runs a statement that must fail with that error number.
func refused(t testing.TB, db *sql.DB, text string, number int32) {
	t.Helper()
	_, err := db.ExecContext(limit(t), text)
	if !slices.Contains(numbers(err), number) {
		t.Errorf("%s: got %v, want error %d", text, err, number)
	}
}

// contents returns the contents of all tables of a partner, whatever its role.
func contents(t testing.TB, p *embedded.Partner) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.DataFile()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	for _, query := range []string{
		"SELECT SessionId, Expires, LockCookie, Locked, hex(SessionItemShort), hex(OperationId1) FROM ASPStateTempSessions ORDER BY 1",
		"SELECT AppId, AppName, 0, 0, 0, 0 FROM ASPStateTempApplications ORDER BY 1",
		"SELECT SessionId, hex(OperationId), Removed, 0, 0, 0 FROM MirrorStateTombstones ORDER BY 1, 2",
		"SELECT Id, Epoch, Server, 0, 0, 0 FROM MirrorStateEpoch", "SELECT lsn, 0, 0, 0, 0, 0 FROM partner_log",
	} {
		rows, err := db.QueryContext(limit(t), query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var c [6]sql.NullString
			if err := rows.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5]); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, c)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func sameContents(t testing.TB, pair *embedded.Pair) {
	t.Helper()
	if a, b := contents(t, pair.Partner("a")), contents(t, pair.Partner("b")); a != b {
		t.Errorf("the partners differ:\na:\n%s\nb:\n%s", a, b)
	}
}

func insert(t testing.TB, db *sql.DB, id string) {
	t.Helper()
	call(t, db, "TempInsertStateItemShort", sql.Named("id", id), sql.Named("itemShort", []byte(id)), sql.Named("timeout", 20))
}

func TestMirroring_commitIsOnBoth(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	for i := range 20 {
		insert(t, db, fmt.Sprint("s", i))
		sameContents(t, pair)
	}
	mustExec(t, db, "UPDATE ASPStateTempSessions SET Timeout = 5, SessionItemShort = 0x01 WHERE SessionId LIKE 's1%'")
	mustExec(t, db, "UPDATE ASPStateTempSessions SET SessionId = 'renamed' WHERE SessionId = 's2'")
	mustExec(t, db, "DELETE FROM ASPStateTempSessions WHERE SessionId = 's3'")
	sameContents(t, pair)
}

func TestMirroring_views(t *testing.T) {
	pair := aspstatetest.Start(t)
	a, b := connect(t, pair.Partner("a"), "master"), connect(t, pair.Partner("b"), "master")
	if got, want := viewOf(t, a), (view{"PRINCIPAL", "SYNCHRONIZED", "FULL", 1}); got != want {
		t.Errorf("a: %+v, want %+v", got, want)
	}
	if got, want := viewOf(t, b), (view{"MIRROR", "SYNCHRONIZED", "FULL", 1}); got != want {
		t.Errorf("b: %+v, want %+v", got, want)
	}
	if got := scalar[string](t, b, "SELECT state_desc FROM sys.databases WHERE name = 'aspstate'"); got != "RESTORING" {
		t.Errorf("the mirror's database is %s", got)
	}
	_, port, _ := strings.Cut(pair.Partner("b").Addr(), ":")
	if got := scalar[string](t, a, "SELECT mirroring_partner_instance FROM sys.database_mirroring WHERE mirroring_guid IS NOT NULL"); got != "127.0.0.1,"+port {
		t.Errorf("partner instance %s", got)
	}
}

func TestMirroring_mirrorRefuses(t *testing.T) {
	pair := aspstatetest.Start(t)
	mirror := connect(t, pair.Partner("b"), "ASPState")
	if got := numbers(mirror.PingContext(limit(t))); !slices.Contains(got, 4063) {
		t.Errorf("login to the mirror's database: %v, want 4063", got)
	}
	master := connect(t, pair.Partner("b"), "master")
	for _, text := range []string{
		"USE ASPState", "SELECT COUNT(*) FROM ASPState.dbo.ASPStateTempSessions", "SELECT Epoch, Server FROM [ASPState].dbo.MirrorStateEpoch",
		"EXEC ASPState.dbo.TempResetTimeout 'x'", "DELETE FROM ASPState..ASPStateTempSessions",
	} {
		refused(t, master, text, 954)
	}
	_, err := master.ExecContext(limit(t), "[ASPState].dbo.MirrorState_TakeEpoch_1", sql.Named("server", "x"))
	if !slices.Contains(numbers(err), 954) {
		t.Errorf("RPC on the mirror: %v, want 954", err)
	}
	refused(t, master, "EXEC TempResetTimeout 'x'", 2812)
	refused(t, master, "USE nowhere", 911)
	refused(t, master, "SELECT * FROM ASPStateTempSessions", 208)
}

func TestMirroring_verbsRefuse(t *testing.T) {
	pair := aspstatetest.Start(t)
	a, b := connect(t, pair.Partner("a"), "master"), connect(t, pair.Partner("b"), "master")
	const set = "ALTER DATABASE [ASPState] SET PARTNER "
	refused(t, b, set+"FAILOVER", 1470)
	refused(t, b, set+"SAFETY OFF", 1470)
	refused(t, b, set+"TIMEOUT 10", 1470)
	refused(t, a, set+"TIMEOUT 40000", 1476)
	refused(t, b, set+"FORCE_SERVICE_ALLOW_DATA_LOSS", 1455) // the principal is connected
	refused(t, a, set+"FORCE_SERVICE_ALLOW_DATA_LOSS", 1455)
	refused(t, a, "ALTER DATABASE ASPState SET WITNESS OFF", 1439)
	refused(t, a, "ALTER DATABASE master SET PARTNER FAILOVER", 1416)
	refused(t, a, "ALTER DATABASE nowhere SET PARTNER FAILOVER", 5011)
	refused(t, a, "BEGIN TRAN ALTER DATABASE ASPState SET PARTNER FAILOVER", 226)

	mustExec(t, a, set+"SUSPEND")
	if got := viewOf(t, b); got.state != "SUSPENDED" {
		t.Errorf("mirror shows %s after SUSPEND", got.state)
	}
	refused(t, a, set+"FAILOVER", 1422)
	mustExec(t, a, set+"RESUME")
	waitState(t, pair, "SYNCHRONIZED")
	mustExec(t, a, set+"SAFETY OFF")
	refused(t, a, set+"FAILOVER", 1477)
	mustExec(t, a, set+"SAFETY FULL")
	waitState(t, pair, "SYNCHRONIZED")

	if err := pair.Partition(limit(t), true); err != nil {
		t.Fatal(err)
	}
	if got := viewOf(t, a); got.state != "DISCONNECTED" || got.role != "PRINCIPAL" {
		t.Errorf("disconnected: %+v", got)
	}
	refused(t, a, set+"FAILOVER", 1447)
	refused(t, a, set+"SAFETY OFF", 1447)
	refused(t, a, set+"RESUME", 1447)
}

func TestMirroring_suspendedThenResumed(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	for i := range 60 {
		insert(t, db, fmt.Sprint("before", i))
	}
	mustExec(t, db, "ALTER DATABASE ASPState SET PARTNER SUSPEND")
	for i := range 300 {
		insert(t, db, fmt.Sprint("while", i))
	}
	mustExec(t, db, "DELETE FROM ASPStateTempSessions WHERE SessionId LIKE 'before1%'")
	mustExec(t, db, "ALTER DATABASE ASPState SET PARTNER RESUME")
	waitState(t, pair, "SYNCHRONIZED")
	sameContents(t, pair)
}

func TestMirroring_asynchronous(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	mustExec(t, db, "ALTER DATABASE ASPState SET PARTNER SAFETY OFF")
	for i := range 80 {
		insert(t, db, fmt.Sprint("async", i))
	}
	ctx := limit(t)
	for contents(t, pair.Partner("a")) != contents(t, pair.Partner("b")) {
		select {
		case <-ctx.Done():
			t.Fatal("the mirror did not follow")
		case <-time.After(5 * time.Millisecond):
		}
	}
	mustExec(t, db, "ALTER DATABASE ASPState SET PARTNER SAFETY FULL")
	waitState(t, pair, "SYNCHRONIZED")
	insert(t, db, "sync")
	sameContents(t, pair)
}

func TestMirroring_forcedService(t *testing.T) {
	pair := aspstatetest.Start(t)
	a, b := pair.Partner("a"), pair.Partner("b")
	oldDB, oldMaster, newMaster := connect(t, a, "ASPState"), connect(t, a, "master"), connect(t, b, "master")
	insert(t, oldDB, "both")
	if err := pair.Partition(limit(t), true); err != nil {
		t.Fatal(err)
	}
	insert(t, oldDB, "lost")
	call(t, oldDB, "TempResetTimeout", sql.Named("id", "both"))
	mustExec(t, newMaster, "ALTER DATABASE ASPState SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS")
	if got, want := viewOf(t, newMaster), (view{"PRINCIPAL", "DISCONNECTED", "FULL", 2}); got != want {
		t.Errorf("forced: %+v, want %+v", got, want)
	}
	newDB := connect(t, b, "ASPState")
	insert(t, newDB, "kept")
	if n := scalar[int](t, oldDB, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 2 { // the old principal does not know of the new one yet
		t.Errorf("the old principal serves %d sessions, want its own 2", n)
	}

	if err := pair.Partition(limit(t), false); err != nil {
		t.Fatal(err)
	}
	waitState(t, pair, "SUSPENDED")
	if got, want := viewOf(t, oldMaster), (view{"MIRROR", "SUSPENDED", "FULL", 2}); got != want {
		t.Errorf("the old principal: %+v, want %+v", got, want)
	}
	if _, err := oldDB.ExecContext(limit(t), "TempResetTimeout", sql.Named("id", "both")); err == nil {
		t.Error("a session of the old principal can still write")
	}
	if pair.Principal() != "b" {
		t.Errorf("principal %s", pair.Principal())
	}
	// The old principal cannot be forced back, because it has a commit that no other copy
	// has.
	if err := pair.Partition(limit(t), true); err != nil {
		t.Fatal(err)
	}
	refused(t, oldMaster, "ALTER DATABASE ASPState SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS", 1406)
	if err := pair.Partition(limit(t), false); err != nil {
		t.Fatal(err)
	}
	waitState(t, pair, "SUSPENDED")

	mustExec(t, newMaster, "ALTER DATABASE ASPState SET PARTNER RESUME")
	waitState(t, pair, "SYNCHRONIZED")
	sameContents(t, pair)
	if n := scalar[int](t, newDB, "SELECT COUNT(*) FROM ASPStateTempSessions WHERE SessionId = 'lost'"); n != 0 {
		t.Error("a commit that the old principal had not sent is there")
	}
	insert(t, newDB, "after")
	sameContents(t, pair)
}

func TestFailover_rolesChange(t *testing.T) {
	pair := aspstatetest.Start(t)
	masters := map[string]*sql.DB{"a": connect(t, pair.Partner("a"), "master"), "b": connect(t, pair.Partner("b"), "master")}
	for i, names := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "b"}} {
		from, to := names[0], names[1]
		db := connect(t, pair.Partner(from), "ASPState")
		insert(t, db, fmt.Sprint("s", i))
		mustExec(t, masters[from], "ALTER DATABASE [ASPState] SET PARTNER FAILOVER")
		if got, want := viewOf(t, masters[to]), (view{"PRINCIPAL", "SYNCHRONIZED", "FULL", i + 2}); got != want {
			t.Errorf("%s: %+v, want %+v", to, got, want)
		}
		if got, want := viewOf(t, masters[from]), (view{"MIRROR", "SYNCHRONIZED", "FULL", i + 2}); got != want {
			t.Errorf("%s: %+v, want %+v", from, got, want)
		}
		if _, err := db.ExecContext(limit(t), "TempResetTimeout", sql.Named("id", "s0")); err == nil {
			t.Error("a session that used the database did not end")
		}
		sameContents(t, pair)
	}
}

func TestFailover_openTransactionIsRolledBack(t *testing.T) {
	pair := aspstatetest.Start(t)
	db, master := connect(t, pair.Partner("a"), "ASPState"), connect(t, pair.Partner("a"), "master")
	tx, err := db.BeginTx(limit(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(limit(t), "TempInsertStateItemShort", sql.Named("id", "t"), sql.Named("itemShort", []byte{1}), sql.Named("timeout", 20)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, master, "ALTER DATABASE ASPState SET PARTNER FAILOVER")
	if err := tx.Commit(); err == nil {
		t.Error("the transaction was committed on the old principal")
	}
	if n := scalar[int](t, connect(t, pair.Partner("b"), "ASPState"), "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 0 {
		t.Errorf("%d sessions, want none", n)
	}
	sameContents(t, pair)
}

// TestFailover_underLoad has writers that count in their own sessions while the roles change
// repeatedly. At the end every acknowledged write must be there.
func TestFailover_underLoad(t *testing.T) {
	pair := aspstatetest.Start(t)
	pools := map[string]*sql.DB{"a": connect(t, pair.Partner("a"), "ASPState"), "b": connect(t, pair.Partner("b"), "ASPState")}
	const writers, failovers = 6, 6
	ctx, stop := context.WithCancel(limit(t))
	defer stop()
	acknowledged := make([]int, writers)
	done := make(chan struct{})
	var group sync.WaitGroup
	for w := range writers {
		id := fmt.Sprint("w", w)
		insert(t, pools["a"], id)
		group.Go(func() {
			for n := 1; ctx.Err() == nil; {
				// The cookie of a row that is not locked stays 1, so that the write is an
				// assignment that may be repeated.
				db := pools[pair.Principal()]
				if db == nil {
					continue // during a failover there is no principal for a moment
				}
				_, err := db.ExecContext(ctx, "TempUpdateStateItemShort", sql.Named("id", id),
					sql.Named("itemShort", fmt.Appendf(nil, "%d", n)), sql.Named("timeout", 20), sql.Named("lockCookie", 1))
				if err == nil {
					acknowledged[w] = n
					n++
					select {
					case done <- struct{}{}:
					case <-ctx.Done():
					}
				}
			}
		})
	}
	for range failovers {
		for range 30 {
			select {
			case <-done:
			case <-ctx.Done():
				t.Fatal("the writers make no progress")
			}
		}
		if err := pair.Partner(pair.Principal()).Failover(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	group.Wait()
	db := connect(t, pair.Partner(pair.Principal()), "ASPState")
	for w, want := range acknowledged {
		var got int
		item := scalar[[]byte](t, db, "SELECT SessionItemShort FROM ASPStateTempSessions WHERE SessionId = @id", sql.Named("id", fmt.Sprint("w", w)))
		if _, err := fmt.Sscan(string(item), &got); err != nil || got < want || got > want+1 {
			t.Errorf("writer %d: found %d, acknowledged %d", w, got, want)
		}
		if want == 0 {
			t.Errorf("writer %d wrote nothing", w)
		}
	}
	sameContents(t, pair)
}
