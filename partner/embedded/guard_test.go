package embedded_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLogin_guesses(t *testing.T) {
	log := &logged{}
	pair := aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(log, nil))})
	p := pair.Partner("a")
	var last time.Duration
	for range 5 {
		began := time.Now()
		if err := as(t, p, pair.User(), "guess", "master").PingContext(limit(t)); !slices.Contains(numbers(err), 18456) {
			t.Fatalf("a wrong password: %v", err)
		}
		last = time.Since(began)
	}
	if last < 200*time.Millisecond {
		t.Errorf("the fifth wrong password in a row was answered within %v", last)
	}
	mustExec(t, connect(t, p, "master"), "SELECT 1")
	if c := p.Counters(); c.Failed < 5 {
		t.Errorf("%d failed logins are counted", c.Failed)
	}
	if n := strings.Count(log.String(), "login failed"); n != 1 || !strings.Contains(log.String(), "user=mirrorstate peer=127.0.0.1") {
		t.Errorf("one line was expected:\n%s", log)
	}
}

func TestLogin_hashes(t *testing.T) {
	pair, a := startEmpty(t, t.TempDir())
	for _, text := range []string{"CREATE LOGIN web WITH PASSWORD = N'secret'", "CREATE LOGIN cron WITH PASSWORD = N'secret'",
		"GRANT VIEW ANY DEFINITION TO web", "GRANT ALTER ANY LOGIN TO web"} {
		mustExec(t, a, text)
	}
	const hash = "SELECT CONVERT(varchar(600), password_hash, 1) FROM sys.sql_logins WHERE name = "
	web := scalar[string](t, a, hash+"N'web'")
	if other := scalar[string](t, a, hash+"N'cron'"); web == other {
		t.Error("two logins with the same password have the same hash")
	}
	eyes := as(t, pair.Partner("a"), "web", "secret", "master")
	for _, name := range []string{"web", "cron", "mirrorstate"} {
		if n := scalar[int](t, eyes, "SELECT COUNT(*) FROM sys.sql_logins WHERE name = N'"+name+"' AND password_hash IS NULL"); n != 1 {
			t.Errorf("a login that is not sysadmin does not see %s, or sees its hash", name)
		}
	}
	// The hash is copied to the partner, as pair setup does it.
	b := connect(t, pair.Partner("b"), "master")
	refuses(t, b, "CREATE LOGIN bad WITH PASSWORD = 0x0102 HASHED", 15021)
	mustExec(t, b, "CREATE LOGIN web WITH PASSWORD = "+web+" HASHED")
	if err := as(t, pair.Partner("b"), "web", "secret", "master").PingContext(limit(t)); err != nil {
		t.Errorf("the copied login: %v", err)
	}
	refusesLogin(t, pair.Partner("b"), "web", web)
}

// refusesLogin expects error 18456.
func refusesLogin(t *testing.T, p *embedded.Partner, user, password string) {
	t.Helper()
	if err := as(t, p, user, password, "master").PingContext(limit(t)); !slices.Contains(numbers(err), 18456) {
		t.Errorf("%s: %v, want 18456", user, err)
	}
}

func TestPrepare_bytes(t *testing.T) {
	pair := aspstatetest.Start(t)
	conn, err := connect(t, pair.Partner("a"), "master").Conn(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	prepare := func(text string) (handle int64, err error) {
		_, err = conn.ExecContext(limit(t), "sp_prepare", sql.Named("handle", sql.Out{Dest: &handle}), sql.Named("params", ""), sql.Named("stmt", text))
		return handle, err
	}
	large := "SELECT 1 -- " + strings.Repeat("x", 1<<20)
	var handles []int64
	for range 3 {
		handle, err := prepare(large)
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, handle)
	}
	if _, err := prepare(large); !slices.Contains(numbers(err), 701) {
		t.Fatalf("four statements of more than 1 MiB: %v, want 701", err)
	}
	if _, err := conn.ExecContext(limit(t), "sp_unprepare", sql.Named("handle", handles[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(large); err != nil {
		t.Errorf("after one was unprepared: %v", err)
	}
}

func TestConnections_bound(t *testing.T) {
	pair := aspstatetest.StartWith(t, embedded.Options{Dir: t.TempDir(), MaxConnections: 1})
	p := pair.Partner("a")
	mustExec(t, connect(t, p, "master"), "SELECT 1")
	err := as(t, p, pair.User(), pair.Password(), "master").PingContext(limit(t))
	if !slices.Contains(numbers(err), 17809) || p.Counters().Full == 0 {
		t.Errorf("a connection above the limit: %v, want 17809; %+v", err, p.Counters())
	}
}
