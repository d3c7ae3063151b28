package embedded_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

func TestLogin(t *testing.T) {
	pair := aspstatetest.Start(t)
	p := pair.Partner("a")
	ping := func(dsn string) error {
		db, err := sql.Open("sqlserver", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		return db.PingContext(limit(t))
	}
	good := p.ConnectionString("ASPState")
	for _, c := range []struct {
		name, dsn string
		want      int32 // 0: accepted
	}{
		{"plain", good, 0},
		{"no database", p.ConnectionString(""), 0},
		{"name in another case", p.ConnectionString("aspstate"), 0},
		{"everything encrypted", strings.Replace(good, "encrypt=disable", "encrypt=true;trustservercertificate=true", 1), 0},
		{"login encrypted", strings.Replace(good, "encrypt=disable", "encrypt=false;trustservercertificate=true", 1), 0},
		{"wrong password", strings.Replace(good, pair.Password(), "no", 1), 18456},
		{"wrong user", strings.Replace(good, "user id=mirrorstate", "user id=sa", 1), 18456},
		{"no such database", p.ConnectionString("nowhere"), 4063},
	} {
		err := ping(c.dsn)
		if got := numbers(err); c.want == 0 && err != nil || c.want != 0 && !slices.Contains(got, c.want) {
			t.Errorf("%s: %v, want error %d", c.name, err, c.want)
		}
	}
	if n := p.Counters(); n.Logins == 0 || n.Refused != 2 {
		t.Errorf("counters %+v, want 2 refused logins", n)
	}
}

func TestText_asTheProberSendsIt(t *testing.T) {
	pair := aspstatetest.Start(t)
	// The text of package partner, unchanged.
	const status = `SELECT d.state_desc, d.is_read_only, d.user_access_desc, ` +
		`CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')) AS updateability, ` +
		`CONVERT(nvarchar(36), m.mirroring_guid) AS mirroring_guid, ` +
		`m.mirroring_role_desc, m.mirroring_state_desc, m.mirroring_role_sequence, ` +
		`m.mirroring_safety_level_desc, m.mirroring_partner_name, m.mirroring_partner_instance, ` +
		`m.mirroring_witness_state_desc, m.mirroring_witness_name, SYSUTCDATETIME() AS utc_now, @@SERVERNAME AS server_name ` +
		`FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id ` +
		`WHERE d.name = @db`
	for name, want := range map[string][4]string{"a": {"ONLINE", "READ_WRITE", "PRINCIPAL", `MIRRORSTATE\A`}, "b": {"RESTORING", "", "MIRROR", `MIRRORSTATE\B`}} {
		var state, access, guid, role, session, safety, partner, instance, witness, witnessName, server string
		var updateability sql.NullString
		var readOnly bool
		var sequence int
		var now time.Time
		err := connect(t, pair.Partner(name), "master").QueryRowContext(limit(t), status, sql.Named("db", "ASPState")).Scan(&state, &readOnly, &access,
			&updateability, &guid, &role, &session, &sequence, &safety, &partner, &instance, &witness, &witnessName, &now, &server)
		if err != nil {
			t.Fatal(err)
		}
		if got := [4]string{state, updateability.String, role, server}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if readOnly || session != "SYNCHRONIZED" || safety != "FULL" || len(guid) != 36 || sequence != 1 || !strings.HasPrefix(partner, "TCP://127.0.0.1:") ||
			time.Since(now).Abs() > time.Minute {
			t.Errorf("%s: %v %v %v %v %v %v %v", name, readOnly, session, safety, guid, sequence, partner, now)
		}
	}
	a := connect(t, pair.Partner("a"), "master")
	var epoch int64
	var server string
	if err := a.QueryRowContext(limit(t), "[ASPState].dbo.MirrorState_TakeEpoch_1", sql.Named("server", "s1")).Scan(&epoch, &server); err != nil || epoch != 1 {
		t.Errorf("take epoch: %d %q %v", epoch, server, err)
	}
	if err := a.QueryRowContext(limit(t), "SELECT Epoch, Server FROM [ASPState].dbo.MirrorStateEpoch").Scan(&epoch, &server); err != nil || server != "s1" {
		t.Errorf("epoch row: %d %q %v", epoch, server, err)
	}
}

func TestText_adhoc(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	call(t, db, "TempInsertStateItemShort", sql.Named("id", "abc2014c0f1"), sql.Named("itemShort", []byte{1, 2}), sql.Named("timeout", 20))
	var item []byte
	var locked bool
	var cookie int
	err := db.QueryRowContext(limit(t), "declare @s varbinary(7000), @l bit, @a int, @c int, @f int exec TempGetStateItemExclusive3 N'abc2014c0f1', "+
		"@s output, @l output, @a output, @c output, @f output select @s, @l as locked, @c").Scan(&item, &locked, &cookie)
	if err != nil || len(item) != 2 || locked || cookie != 2 {
		t.Errorf("%v %v %v %v", item, locked, cookie, err)
	}
	rows, err := db.QueryContext(limit(t), "SELECT * FROM ASPStateTempSessions")
	if err != nil {
		t.Fatal(err)
	}
	columns, err := rows.ColumnTypes()
	if err != nil || len(columns) != 28 || columns[0].DatabaseTypeName() != "NVARCHAR" || columns[1].DatabaseTypeName() != "DATETIME" ||
		columns[7].DatabaseTypeName() != "BIT" || columns[9].DatabaseTypeName() != "IMAGE" || columns[18].DatabaseTypeName() != "DATETIME2" {
		t.Errorf("%d columns, %v", len(columns), err)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	if got := scalar[string](t, db, "select name from sysobjects where type = 'P' and name = 'TempGetVersion'"); got != "TempGetVersion" {
		t.Errorf("sysobjects: %q", got)
	}
	result, err := db.ExecContext(limit(t), "insert into ASPStateTempApplications (AppId, AppName) values (1, 'x'), (2, 'y')")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := result.RowsAffected(); n != 2 {
		t.Errorf("%d rows affected, want 2", n)
	}
	if got := scalar[string](t, db, "SELECT AppName FROM ASPStateTempApplications WHERE AppId = 2"); len(got) != 280 {
		t.Errorf("a char(280) of %d characters", len(got))
	}
	for text, number := range map[string]int32{
		"SELECT * FROM nothing":                                                 208,
		"SELECT * FROM partner_log":                                             208,
		"SELECT nothing FROM ASPStateTempSessions":                              207,
		"insert into ASPStateTempApplications (AppId, AppName) values (1, 'z')": 2627,
		"insert into ASPStateTempApplications (AppId) values (3)":               515,
		"SELEC 1":                                         2812,
		"EXEC NoSuchThing":                                2812,
		"EXEC TempResetTimeout":                           201,
		"EXEC TempResetTimeout 'a', 'b'":                  8144,
		"EXEC TempResetTimeout @nobody = 'a'":             8145,
		"EXEC TempReleaseStateItemExclusive 'a', 'seven'": 8114,
		"SELECT @undeclared":                              137,
		"COMMIT":                                          3902,
	} {
		refused(t, db, text, number)
	}
}

func TestTransaction(t *testing.T) {
	pair := aspstatetest.Start(t)
	db := connect(t, pair.Partner("a"), "ASPState")
	tx, err := db.BeginTx(limit(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(x interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}, id string) {
		t.Helper()
		if _, err := x.ExecContext(limit(t), "TempInsertStateItemShort", sql.Named("id", id), sql.Named("itemShort", []byte(id)), sql.Named("timeout", 20)); err != nil {
			t.Fatal(err)
		}
	}
	put(tx, "one")
	var n, count int
	if err := tx.QueryRowContext(limit(t), "SELECT COUNT(*), @@TRANCOUNT FROM ASPStateTempSessions").Scan(&n, &count); err != nil || n != 1 || count != 1 {
		t.Errorf("within: %d rows, @@TRANCOUNT %d, %v", n, count, err)
	}
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 0 {
		t.Errorf("another connection sees %d uncommitted rows", n)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 0 {
		t.Errorf("%d rows after rollback", n)
	}
	if tx, err = db.BeginTx(limit(t), nil); err != nil {
		t.Fatal(err)
	}
	put(tx, "two")
	if _, err := tx.ExecContext(limit(t), "UPDATE ASPStateTempSessions SET Timeout = 7"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := scalar[int](t, db, "SELECT Timeout FROM ASPStateTempSessions WHERE SessionId = 'two'"); n != 7 {
		t.Errorf("timeout %d", n)
	}
	mustExec(t, db, "BEGIN TRAN DELETE FROM ASPStateTempSessions COMMIT TRAN")
	mustExec(t, db, "BEGIN TRAN EXEC TempGetAppID 'x', NULL IF @@TRANCOUNT > 0 ROLLBACK TRAN")
	if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempSessions"); n != 0 {
		t.Errorf("%d rows", n)
	}
	sameContents(t, pair)

	t.Run("ended by the connection's end", func(t *testing.T) {
		c, err := db.Conn(limit(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ExecContext(limit(t), "BEGIN TRAN INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES (9, 'q')"); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil { // back to the pool: the next user resets the session
			t.Fatal(err)
		}
		if n := scalar[int](t, db, "SELECT COUNT(*) FROM ASPStateTempApplications WHERE AppId = 9"); n != 0 {
			t.Error("the open transaction was not rolled back")
		}
		put(db, "three")
	})
}

func TestSession_reset(t *testing.T) {
	db := connect(t, aspstatetest.Start(t).Partner("a"), "ASPState")
	db.SetMaxOpenConns(1)
	mustExec(t, db, "USE master")
	if got := scalar[string](t, db, "SELECT DB_NAME()"); got != "ASPState" {
		t.Errorf("database %s after the reset", got)
	}
}

func TestOpen_refusals(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := aspstatetest.Start(t)
	used := t.TempDir()
	open, err := embedded.Open(embedded.Options{Dir: used})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for _, c := range []struct {
		name string
		o    embedded.Options
		want string
	}{
		{"foreign folder", embedded.Options{Dir: foreign}, "is not a mirrorstate data folder; choose an empty one with --data"},
		{"folder in use", embedded.Options{Dir: used}, "is in use by another mirrorstate"},
		{"partner a for other machines", embedded.Options{Dir: t.TempDir(), AddrA: "0.0.0.0:0"}, "partner a: 0.0.0.0:"},
		{"partner b for other machines", embedded.Options{Dir: t.TempDir(), AddrB: "[::]:0"}, "--expose-partners"},
		{"every address of this machine", embedded.Options{Dir: t.TempDir(), AddrA: ":0"}, "listen on 127.0.0.1 with --partner-a"},
		{"port taken", embedded.Options{Dir: t.TempDir(), AddrA: pair.Partner("a").Addr()}, "choose another address with --partner-a"},
		{"no folder", embedded.Options{}, "--data"},
	} {
		p, err := embedded.Open(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q in one line", c.name, err, c.want)
		}
		if err == nil {
			_ = p.Close()
		}
	}
}

func TestOpen_exposed(t *testing.T) {
	var log strings.Builder
	pair, err := embedded.Open(embedded.Options{Dir: t.TempDir(), AddrA: "0.0.0.0:0", AddrB: "localhost:0", Expose: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Close(); err != nil {
		t.Error(err)
	}
	const warning = "can be reached from other machines"
	if strings.Count(log.String(), warning) != 1 || !strings.Contains(log.String(), "partner=a") {
		t.Errorf("one warning, about partner a, was expected:\n%s", &log)
	}
}

func TestOpen_again(t *testing.T) {
	dir := t.TempDir()
	var password string
	t.Run("first", func(t *testing.T) {
		pair := aspstatetest.StartWith(t, embedded.Options{Dir: dir})
		if password = pair.Password(); len(password) < 20 || !pair.FreshPassword() {
			t.Errorf("password of %d characters, fresh %v", len(password), pair.FreshPassword())
		}
		insert(t, connect(t, pair.Partner("a"), "ASPState"), "kept")
		mustExec(t, connect(t, pair.Partner("a"), "master"), "ALTER DATABASE ASPState SET PARTNER FAILOVER")
	})
	if info, err := os.Stat(filepath.Join(dir, "password")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v", info, err)
	}
	pair := aspstatetest.StartWith(t, embedded.Options{Dir: dir})
	if pair.Password() != password || pair.FreshPassword() {
		t.Error("the password was not kept")
	}
	if pair.Principal() != "b" || pair.State() != "SYNCHRONIZED" {
		t.Errorf("principal %s, %s; want b, SYNCHRONIZED", pair.Principal(), pair.State())
	}
	if r := getItem(t, connect(t, pair.Partner("b"), "ASPState"), "TempGetStateItem3", "kept"); string(r.short) != "kept" {
		t.Errorf("the session: %+v", r)
	}
}

func TestCounters(t *testing.T) {
	p := aspstatetest.Start(t).Partner("a")
	db := connect(t, p, "ASPState")
	for range 5 {
		call(t, db, "TempResetTimeout", sql.Named("id", "x"))
	}
	if n := p.Counters(); n.Calls["TempResetTimeout"] != 5 || n.Batches != 0 || n.Requests() != 5 {
		t.Errorf("%+v, want 5 calls and nothing else", n)
	}
}

func BenchmarkTDS_resetTimeout(b *testing.B) {
	pair := aspstatetest.Start(b)
	db := connect(b, pair.Partner("a"), "ASPState")
	insert(b, db, "bench")
	for b.Loop() {
		if _, err := db.ExecContext(b.Context(), "TempResetTimeout", sql.Named("id", "bench")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTDS_read(b *testing.B) {
	pair := aspstatetest.Start(b)
	db := connect(b, pair.Partner("a"), "ASPState")
	insert(b, db, "bench")
	for b.Loop() {
		rows, err := db.QueryContext(b.Context(), "MirrorState_Get_1", sql.Named("id", "bench"), sql.Named("epoch", 0), sql.Named("lockTimeout", 110),
			sql.Named("renew", false), sql.Named("allowLocked", false), sql.Named("item", true))
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTDS_status runs the query of a proxy's prober, as it repeats it while no principal
// serves.
func BenchmarkTDS_status(b *testing.B) {
	pair := aspstatetest.Start(b)
	db := connect(b, pair.Partner("a"), "master")
	for b.Loop() {
		var state, role sql.NullString
		err := db.QueryRowContext(b.Context(), `SELECT d.state_desc, CONVERT(nvarchar(60), DATABASEPROPERTYEX(d.name, N'Updateability')), m.mirroring_role_desc
			FROM sys.databases d LEFT JOIN sys.database_mirroring m ON m.database_id = d.database_id WHERE d.name = @db`,
			sql.Named("db", "ASPState")).Scan(&state, new(sql.NullString), &role)
		if err != nil || state.String != "ONLINE" || role.String != "PRINCIPAL" {
			b.Fatal(err, state, role)
		}
	}
}
