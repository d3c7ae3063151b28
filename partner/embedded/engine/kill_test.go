package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// messages returns the messages of a server's error, each as its number and class, in order.
func messages(err error) []string {
	e, ok := errors.AsType[mssql.Error](err)
	if !ok {
		return []string{fmt.Sprintf("no answer of the server: %v", err)}
	}
	var all []string
	for _, one := range e.All {
		all = append(all, fmt.Sprintf("%d/%d", one.Number, one.Class))
	}
	return all
}

// killedBy checks that err ended its session because of that number. The fatal message is the first one, because .NET
// uses only the first.
func killedBy(t *testing.T, what string, err error, number int) {
	t.Helper()
	if want := []string{"596/21", fmt.Sprintf("%d/14", number)}; !slices.Equal(messages(err), want) {
		t.Errorf("%s was answered %v, want %v", what, messages(err), want)
	}
}

// pool returns one connection to a partner's database.
func pool(t *testing.T, p *Partner, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", p.ConnectionString(database))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// waitingAt waits until n tickets wait for the turn to write.
func waitingAt(t *testing.T, p *Partner, n int) {
	t.Helper()
	until(t, fmt.Sprint(n, " wait for their turn"), func() bool {
		p.Main().Turns.Mu.Lock()
		defer p.Main().Turns.Mu.Unlock()
		return len(p.Main().Turns.Waiting) == n
	})
}

// serving returns the principal of a pair that is SYNCHRONIZED.
func serving(t *testing.T, pair *Pair) *Partner {
	t.Helper()
	until(t, "SYNCHRONIZED", func() bool { return pair.State() == "SYNCHRONIZED" })
	return pair.Partner(pair.Principal())
}

// occupy holds the turn to write until release is called, at the latest until the end of the test.
func occupy(t *testing.T, p *Partner) (release func()) {
	t.Helper()
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		_ = p.Main().Alone(context.Background(), false, func() error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	released := false
	release = func() {
		if !released {
			released = true
			close(leave)
			<-left
		}
	}
	t.Cleanup(release)
	return release
}

// inTransactionOf runs a text in an explicit transaction, which needs the turn from its first statement on.
func inTransactionOf(ctx context.Context, db *sql.DB, text string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect once the session has ended
	_, err = tx.ExecContext(ctx, text)
	return err
}

const touch = "EXEC ASPState.dbo.TempResetTimeout N'x'"

// waiters are calls that wait for the turn to write, and their contexts.
var waiters = map[string]struct {
	database string
	run      func(ctx context.Context, db *sql.DB) error
}{
	"a procedure": {mirror.DatabaseName, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "dbo.TempInsertStateItemShort", sql.Named("id", "x"), sql.Named("itemShort", []byte{1}), sql.Named("timeout", 20))
		return err
	}},
	"a statement": {mirror.DatabaseName, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM ASPStateTempSessions")
		return err
	}},
	"a transaction": {mirror.DatabaseName, func(ctx context.Context, db *sql.DB) error { return inTransactionOf(ctx, db, touch) }},
	"a procedure called from master": {mirror.MasterName, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "ASPState.dbo.TempInsertStateItemShort", sql.Named("id", "x"), sql.Named("itemShort", []byte{1}), sql.Named("timeout", 20))
		return err
	}},
}

// TestKill_whoWaitsForTheTurn closes a database to calls that wait for their turn to write.
func TestKill_whoWaitsForTheTurn(t *testing.T) {
	closings := map[string]struct {
		number int
		close  func(t *testing.T, a *Partner) (wait func() error)
	}{
		"a failover": {954, func(t *testing.T, a *Partner) func() error {
			done := make(chan error, 1)
			go func() { done <- a.Failover(t.Context()) }()
			return func() error { return <-done }
		}},
		"quorum lost": {955, func(t *testing.T, a *Partner) func() error {
			a.Main().Shut("closed by this test")
			return func() error { return nil }
		}},
	}
	pair := servePair(t)
	for why, closing := range closings {
		for what, waiter := range waiters {
			t.Run(why+", "+what, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				a := serving(t, pair)
				defer a.Main().Unshut()
				db := pool(t, a, waiter.database)
				release := occupy(t, a)
				answer := make(chan error, 1)
				go func() { answer <- waiter.run(ctx, db) }()
				waitingAt(t, a, 1)
				wait := closing.close(t, a)
				if closing.number == 954 {
					waitingAt(t, a, 2)
				}
				release()
				if err := wait(); err != nil {
					t.Fatal(err)
				}
				killedBy(t, what, <-answer, closing.number)
			})
		}
	}
}

// TestKill_betweenStatements changes the roles after a session has begun a request, and before the request has used
// the database; and checks the error for a session that does not use the database.
func TestKill_betweenStatements(t *testing.T) {
	const read = "SELECT COUNT(*) FROM ASPState.dbo.ASPStateTempSessions"
	pair := servePair(t)
	for _, text := range []string{read, touch, "USE ASPState", "BEGIN TRAN " + touch + " COMMIT"} {
		t.Run(text, func(t *testing.T) {
			a := serving(t, pair)
			inside, outside := pool(t, a, mirror.DatabaseName), pool(t, a, mirror.MasterName)
			plant := Planted{Refuse: func(sent string) error {
				if sent != text {
					return nil
				}
				if a.Main().State.Load().Role == storage.RolePrincipal {
					return a.Failover(t.Context())
				}
				return nil
			}}
			if err := a.Plant(plant); err != nil {
				t.Fatal(err)
			}
			_, err := inside.ExecContext(t.Context(), text)
			killedBy(t, text, err, 954)
			if _, err = outside.ExecContext(t.Context(), text); !slices.Equal(messages(err), []string{"954/14"}) {
				t.Errorf("from master: %v, want 954 alone", messages(err))
			}
			if _, err := outside.ExecContext(t.Context(), "SELECT 1"); err != nil {
				t.Errorf("a session of master, afterwards: %v", err)
			}
		})
	}
}

// TestKill_reset: a session that cannot return to the database of its login ends.
func TestKill_reset(t *testing.T) {
	a := serving(t, servePair(t))
	db := pool(t, a, mirror.DatabaseName)
	if _, err := db.ExecContext(t.Context(), "USE master"); err != nil {
		t.Fatal(err)
	}
	if err := a.Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := db.ExecContext(t.Context(), "SELECT 1") // the driver requests the reset with it
	killedBy(t, "the reset", err, 954)
}

// TestKill_openAgain: a session whose database was closed and opened again has ended, and gets the reason.
func TestKill_openAgain(t *testing.T) {
	pair := servePair(t)
	for _, c := range []struct {
		name   string
		number int
		close  func(p *Partner) error
	}{
		{"roles changed and back", 954, func(p *Partner) error {
			return errors.Join(p.Failover(context.Background()), p.Other().Failover(context.Background()))
		}},
		{"quorum lost and back", 955, func(p *Partner) error {
			p.Main().Shut("closed by this test")
			p.Main().Unshut()
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serving(t, pair)
			db := pool(t, a, mirror.DatabaseName)
			plant := Planted{Refuse: func(text string) error { // while it is busy, the session keeps its connection
				if text == "PRINT 'close'" {
					return errors.Join(c.close(a), sqlerror.ErrNoProcedure("close"))
				}
				return nil
			}}
			if err := a.Plant(plant); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "PRINT 'close'"); messages(err)[0] != "2812/16" {
				t.Fatal(err)
			}
			_, err := db.ExecContext(t.Context(), "SELECT 1")
			killedBy(t, "the next request", err, c.number)
		})
	}
}

// TestUse_refusedChangesNothing: a refused USE leaves the session in its database, and does not end it.
func TestUse_refusedChangesNothing(t *testing.T) {
	a := serving(t, servePair(t))
	if err := errors.Join(a.Failover(t.Context()), a.Other().Failover(t.Context())); err != nil {
		t.Fatal(err)
	}
	db := pool(t, a, mirror.DatabaseName)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "CREATE DATABASE shop"); err != nil {
		t.Fatal(err)
	}
	a.Find("shop").Closed.Store(true)
	if _, err := conn.ExecContext(t.Context(), "USE shop"); !slices.Equal(messages(err), []string{"955/14"}) {
		t.Fatalf("USE: %v, want 955 alone", err)
	}
	var name string
	if err := conn.QueryRowContext(t.Context(), "SELECT DB_NAME()").Scan(&name); err != nil || name != mirror.DatabaseName {
		t.Errorf("afterwards the session is in %q: %v", name, err)
	}
}
