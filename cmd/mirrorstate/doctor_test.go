package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/doctor"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadserver"
	"github.com/mirrorstate/mirrorstate/partner/agtest"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// sickPair is a pair of servers for doctor to check.
type sickPair struct {
	t       *testing.T
	servers *embedded.Pair
	flags   []string // in addition to the connection string
	login   string   // "user id=…;password=…"; empty: the pair's login
	sql     map[string]*sql.Conn
}

func newSickPair(t *testing.T, o embedded.Options) *sickPair {
	o.Dir, o.PartnerTimeout = t.TempDir(), 500*time.Millisecond
	p := &sickPair{t: t, servers: aspstatetest.StartWith(t, o), sql: map[string]*sql.Conn{}}
	return p
}

// mirroredPair returns a healthy pair with the extension and a witness.
func mirroredPair(t *testing.T) *sickPair { return newSickPair(t, embedded.Options{Witness: true}) }

// installedPair returns two servers that are not mirrored; on a, install was run with these flags.
func installedPair(t *testing.T, flags ...string) *sickPair {
	p := newSickPair(t, embedded.Options{Empty: true})
	p.run("install", flags...)
	return p
}

func (p *sickPair) run(verb string, flags ...string) {
	p.t.Helper()
	code, stdout, stderr := call(p.t, append(append(strings.Fields(verb), flags...), "--connection-string", p.source(""))...)
	if code != exitDone {
		p.t.Fatalf("%s: exit %d\n%s%s", verb, code, stdout, stderr)
	}
}

func (p *sickPair) setup() {
	p.t.Helper()
	p.run("pair setup", append([]string{"--share", p.t.TempDir()}, endpoints...)...)
}

// source returns the ADO.NET string for both servers with a login.
func (p *sickPair) source(login string) string {
	s := strings.Replace(loadserver.PairConnection(p.servers), ";encrypt=disable", "", 1)
	if login != "" {
		s = regexp.MustCompile(`user id=[^;]*;password=[^;]*`).ReplaceAllString(s, login)
	}
	return s
}

// exec runs statements on a partner, beginning in master.
func (p *sickPair) exec(partner string, statements ...string) {
	p.t.Helper()
	if p.sql[partner] == nil {
		conn, err := openServer(p.t, p.servers.Partner(partner).ConnectionString("master")).Conn(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { conn.Close() })
		p.sql[partner] = conn
	}
	for _, s := range statements {
		if _, err := p.sql[partner].ExecContext(p.t.Context(), s); err != nil {
			p.t.Fatalf("on %s: %s: %v", partner, s, err)
		}
	}
}

// objectID returns the id of a table of ASPState on a.
func (p *sickPair) objectID(table string) (id int) {
	p.t.Helper()
	p.exec("a", "USE master")
	if err := p.sql["a"].QueryRowContext(p.t.Context(), "SELECT OBJECT_ID(N'ASPState.dbo."+table+"')").Scan(&id); err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *sickPair) inject(partner string, fault embedded.Fault) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := p.servers.Partner(partner).Inject(ctx, fault); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until the mirroring session is in a state.
func (p *sickPair) until(want string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); p.servers.State() != want; runtime.Gosched() {
		if time.Now().After(end) {
			p.t.Fatalf("the state is %s, want %s", p.servers.State(), want)
		}
	}
}

// plant replaces views of a partner by recorded rows.
func (p *sickPair) plant(partner string, views map[string][]map[string]any) {
	p.t.Helper()
	if err := p.servers.Partner(partner).Plant(embedded.Planted{Views: views}); err != nil {
		p.t.Fatal(err)
	}
}

// session returns a recorded row of sys.database_mirroring for ASPState on partner a, with changes.
func (p *sickPair) session(role, state, safety, witness, witnessState string) map[string][]map[string]any {
	row := map[string]any{"database_id": 5, "mirroring_guid": "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0", "mirroring_role_desc": role, "mirroring_state_desc": state,
		"mirroring_role_sequence": 1, "mirroring_safety_level_desc": safety, "mirroring_partner_name": "TCP://sql2.example.com:5022", "mirroring_partner_instance": "SQL9",
		"mirroring_witness_name": witness, "mirroring_witness_state_desc": witnessState, "mirroring_connection_timeout": 10}
	return map[string][]map[string]any{"sys.database_mirroring": {{"database_id": 1}, {"database_id": 2}, {"database_id": 3}, {"database_id": 4}, row}}
}

// database returns a recorded row of sys.databases for ASPState, and those of the system databases.
func database(state, recovery, wait string, autoClose bool) []map[string]any {
	var rows []map[string]any
	for i, name := range []string{"master", "tempdb", "model", "msdb"} {
		rows = append(rows, map[string]any{"name": name, "database_id": i + 1, "state_desc": "ONLINE", "user_access_desc": "MULTI_USER", "recovery_model_desc": "SIMPLE"})
	}
	return append(rows, map[string]any{"name": "ASPState", "database_id": 5, "state_desc": state, "user_access_desc": "MULTI_USER",
		"is_read_only": false, "is_auto_close_on": autoClose, "recovery_model_desc": recovery, "log_reuse_wait_desc": wait})
}

// job returns the rows of SQL Agent's job as aspnet_regsql creates it.
func job(enabled int) map[string][]map[string]any {
	const id = "11111111-2222-3333-4444-555555555555"
	return map[string][]map[string]any{
		"sys.sysjobs":     {{"job_id": id, "name": "ASPState_Job_DeleteExpiredSessions", "enabled": enabled}},
		"sys.sysjobsteps": {{"job_id": id, "step_id": 1, "step_name": "ASPState_JobStep_DeleteExpiredSessions", "command": "EXECUTE DeleteExpiredSessions", "database_name": "ASPState"}},
	}
}

// sickPairs are the pairs that doctor checks: how each is made, its exit code, and texts that its report must contain.
var sickPairs = map[string]struct {
	make func(t *testing.T) *sickPair
	code int
	says []string
}{
	"nothing":   {func(t *testing.T) *sickPair { return newSickPair(t, embedded.Options{Empty: true}) }, exitFailed, []string{"neither server has a database ASPState"}},
	"installed": {func(t *testing.T) *sickPair { return installedPair(t) }, exitFailed, []string{"mirrorstate pair setup"}},
	"well":      {mirroredPair, exitDone, []string{"0 to fix"}},
	"green": {func(t *testing.T) *sickPair {
		p := installedPair(t)
		p.exec("a", "CREATE LOGIN web WITH PASSWORD = 'secret'")
		p.run("install", "--grant", "web")
		p.exec("a", "GRANT VIEW SERVER STATE TO web") // pair setup copies it to b with the login
		p.setup()
		p.login, p.flags = "user id=web;password=secret", []string{"--client-timeout", "60s", "--balancer-timeout", "60s"}
		return p
	}, exitDone, []string{"0 to fix", "the role is unknown (NULL)", "web has all rights"}},
	"both-down": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.inject("b", embedded.Crash)
		p.inject("a", embedded.Crash)
		return p
	}, exitFailed, []string{"nothing listens on that address"}},
	"mirror-down": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.inject("b", embedded.Crash)
		p.until("DISCONNECTED")
		return p
	}, exitFailed, []string{"the principal runs exposed"}},
	"mirror-silent": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.inject("b", embedded.Freeze)
		p.until("DISCONNECTED")
		return p
	}, exitFailed, []string{"the server does not answer"}},
	"suspended": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "ALTER DATABASE ASPState SET PARTNER SUSPEND")
		return p
	}, exitFailed, []string{"mirrorstate pair resume"}},
	"stock": {func(t *testing.T) *sickPair {
		p := installedPair(t, "--stock-only")
		p.setup()
		return p
	}, exitDone, []string{"a stock ASPState"}},
	"tempdb-type": {func(t *testing.T) *sickPair {
		p := installedPair(t, "--stock-only")
		p.exec("a", "USE ASPState", "DROP TABLE dbo.ASPStateTempSessions", "DROP TABLE dbo.ASPStateTempApplications")
		return p
	}, exitFailed, []string{"a tempdb-type install", "can't be mirrored"}},
	"regsql-again": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "USE ASPState", "DROP TABLE dbo.ASPStateTempSessions", "DROP TABLE dbo.ASPStateTempApplications", "EXECUTE dbo.CreateTempTables")
		return p
	}, exitFailed, []string{"17 of 17 columns", "aspnet_regsql again"}},
	"epoch-gone": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "USE ASPState", "DELETE FROM dbo.MirrorStateEpoch")
		return p
	}, exitFailed, []string{"the row of MirrorStateEpoch is missing"}},
	"procedure-gone": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "USE ASPState", "DROP PROCEDURE dbo.MirrorState_Acquire_1")
		return p
	}, exitFailed, []string{"MirrorState_Acquire_1 missing"}},
	"added-to-tables": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		sessions, applications, tombstones := p.objectID("ASPStateTempSessions"), p.objectID("ASPStateTempApplications"), p.objectID("MirrorStateTombstones")
		p.plant("a", map[string][]map[string]any{
			"sys.triggers":     {{"name": "audit", "object_id": 9, "parent_id": sessions, "is_disabled": false}, {"name": "off", "object_id": 10, "parent_id": sessions, "is_disabled": true}},
			"sys.foreign_keys": {{"name": "FK_shop", "parent_object_id": applications, "referenced_object_id": sessions, "is_disabled": false}},
			"sys.tables":       {{"name": "MirrorStateTombstones", "object_id": tombstones, "schema_id": 1, "is_memory_optimized": true}}})
		return p
	}, exitFailed, []string{"an enabled trigger audit", "(334)", "FK_shop ties dbo.ASPStateTempApplications to ASPStateTempSessions", "dbo.MirrorStateTombstones is memory-optimized"}},
	"strange-name": {func(t *testing.T) *sickPair {
		p := newSickPair(t, embedded.Options{Empty: true})
		source := strings.Replace(p.source(""), "initial catalog=ASPState", "initial catalog=shop.state", 1)
		for _, on := range []string{"a", "b"} {
			p.exec(on, "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F10")
		}
		if code, _, stderr := call(t, "install", "--grant", "web", "--connection-string", source); code != exitDone {
			t.Fatalf("install: exit %d, %s", code, stderr)
		}
		p.exec("a", "USE [shop.state]", "GRANT VIEW DEFINITION TO web")
		p.flags = []string{"--connection-string", regexp.MustCompile(`user id=[^;]*;password=[^;]*`).ReplaceAllString(source, "user id=web;password=secret")}
		return p
	}, exitDone, []string{"schema on a: ASPState with the extension, of this version"}},
	"no-user": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		for _, on := range []string{"a", "b"} {
			p.exec(on, "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F10")
		}
		p.login = "user id=web;password=secret"
		return p
	}, exitFailed, []string{"(916)", "install --grant web"}},
	"few-rights": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		for _, on := range []string{"a", "b"} {
			p.exec(on, "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F10")
		}
		p.exec("a", "USE ASPState", "CREATE USER web FOR LOGIN web", "GRANT EXECUTE ON dbo.TempGetStateItem3 TO web")
		p.login = "user id=web;password=secret"
		return p
	}, exitFailed, []string{"web lacks", "as far as this login may see"}},
	"login-missing": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "CREATE LOGIN web WITH PASSWORD = 'secret'")
		p.run("install", "--grant", "web")
		p.login = "user id=web;password=secret"
		return p
	}, exitFailed, []string{"the login is refused (18456)"}},
	"sids-differ": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F10")
		p.exec("b", "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0xA102030405060708090A0B0C0D0E0F10")
		p.run("install", "--grant", "web")
		p.login = "user id=web;password=secret"
		return p
	}, exitFailed, []string{"SID 0x0102030405060708090A0B0C0D0E0F10 on a and 0xA1"}},
	"orphans": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.exec("a", "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F10", "CREATE LOGIN cron WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F11")
		p.exec("b", "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0xA102030405060708090A0B0C0D0E0F10")
		p.exec("a", "USE ASPState", "CREATE USER web FOR LOGIN web", "CREATE USER cron FOR LOGIN cron")
		return p
	}, exitFailed, []string{"users on b: the login of the user cron is missing on this server", "a SID here that differs"}},
	"unencrypted": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.flags = []string{"--connection-string", loadserver.PairConnection(p.servers) + ";encrypt=disable"}
		return p
	}, exitFailed, []string{"nothing is encrypted, not even the password"}},
	"trusting": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.flags = []string{"--connection-string", p.source("") + ";encrypt=true;trustservercertificate=true"}
		return p
	}, exitDone, []string{"the certificate is not verified"}},
	"verified": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.flags = []string{"--connection-string", p.source("") + ";encrypt=true"}
		return p
	}, exitFailed, []string{"the TLS handshake fails"}},
	"wrong-name": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.flags = []string{"--connection-string", strings.Replace(p.source(""), "initial catalog=ASPState", "initial catalog=ASPStat", 1)}
		return p
	}, exitFailed, []string{"neither server has a database ASPStat"}},
	"wrong-database": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.plant("a", map[string][]map[string]any{"sys.databases": database("ONLINE", "SIMPLE", "NOTHING", true)})
		return p
	}, exitFailed, []string{"AUTO_CLOSE", "the recovery model is SIMPLE"}},
	"recorded-mirroring": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		p.plant("a", p.session("PRINCIPAL", "SYNCHRONIZING", "OFF", "TCP://sql3.example.com:5022", "DISCONNECTED"))
		p.plant("b", p.session("MIRROR", "SYNCHRONIZING", "OFF", "TCP://sql3.example.com:5022", "DISCONNECTED"))
		return p
	}, exitFailed, []string{"SAFETY is OFF", "the witness TCP://sql3.example.com:5022 is DISCONNECTED", "its partner's name is SQL9"}},
	"recorded-server": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		views := job(1)
		views["sys.databases"] = database("ONLINE", "FULL", "DATABASE_MIRRORING", false)
		views["sys.backupset"] = []map[string]any{{"database_name": "ASPState", "type": "L", "backup_finish_date": "2020-01-02 03:04:05"}}
		views["sys.dm_os_performance_counters"] = []map[string]any{{"object_name": "SQLServer:Database Mirroring", "counter_name": "Log Send Queue KB", "instance_name": "ASPState", "cntr_value": 4096}}
		views["sys.dm_db_log_space_usage"] = []map[string]any{{"database_id": 5, "total_log_size_in_bytes": 1 << 30, "used_log_space_in_percent": 93.5}}
		p.plant("a", views)
		p.plant("b", job(1))
		return p
	}, exitFailed, []string{"94 % of the log is used", "because of DATABASE_MIRRORING", "4096 KB of log are not sent", "fails every minute (954)", "hours old"}},
	"group": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		agtest.PlantGroup(t, p.servers, agtest.Group{Primary: "a"})
		return p
	}, exitDone, []string{"availability-group", "the group has no cluster"}},
	"group-no-definition": {func(t *testing.T) *sickPair {
		return groupAs(t, []string{"VIEW SERVER STATE"}, []string{"VIEW SERVER STATE"})
	}, exitDone, []string{"PRIMARY, SYNCHRONIZED", "no rows and no error", "GRANT VIEW ANY DEFINITION TO [web]"}},
	"group-no-state": {func(t *testing.T) *sickPair {
		return groupAs(t, []string{"VIEW ANY DEFINITION"}, []string{"VIEW ANY DEFINITION"})
	}, exitFailed, []string{"(300): its role is unknown", "GRANT VIEW SERVER STATE TO [web]"}},
	"group-rights-differ": {func(t *testing.T) *sickPair {
		return groupAs(t, []string{"VIEW SERVER STATE"}, nil)
	}, exitFailed, []string{"web has VIEW SERVER STATE on the other server, but not here"}},
	"group-broken": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		agtest.PlantGroup(t, p.servers, agtest.Group{Primary: "a", Mode: "ASYNCHRONOUS_COMMIT", State: "NOT SYNCHRONIZING", Disconnected: true, Suspended: true})
		return p
	}, exitFailed, []string{"commits asynchronously", "mirrorstate pair resume", "is DISCONNECTED", "this secondary is not connected to its primary"}},
	"group-resolving": {func(t *testing.T) *sickPair {
		p := mirroredPair(t)
		agtest.PlantGroup(t, p.servers, agtest.Group{})
		return p
	}, exitFailed, []string{"RESOLVING"}},
}

// groupAs returns a healthy availability group, checked by a login with these rights on each server.
func groupAs(t *testing.T, onA, onB []string) *sickPair {
	p := mirroredPair(t)
	for on, rights := range map[string][]string{"a": onA, "b": onB} {
		p.exec(on, "CREATE LOGIN web WITH PASSWORD = 'secret', SID = 0x0102030405060708090A0B0C0D0E0F10")
		for _, right := range rights {
			p.exec(on, "GRANT "+right+" TO web")
		}
	}
	p.run("install", "--grant", "web")
	agtest.PlantGroup(t, p.servers, agtest.Group{Primary: "a"})
	p.login = "user id=web;password=secret"
	return p
}

// volatileParts are the parts of a report that differ in every run.
var volatileParts = []struct {
	piece *regexp.Regexp
	is    string
}{
	{regexp.MustCompile(`\b\d{3,} hours old`), "N hours old"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+->`), "HERE->"},
	{regexp.MustCompile(`on port \d+`), "on port N"},
}

// examine runs doctor, and returns its report with the servers named SQL1 and SQL2.
func (p *sickPair) examine() (code int, report, stderr string) {
	args := append([]string{"doctor"}, p.flags...)
	if !strings.Contains(strings.Join(p.flags, " "), "--connection-string") {
		args = append(args, "--connection-string", p.source(p.login))
	}
	code, report, stderr = call(p.t, args...)
	for i, name := range []string{"a", "b"} {
		sql := []string{"SQL1", "SQL2"}[i]
		addr := p.servers.Partner(name).Addr()
		report = strings.NewReplacer(addr, sql, strings.Replace(addr, ":", ",", 1), sql).Replace(report)
	}
	for _, v := range volatileParts {
		report = v.piece.ReplaceAllString(report, v.is)
	}
	return code, report, stderr
}

// TestDoctor_Reports compares the report of each pair with its golden file. After an intended change run
// go test ./cmd/mirrorstate -run Doctor -update and read the difference.
func TestDoctor_Reports(t *testing.T) {
	for name, c := range sickPairs {
		t.Run(name, func(t *testing.T) {
			p := c.make(t)
			code, report, stderr := p.examine()
			if code != c.code || (code != exitDone) != strings.Contains(stderr, "to fix; the first: ") {
				t.Errorf("exit %d, want %d; stderr %s", code, c.code, stderr)
			}
			for _, want := range c.says {
				if !strings.Contains(report, want) {
					t.Errorf("%q is missing in the report", want)
				}
			}
			path := filepath.Join("testdata", "doctor", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(report), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if report != string(want) {
				t.Errorf("the report differs from %s:\n%s", path, report)
			}
		})
	}
}

// If a view is missing or forbidden, its checks are unknown, with the reason and the right that is missing. All other
// checks are done.
func TestDoctor_MissingViews(t *testing.T) {
	p := mirroredPair(t)
	findings := func() (all []doctor.Finding) {
		t.Helper()
		_, stdout, _ := call(t, "doctor", "--json", "--connection-string", p.source(""))
		var report struct{ Findings []doctor.Finding }
		if err := json.Unmarshal([]byte(stdout), &report); err != nil {
			t.Fatal(err)
		}
		return report.Findings
	}
	type thing struct{ check, on string }
	healthy := map[thing]doctor.Level{}
	for _, f := range findings() {
		healthy[thing{f.Check, f.On}] = f.Level
	}
	for _, c := range []struct {
		part   string // of the queries that are refused
		number int32
		opens  []string // the checks that are unknown then
		right  string
	}{
		{"sys.database_mirroring_endpoints e LEFT", 229, []string{"endpoint"}, "GRANT VIEW ANY DEFINITION TO [mirrorstate]"},
		{"sys.certificates AS c", 208, []string{"endpoint"}, "does not have"},
		{"sys.database_mirroring m", 208, []string{"role-view", "mirroring", "safety", "witness"}, "does not have"},
		{"sys.database_mirroring m", 229, []string{"role-view", "mirroring", "safety", "witness"}, "GRANT VIEW ANY DEFINITION TO [mirrorstate]"},
		{"sys.databases d", 229, []string{"database", "recovery-model"}, "GRANT VIEW ANY DATABASE TO [mirrorstate]"},
		{"sys.master_files", 229, nil, ""},
		{"SERVERPROPERTY(N'Edition')", 229, []string{"servers"}, "GRANT VIEW SERVER STATE TO [mirrorstate]"},
		{"default_database_name", 208, []string{"login"}, "does not have"},
		{"type IN ('S', 'U', 'G')", 229, []string{"users"}, "GRANT VIEW ANY DEFINITION TO [mirrorstate]"},
		{"sys.server_principals", 208, []string{"login", "users", "schema"}, "does not have"},
		{"mirroring_connection_timeout", 207, []string{"hold-window"}, "does not have"},
		{"sys.triggers", 229, []string{"schema"}, "GRANT VIEW ANY DEFINITION TO [mirrorstate]"},
		{"sys.foreign_keys", 208, []string{"schema"}, "does not have"},
		{"sys.database_principals", 229, []string{"users"}, "GRANT VIEW ANY DEFINITION TO [mirrorstate]"},
		{"sysjobs", 229, []string{"expiry-job"}, "msdb.dbo.sysjobs"},
		{"backupset", 229, []string{"log-backups"}, "msdb.dbo.backupset"},
		{"dm_os_performance_counters", 300, []string{"unsent-log"}, "GRANT VIEW SERVER STATE"},
		{"dm_db_log_space_usage", 0, []string{"log-space"}, "GRANT VIEW SERVER STATE"}, // other engines have other error numbers
	} {
		t.Run(fmt.Sprintf("%s %d", c.part, c.number), func(t *testing.T) {
			for _, name := range []string{"a", "b"} {
				refuse := func(text string) error {
					if strings.Contains(text, c.part) {
						return &tds.Error{Number: c.number, Class: 14, State: 1, Message: "It is refused."}
					}
					return nil
				}
				if err := p.servers.Partner(name).Plant(embedded.Planted{Refuse: refuse}); err != nil {
					t.Fatal(err)
				}
			}
			made, said := map[thing]bool{}, map[string]bool{}
			for _, f := range findings() {
				was, before := healthy[thing{f.Check, f.On}]
				made[thing{f.Check, f.On}] = true
				if f.Level == doctor.Fail && (!before || was != doctor.Fail) {
					t.Errorf("a check fails: %+v", f)
				}
				if f.Level == doctor.Unchecked && strings.Contains(f.Mend, c.right) {
					said[f.Check] = true
				}
			}
			for one := range healthy {
				if !made[one] && !made[thing{one.check, ""}] && !made[thing{one.check, "a"}] {
					t.Errorf("the check %v is missing", one)
				}
			}
			for _, check := range c.opens {
				if !said[check] {
					t.Errorf("%s is not unknown with the advice %q", check, c.right)
				}
			}
			if t.Failed() {
				t.Logf("%+v", findings())
			}
		})
	}
}

// The JSON report has the same findings in the same order.
func TestDoctor_JSON(t *testing.T) {
	p := mirroredPair(t)
	p.exec("a", "USE ASPState", "DELETE FROM dbo.MirrorStateEpoch")
	code, stdout, _ := call(t, "doctor", "--json", "--connection-string", p.source(""))
	var got struct {
		OK       bool
		Topology string
		Counts   map[doctor.Level]int
		Findings []doctor.Finding
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || got.OK || got.Topology != "mirroring" || got.Counts[doctor.Fail] == 0 || got.Findings[0].Level != doctor.Fail || got.Findings[0].Mend == "" {
		t.Errorf("exit %d, %s", code, stdout)
	}
}

// doctor changes nothing, and its report has no secret.
func TestDoctor_ChangesNothing(t *testing.T) {
	p := newSickPair(t, embedded.Options{Witness: true, Password: "a-secret-nobody-says"})
	before := [2]string{p.lsn("a"), p.lsn("b")}
	_, report, stderr := p.examine()
	if after := [2]string{p.lsn("a"), p.lsn("b")}; after != before {
		t.Errorf("the logs ended at %v before, and at %v after", before, after)
	}
	if strings.Contains(report+stderr, "a-secret-nobody-says") {
		t.Error("the password is in the report")
	}
}

// lsn returns the end of a partner's log, which moves with every write.
func (p *sickPair) lsn(partner string) (lsn string) {
	p.t.Helper()
	db := openServer(p.t, p.servers.Partner(partner).ConnectionString("master"))
	if err := db.QueryRowContext(p.t.Context(), "SELECT CONVERT(nvarchar(30), mirroring_end_of_log_lsn) FROM sys.database_mirroring WHERE mirroring_guid IS NOT NULL").Scan(&lsn); err != nil {
		p.t.Fatal(err)
	}
	return lsn
}

func TestDoctor_Misuse(t *testing.T) {
	for _, args := range [][]string{{"doctor"}, {"doctor", "--client-timeout", "-1s"}, {"doctor", "now"}} {
		if code, _, stderr := call(t, args...); code != exitMisuse || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
}

// doctor's advice repairs a login that is missing on the mirror, or has another SID there, or lacks a right. The test
// runs the statements and the commands exactly as doctor prints them, and nothing else.
func TestDoctor_AdviceRepairs(t *testing.T) {
	statement := regexp.MustCompile(`On ([ab]), .* run (DROP LOGIN \[[^]]*\])`)
	for _, name := range []string{"login-missing", "sids-differ", "orphans", "no-user", "few-rights"} {
		t.Run(name, func(t *testing.T) {
			p := sickPairs[name].make(t)
			source := p.source(p.login)
			admin := regexp.MustCompile(`user id=([^;]*);password=([^;]*)`).FindStringSubmatch(p.source(""))
			look := func() (due []doctor.Finding) {
				_, stdout, stderr := call(t, "doctor", "--json", "--connection-string", source)
				var got struct{ Findings []doctor.Finding }
				if err := json.Unmarshal([]byte(stdout), &got); err != nil {
					t.Fatal(err, stderr)
				}
				for _, f := range got.Findings {
					if f.Level == doctor.Fail && strings.Contains(f.Command, "mirrorstate ") {
						due = append(due, f)
					}
				}
				return due
			}
			due := look()
			if len(due) == 0 {
				t.Fatal("doctor has nothing to fix")
			}
			for _, f := range due {
				if m := statement.FindStringSubmatch(f.Mend); m != nil {
					p.exec(m[1], m[2])
				}
				words, how, _ := strings.Cut(f.Command, " --connection-string ")
				how = strings.Trim(how, `"`)
				if how == "…" {
					how = source // the connection string that was passed to doctor
				}
				t.Setenv("MIRRORSTATE_PAIR_PASSWORD", "")
				if strings.HasSuffix(how, "user id=sa") {
					t.Setenv("MIRRORSTATE_PAIR_PASSWORD", admin[2])
					how = strings.Replace(how, "user id=sa", "user id="+admin[1], 1)
				}
				args := append(strings.Fields(words)[1:], "--connection-string", how)
				if code, stdout, stderr := call(t, args...); code != exitDone {
					t.Fatalf("%s: exit %d\n%s%s", f.Command, code, stdout, stderr)
				}
			}
			t.Setenv("MIRRORSTATE_PAIR_PASSWORD", "")
			for _, f := range look() {
				t.Errorf("not repaired: %s on %s: %s", f.Check, f.On, f.Found)
			}
		})
	}
}
