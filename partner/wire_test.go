package partner

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/choose"
	"github.com/mirrorstate/mirrorstate/partner/hold"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/partner/tdstest"
)

// longBudgets are budgets that a busy machine meets. Where a test is about an end, an event causes it long
// before these.
func longBudgets() link.Budgets {
	return link.Budgets{Dial: testTimeout, Login: testTimeout, Probe: 10 * time.Second, Attempt: testTimeout, Grace: 20 * time.Millisecond}
}

// testTimeout bounds what a test waits for.
const testTimeout = 30 * time.Second

// start runs a Pair on the scripted pair until the test ends.
func start(t testing.TB, w *tdstest.Pair) *Pair { return startWith(t, w, longBudgets()) }

// startWith is like start, with other budgets.
func startWith(t testing.TB, w *tdstest.Pair, b link.Budgets) *Pair {
	cfg := Config{Database: "ASPState", Budgets: b, MonitorSteady: 20 * time.Millisecond}
	for i, s := range w.Servers {
		dsn := tdstest.DSN(t, s.Addr, "disable")
		cfg.Partners[i].DSN = &dsn
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	waiting, enough := context.WithTimeout(t.Context(), testTimeout)
	defer enough()
	if err := p.WaitForPrincipal(waiting); err != nil {
		t.Fatalf("%v: %+v", err, p.Status())
	}
	return p
}

// work is a procedure call, as the store makes it.
func work(ctx context.Context, a *Attempt) error {
	_, err := a.Conn.ExecContext(ctx, "Work")
	return err
}

func TestWire_ProbeTakeAndCall(t *testing.T) {
	w := newWirePair(t)
	p := start(t, w)
	err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, a *Attempt) error {
		if a.Partner != choose.A || a.Epoch != 1 || !a.Extended {
			t.Errorf("attempt %+v", *a)
		}
		if d := time.Until(a.Sent); d < 59*time.Minute || d > 61*time.Minute {
			t.Errorf("the server's clock is an hour ahead, but Sent is %s ahead", d)
		}
		return work(ctx, a)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	o := p.view.Observed[0]
	p.mu.Unlock()
	if o.ServerName != "SQLA" || o.Sequence != 1 || o.Safety != "FULL" || o.PartnerName != "TCP://other:5022" || o.WitnessState != "" || o.WitnessName != "TCP://w:5022" || o.Updateable != "READ_WRITE" {
		t.Errorf("observed %+v", o)
	}
}

func TestWire_Accept(t *testing.T) {
	w := newWirePair(t)
	p := start(t, w)
	if err := p.WaitForPrincipal(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A higher epoch of b was accepted before, for example by a proxy that followed a copy that is now lost.
	select {
	case p.accepts <- choose.Accepted{Partner: choose.B, Extended: true, Epoch: 40}:
	case <-t.Context().Done():
	}
	if err := p.Accept(t.Context(), choose.A, "b is lost"); err != nil {
		t.Fatal(err)
	}
	if s := p.Status(); s.Principal != choose.A || s.Epoch != 41 || s.Partners[0].LastError != "" {
		t.Errorf("%+v", s)
	}
	if err := p.Do(t.Context(), Call{Write: true}, work); err != nil {
		t.Error(err)
	}
}

func TestWire_Failover(t *testing.T) {
	w := newWirePair(t)
	p := start(t, w)
	for i := range 6 {
		if err := p.Do(t.Context(), Call{Write: true}, work); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			w.FailOver(i%4 == 0) // with broken connections, then with refusals only
		} else if err := p.Failover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Status(); s.Epoch != 7 || s.RoleSequence != 7 {
		t.Errorf("after six role switches: %+v", s)
	}
}

// A frozen principal answers neither calls nor cancel requests. The driver itself would wait five seconds more.
func TestWire_FrozenPrincipal(t *testing.T) {
	w := newWirePair(t)
	p := start(t, w)
	if err := p.Do(t.Context(), Call{}, work); err != nil {
		t.Fatal(err)
	}
	w.Freeze(0)
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- p.Do(t.Context(), Call{Write: true}, work) }()
	<-w.Servers[0].Blocked
	w.FailOver(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s", d)
	}
	if s := p.Status(); s.Principal != choose.B || s.Epoch != 2 {
		t.Errorf("%+v", s)
	}
}

func TestWire_UnansweredCancelEndsWithTheGrace(t *testing.T) {
	w := newWirePair(t)
	p := start(t, w)
	if err := p.Do(t.Context(), Call{}, work); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	hung := make(chan struct{})
	go func() { defer close(hung); <-w.Servers[0].Blocked; cancel() }()
	err := p.Do(ctx, Call{Write: true}, func(ctx context.Context, a *Attempt) error {
		w.Freeze(0)
		return work(ctx, a)
	})
	<-hung
	if !errors.Is(err, context.Canceled) || OutcomeOf(err) != Unknown {
		t.Errorf("got %v, %s", err, OutcomeOf(err))
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("took %s: the driver waited its five seconds", d)
	}
}

// The driver may report that a request was not sent completely, and database/sql could then send it again. It
// must not do so on a checked-out connection: only Do repeats a call, and sets Resent.
func TestWire_OnlyDoRepeatsACall(t *testing.T) {
	w := newWirePair(t)
	w.HoldLogins(hold.DrainFirst)
	p := start(t, w)
	waitAllIdle(t, p)
	for range 20 {
		if err := p.Do(t.Context(), Call{}, work); err != nil {
			t.Fatal(err)
		}
		ops := 0
		err := p.Do(t.Context(), Call{Write: true}, func(ctx context.Context, a *Attempt) error {
			if ops++; ops == 1 {
				w.Mu.Lock()
				w.Servers[0].ResetLocked()
				w.Servers[0].Calls = 0
				w.Mu.Unlock()
			}
			return work(ctx, a)
		})
		w.Mu.Lock()
		calls := w.Servers[0].Calls
		w.Mu.Unlock()
		if err != nil || ops != 2 || calls != 1 {
			t.Fatalf("%v after %d attempts; the server executed %d", err, ops, calls)
		}
	}
}

// waitAllIdle waits until the first connections of a term are made and idle.
func waitAllIdle(t *testing.T, p *Pair) {
	t.Helper()
	limit := time.After(testTimeout)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for s := (sql.DBStats{}); s.OpenConnections < hold.DrainFirst || s.InUse > 0; s = p.hold.Serving().Target.pool.Stats() {
		select {
		case <-look.C:
		case <-limit:
			t.Fatal("the connections are not idle in time")
		}
	}
}

func TestWire_PanicWithRowsOpen(t *testing.T) {
	w := newWirePair(t)
	p := start(t, w)
	began := time.Now()
	func() {
		defer func() { _ = recover() }()
		_ = p.Do(t.Context(), Call{}, func(ctx context.Context, a *Attempt) error {
			rows, err := a.Conn.QueryContext(ctx, "Work")
			if err != nil || rows.Err() != nil {
				t.Error(err, rows.Err())
			}
			panic("bug")
		})
		t.Error("the panic was swallowed")
	}()
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("the connection was released after %s", d)
	}
	if err := p.Do(t.Context(), Call{}, work); err != nil {
		t.Error(err)
	}
}

// newWirePair starts a scripted pair that answers the queries of package link.
func newWirePair(t testing.TB) *tdstest.Pair {
	return tdstest.NewPair(t, link.QueryStatus, link.ForDatabase(link.QueryEpoch, "ASPState"))
}
