package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/operate"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// healthy returns the facts about a healthy pair, as a sysadmin sees them.
func healthy() *Facts {
	f := &Facts{Database: "ASPState", Setup: Setup{Host: [2]string{"sql1", "sql2"}, Encrypt: [2]string{"true", "true"}, HoldWindow: 30 * time.Second,
		SweepEnabled: true, MaxClockSkew: 5 * time.Second, AgentJob: "beside", ClientTimeout: time.Minute}}
	for i := range f.Sides {
		name, server := []string{"a", "b"}[i], []string{"SQL1", "SQL2"}[i]
		s := &Side{Name: name, Address: strings.ToLower(server), Round: time.Millisecond, Answers: map[question]Answer{}}
		s.Found = &operate.Found{ServerName: server, Version: "15.0.2000.5", Edition: "Standard Edition (64-bit)", Collation: "Latin1_General_CI_AS", Sysadmin: true,
			Database:  &operate.FoundDatabase{State: []string{"ONLINE", "RESTORING"}[i], Recovery: "FULL", Access: "MULTI_USER", LogWaits: "NOTHING", Opens: i == 0},
			Endpoint:  &operate.FoundEndpoint{Name: "Mirroring", State: "STARTED", Port: 5022},
			Mirroring: &operate.FoundMirroring{Role: []string{"PRINCIPAL", "MIRROR"}[i], State: "SYNCHRONIZED", Safety: "FULL", Instance: []string{"SQL2", "SQL1"}[i], Witness: "TCP://sql3:5022", WitnessState: "CONNECTED"}}
		say := func(q question, row operate.Row) { s.Answers[q] = Answer{Rows: []operate.Row{row}} }
		say(askSelf, operate.Row{"name": "web", "sid": "\x01\x02", "sysadmin": "1", "view_definition": "1"})
		say(askDefault, operate.Row{"default_database_name": "master"})
		say(askTimeout, operate.Row{"mirroring_connection_timeout": "10"})
		s.Answers[askTable] = Answer{Err: sqlError(954)}
		f.Sides[i] = s
	}
	a := f.Sides[0]
	extended, err := aspstate.Assume("extended")
	if err != nil {
		panic(err)
	}
	extended.Assumed = false
	a.Schema, a.Rights = &extended, map[Right]bool{}
	a.Answers[askTable], a.Answers[askRights] = Answer{}, Answer{Rows: []operate.Row{{"view_definition": "1"}}}
	a.Answers[askEpoch] = Answer{Rows: []operate.Row{{"Epoch": "3", "Server": "SQL1"}}}
	a.Answers[askBackups] = Answer{Rows: []operate.Row{{"backup_finish_date": "2026-01-02T03:00:00Z", "server_now": "2026-01-02T03:04:05Z"}}}
	a.Answers[askLog] = Answer{Rows: []operate.Row{{"used_log_space_in_percent": "12.5"}}}
	a.Answers[askQueues] = Answer{Rows: []operate.Row{{"counter_name": "Log Send Queue KB   ", "cntr_value": "0"}}}
	for _, r := range rightsFor(a) {
		a.Rights[r] = true
	}
	return f
}

// sqlError is an error of SQL Server, by its number.
type sqlError int32

func (e sqlError) Error() string         { return "mssql: an error" }
func (e sqlError) SQLErrorNumber() int32 { return int32(e) }

// find returns the findings of a check, as LEVEL text.
func find(r *Report, check string) (all []string) {
	for _, f := range r.Findings {
		if f.Check == check {
			all = append(all, string(f.Level)+" "+f.Found)
		}
	}
	return all
}

func TestDiagnose_healthy(t *testing.T) {
	r := Diagnose(healthy())
	for _, f := range r.Findings {
		if f.Level == Fail || f.Level == Warn && f.Check != "rights" && f.Check != "schema" {
			t.Errorf("%s on %q: %s %s", f.Check, f.On, f.Level, f.Found)
		}
	}
	if r.Topology != operate.Mirroring || r.Count(OK) < 25 {
		t.Errorf("topology %q, %d OK", r.Topology, r.Count(OK))
	}
}

// These cases have facts that embedded servers can't show.
func TestDiagnose(t *testing.T) {
	for _, c := range []struct {
		name  string
		alter func(f *Facts)
		check string
		want  string // level, and the beginning of the finding
	}{
		{"clocks differ", func(f *Facts) { f.Sides[1].Ahead = -7 * time.Second }, "clocks", "fail the clock of b is 7s behind"},
		{"clocks differ less than the measuring error", func(f *Facts) { f.Sides[1].Ahead, f.Sides[1].Round = -7*time.Second, 5*time.Second }, "clocks", "warn the clocks are 7s apart"},
		{"clocks differ a little", func(f *Facts) { f.Sides[0].Ahead = 2 * time.Second }, "clocks", "warn the clocks are 2s apart"},
		{"old version", func(f *Facts) { f.Sides[0].Found.Version = "10.50.1600.1" }, "servers", "fail version 10.50.1600.1 is older"},
		{"Express", func(f *Facts) { f.Sides[1].Found.Edition = "Express Edition (64-bit)" }, "servers", "fail Express"},
		{"versions differ", func(f *Facts) { f.Sides[1].Found.Version = "16.0.1000.6" }, "servers", "warn the version differs"},
		{"both addresses are one server", func(f *Facts) { f.Sides[1].Found.ServerName = "SQL1" }, "servers", "fail both addresses lead to SQL1"},
		{"default database", func(f *Facts) { f.Sides[1].one(askDefault)["default_database_name"] = "aspstate" }, "login", "fail the default database of web is aspstate"},
		{"two principals", func(f *Facts) { f.Sides[1].Found.Mirroring.Role = "PRINCIPAL" }, "principal", "fail both partners have a writable"},
		{"two principals, seen by both", func(f *Facts) { f.Sides[1].Found.Mirroring.Role = "PRINCIPAL" }, "mirroring", "fail both partners claim to be PRINCIPAL"},
		{"a readable secondary, and the login may not see the roles", func(f *Facts) {
			for i, s := range f.Sides {
				s.Found.Mirroring, s.Found.Group = nil, &operate.FoundGroup{}
				s.Answers[askTable], s.Answers[askUpdate] = Answer{}, Answer{Rows: []operate.Row{{"updateability": []string{"READ_WRITE", "READ_ONLY"}[i]}}}
			}
		}, "principal", "ok a (sql1) is the principal"},
		{"endpoint stopped", func(f *Facts) { f.Sides[1].Found.Endpoint.State = "STOPPED" }, "endpoint", "fail the endpoint Mirroring is STOPPED"},
		{"certificate expired", func(f *Facts) { f.certificate("2026-01-01T00:00:00Z") }, "endpoint", "fail the endpoint Mirroring is STARTED on port 5022, but its certificate c1 expired on 2026-01-01"},
		{"certificate expires soon", func(f *Facts) { f.certificate("2026-02-01T00:00:00Z") }, "endpoint", "warn the endpoint Mirroring is STARTED on port 5022; its certificate c1 expires on 2026-02-01"},
		{"certificate expires late", func(f *Facts) { f.certificate("2039-12-31T00:00:00Z") }, "endpoint", "ok the endpoint Mirroring is STARTED on port 5022; its certificate is valid until 2039-12-31"},
		{"a listener's name", func(f *Facts) { f.Setup.Host[1] = "listener.example.com"; f.Sides[0].Found.Mirroring.Instance = "SQL7" }, "failover-partner", "warn its partner's name is SQL7"},
		{"name with domain", func(f *Facts) { f.Setup.Host[1] = "sql2.example.com" }, "failover-partner", "ok its partner's name is SQL2"},
		{"named instance by its port", func(f *Facts) {
			f.Setup.Host[1], f.Setup.Port[1], f.Sides[0].Found.Mirroring.Instance = "sql2", 1444, `SQL2\STATE`
		}, "failover-partner", `ok its partner's name is SQL2\STATE`},
		{"another instance", func(f *Facts) {
			f.Setup.Instance[1], f.Sides[0].Found.Mirroring.Instance = "STATE", `SQL2\OTHER`
		}, "failover-partner", `warn its partner's name is SQL2\OTHER`},
		{"window too short", func(f *Facts) { f.Setup.HoldWindow = 15 * time.Second }, "hold-window", "fail pair.hold.window (15s) ends before"},
		{"client timeout too short", func(f *Facts) { f.Setup.ClientTimeout = 30 * time.Second }, "client-timeouts", "fail the client's timeout (--client-timeout) is 30s"},
		{"balancer timeout too short", func(f *Facts) { f.Setup.BalancerTimeout = 10 * time.Second }, "client-timeouts", "fail the balancer's response timeout"},
		{"state network timeout", func(f *Facts) { f.Setup.StateNetworkTimeout = 10 * time.Second }, "client-timeouts", "fail stateNetworkTimeout in the web.config is 10s"},
		{"no retry", func(f *Facts) { f.Setup.DotNet = true }, "client-timeouts", "warn sqlConnectionRetryInterval is not set"},
		{"retry of whole minutes", func(f *Facts) { f.Setup.DotNet, f.Setup.RetryInterval = true, 2*time.Minute }, "client-timeouts", "fail sqlConnectionRetryInterval is 120, which is 2m0s: ASP.NET reads only the seconds part"},
		{"watchdog and witness", func(f *Facts) { f.Setup.WatchdogEnabled = true }, "watchdog", "warn the watchdog is on, but the pair has a witness"},
		{"watchdog without rights", func(f *Facts) {
			f.Setup.WatchdogEnabled = true
			for _, s := range f.Sides {
				s.Found.Mirroring.Witness, s.one(askSelf)["sysadmin"] = "", "0"
			}
		}, "watchdog", "fail the watchdog is on, but the login is not a sysadmin"},
		{"sites differ", func(f *Facts) {
			f.Sides[0].Answers[askApps] = Answer{Rows: []operate.Row{{"AppId": "538231025", "AppName": "/lm/w3svc/1/root   "}, {"AppId": "729231826", "AppName": "/lm/w3svc/2/root  "}}}
		}, "applications", "warn /lm/w3svc/1/root and /lm/w3svc/2/root differ"},
		{"no job and no sweep", func(f *Facts) { f.Setup.SweepEnabled = false }, "expiry-job", "fail no Agent job deletes expired sessions here, and sweep.enabled is false"},
		{"no VIEW SERVER STATE", func(f *Facts) { f.Sides[0].Answers[askQueues] = Answer{Err: sqlError(300)} }, "unsent-log", "not-checked the log send queue can't be read: this login may not see it (300)"},
		{"NULLs for a login without rights", func(f *Facts) {
			for _, s := range f.Sides {
				s.Found.Mirroring, s.one(askSelf)["sysadmin"] = nil, "0"
			}
		}, "mirroring", "not-checked this login may not see the role of either partner"},
		{"NULLs for a sysadmin", func(f *Facts) { f.Sides[0].Found.Mirroring, f.Sides[1].Found.Mirroring = nil, nil }, "mirroring", "fail ASPState is not mirrored"},
		{"a table without SELECT is not a tempdb-type install", func(f *Facts) {
			a := f.Sides[0]
			a.Answers[askTable] = Answer{Err: sqlError(noPermission)}
			delete(a.Schema.Tables, "aspstatetempsessions")
			a.one(askSelf)["sysadmin"], a.Answers[askRights] = "0", Answer{Rows: []operate.Row{{"view_definition": "0"}}}
		}, "schema", "ok the extension is installed, as far as this login may see"},
		{"a timeout", func(f *Facts) { f.Sides[1].Err = context.DeadlineExceeded }, "reachable", "fail the server does not answer"},
		{"wrong password", func(f *Facts) { f.Sides[1].Err = sqlError(noLogin) }, "reachable", "fail the login is refused (18456)"},
		{"wrong password on both", func(f *Facts) { f.Sides[0].Err, f.Sides[1].Err = sqlError(noLogin), sqlError(noLogin) }, "reachable", "fail the login is refused (18456) on both servers: the password is wrong"},
		{"connection lost", func(f *Facts) { f.Sides[1].lost = errors.New("EOF") }, "reachable", "fail the server stopped answering during the check"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.alter(f)
			r := Diagnose(f)
			if got := find(r, c.check); !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, c.want) }) {
				t.Errorf("%s: %q, want %q", c.check, got, c.want)
			}
			for _, f := range r.Findings {
				if (f.Level == Fail || f.Level == Warn) && f.Mend == "" {
					t.Errorf("%s has no advice for %q", f.Check, f.Found)
				}
			}
		})
	}
}

// The commands have the flags of the call of doctor, and reach the pair.
func TestDiagnose_commands(t *testing.T) {
	for how, want := range map[string]string{
		`--connection-string "…"`: `mirrorstate pair resume --connection-string "…"`, "--config setup.yaml": "mirrorstate pair resume --config setup.yaml --direct", "": "mirrorstate pair resume"} {
		f := healthy()
		f.Setup.How, f.Sides[0].Found.Mirroring.State = how, "SUSPENDED"
		if r := Diagnose(f); r.Findings[0].Command != want {
			t.Errorf("%q: %q, want %q", how, r.Findings[0].Command, want)
		}
	}
}

// certificate sets the expiry date of both endpoints' certificates.
func (f *Facts) certificate(end string) {
	for _, s := range f.Sides {
		s.Answers[askCertificate] = Answer{Rows: []operate.Row{{"name": "c1", "expiry_date": end, "server_now": "2026-01-02T03:04:05Z"}}}
	}
}

// Missing answers cause no panic, and do not count as a failure of the pair.
func TestDiagnose_silence(t *testing.T) {
	f := &Facts{Database: "ASPState", Setup: healthy().Setup}
	for i, name := range []string{"a", "b"} {
		f.Sides[i] = &Side{Name: name, Err: errors.New("gone"), Answers: map[question]Answer{}}
	}
	for _, fd := range Diagnose(f).Findings {
		if fd.Level == Fail && fd.Check != "reachable" {
			t.Errorf("%s: %s", fd.Check, fd.Found)
		}
	}
	f.Sides[0] = &Side{Name: "a", Found: &operate.Found{}, Answers: map[question]Answer{}}
	Diagnose(f)
}

// everyStatement returns all statements that doctor sends, for a database.
func everyStatement(name string) (all []string) {
	for _, statements := range []map[question]string{inMaster, inDatabase} {
		for q, s := range statements {
			if q != askRights {
				all = append(all, text(s, name))
			}
		}
	}
	slices.Sort(all)
	return append(all, rightsText(name, []Right{{"EXECUTE", "dbo.TempGetVersion"}, {"SELECT", "dbo.MirrorStateEpoch"}}))
}

// TestStatements_OnlyRead checks that each statement is one SELECT. The one that must run in the database has a USE before it.
func TestStatements_OnlyRead(t *testing.T) {
	for _, s := range everyStatement("O'Brien's [shop]") {
		rest := strings.TrimPrefix(s, "USE [O'Brien's [shop]]]; ")
		if !strings.HasPrefix(rest, "SELECT ") || strings.Contains(rest, ";") || strings.Contains(rest, "%N") || strings.Contains(rest, "%Q") || strings.Contains(rest, " INTO ") {
			t.Errorf("not one SELECT: %s", s)
		}
	}
}

// The parser of another program accepts the statements. It does not support ]] in a name.
func TestStatements_ForeignParser(t *testing.T) {
	linter, err := exec.LookPath("sqlfluff")
	if err != nil {
		t.Skip("SKIPPED: sqlfluff is not installed (Debian package sqlfluff): no other parser has checked doctor's statements")
	}
	path := filepath.Join(t.TempDir(), "doctor.sql")
	if err := os.WriteFile(path, []byte(strings.Join(everyStatement("O'Brien's shop"), "\nGO\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, linter, "parse", "--dialect", "tsql", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "unparsable") {
		t.Errorf("sqlfluff does not understand them (%v):\n%s", err, out)
	}
}
