package aspstate_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// stepped calls a function of its own in a step of each batch. A batch whose answer is lost was executed.
type stepped struct {
	aspstate.Pair
	before   func()            // it has a connection, and an epoch; it is not sent yet
	answered func() (got bool) // it was executed
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

// TestSweeper_FailoverInEachStep: before a batch is sent, after it was executed and before its answer is there, and
// before the next. Each expired row goes once, which the database counts, and no live one does.
func TestSweeper_FailoverInEachStep(t *testing.T) {
	const dead, alive, failovers = 60, 5, 3
	for _, c := range []struct {
		name    string
		step    func(pair *stepped, failover func() bool)
		counted bool // no answer is lost, so the sweeper knows all it deleted
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

// agentJob are the rows of SQL Agent's job as aspnet_regsql makes it.
func agentJob(enabled int) embedded.Planted {
	return embedded.Planted{Views: map[string][]map[string]any{
		"sys.sysjobs":     {{"job_id": "1", "name": "ASPState_Job_DeleteExpiredSessions", "enabled": enabled}},
		"sys.sysjobsteps": {{"job_id": "1", "step_id": 1, "command": "EXECUTE DeleteExpiredSessions", "database_name": "ASPState"}},
	}}
}

// TestSweeper_AgentJob: beside the job it sweeps and says once that there are two; told to yield it leaves the work to the job,
// but no longer than the job is enabled on the server that is principal: msdb is not mirrored.
func TestSweeper_AgentJob(t *testing.T) {
	g := startSweepField(t)
	plant := func(partner string, enabled int) {
		if err := g.servers.Partner(partner).Plant(agentJob(enabled)); err != nil {
			t.Fatal(err)
		}
	}
	plant("a", 1)
	var log lockedText
	s := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{Interval: time.Second, AgentJob: aspstate.AgentYield}, textLogger(&log))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	is := func(job string, held bool) func() bool {
		return func() bool { st := s.Status(); return st.AgentJob == job && (st.Held != "") == held }
	}
	g.make(t, 2, time.Minute)
	await(t, "it yields to the job on a", is("enabled", true))
	if err := g.servers.Partner("a").Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "it sweeps where there is no job", func() bool { return is("none", false)() && s.Status().DeletedTotal == 2 })
	if err := g.servers.Partner("b").Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "it yields again", is("enabled", true))
	g.db = openDB(t, g.servers.Partner("a").ConnectionString("ASPState")) // the failovers cut off the other
	g.make(t, 3, time.Minute)
	plant("a", 0)
	await(t, "it sweeps when the job is disabled", func() bool { return is("none", false)() && s.Status().DeletedTotal == 5 })
	plant("a", 1)
	s.Reconfigure(aspstate.SweepConfig{Interval: time.Second, AgentJob: aspstate.AgentBeside})
	g.make(t, 4, time.Minute)
	await(t, "it sweeps beside the job", func() bool { return is("enabled", false)() && s.Status().DeletedTotal == 9 })
	if n := strings.Count(log.String(), "SQL Agent's job deletes expired sessions too"); n != 1 {
		t.Errorf("it says %d times that the job is there: %s", n, log.String())
	}
}

// TestSweeper_FrozenInMidBatch: a leader that stands still in the middle of its sweep is replaced, the other one ends the
// work, and the batch that the first had begun deletes nothing when it goes on.
func TestSweeper_FrozenInMidBatch(t *testing.T) {
	g := startSweepField(t)
	const dead = 40
	g.make(t, dead, time.Minute)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	batches := 0
	pair := &stepped{Pair: g.pair, before: func() {
		if batches++; batches == 3 { // the lease, a batch, and this one
			close(frozen)
			<-thaw
		}
	}}
	cfg := aspstate.SweepConfig{Interval: 2 * time.Second}
	run := func(store *aspstate.Store) *aspstate.Sweeper {
		s := aspstate.NewSweeper(store, g.pair, cfg, nil)
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
	first := run(openStore(t, pair))
	select {
	case <-frozen:
	case <-time.After(patience):
		t.Fatal("the first one has not begun")
	}
	began := first.Status().Deleted
	second := run(g.store)
	await(t, "the second has swept the rest", func() bool { return second.Status().DeletedTotal == dead-began })
	const late = 3
	g.make(t, late, time.Minute)
	close(thaw)
	await(t, "the first knows that it does not lead", func() bool { return first.Status().LastError == aspstate.ErrNotLeader.Error() })
	if st := first.Status(); st.Leader || st.DeletedTotal != began || began == 0 || began == dead {
		t.Errorf("the first deleted %d before it was frozen and %d in all, leader %v", began, st.DeletedTotal, st.Leader)
	}
	await(t, "the second sweeps what has come", func() bool { return second.Status().DeletedTotal == dead-began+late })
}
