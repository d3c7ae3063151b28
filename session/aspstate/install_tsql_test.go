package aspstate_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// plantViews makes a return these rows for views. The database has what install made.
func plantViews(t *testing.T, servers *embedded.Pair, views map[string][]map[string]any) {
	t.Helper()
	if err := servers.Partner("a").Plant(embedded.Planted{Views: views}); err != nil {
		t.Fatal(err)
	}
}

// With an added trigger, foreign key or memory-optimized table, statements of the extension would fail. So the
// installation is refused before anything is changed, and the error says how to repair it.
func TestInstall_RefusesWhatWasAddedToTheTables(t *testing.T) {
	servers, db := emptyServers(t)
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState", StockOnly: true}, stepCreate, stepStock)
	var sessions, id int
	for name, to := range map[string]*int{"ASPStateTempSessions": &sessions, "ASPStateTempApplications": &id} {
		if err := db.QueryRowContext(t.Context(), "SELECT OBJECT_ID(N'ASPState.dbo."+name+"')").Scan(to); err != nil {
			t.Fatal(err)
		}
	}
	trigger := func(disabled bool) map[string][]map[string]any {
		return map[string][]map[string]any{"sys.triggers": {{"name": "audit]", "object_id": 9, "parent_id": sessions, "is_disabled": disabled}}}
	}
	key := map[string][]map[string]any{"sys.foreign_keys": {{"name": "FK_shop", "parent_object_id": id, "referenced_object_id": sessions, "is_disabled": false}}}
	memory := map[string][]map[string]any{"sys.tables": {{"name": "ASPStateTempSessions", "object_id": sessions, "schema_id": 1, "is_memory_optimized": true}}}
	for _, c := range []struct {
		name    string
		views   map[string][]map[string]any
		options aspstate.InstallOptions
		want    string // a part of the refusal; empty: not refused
	}{
		{"an enabled trigger", trigger(false), aspstate.InstallOptions{}, "DISABLE TRIGGER [audit]]] ON dbo.[ASPStateTempSessions]"},
		{"a disabled one", trigger(true), aspstate.InstallOptions{}, ""},
		{"an enabled one, and no extension", trigger(false), aspstate.InstallOptions{StockOnly: true}, ""},
		{"an enabled one, on a table that is created again", trigger(false), aspstate.InstallOptions{Recreate: true}, ""},
		{"a foreign key", key, aspstate.InstallOptions{}, "ties dbo.ASPStateTempApplications to ASPStateTempSessions"},
		{"a foreign key to a table that would be dropped", key, aspstate.InstallOptions{Recreate: true}, "FK_shop"},
		{"a memory-optimized table", memory, aspstate.InstallOptions{}, "memory-optimized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plantViews(t, servers, c.views)
			conn, err := openDB(t, servers.Partner("a").ConnectionString("")).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			f, err := aspstate.Look(t.Context(), conn, "ASPState", "")
			if err != nil {
				t.Fatal(err)
			}
			c.options.Database = "ASPState"
			_, err = aspstate.PlanInstall(f, c.options)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("planned with %v, want %q", err, c.want)
			}
		})
	}
}

// CREATE DATABASE copies model. If another session uses model, it fails with 1807 and then 1802. 1802 alone would
// mean that the files cannot be created.
func TestInstall_WaitsForModel(t *testing.T) {
	servers, db := emptyServers(t)
	busy := tds.Errors{{Number: 1807, Class: 16, State: 3, Message: "Could not obtain exclusive lock on database 'model'. Retry the operation later."},
		{Number: 1802, Class: 16, State: 4, Message: "CREATE DATABASE failed. Some file names listed could not be created. Check related errors."}}
	tries, most := 0, 2
	plant := embedded.Planted{Refuse: func(text string) error {
		if !strings.HasPrefix(text, "CREATE DATABASE") {
			return nil
		}
		if tries++; tries <= most {
			return busy
		}
		return nil
	}}
	if err := servers.Partner("a").Plant(plant); err != nil {
		t.Fatal(err)
	}
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState"}, stepCreate, stepStock, stepColumns, stepExtension)
	if tries != 3 {
		t.Errorf("made with try %d, want 3", tries)
	}
	// It does not wait forever.
	tries, most = 0, 1<<30
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := planned(t, db, "Shop", "", func(f aspstate.Found) (aspstate.Script, error) {
		return aspstate.PlanInstall(f, aspstate.InstallOptions{Database: "Shop"})
	}, ctx, func(said string) {
		if strings.Contains(said, "1807") {
			cancel()
		}
	})
	if err == nil || !strings.Contains(err.Error(), "(1807): the database model is in use") {
		t.Errorf("given up with %v", err)
	}
}

// SUSER_SID also finds Windows accounts that are not logins. A login exists if it has a row in sys.server_principals,
// unless this login may not see the rows.
func TestLook_LoginMustExist(t *testing.T) {
	servers, db := emptyServers(t)
	for _, text := range []string{"CREATE LOGIN web WITH PASSWORD = 'x'", "CREATE LOGIN cron WITH PASSWORD = 'x'"} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	look := func(user, password, login string) bool {
		t.Helper()
		s := strings.Replace(servers.Partner("a").ConnectionString(""), "user id="+servers.User(), "user id="+user, 1)
		conn, err := openDB(t, strings.Replace(s, "password="+servers.Password(), "password="+password, 1)).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		f, err := aspstate.Look(t.Context(), conn, "ASPState", login)
		if err != nil {
			t.Fatal(err)
		}
		return f.Login
	}
	if !look(servers.User(), servers.Password(), "cron") || look(servers.User(), servers.Password(), "nobody") {
		t.Error("for a sysadmin, cron must be a login, and nobody must not")
	}
	if !look("web", "x", "cron") || !look("web", "x", "web") || look("web", "x", "nobody") {
		t.Error("to a login that does not see the others, those that have a SID are logins")
	}
	// A Windows account: SUSER_SID knows it, but there is no login.
	plantViews(t, servers, map[string][]map[string]any{"sys.server_principals": {{"name": "web", "principal_id": 256, "type": "S"}}})
	if look(servers.User(), servers.Password(), "cron") {
		t.Error("an account that is no login counts as one")
	}
}

// A job of another database does not hold the sweep, even if LIKE would match its name.
func TestAgentJob_NameIsNotAPattern(t *testing.T) {
	servers, db := emptyServers(t)
	for _, text := range []string{"CREATE DATABASE shop_state", "CREATE DATABASE [state [a-z]]]"} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	jobs := func(database, command string) (n int) {
		t.Helper()
		plantViews(t, servers, map[string][]map[string]any{"sys.sysjobs": {{"job_id": "1", "enabled": 1}},
			"sys.sysjobsteps": {{"job_id": "1", "step_id": 1, "command": command, "database_name": "master"}}})
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, text := range []string{"USE " + database} {
			if _, err := conn.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.QueryRowContext(t.Context(), aspstate.AgentJobText).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	got := []int{jobs("shop_state", "EXEC shop_state.dbo.DeleteExpiredSessions"), jobs("shop_state", "EXEC shopXstate.dbo.DeleteExpiredSessions"),
		jobs("[state [a-z]]]", "EXEC [state [a-z]]].dbo.DeleteExpiredSessions; -- state [a-z]"), jobs("[state [a-z]]]", "EXEC [state x].dbo.DeleteExpiredSessions")}
	if want := []int{1, 0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("jobs found: %v, want %v", got, want)
	}
}

// A script begins with a byte order mark only if it is not all ASCII.
func TestWriteScript_ByteOrderMark(t *testing.T) {
	for name, want := range map[string]bool{"ASPState": false, "Größe": true} {
		f, err := aspstate.Assume("nothing")
		if err != nil {
			t.Fatal(err)
		}
		script, err := aspstate.PlanInstall(f, aspstate.InstallOptions{Database: name, Grant: "web"})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := script.WriteScript(&b, "head"); err != nil {
			t.Fatal(err)
		}
		if got := strings.HasPrefix(b.String(), "\ufeff"); got != want || strings.ContainsFunc(b.String(), func(r rune) bool { return r > 127 }) != want {
			t.Errorf("%s: marked %v, want %v", name, got, want)
		}
	}
}
