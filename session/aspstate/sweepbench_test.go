package aspstate_test

import (
	"context"
	"database/sql"
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
	"github.com/mirrorstate/mirrorstate/session/storetest"
)

var (
	benchExpired  = flag.Int("sweep.expired", 20_000, "expired sessions of BenchmarkSweep_underLoad")
	benchLive     = flag.Int("sweep.live", 2_000, "live ones beside them")
	benchRate     = flag.Int("sweep.rate", 500, "calls a second")
	benchQuiet    = flag.Duration("sweep.quiet", 5*time.Second, "how long the load is measured without a sweep")
	benchFailover = flag.Bool("sweep.failover", false, "fail over in the middle of the sweep")
)

// fill creates n sessions of 1 KB with .NET's procedure. With a timeout below zero they have expired.
func (g *sweepField) fill(b *testing.B, n, timeout int) []session.Ref {
	b.Helper()
	app, err := storetest.NewNetClient(g.db).AppID(b.Context(), sweptApp.Name)
	if err != nil {
		b.Fatal(err)
	}
	refs := make([]session.Ref, n)
	item := make([]byte, 1024)
	var filling sync.WaitGroup
	const writers = 32
	for w := range writers {
		filling.Go(func() {
			for i := w; i < n; i += writers {
				refs[i] = session.Ref{App: &sweptApp, ID: session.NewID()}
				_, err := g.db.ExecContext(b.Context(), "dbo.TempInsertStateItemShort", sql.Named("id", refs[i].ID.Key(app)),
					sql.Named("itemShort", item), sql.Named("timeout", timeout))
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	filling.Wait()
	return refs
}

// traffic makes calls at a fixed rate until ctx ends, half of them reads and half cycles of lock and store. It
// returns how long each call took, counted from the time when it was due.
func (g *sweepField) traffic(ctx context.Context, b *testing.B, refs []session.Ref) []time.Duration {
	began := time.Now()
	var (
		mu   sync.Mutex
		took []time.Duration
		next int
		wg   sync.WaitGroup
	)
	for range 16 {
		wg.Go(func() {
			wait := time.NewTimer(0)
			defer wait.Stop()
			for {
				mu.Lock()
				due := began.Add(time.Duration(next) * time.Second / time.Duration(*benchRate))
				next++
				mu.Unlock()
				wait.Reset(time.Until(due))
				select {
				case <-ctx.Done():
					return
				case <-wait.C:
				}
				// A call runs to its end, even if ctx ends.
				if err := g.visit(context.WithoutCancel(ctx), refs[rand.IntN(len(refs))]); err != nil {
					b.Errorf("a live session: %v", err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return took
}

// visit is a read, or a cycle of lock and store.
func (g *sweepField) visit(ctx context.Context, ref session.Ref) error {
	if rand.IntN(2) == 0 {
		_, err := g.store.Get(ctx, ref, session.GetOptions{AllowLocked: true})
		return err
	}
	s, lock, err := g.store.Acquire(ctx, ref, session.NewOperation())
	if _, locked := err.(*session.LockedError); locked {
		return nil
	}
	if err == nil {
		_, err = g.store.Update(ctx, ref, lock, session.Write{Item: s.Item}, false, session.NewOperation())
	}
	return err
}

func p99(took []time.Duration) float64 {
	slices.Sort(took)
	return took[len(took)*99/100].Seconds() * 1000
}

// BenchmarkSweep_underLoad is the live calls' p99 with a sweep and without, in one run; the ratio is to what it was before the
// sweep. What it is after says how much a long run drifts by itself.
//
//	go test -run '^$' -bench Sweep_underLoad -benchtime 1x ./session/aspstate -sweep.expired 1000000 -sweep.live 100000 -sweep.rate 400 -sweep.quiet 60s -timeout 0
func BenchmarkSweep_underLoad(b *testing.B) {
	g := startSweepField(b)
	live := g.fill(b, *benchLive, 600) // minutes; no session expires during the benchmark
	g.fill(b, *benchExpired, -10)
	b.Logf("%d sessions are there", g.rows(b))
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), *benchQuiet)
		quiet := g.traffic(ctx, b, live)
		cancel()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)

		ctx, cancel = context.WithCancel(b.Context())
		sweeper := aspstate.NewSweeper(g.store, g.pair, aspstate.SweepConfig{}, nil)
		var swept aspstate.SweepStatus
		var sweeping sync.WaitGroup
		sweeping.Go(func() {
			defer cancel()
			var err error
			if swept, err = sweeper.Sweep(context.WithoutCancel(ctx)); err != nil {
				b.Error(err)
			}
		})
		if *benchFailover {
			sweeping.Go(func() {
				look := time.NewTicker(10 * time.Millisecond)
				defer look.Stop()
				for sweeper.Status().Deleted <= int64(*benchExpired/2) {
					select {
					case <-look.C:
					case <-ctx.Done():
						return
					}
				}
				if err := g.servers.Partner("a").Failover(b.Context()); err != nil {
					b.Error(err)
				}
			})
		}
		busy := g.traffic(ctx, b, live)
		sweeping.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		ctx, cancel = context.WithTimeout(b.Context(), *benchQuiet)
		again := g.traffic(ctx, b, live)
		cancel()

		b.ReportMetric(p99(quiet), "p99-ms-quiet")
		b.ReportMetric(p99(again), "p99-ms-after")
		b.ReportMetric(p99(busy), "p99-ms-sweep")
		b.ReportMetric(p99(busy)/p99(quiet), "p99-ratio")
		b.ReportMetric(float64(swept.Deleted)/swept.DurationS, "rows/s")
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MB-more")
		if n := g.rows(b); n != len(live) {
			b.Errorf("%d rows are left, want the %d live ones", n, len(live))
		}
		b.Logf("%d calls without a sweep, %d with; %d rows in %.1f s and %d batches", len(quiet), len(busy), swept.Deleted, swept.DurationS, swept.Batches)
	}
}
