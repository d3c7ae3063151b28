package aspstate_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// stepped calls a function at a step of each batch. If the answer of a batch is lost, the batch was executed.
type stepped struct {
	aspstate.Pair
	before   func()            // called when the batch has a connection and an epoch, before it is sent
	answered func() (got bool) // called after the batch was executed; got reports whether its answer arrives
}

// Do implements aspstate.Pair.
func (s *stepped) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	if c.Label != "sweep" {
		return s.Pair.Do(ctx, c, op)
	}
	return s.Pair.Do(ctx, c, func(ctx context.Context, a *partner.Attempt) error {
		if s.before != nil {
			s.before()
		}
		err := op(ctx, a)
		if err == nil && s.answered != nil && !s.answered() {
			return io.EOF
		}
		return err
	})
}

// TestSweeper_FailoverInEachStep: a failover before a batch is sent, before its answer arrives, and before the next
// batch. The database counts that each expired row is deleted once, and no live row is.
func TestSweeper_FailoverInEachStep(t *testing.T) {
	const dead, alive, failovers = 60, 5, 3
	for _, c := range []struct {
		name    string
		step    func(pair *stepped, failover func() bool)
		counted bool // no answer is lost, so the sweeper knows how many rows it deleted
	}{
		{"before it is sent", func(p *stepped, failover func() bool) { p.before = func() { failover() } }, true},
		{"before its answer", func(p *stepped, failover func() bool) { p.answered = func() bool { return !failover() } }, false},
		{"after its answer", func(p *stepped, failover func() bool) { p.answered = func() bool { failover(); return true } }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := startSweepField(t)
			g.make(t, dead, time.Minute)
			live := g.make(t, alive, 0)
			made := 0
			pair := &stepped{Pair: g.pair}
			c.step(pair, func() bool {
				if made == failovers {
					return false
				}
				made++
				if err := g.servers.Partner(g.servers.Principal()).Failover(t.Context()); err != nil {
					t.Error(err)
				}
				return true
			})
			st, err := aspstate.NewSweeper(openStore(t, pair), g.pair, aspstate.SweepConfig{}, nil).Sweep(t.Context())
			if err != nil || st.DeletedFleet != dead || st.Deleted > dead || c.counted && st.Deleted != dead {
				t.Errorf("%v, deleted %d by its own count and %d by the database's; want %d", err, st.Deleted, st.DeletedFleet, dead)
			}
			if n := g.rows(t); made != failovers || n != alive {
				t.Errorf("%d failovers, and %d rows are left; want %d and %d", made, n, failovers, alive)
			}
			for _, ref := range live {
				if _, err := g.store.Get(t.Context(), ref, session.GetOptions{Peek: true}); err != nil {
					t.Errorf("a live session: %v", err)
				}
			}
		})
	}
}

// run runs an expiry job until the test ends.
func (g *sweepField) run(t *testing.T, store *aspstate.Store, cfg aspstate.SweepConfig, logger *slog.Logger) *aspstate.Sweeper {
	s := aspstate.NewSweeper(store, g.pair, cfg, logger)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// agentJob returns the rows of SQL Agent's job, as aspnet_regsql makes it for a database.
func agentJob(database string, enabled int) embedded.Planted {
	return embedded.Planted{Views: map[string][]map[string]any{
		"sys.sysjobs":     {{"job_id": "1", "name": "ASPState_Job_DeleteExpiredSessions", "enabled": enabled}},
		"sys.sysjobsteps": {{"job_id": "1", "step_id": 1, "command": "EXECUTE DeleteExpiredSessions", "database_name": database}},
	}}
}

// TestSweeper_AgentJob: with the rule beside, it sweeps and logs once that the job exists. With yield, it leaves the
// work to the job while the job is enabled on the principal. msdb is not mirrored.
func TestSweeper_AgentJob(t *testing.T) {
	g := startSweepField(t)
	plant := func(partner, database string, enabled int) {
		if err := g.servers.Partner(partner).Plant(agentJob(database, enabled)); err != nil {
			t.Fatal(err)
		}
	}
	plant("a", "aspstate", 1)
	plant("b", "OtherState", 1)
	var log lockedText
	s := g.run(t, g.store, aspstate.SweepConfig{Interval: time.Second, AgentJob: aspstate.AgentYield}, textLogger(&log))
	is := func(job string, held bool) func() bool {
		return func() bool { st := s.Status(); return st.AgentJob == job && (st.Held != "") == held }
	}
	g.make(t, 2, time.Minute)
	await(t, "it yields to the job on a", is("enabled", true))
	if err := g.servers.Partner("a").Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "it sweeps where there is no such job", func() bool { return is("none", false)() && s.Status().DeletedTotal == 2 })
	if err := g.servers.Partner("b").Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "it yields again", is("enabled", true))
	g.db = openDB(t, g.servers.Partner("a").ConnectionString("ASPState")) // the failovers closed the other connection
	g.make(t, 3, time.Minute)
	plant("a", "ASPState", 0)
	await(t, "it sweeps when the job is disabled", func() bool { return is("none", false)() && s.Status().DeletedTotal == 5 })
	plant("a", "ASPState", 1)
	s.Reconfigure(aspstate.SweepConfig{Interval: time.Second, AgentJob: aspstate.AgentBeside})
	g.make(t, 4, time.Minute)
	await(t, "it sweeps beside the job", func() bool { return is("enabled", false)() && s.Status().DeletedTotal == 9 })
	if n := strings.Count(log.String(), "SQL Agent's job deletes expired sessions too"); n != 1 {
		t.Errorf("it says %d times that the job is there: %s", n, log.String())
	}
}

// TestSweeper_FrozenInMidBatch: a leader that freezes during its sweep is replaced, and the other proxy finishes the
// work. When the first one continues, the batch that it had begun deletes nothing.
func TestSweeper_FrozenInMidBatch(t *testing.T) {
	g := startSweepField(t)
	const dead = 40
	g.make(t, dead, time.Minute)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	batches := 0
	pair := &stepped{Pair: g.pair, before: func() {
		if batches++; batches == 3 { // the first is the request for the lease, the second a batch
			close(frozen)
			<-thaw
		}
	}}
	cfg := aspstate.SweepConfig{Interval: 2 * time.Second}
	first := g.run(t, openStore(t, pair), cfg, nil)
	select {
	case <-frozen:
	case <-time.After(patience):
		t.Fatal("the first one has not begun")
	}
	began := first.Status().Deleted
	second := g.run(t, g.store, cfg, nil)
	await(t, "the second has swept the rest", func() bool { return second.Status().DeletedTotal == dead-began })
	const late = 3
	g.make(t, late, time.Minute)
	close(thaw)
	await(t, "the first one's sweep has ended", func() bool { return !first.Status().Running })
	if st := first.Status(); st.Leader || st.LastError != "" || st.DeletedTotal != began || began == 0 || began == dead {
		t.Errorf("the first had deleted %d when it was frozen: %+v", began, st)
	}
	await(t, "the second sweeps what has come", func() bool { return second.Status().DeletedTotal == dead-began+late })
}

// unreachable is a pair that can be made unreachable.
type unreachable struct {
	aspstate.Pair
	now atomic.Bool
}

// Do implements aspstate.Pair.
func (u *unreachable) Do(ctx context.Context, c partner.Call, op func(ctx context.Context, a *partner.Attempt) error) error {
	if u.now.Load() {
		return io.ErrUnexpectedEOF
	}
	return u.Pair.Do(ctx, c, op)
}

// TestSweeper_OutlivesItsLease: if a leader cannot request the lease any more, the status has the error. The error is
// removed when it can request it again.
func TestSweeper_OutlivesItsLease(t *testing.T) {
	g := startSweepField(t)
	pair := &unreachable{Pair: g.pair}
	cfg := aspstate.SweepConfig{Interval: 2 * time.Second}
	first := g.run(t, openStore(t, pair), cfg, nil)
	await(t, "the first leads", func() bool { return first.Status().Leader })
	second := g.run(t, g.store, cfg, nil)
	pair.now.Store(true)
	await(t, "the second leads", func() bool { return second.Status().Leader })
	if st := first.Status(); st.Leader || st.LastError == "" {
		t.Errorf("the one that is cut off: %+v", st)
	}
	pair.now.Store(false)
	await(t, "the first follows, and nothing is wrong", func() bool { st := first.Status(); return !st.Leader && st.LastError == "" })
}

// TestSweeper_ClockSetBack: a date in the future in the row of the lease, from a clock that was ahead, does not stop
// the sweep.
func TestSweeper_ClockSetBack(t *testing.T) {
	for what, row := range map[string]string{
		"the last run": "LastRun = DATEADD(second, 86400, SYSUTCDATETIME())",
		"the lease":    "Owner = 0x01020304050607080910111213141516, LeasedUntil = DATEADD(second, 86400, SYSUTCDATETIME())",
	} {
		t.Run(what, func(t *testing.T) {
			g := startSweepField(t)
			if _, err := g.db.ExecContext(t.Context(), "UPDATE MirrorStateSweep SET "+row+" WHERE Id = 1"); err != nil {
				t.Fatal(err)
			}
			g.make(t, 3, time.Minute)
			s := g.run(t, g.store, aspstate.SweepConfig{Interval: time.Second}, nil)
			await(t, "it has swept", func() bool { return s.Status().DeletedTotal == 3 })
		})
	}
}
