package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/partner/agtest"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

// testServers are two servers on which a test runs the pair commands.
type testServers struct {
	t       *testing.T
	servers *embedded.Pair
	to      []string // the flags with the servers' addresses
}

// newServers starts two servers without databases. It creates a database on a, with ASPState's tables and the user of a
// login.
func newServers(t *testing.T) *testServers {
	o := &testServers{t: t, servers: embeddedtest.StartWith(t, embedded.Options{Dir: t.TempDir(), Empty: true, PartnerTimeout: 500 * time.Millisecond})}
	a, b := o.servers.Partner("a"), o.servers.Partner("b")
	source := strings.NewReplacer("server=", "data source=", ";port=", ",").Replace(a.ConnectionString("ASPState"))
	o.to = []string{"--connection-string", source + ";failover partner=" + strings.Replace(b.Addr(), ":", ",", 1)}
	db, err := sql.Open("sqlserver", a.ConnectionString("master"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	batches, err := schema.All()
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"CREATE LOGIN [shop's login] WITH PASSWORD = 'secret'", "CREATE DATABASE [ASPState]", "USE ASPState; CREATE USER [shop] FOR LOGIN [shop's login]"}
	for _, b := range batches {
		texts = append(texts, b.Text)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range texts {
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%.80s: %v", text, err)
		}
	}
	return o
}

// pair runs mirrorstate pair. It checks the exit code, and texts in the output and in the errors.
func (o *testServers) pair(code int, stdout, stderr string, args ...string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	got := run(ctx, append(append([]string{"pair"}, args...), o.to...), &out, &errs)
	if got != code || !strings.Contains(out.String(), stdout) || !strings.Contains(errs.String(), stderr) {
		o.t.Fatalf("pair %s: exit %d, want %d with %q and %q; stdout:\n%s\nstderr:\n%s", strings.Join(args, " "), got, code, stdout, stderr, &out, &errs)
	}
	if lines := strings.Count(errs.String(), "\n"); code != exitDone && lines != 1 {
		o.t.Errorf("pair %s: %d lines of errors:\n%s", strings.Join(args, " "), lines, &errs)
	}
	return out.String()
}

func (o *testServers) inject(partner string, fault embedded.Fault) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	if err := o.servers.Partner(partner).Inject(ctx, fault); err != nil {
		o.t.Fatal(err)
	}
}

// until waits until the mirroring session has the state want.
func (o *testServers) until(want string) {
	o.t.Helper()
	end := time.Now().Add(time.Minute)
	for o.servers.State() != want {
		if time.Now().After(end) {
			o.t.Fatalf("the state is %s, want %s", o.servers.State(), want)
		}
	}
}

var endpoints = []string{"--endpoint-a", "127.0.0.1:5022", "--endpoint-b", "127.0.0.1:5023"}

func (o *testServers) setup(more ...string) string {
	o.t.Helper()
	return o.pair(exitDone, "The mirror has caught up", "", append(append([]string{"setup", "--share", o.t.TempDir()}, endpoints...), more...)...)
}

// TestPair_Verbs runs all verbs directly on the servers, in an operator's order and with an operator's mistakes.
func TestPair_Verbs(t *testing.T) {
	o := newServers(t)
	for _, verb := range []string{"failover", "suspend", "resume", "remove"} {
		o.pair(exitFailed, "a (127.0.0.1", "refused (1416): neither server says that the database is mirrored", verb)
	}
	o.pair(exitFailed, "", "refused (1416)", "force", "--allow-data-loss")
	o.pair(exitMisuse, "", "both endpoints are 127.0.0.1:5022", "setup")
	o.setup("--safety", "FULL", "--witness", "127.0.0.1:5024")
	if db := o.at("b", "shop's login", "secret"); db != nil {
		t.Errorf("the login was not copied: %v", db)
	}
	o.pair(exitFailed, "", "refused (1405): the database is mirrored already", append([]string{"setup"}, endpoints...)...)
	for range 2 { // pair status claims no epoch
		o.pair(exitDone, "(mirroring, extended schema): principal a, epoch 0,", "", "status")
	}
	o.pair(exitDone, "The former principal is the mirror", "", "failover")
	o.pair(exitDone, "principal b", "", "status")
	o.pair(exitFailed, "", "refused (1455): the principal b runs and serves; use pair failover", "force", "--allow-data-loss")
	o.pair(exitDone, "The mirror is suspended too", "", "suspend")
	o.pair(exitDone, "skipped", "", "suspend")
	o.pair(exitFailed, "passed", "refused on b (1422): the mirror is not SYNCHRONIZED; wait until", "failover")
	o.pair(exitDone, "The mirror catches up", "", "resume")
	o.until("SYNCHRONIZED")
	o.pair(exitDone, `"topology": "mirroring"`, "", "status", "--json")
	o.pair(exitDone, "is still RESTORING", "", "remove")
	o.pair(exitFailed, "", "refused (1416)", "failover")
	o.pair(exitFailed, "", "refused (3104)", append([]string{"setup"}, endpoints...)...)
	o.pair(exitFailed, "", "1412", append([]string{"setup", "--restored"}, endpoints...)...)
}

// at returns why a login can't use the database on a partner; nil if it can.
func (o *testServers) at(partner, user, password string) error {
	p := o.servers.Partner(partner)
	host, port, _ := strings.Cut(p.Addr(), ":")
	db, err := sql.Open("sqlserver", fmt.Sprintf("server=%s;port=%s;user id=%s;password=%s;encrypt=disable;database=master", host, port, user, password))
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(o.t.Context())
}

// TestPair_ForcedService crashes the principal.
func TestPair_ForcedService(t *testing.T) {
	o := newServers(t)
	o.setup()
	o.inject("a", embedded.Crash)
	o.until("DISCONNECTED")
	o.pair(exitFailed, "can't be asked", "refused (1447): the principal can't be asked; a (127.0.0.1", "failover")
	o.pair(exitFailed, "", "forcing service may lose acknowledged writes: the principal can't be asked for the end of its log; give --allow-data-loss", "force")
	o.pair(exitDone, "The mirror is the principal", "", "force", "--allow-data-loss")
	o.inject("a", embedded.Start)
	o.until("SUSPENDED")
	o.pair(exitDone, "permanently discards", "", "resume", "--dry-run")
	o.pair(exitDone, "The mirror catches up", "", "resume")
	o.until("SYNCHRONIZED")
	o.inject("a", embedded.Stop)
	o.until("DISCONNECTED")
	o.pair(exitDone, "The other server could not be asked", "", "remove")
	o.inject("a", embedded.Start)
	end := time.Now().Add(time.Minute)
	for {
		out := o.pair(exitDone, "", "", "status", "--json")
		if !strings.Contains(out, `"role": "mirror"`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the former mirror does not know that mirroring was removed:\n%s", out)
		}
	}
}

// TestPair_SetupWithoutShare sets up a pair without a share: an operator copies the backups when the command asks for
// it.
func TestPair_SetupWithoutShare(t *testing.T) {
	o := newServers(t)
	from, to := o.servers.Partner("a").BackupFolder(), o.servers.Partner("b").BackupFolder()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	out := &told{on: "Copy ", then: func(line string) {
		file := strings.Fields(line[strings.Index(line, "Copy "):])[1]
		data, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(filepath.Join(to, file), data, 0o600); err != nil {
			t.Error(err)
		}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs bytes.Buffer
	args := append(append([]string{"pair", "setup"}, endpoints...), o.to...)
	if code := run(ctx, args, out, &errs); code != exitDone || out.calls != 2 {
		t.Errorf("exit %d, %d files copied:\n%s\n%s", code, out.calls, &out.Buffer, &errs)
	}
	o.pair(exitDone, "Drop the copy", "", "remove", "--copy", "drop")
}

// told is an output that calls then for each line that announces a wait and contains on.
type told struct {
	bytes.Buffer
	on    string
	then  func(line string)
	calls int
}

func (w *told) Write(p []byte) (int, error) {
	if line := string(p); strings.Contains(line, "waiting") && strings.Contains(line, w.on) {
		w.calls++
		defer w.then(line)
	}
	return w.Buffer.Write(p)
}

// TestPair_DryRunEqualsRun compares the statements that a verb sends with those of its script.
func TestPair_DryRunEqualsRun(t *testing.T) {
	o := newServers(t)
	for _, args := range [][]string{append([]string{"setup", "--share", t.TempDir()}, endpoints...), {"suspend"}, {"resume"}, {"failover"}, {"remove", "--copy", "recover"}} {
		verb := args[0]
		dry := args
		if verb == "setup" {
			dry = append(dry, "--login", "shop's login")
		}
		if verb == "remove" {
			dry = append(dry, "--principal", "b")
		}
		var planned, done operator.Report
		read := func(r *operator.Report, text string) {
			if err := json.Unmarshal([]byte(text), r); err != nil {
				t.Fatalf("%s: %v in\n%s", verb, err, text)
			}
		}
		read(&planned, o.pair(exitDone, "", "", append(dry, "--dry-run", "--json")...))
		if verb == "failover" {
			o.until("SYNCHRONIZED")
		}
		out := o.pair(exitDone, "", "", append(args, "--json")...)
		read(&done, out)
		if planned.Outcome != "planned" || done.Outcome != "done" || len(planned.Plan.Steps) != len(done.Steps) || len(done.Steps) == 0 {
			t.Fatalf("%s: %s with %d steps, %s with %d", verb, planned.Outcome, len(planned.Plan.Steps), done.Outcome, len(done.Steps))
		}
		for i, s := range planned.Plan.Steps {
			if got := done.Steps[i].Step; got.Text != s.Text || got.On != s.On || got.Unless != s.Unless {
				t.Errorf("%s, step %d: planned on %s\n%s\ndone on %s\n%s", verb, i+1, s.On, s.Text, got.On, got.Text)
			}
		}
		for _, secret := range []string{"m7-", "0x"} {
			if strings.Contains(out, secret) {
				t.Errorf("%s: a secret of the statements is in the report", verb)
			}
		}
	}
}

// TestPair_Group runs the verbs on an availability group, as far as the embedded servers have its views and statements.
func TestPair_Group(t *testing.T) {
	for _, cluster := range []string{"NONE", "WSFC"} {
		t.Run(cluster, func(t *testing.T) {
			servers := aspstatetest.Start(t)
			g := agtest.PlayGroup(t, servers, agtest.Group{Primary: "a", Name: "it's [g]", Cluster: cluster})
			a, b := servers.Partner("a"), servers.Partner("b")
			source := strings.NewReplacer("server=", "data source=", ";port=", ",").Replace(a.ConnectionString("ASPState"))
			o := &testServers{t: t, servers: servers, to: []string{"--connection-string", source + ";failover partner=" + strings.Replace(b.Addr(), ":", ",", 1)}}
			o.pair(exitDone, "(availability-group, extended schema): principal a", "", "status")
			o.pair(exitDone, "availability group it's [g] (cluster type "+cluster+"): PRIMARY, database SYNCHRONIZED", "", "suspend")
			o.pair(exitFailed, "suspended (SUSPEND_FROM_USER)", "refused on b (41142): the secondary is not SYNCHRONIZED", "failover")
			o.pair(exitDone, "Data movement is resumed", "", "resume")
			o.pair(exitFailed, "", "refused (1455): the principal a runs and serves", "force", "--allow-data-loss")
			o.pair(exitFailed, "", "refused: the database is in an availability group already", append([]string{"setup"}, endpoints...)...)
			o.pair(exitDone, "former secondary is the primary", "", "failover")
			o.pair(exitDone, "principal b", "", "status")
			last := g.Statements()[len(g.Statements())-1]
			want := "a: ALTER DATABASE [ASPState] SET HADR RESUME"
			if cluster == "WSFC" {
				want = "b: ALTER AVAILABILITY GROUP [it's [g]]] FAILOVER"
			}
			if last != want {
				t.Errorf("the last statement is %s, want %s", last, want)
			}
		})
	}
}

// TestPair_Logins repairs a pair whose mirror lacks a login, or has another login of that name. It follows each advice
// as it is printed.
func TestPair_Logins(t *testing.T) {
	o := newServers(t)
	o.setup()
	exec := func(partner string, statements ...string) {
		t.Helper()
		db := openServer(t, o.servers.Partner(partner).ConnectionString("master"))
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatalf("on %s: %s: %v", partner, s, err)
			}
		}
	}
	exec("a", "CREATE LOGIN web WITH PASSWORD = 'secret'", "GRANT VIEW SERVER STATE TO web", "USE ASPState; CREATE USER web FOR LOGIN web")
	if o.at("b", "web", "secret") == nil {
		t.Fatal("the login is on b before it is copied")
	}
	out := o.pair(exitDone, "Create the same login on this server", "", "logins")
	if err := o.at("b", "web", "secret"); err != nil {
		t.Errorf("the login was not copied: %v\n%s", err, out)
	}
	if !strings.Contains(out, "GRANT VIEW SERVER STATE TO [web]") || strings.Contains(out, "0x") {
		t.Errorf("want the login's right, and neither SID nor hash:\n%s", out)
	}
	out = o.pair(exitDone, "Create the same login on this server", "", "logins")
	if strings.Contains(out, "done     Create the same login on this server") {
		t.Errorf("the login was created a second time:\n%s", out)
	}
	// From b to a after a failover, and another login of that name.
	o.pair(exitDone, "The former principal is the mirror", "", "failover")
	exec("a", "DROP LOGIN web", "CREATE LOGIN web WITH PASSWORD = 'other'")
	o.pair(exitFailed, "", "refused on a (15025): the login web has another SID on this server", "logins", "--login", "web")
	exec("a", "DROP LOGIN [web]") // the printed advice
	o.pair(exitDone, "Create the same login on this server", "", "logins", "--login", "web")
	if err := o.at("a", "web", "secret"); err != nil {
		t.Errorf("the login was not copied from b to a: %v", err)
	}
	o.pair(exitMisuse, "", "name the logins with --login", "logins", "--dry-run")
	if out := o.pair(exitDone, "pair logins, database ASPState", "", "logins", "--dry-run", "--principal", "b", "--login", "web", "--login", `CORP\web`); !strings.Contains(out, `CREATE LOGIN [CORP\web] FROM WINDOWS`) {
		t.Errorf("no Windows login in\n%s", out)
	}
}
