package aspstate_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

var sweptApp = session.Application{Name: "/lm/w3svc/1/root/swept", Timeout: 20, LockTimeout: 110 * time.Second}

// sweepField is an embedded pair and a store on it.
type sweepField struct {
	servers *embedded.Pair
	pair    *partner.Pair
	store   *aspstate.Store
	db      *sql.DB // on partner a
}

func startSweepField(t testing.TB) *sweepField {
	g := &sweepField{servers: aspstatetest.Start(t)}
	g.pair = openPair(t, g.servers)
	g.store = openStore(t, g.pair)
	g.db = openDB(t, g.servers.Partner("a").ConnectionString("ASPState"))
	return g
}

// make creates n sessions that expired this long ago.
func (g *sweepField) make(t testing.TB, n int, expired time.Duration) []session.Ref {
	t.Helper()
	refs := make([]session.Ref, n)
	for i := range refs {
		refs[i] = session.Ref{App: &sweptApp, ID: session.NewID()}
		if _, err := g.store.Put(t.Context(), refs[i], session.Write{Item: []byte("item")}, session.Condition{}, session.NewOperation()); err != nil {
			t.Fatal(err)
		}
	}
	if expired > 0 {
		app, err := storetest.NewNetClient(g.db).AppID(t.Context(), sweptApp.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			_, err := g.db.ExecContext(t.Context(), "UPDATE ASPStateTempSessions SET Expires = DATEADD(second, @seconds, GETUTCDATE()) WHERE SessionId = @id",
				sql.Named("seconds", int(-expired/time.Second)), sql.Named("id", ref.ID.Key(app)))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return refs
}

// rows returns the number of sessions on the principal, expired or not.
func (g *sweepField) rows(t testing.TB) int {
	t.Helper()
	db := openDB(t, g.servers.Partner(g.servers.Principal()).ConnectionString("ASPState"))
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM ASPStateTempSessions").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// await waits until is returns true.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	limit := time.After(patience)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func TestSweeper_Sweep(t *testing.T) {
	g := startSweepField(t)
	g.make(t, 7, 90*time.Second)
	live := g.make(t, 3, 0)
	sweeper := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{}, nil)
	st, err := sweeper.Sweep(t.Context())
	if err != nil || st.Deleted != 7 || st.Batches != 2 || st.OldestExpiredS < 90 || st.OldestExpiredS > 120 || st.LastRun == nil {
		t.Errorf("%v, %+v; want 7 deleted, a second batch that finds none, the oldest expired 90 s before", err, st)
	}
	if n := g.rows(t); n != len(live) {
		t.Errorf("%d rows are left, want the %d live ones", n, len(live))
	}
	if st, err := sweeper.Sweep(t.Context()); err != nil || st.Deleted != 0 || st.DeletedTotal != 7 || st.DeletedFleet != 7 {
		t.Errorf("a sweep that finds nothing: %v, %+v", err, st)
	}
}

// TestSweeper_NoGap: a call that never ends only makes the sweep slower.
func TestSweeper_NoGap(t *testing.T) {
	g := startSweepField(t)
	g.make(t, 40, 90*time.Second)
	defer g.store.BeginCall()()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	st, err := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{}, nil).Sweep(ctx)
	if err != nil || st.Deleted != 40 {
		t.Errorf("%v, %d deleted, want 40", err, st.Deleted)
	}
}

// TestSweeper_OneLeaderAFleet: the jobs of two proxies share the work by the lease. If one ends, the other takes
// over.
func TestSweeper_OneLeaderAFleet(t *testing.T) {
	g := startSweepField(t)
	cfg := aspstate.SweepConfig{Interval: 2 * time.Second}
	var running sync.WaitGroup
	defer running.Wait()
	start := func() (*aspstate.Sweeper, context.CancelFunc) {
		s := aspstate.NewSweeper(g.store, g.pair, cfg, nil)
		ctx, stop := context.WithCancel(t.Context())
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		return s, stop
	}
	first, stopFirst := start()
	defer stopFirst()
	await(t, "the first leads", func() bool { return first.Status().Leader && first.Status().Runs > 0 })
	second, stopSecond := start()
	defer stopSecond()
	g.make(t, 4, time.Minute)
	await(t, "the second knows when", func() bool { return second.Status().LastRun != nil })
	swept := func() int64 { return first.Status().DeletedTotal + second.Status().DeletedTotal }
	await(t, "they are swept", func() bool { return swept() == 4 })
	if first.Status().Leader && second.Status().Leader {
		t.Errorf("both lead: %+v and %+v", first.Status(), second.Status())
	}
	stopFirst()
	g.make(t, 3, time.Minute)
	await(t, "the second leads, and sweeps", func() bool { return second.Status().Leader && swept() == 7 })
	if n := g.rows(t); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestSweeper_TwoAtOnce: sweeps without a lease at the same time delete each expired row once, and no live row.
func TestSweeper_TwoAtOnce(t *testing.T) {
	g := startSweepField(t)
	const dead, alive = 300, 20
	g.make(t, dead, time.Minute)
	live := g.make(t, alive, 0)
	var sweeping sync.WaitGroup
	deleted := make([]int64, 4)
	for i := range deleted {
		s := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{}, nil)
		sweeping.Go(func() {
			st, err := s.Sweep(t.Context())
			if err != nil {
				t.Error(err)
			}
			deleted[i] = st.Deleted
		})
	}
	sweeping.Wait()
	sum := int64(0)
	for _, n := range deleted {
		sum += n
	}
	if n := g.rows(t); sum != dead || n != alive {
		t.Errorf("%v deleted, %d in all, and %d rows are left; want %d and %d", deleted, sum, n, dead, alive)
	}
	for _, ref := range live {
		if _, err := g.store.Get(t.Context(), ref, session.GetOptions{Peek: true}); err != nil {
			t.Errorf("a live session: %v", err)
		}
	}
}

// TestSweeper_FailoverInItsMiddle: the sweep continues on the new principal. It deletes all expired sessions and no
// live ones.
func TestSweeper_FailoverInItsMiddle(t *testing.T) {
	g := startSweepField(t)
	g.make(t, 400, time.Minute)
	live := g.make(t, 20, 0)
	sweeper := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{}, nil)
	done := make(chan error, 1)
	go func() {
		_, err := sweeper.Sweep(t.Context())
		done <- err
	}()
	await(t, "it has begun", func() bool { return sweeper.Status().Batches > 0 })
	for _, name := range []string{"a", "b"} {
		if err := g.servers.Partner(name).Failover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("the sweep: %v", err)
	}
	if n := g.rows(t); n != len(live) {
		t.Errorf("%d rows are left, want %d", n, len(live))
	}
	for _, ref := range live {
		if _, err := g.store.Get(t.Context(), ref, session.GetOptions{Peek: true}); err != nil {
			t.Errorf("a live session: %v", err)
		}
	}
}

func TestSweeper_Stock(t *testing.T) {
	g := startSweepField(t)
	g.make(t, 120, time.Minute)
	live := g.make(t, 3, 0)
	store := aspstate.New(onStock{g.pair}, nil)
	t.Cleanup(store.Close)
	st, err := aspstate.NewSweeper(store, g.pair, aspstate.SweepConfig{}, nil).Sweep(t.Context())
	if err != nil || st.Method != "DELETE in batches" || st.Deleted != 120 || st.Batches < 2 || st.OldestExpiredS < 60 {
		t.Errorf("%v, %+v; want 120 deleted in batches", err, st)
	}
	if n := g.rows(t); n != len(live) {
		t.Errorf("%d rows are left, want %d", n, len(live))
	}
}

// clocks is a pair whose partners' clocks differ by this much.
type clocks struct {
	apart time.Duration
	seen  time.Time
}

func (c clocks) Status() partner.Status {
	return partner.Status{Partners: []partner.PartnerStatus{
		{Name: partner.A, Seen: time.Now()}, {Name: partner.B, Seen: c.seen, ClockMS: float64(c.apart.Milliseconds())}}}
}

func TestSweeper_ClocksApart(t *testing.T) {
	g := startSweepField(t)
	g.make(t, 1, time.Minute)
	for _, c := range []struct {
		name  string
		clock clocks
		held  bool
	}{
		{"too far apart", clocks{-6 * time.Second, time.Now()}, true},
		{"one is not known", clocks{-6 * time.Second, time.Time{}}, false},
		{"near enough", clocks{4 * time.Second, time.Now()}, false},
	} {
		var log strings.Builder
		s := aspstate.NewSweeper(g.store, c.clock, aspstate.SweepConfig{}, textLogger(&log))
		_, err := s.Sweep(t.Context())
		if held := errors.Is(err, aspstate.ErrSweepHeld); held != c.held || (s.Status().Held != "") != c.held || strings.Contains(log.String(), "correct the servers' clocks") != c.held {
			t.Errorf("%s: %v, %+v, and the log says %q", c.name, err, s.Status(), log.String())
		}
	}
}

// TestSweeper_MissingRights: the missing right is logged once, with the statement that grants it.
func TestSweeper_MissingRights(t *testing.T) {
	g := startSweepField(t)
	var log lockedText
	pair := &refusing{}
	store := aspstate.New(pair, nil)
	t.Cleanup(store.Close)
	s := aspstate.NewSweeper(store, g.pair, aspstate.SweepConfig{Interval: time.Second}, textLogger(&log))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	await(t, "it was refused three times", func() bool { return pair.calls.Load() >= 3 })
	stop()
	running.Wait()
	if n := strings.Count(log.String(), "GRANT EXECUTE"); n != 1 {
		t.Errorf("the log says %d times what to grant: %s", n, log.String())
	}
	if !strings.Contains(s.Status().LastError, "permission was denied") {
		t.Errorf("the status says %q", s.Status().LastError)
	}
}

// refusing is a pair whose server refuses every statement.
type refusing struct{ calls atomic.Int64 }

func (r *refusing) Do(context.Context, partner.Call, func(context.Context, *partner.Attempt) error) error {
	r.calls.Add(1)
	return mssql.Error{Number: 229, Class: 14, Message: "The EXECUTE permission was denied on the object 'MirrorState_Sweep_1'."}
}

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// lockedText is a text that several goroutines may write.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// BenchmarkSweep_nothing measures a sweep without expired sessions.
func BenchmarkSweep_nothing(b *testing.B) {
	g := startSweepField(b)
	g.make(b, 1000, 0)
	s := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{}, nil)
	for b.Loop() {
		if _, err := s.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
