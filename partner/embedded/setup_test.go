package embedded_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
)

// twoServers are two servers without user databases, and a connection to master on each.
type twoServers struct {
	t    *testing.T
	pair *embedded.Pair
	a, b *sql.DB
}

func newTwoServers(t *testing.T) *twoServers { return twoServersIn(t, t.TempDir()) }

func twoServersIn(t *testing.T, dir string) *twoServers {
	s := &twoServers{t: t, pair: embeddedtest.StartWith(t, embedded.Options{Dir: dir, Empty: true})}
	for _, c := range []struct {
		name string
		db   **sql.DB
	}{{"a", &s.a}, {"b", &s.b}} {
		db, err := sql.Open("sqlserver", s.pair.Partner(c.name).ConnectionString("master"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		*c.db = db
	}
	return s
}

// do runs statements on a server; a statement may be preceded by the number of the error that it must fail with, and
// a blank.
func (s *twoServers) do(db *sql.DB, statements ...string) {
	s.t.Helper()
	for _, statement := range statements {
		want := 0
		if n, rest, _ := strings.Cut(statement, " "); len(n) < 6 && n[0] >= '0' && n[0] <= '9' {
			fmt.Sscan(n, &want)
			statement = rest
		}
		_, err := db.ExecContext(s.t.Context(), statement)
		if got := errorNumber(err); got != want || err != nil && got == 0 {
			s.t.Fatalf("%s: %v, want error %d", statement, err, want)
		}
	}
}

func errorNumber(err error) int {
	if e, ok := err.(interface{ SQLErrorNumber() int32 }); ok {
		return int(e.SQLErrorNumber())
	}
	return 0
}

func (s *twoServers) text(db *sql.DB, query string) string {
	s.t.Helper()
	var v sql.NullString
	if err := db.QueryRowContext(s.t.Context(), query).Scan(&v); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return v.String
}

// secure creates endpoints and certificates, a's endpoint on port 5022, b's on 5023.
func (s *twoServers) secure() {
	s.t.Helper()
	s.do(s.a, "15581 CREATE CERTIFICATE [a] WITH SUBJECT = 'a'", "CREATE MASTER KEY ENCRYPTION BY PASSWORD = 'x'", "15578 CREATE MASTER KEY ENCRYPTION BY PASSWORD = 'x'",
		"15151 CREATE ENDPOINT [m] STATE = STARTED AS TCP (LISTENER_PORT = 5022) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [a], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL)",
		"CREATE CERTIFICATE [a] WITH SUBJECT = 'a', EXPIRY_DATE = '20391231'", "15232 CREATE CERTIFICATE [a] WITH SUBJECT = 'a'",
		"CREATE ENDPOINT [m] STATE = STARTED AS TCP (LISTENER_PORT = 5022, LISTENER_IP = ALL) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [a], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL)",
		"7862 CREATE ENDPOINT [n] STATE = STARTED AS TCP (LISTENER_PORT = 5024) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [a], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = ALL)")
	s.do(s.b, "CREATE MASTER KEY ENCRYPTION BY PASSWORD = 'x'", "CREATE CERTIFICATE [b] WITH SUBJECT = 'b'",
		"CREATE ENDPOINT [m] STATE = STARTED AS TCP (LISTENER_PORT = 5023) FOR DATABASE_MIRRORING (AUTHENTICATION = CERTIFICATE [b], ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = PARTNER)")
	for _, c := range []struct {
		at, from *sql.DB
		name     string
	}{{s.a, s.b, "b"}, {s.b, s.a, "a"}} {
		if name := s.text(c.from, "SELECT name FROM sys.certificates WHERE CERT_ID(name) = certificate_id AND name = N'"+c.name+"'"); name != c.name {
			s.t.Errorf("CERT_ID of a column: %q", name)
		}
		encoded := s.text(c.from, "SELECT CONVERT(varchar(max), CERTENCODED(CERT_ID(N'"+c.name+"')), 1) AS certificate")
		s.do(c.at, "15151 CREATE CERTIFICATE ["+c.name+"] AUTHORIZATION [u] FROM BINARY = "+encoded, "15007 CREATE USER [u] FOR LOGIN [l]",
			"CREATE LOGIN [l] WITH PASSWORD = 'p'", "CREATE USER [u] FOR LOGIN [l]", "CREATE CERTIFICATE ["+c.name+"] AUTHORIZATION [u] FROM BINARY = "+encoded,
			"15151 GRANT CONNECT ON ENDPOINT::[none] TO [l]", "15151 GRANT CONNECT ON ENDPOINT::[m] TO [none]")
	}
}

func (s *twoServers) grant() {
	s.t.Helper()
	for _, db := range []*sql.DB{s.a, s.b} {
		s.do(db, "GRANT CONNECT ON ENDPOINT::[m] TO [l]")
	}
}

// carry copies a backup from a's folder to b's.
func (s *twoServers) carry(file string) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.pair.Partner("a").BackupFolder(), file))
	if err != nil {
		s.t.Fatal(err)
	}
	to := s.pair.Partner("b").BackupFolder()
	if err := os.MkdirAll(to, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, file), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestSetup_FromNothing runs the single steps of setting up mirroring, and tries each step too early first.
func TestSetup_FromNothing(t *testing.T) {
	s := newTwoServers(t)
	s.do(s.a, "CREATE DATABASE [shop]", "CREATE USER x WITHOUT LOGIN; USE shop; CREATE ROLE r",
		"5011 ALTER DATABASE [none] SET PARTNER = N'TCP://h:5023'", "1449 ALTER DATABASE [shop] SET PARTNER = N'h:5023'",
		"1486 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'", "1416 ALTER DATABASE [shop] SET PARTNER OFF", "1416 ALTER DATABASE [shop] SET PARTNER FAILOVER",
		"3153 RESTORE DATABASE [shop] WITH RECOVERY")
	s.secure()
	s.do(s.a, "1452 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5022'", "1418 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:9'",
		"1418 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'") // no login has CONNECT permission
	s.grant()
	s.do(s.a, "1448 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'", "4214 BACKUP LOG [shop] TO DISK = N'x.trn'", "ALTER DATABASE [shop] SET RECOVERY SIMPLE",
		"1465 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'", "BACKUP DATABASE [shop] TO DISK = N'x.bak' WITH INIT, FORMAT, CHECKSUM",
		"4208 BACKUP LOG [shop] TO DISK = N'x.trn'", "ALTER DATABASE [shop] SET RECOVERY FULL")
	s.do(s.b, "3201 RESTORE FILELISTONLY FROM DISK = N'x.bak'", "3201 RESTORE DATABASE [shop] FROM DISK = N'x.bak' WITH NORECOVERY", "911 RESTORE DATABASE [shop] WITH RECOVERY")
	s.carry("x.bak")
	var logical, physical, kind string
	if err := s.b.QueryRowContext(t.Context(), "RESTORE FILELISTONLY FROM DISK = N'x.bak'").Scan(&logical, &physical, &kind); err != nil || logical != "shop" || kind != "D" {
		t.Errorf("file list: %q, %q, %q, %v", logical, physical, kind, err)
	}
}

// mirrored sets up a pair, with the database shop on a.
func (s *twoServers) mirrored() {
	s.t.Helper()
	s.secure()
	s.grant()
	s.do(s.a, "CREATE DATABASE [shop]", "BACKUP DATABASE [shop] TO DISK = N'x.bak' WITH INIT", "BACKUP LOG [shop] TO DISK = N'x.trn' WITH INIT")
	s.carry("x.bak")
	s.carry("x.trn")
	s.do(s.b, "3118 RESTORE LOG [shop] FROM DISK = N'x.trn' WITH NORECOVERY", "RESTORE DATABASE [shop] FROM DISK = N'x.bak' WITH NORECOVERY, MOVE N'shop' TO N'/x'")
	s.do(s.b, "927 USE shop", "ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5022'", "1405 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5022'")
	s.do(s.a, "1412 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'")
	s.do(s.b, "ALTER DATABASE [shop] SET PARTNER OFF", "RESTORE LOG [shop] FROM DISK = N'x.trn' WITH NORECOVERY", "RESTORE LOG [shop] FROM DISK = N'x.trn' WITH NORECOVERY")
	s.do(s.a, "1416 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'")
	s.do(s.b, "ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5022'")
	s.do(s.a, "ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'")
	s.state("SYNCHRONIZED")
}

// state waits until the view shows that state of the mirroring session.
func (s *twoServers) state(want string) {
	s.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		got := s.text(s.a, "SELECT m.mirroring_state_desc FROM sys.database_mirroring m WHERE m.database_id = DB_ID(N'shop')")
		if got == want {
			return
		}
		select {
		case <-limit:
			s.t.Fatalf("state %q, want %q", got, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestSetup_MirroredAndRemoved sets a pair up, writes, fails over, removes mirroring, and sets it up again from the
// copy.
func TestSetup_MirroredAndRemoved(t *testing.T) {
	s := newTwoServers(t)
	s.mirrored()
	s.do(s.a, "3743 DROP DATABASE [shop]", "1468 ALTER DATABASE [shop] SET RECOVERY SIMPLE", "1405 ALTER DATABASE [shop] SET PARTNER = N'TCP://h:5023'")
	s.do(s.b, "954 USE shop", "3104 RESTORE DATABASE [shop] WITH RECOVERY", "3104 RESTORE DATABASE [shop] FROM DISK = N'x.bak' WITH NORECOVERY", "1470 ALTER DATABASE [shop] SET PARTNER FAILOVER")
	s.do(s.a, "USE shop; CREATE ROLE later; USE master")
	s.do(s.a, "ALTER DATABASE [shop] SET PARTNER FAILOVER")
	if n := s.text(s.b, "SELECT COUNT(*) FROM shop.sys.database_principals WHERE name = N'later'"); n != "1" {
		t.Errorf("the role created while mirrored exists %s times on the new principal", n)
	}
	s.do(s.b, "ALTER DATABASE [shop] SET PARTNER OFF", "1416 ALTER DATABASE [shop] SET PARTNER OFF")
	if got := s.text(s.a, "SELECT state_desc FROM sys.databases WHERE name = N'shop'"); got != "RESTORING" {
		t.Errorf("the former mirror is %s, want RESTORING", got)
	}
	s.do(s.a, "927 USE shop", "RESTORE DATABASE [shop] WITH RECOVERY", "USE shop; USE master", "DROP DATABASE [shop]")
	s.do(s.b, "USE shop; USE master", "DROP DATABASE [shop]")
}

// A pair that was set up is still a pair after a restart.
func TestSetup_afterRestart(t *testing.T) {
	dir := t.TempDir()
	t.Run("set up", func(t *testing.T) {
		s := twoServersIn(t, dir)
		s.mirrored()
		s.do(s.a, "ALTER DATABASE [shop] SET WITNESS = N'TCP://w:5024'")
	})
	t.Run("after the first restart", func(t *testing.T) {
		s := twoServersIn(t, dir)
		s.state("SYNCHRONIZED")
		if got := s.text(s.a, "SELECT CONVERT(nvarchar(10), port) FROM sys.tcp_endpoints"); got != "5022" {
			t.Errorf("endpoint on port %q", got)
		}
		if !s.pair.Witness() {
			t.Error("the witness was lost")
		}
		s.do(s.a, "ALTER DATABASE [shop] SET PARTNER FAILOVER")
		s.do(s.b, "USE shop; USE master", "ALTER DATABASE [shop] SET PARTNER OFF")
		if s.pair.Witness() {
			t.Error("the witness stays although mirroring was removed")
		}
	})
	t.Run("after the second restart", func(t *testing.T) {
		s := twoServersIn(t, dir)
		s.do(s.a, "927 USE shop")
		s.do(s.b, "USE shop; USE master")
		if s.pair.Witness() {
			t.Error("the witness is there again")
		}
	})
}
