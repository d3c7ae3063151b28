package aspstate_test

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb"
	"go.uber.org/goleak"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/classify"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the longest time that a test waits.
const patience = 30 * time.Second

// openPair returns a Pair on an embedded pair. It ends with the test.
func openPair(t testing.TB, servers *embedded.Pair) *partner.Pair {
	t.Helper()
	cfg := partner.Config{Database: "ASPState", Topology: "embedded"}
	for i, name := range []partner.Name{partner.A, partner.B} {
		cfg.Partners[i] = partner.PartnerConfig{Name: name, ConnectionString: servers.Partner(string(name)).ConnectionString("ASPState")}
	}
	return runPair(t, cfg)
}

// runPair returns a running Pair that has a principal. It ends with the test.
func runPair(t testing.TB, cfg partner.Config) *partner.Pair {
	t.Helper()
	pair, err := partner.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pair.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the pair ended with %v", err)
		}
	})
	wait, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := pair.WaitForPrincipal(wait); err != nil {
		t.Fatal(err)
	}
	return pair
}

// openDB opens a connection to a server. It is closed when the test ends.
func openDB(t testing.TB, connectionString string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", connectionString)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// openStore returns a store on a pair. It is closed when the test ends.
func openStore(t testing.TB, pair aspstate.Pair) *aspstate.Store {
	t.Helper()
	store := aspstate.New(pair, nil)
	t.Cleanup(store.Close)
	return store
}

// onStock is a pair that hides the extension of its database.
type onStock struct{ aspstate.Pair }

// Do implements aspstate.Pair.
func (s onStock) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	return s.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		stock := *a
		stock.Extended, stock.Epoch = false, 0
		return op(ctx, &stock)
	})
}

// subject returns a store on an embedded pair of its own, with a .NET application beside it.
func subject(t *testing.T, extended bool) storetest.Subject {
	servers := aspstatetest.Start(t)
	var pair aspstate.Pair = openPair(t, servers)
	if !extended {
		pair = onStock{pair}
	}
	db := openDB(t, servers.Partner("a").ConnectionString("ASPState"))
	kept := &keepsBack{Pair: pair}
	store := openStore(t, kept)
	return storetest.Subject{
		Store: store, Extended: extended, Calls: extended, Permits: true, KeepBack: kept.next, Older: storetest.NewOlder(db), Age: storetest.NewAge(db, extended), Sweep: sweepOnce(store),
		Net: func(*testing.T) storetest.NetClient { return storetest.NewNetClient(db) },
	}
}

// sweepOnce returns a function that runs the expiry job once.
func sweepOnce(store *aspstate.Store) func(context.Context) (int64, error) {
	sweeper := aspstate.NewSweeper(store, steady{}, aspstate.SweepConfig{}, nil)
	return func(ctx context.Context) (int64, error) {
		st, err := sweeper.Sweep(ctx)
		return st.Deleted, err
	}
}

// steady is a pair whose status does not forbid sweeping.
type steady struct{}

func (steady) Status() partner.Status { return partner.Status{} }

func TestStore_ExtendedOnEmbeddedPair(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject { return subject(t, true) })
}

func TestStore_StockOnEmbeddedPair(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject { return subject(t, false) })
}

// single runs calls on one database of a real server, which MIRRORSTATE_TEST_DSN names.
type single struct {
	db       *sql.DB
	extended bool
	epoch    int64
}

// Do implements aspstate.Pair. There is no other partner, so a call that gets ErrMoved or ErrLate is sent again here.
func (s *single) Do(ctx context.Context, _ partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	for n := 1; ; n++ {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		err = op(ctx, &partner.Attempt{Partner: partner.A, Conn: conn, Epoch: s.epoch, Extended: s.extended, Number: n,
			Sent: now, FirstSent: now, NotAfter: now.Add(patience)})
		conn.Close()
		if err == nil || n == 10 || classify.Classify(err, classify.Executing) != classify.Again {
			return err
		}
	}
}

// realServer opens the database that MIRRORSTATE_TEST_DSN names. It must be a database for tests. If
// MIRRORSTATE_TEST_INSTALL is 1, it installs the schema first.
func realServer(t *testing.T) *sql.DB {
	dsn := os.Getenv("MIRRORSTATE_TEST_DSN")
	if dsn == "" {
		t.Skip("no real SQL Server: set MIRRORSTATE_TEST_DSN to the connection string of a database for tests")
	}
	db := openDB(t, dsn)
	if os.Getenv("MIRRORSTATE_TEST_INSTALL") == "1" {
		batches, err := schema.All()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			if _, err := db.ExecContext(t.Context(), b.Text); err != nil {
				t.Fatalf("%s:%d: %v", b.File, b.Line, err)
			}
		}
	}
	return db
}

func TestStore_ExtendedOnRealServer(t *testing.T) {
	db := realServer(t)
	pair := &single{db: db, extended: true}
	if err := db.QueryRowContext(t.Context(), "SELECT Epoch FROM dbo.MirrorStateEpoch").Scan(&pair.epoch); err != nil {
		t.Fatalf("%v; set MIRRORSTATE_TEST_INSTALL=1 to install the schema first", err)
	}
	storetest.Run(t, func(t *testing.T) storetest.Subject { return realSubject(t, db, pair) })
}

func TestStore_StockOnRealServer(t *testing.T) {
	db := realServer(t)
	storetest.Run(t, func(t *testing.T) storetest.Subject { return realSubject(t, db, &single{db: db}) })
}

func realSubject(t *testing.T, db *sql.DB, pair *single) storetest.Subject {
	kept := &keepsBack{Pair: pair}
	store := openStore(t, kept)
	return storetest.Subject{
		Store: store, Extended: pair.extended, Calls: pair.extended, Permits: true, KeepBack: kept.next, Older: storetest.NewOlder(db), Age: storetest.NewAge(db, pair.extended), Sweep: sweepOnce(store),
		Net: func(*testing.T) storetest.NetClient { return storetest.NewNetClient(db) },
	}
}
