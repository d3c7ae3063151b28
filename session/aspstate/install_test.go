package aspstate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/embeddedtest"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

// emptyServers returns two embedded servers without databases, and a connection to master on a.
func emptyServers(t *testing.T) (*embedded.Pair, *sql.DB) {
	t.Helper()
	servers := embeddedtest.StartWith(t, embedded.Options{Dir: t.TempDir(), Empty: true})
	return servers, openDB(t, servers.Partner("a").ConnectionString(""))
}

// install installs, and returns the titles of the steps.
func install(t *testing.T, db *sql.DB, o aspstate.InstallOptions) (done []string, err error) {
	t.Helper()
	return planned(t, db, o.Database, o.Grant, func(f aspstate.Found) (aspstate.Script, error) { return aspstate.PlanInstall(f, o) }, t.Context(), func(string) {})
}

// uninstall removes the extension.
func uninstall(t *testing.T, db *sql.DB, database string) []string {
	t.Helper()
	done, err := planned(t, db, database, "", func(f aspstate.Found) (aspstate.Script, error) { return aspstate.PlanUninstall(f, database) }, t.Context(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// planned looks at the database, plans, and runs the script.
func planned(t *testing.T, db *sql.DB, database, login string, plan func(aspstate.Found) (aspstate.Script, error), ctx context.Context, progress func(string)) (done []string, err error) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "USE master"); err != nil {
		t.Fatal(err)
	}
	f, err := aspstate.Look(t.Context(), conn, database, login)
	if err != nil {
		return nil, aspstate.ExplainInstall(err)
	}
	script, err := plan(f)
	if err != nil {
		return nil, err
	}
	for _, step := range script.Steps {
		done = append(done, step.Title)
	}
	return done, script.Run(ctx, conn, progress)
}

// mustInstall installs, and checks the titles of the steps.
func mustInstall(t *testing.T, db *sql.DB, o aspstate.InstallOptions, want ...string) {
	t.Helper()
	done, err := install(t, db, o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(done, want) {
		t.Fatalf("done: %q, want %q", done, want)
	}
}

const (
	stepCreate    = "create the database"
	stepStock     = "create the missing stock objects"
	stepColumns   = "add the extension's columns to ASPStateTempSessions"
	stepExtension = "create the extension's tables and procedures"
	stepRole      = "grant the role mirrorstate_proxy its rights"
	stepRecreate  = "drop every session, and create the stock objects again"
)

// pairAs returns a Pair on two servers with a login of its own. It ends with the test.
func pairAs(t *testing.T, servers *embedded.Pair, database, user, password string) *partner.Pair {
	t.Helper()
	cfg := partner.Config{Database: database}
	for i, name := range []partner.Name{partner.A, partner.B} {
		host, port, err := net.SplitHostPort(servers.Partner(string(name)).Addr())
		if err != nil {
			t.Fatal(err)
		}
		cfg.Partners[i] = partner.PartnerConfig{Name: name,
			ConnectionString: fmt.Sprintf("server=%s;port=%s;user id=%s;password=%s;encrypt=disable", host, port, user, password)}
	}
	return runPair(t, cfg)
}

// smoke creates, locks, stores, releases and reads a session through a store.
func smoke(t *testing.T, servers *embedded.Pair, database string, extended bool, id session.ID) {
	t.Helper()
	pair := pairAs(t, servers, database, servers.User(), servers.Password())
	if schema := pair.Status().Schema; schema != map[bool]string{true: "extended", false: "stock"}[extended] {
		t.Errorf("the schema is %s", schema)
	}
	store := openStore(t, pair)
	app := storetest.Applications()[0]
	ref := session.Ref{App: &app, ID: id}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := store.Put(ctx, ref, session.Write{Item: []byte("one"), Timeout: 20}, session.Condition{}, session.Operation{}); err != nil {
		t.Fatalf("create: %v", err)
	}
	_, lock, err := store.Acquire(ctx, ref, session.Operation{})
	if err != nil {
		t.Fatalf("lock: %v", err)
	}
	if _, _, err := store.Acquire(ctx, ref, session.Operation{}); !errors.Is(err, session.ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	if _, err := store.Update(ctx, ref, lock, session.Write{Item: []byte("two"), Timeout: 20}, false, session.Operation{}); err != nil {
		t.Fatalf("store and release: %v", err)
	}
	reads(t, store, ref, "two")
}

func reads(t *testing.T, store session.Store, ref session.Ref, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := store.Get(ctx, ref, session.GetOptions{}); err != nil || string(got.Item) != want {
		t.Errorf("read %q, %v; want %q", got.Item, err, want)
	}
}

// From no database to stock, to extended, and back to stock. A session stays throughout.
func TestInstall(t *testing.T) {
	servers, db := emptyServers(t)
	stock := aspstate.InstallOptions{Database: "ASPState", StockOnly: true}
	whole := aspstate.InstallOptions{Database: "ASPState"}
	mustInstall(t, db, stock, stepCreate, stepStock)
	mustInstall(t, db, stock)
	smoke(t, servers, "ASPState", false, "aaaaaaaaaaaaaaaaaaaaaaaa")
	mustInstall(t, db, whole, stepColumns, stepExtension)
	mustInstall(t, db, whole)
	mustInstall(t, db, stock) // removes nothing
	smoke(t, servers, "ASPState", true, "bbbbbbbbbbbbbbbbbbbbbbbb")
	sessions := func() (n int) {
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM ASPState.dbo.ASPStateTempSessions").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sessions(); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
	if done := uninstall(t, db, "ASPState"); len(done) != 2 {
		t.Errorf("uninstall did %q", done)
	}
	if done := uninstall(t, db, "ASPState"); len(done) != 0 {
		t.Errorf("uninstall again did %q", done)
	}
	if n := sessions(); n != 2 {
		t.Errorf("%d sessions after uninstall, want 2", n)
	}
	smoke(t, servers, "ASPState", false, "cccccccccccccccccccccccc")
	mustInstall(t, db, whole, stepColumns, stepExtension)
	smoke(t, servers, "ASPState", true, "dddddddddddddddddddddddd")
	if n := sessions(); n != 4 {
		t.Errorf("%d sessions, want 4", n)
	}
}

// A database with another name is installed in one run. Two databases are independent.
func TestInstall_CustomName(t *testing.T) {
	servers, db := emptyServers(t)
	mustInstall(t, db, aspstate.InstallOptions{Database: "Shop]State"}, stepCreate, stepStock, stepColumns, stepExtension)
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState"}, stepCreate, stepStock, stepColumns, stepExtension)
	smoke(t, servers, "Shop]State", true, "aaaaaaaaaaaaaaaaaaaaaaaa")
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM ASPState.dbo.ASPStateTempSessions").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d sessions in the other database, %v", n, err)
	}
}

// What was removed by hand is created again, and nothing else is changed.
func TestInstall_CreatesWhatIsMissing(t *testing.T) {
	_, db := emptyServers(t)
	whole := aspstate.InstallOptions{Database: "ASPState"}
	mustInstall(t, db, whole, stepCreate, stepStock, stepColumns, stepExtension)
	for _, c := range []struct{ broken, want string }{
		{"DELETE FROM dbo.MirrorStateEpoch", stepExtension},
		{"DELETE FROM dbo.MirrorStateSweep", stepExtension},
		{"DROP PROCEDURE dbo.MirrorState_Acquire_1", stepExtension},
		{"DROP TABLE dbo.MirrorStateTombstones", stepExtension},
		{"DROP PROCEDURE dbo.TempGetStateItem3", stepStock},
	} {
		if _, err := db.ExecContext(t.Context(), "USE ASPState "+c.broken); err != nil {
			t.Fatalf("%s: %v", c.broken, err)
		}
		mustInstall(t, db, whole, c.want)
		mustInstall(t, db, whole)
	}
}

func TestInstall_Recreate(t *testing.T) {
	servers, db := emptyServers(t)
	whole := aspstate.InstallOptions{Database: "ASPState"}
	mustInstall(t, db, whole, stepCreate, stepStock, stepColumns, stepExtension)
	smoke(t, servers, "ASPState", true, "aaaaaaaaaaaaaaaaaaaaaaaa")
	whole.Recreate = true
	mustInstall(t, db, whole, stepRecreate)
	whole.StockOnly = true
	mustInstall(t, db, whole, stepRecreate)
	var n, epoch int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), (SELECT MAX(Epoch) FROM ASPState.dbo.MirrorStateEpoch WHERE Id = 1) FROM ASPState.dbo.ASPStateTempSessions").Scan(&n, &epoch); err != nil || n != 0 || epoch == 0 {
		t.Errorf("%d sessions, epoch %d, %v; want none, and the epoch as it was", n, epoch, err)
	}
	smoke(t, servers, "ASPState", true, "bbbbbbbbbbbbbbbbbbbbbbbb")
}

// A tempdb install has the procedures, but its tables are in tempdb.
func TestInstall_TempType(t *testing.T) {
	servers, db := emptyServers(t)
	stock := aspstate.InstallOptions{Database: "ASPState", StockOnly: true}
	mustInstall(t, db, stock, stepCreate, stepStock)
	if _, err := db.ExecContext(t.Context(), "USE ASPState DROP TABLE dbo.ASPStateTempSessions DROP TABLE dbo.ASPStateTempApplications"); err != nil {
		t.Fatal(err)
	}
	_, err := install(t, db, stock)
	if refusal, ok := errors.AsType[*aspstate.Refusal](err); !ok || !strings.Contains(refusal.Reason, "-sstype t") {
		t.Errorf("got %v", err)
	}
	stock.Recreate = true
	mustInstall(t, db, stock, stepRecreate)
	smoke(t, servers, "ASPState", false, "aaaaaaaaaaaaaaaaaaaaaaaa")
}

// The role has all rights that a proxy needs: the whole suite passes, including the sweep and the list.
func TestInstall_TheLeastRights(t *testing.T) {
	servers, db := emptyServers(t)
	whole := aspstate.InstallOptions{Database: "ASPState", Grant: "web"}
	if _, err := install(t, db, whole); err == nil || !strings.Contains(err.Error(), "CREATE LOGIN [web]") {
		t.Fatalf("without the login: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE LOGIN web WITH PASSWORD = N'secret'"); err != nil {
		t.Fatal(err)
	}
	mustInstall(t, db, whole, stepCreate, stepStock, stepColumns, stepExtension, stepRole)
	mustInstall(t, db, whole)
	pair := pairAs(t, servers, "ASPState", "web", "secret")
	store := openStore(t, pair)
	admin := openDB(t, servers.Partner("a").ConnectionString("ASPState"))
	app := storetest.Applications()[0]
	if _, err := store.List(t.Context(), &app, "", 10); err != nil {
		t.Errorf("list: %v", err)
	}
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		return storetest.Subject{Store: store, Extended: true, Age: storetest.NewAge(admin, true), Sweep: sweepOnce(store),
			Net: func(*testing.T) storetest.NetClient { return storetest.NewNetClient(admin) }}
	})
	// On the stock schema too: deleting in batches needs SELECT and DELETE.
	uninstall(t, db, "ASPState")
	stock := openStore(t, onStock{pairAs(t, servers, "ASPState", "web", "secret")})
	if st, err := aspstate.NewSweeper(stock, steady{}, aspstate.SweepConfig{}, nil).Sweep(t.Context()); err != nil || st.Method != "DELETE in batches" {
		t.Errorf("sweep on stock: %+v, %v", st, err)
	}
	t.Run("the role may not install", func(t *testing.T) {
		host, port, _ := net.SplitHostPort(servers.Partner("a").Addr())
		web := openDB(t, fmt.Sprintf("server=%s;port=%s;user id=web;password=secret;encrypt=disable", host, port))
		_, err := install(t, web, aspstate.InstallOptions{Database: "ASPState"})
		if err == nil || !strings.Contains(err.Error(), "(262): ") || !strings.Contains(err.Error(), "db_owner") {
			t.Errorf("in the database: %v", err)
		}
		_, err = install(t, web, aspstate.InstallOptions{Database: "Another"})
		if err == nil || !strings.Contains(err.Error(), "(262): ") || !strings.Contains(err.Error(), "dbcreator") {
			t.Errorf("a new one: %v", err)
		}
	})
}

// A database that was copied from another server may have a user with the login's name that belongs to another login.
func TestInstall_OrphanedUser(t *testing.T) {
	_, db := emptyServers(t)
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState"}, stepCreate, stepStock, stepColumns, stepExtension)
	for _, text := range []string{"CREATE LOGIN web WITH PASSWORD = N'x', SID = 0x01AA", "USE ASPState CREATE USER web FOR LOGIN web",
		"DROP LOGIN web", "CREATE LOGIN web WITH PASSWORD = N'x', SID = 0x01BB"} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	grant := aspstate.InstallOptions{Database: "ASPState", Grant: "web"}
	if _, err := install(t, db, grant); err == nil || !strings.Contains(err.Error(), "ALTER USER [web] WITH LOGIN = [web]") {
		t.Fatalf("got %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "USE ASPState ALTER USER web WITH LOGIN = web"); err != nil {
		t.Fatal(err)
	}
	mustInstall(t, db, grant, stepRole)
}

// The installation waits for locks of other sessions, and they do not wait for the installation.
func TestInstall_WaitsForLocks(t *testing.T) {
	_, db := emptyServers(t)
	mustInstall(t, db, aspstate.InstallOptions{Database: "ASPState", StockOnly: true}, stepCreate, stepStock)
	begin := func() *sql.Tx {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "EXEC ASPState.dbo.TempResetTimeout 'x'"); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	whole := aspstate.InstallOptions{Database: "ASPState"}
	plan := func(f aspstate.Found) (aspstate.Script, error) { return aspstate.PlanInstall(f, whole) }
	t.Run("until the lock is released", func(t *testing.T) {
		holder, waited := begin(), 0
		_, err := planned(t, db, "ASPState", "", plan, t.Context(), func(text string) {
			if strings.Contains(text, "1222") {
				if waited++; waited == 2 {
					_ = holder.Rollback()
				}
			}
		})
		if err != nil || waited != 2 {
			t.Errorf("waited %d times, %v", waited, err)
		}
	})
	uninstall(t, db, "ASPState")
	t.Run("until its context ends", func(t *testing.T) {
		holder := begin()
		defer holder.Rollback()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := planned(t, db, "ASPState", "", plan, ctx, func(string) {}); err == nil {
			t.Error("it was installed beside the lock")
		}
	})
	mustInstall(t, db, whole, stepColumns, stepExtension) // nothing of the failed step was applied
}
