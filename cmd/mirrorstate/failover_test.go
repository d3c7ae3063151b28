package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// The size of the load. make test runs a small load.
var (
	loadClients   = flag.Int("clients", 8, "clients of a load test")
	loadSessions  = flag.Int("sessions", 4, "sessions they share")
	loadFailovers = flag.Int("failovers", 5, "planned failovers under load")
	loadBetween   = flag.Int64("between", 50, "cycles between two failovers")
)

// load runs clients that each cycle over the sessions until stop is closed.
type load struct {
	pace         string         // URL of the pair's status
	acknowledged []atomic.Int64 // by session
	failures     chan error
	stop         chan struct{}
	running      sync.WaitGroup
	cycles       atomic.Int64
}

func startLoad(ctx context.Context, p *program, clients int, urls []string) *load {
	l := &load{pace: p.admin + "/v1/pair", acknowledged: make([]atomic.Int64, len(urls)), failures: make(chan error, clients), stop: make(chan struct{})}
	for c := range clients {
		l.running.Go(func() {
			for i := c; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				n := i % len(urls)
				ok, err := cycle(ctx, urls[n])
				if err != nil {
					l.failures <- fmt.Errorf("session %d: %w", n, err)
					return
				}
				if ok {
					l.acknowledged[n].Add(1)
					l.cycles.Add(1)
				}
			}
		})
	}
	return l
}

// after waits until that many cycles have been acknowledged since the call.
func (l *load) after(t *testing.T, cycles int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for want := l.cycles.Load() + cycles; l.cycles.Load() < want; {
		select {
		case err := <-l.failures:
			t.Fatalf("a request failed: %v", err)
		case <-ctx.Done():
			t.Fatal("the clients make no progress")
		default:
			// This request paces the loop. It must not fail either.
			if status, _, body, err := request(ctx, "GET", l.pace, ""); err != nil || status != 200 {
				t.Fatalf("GET /v1/pair: %d %s %v", status, body, err)
			}
		}
	}
}

// end stops the clients and reports what failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.running.Wait()
	close(l.failures)
	for err := range l.failures {
		t.Errorf("a request failed: %v", err)
	}
}

// TestServe_ManualFailovers checks the promise from outside: under load, with one planned failover after the other, no
// request fails and every counter is exact.
func TestServe_ManualFailovers(t *testing.T) {
	p := startServe(t, t.TempDir())
	urls := counters(t, p, *loadSessions)
	l := startLoad(t.Context(), p, *loadClients, urls)
	for range *loadFailovers {
		l.after(t, *loadBetween)
		must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	}
	l.after(t, *loadBetween)
	l.end(t)
	t.Logf("%d cycles acknowledged through %d failovers", l.cycles.Load(), *loadFailovers)
	l.checkCounters(t, urls)
	p.stop(t)
}

// checkCounters checks that every session holds the number of its acknowledged additions.
func (l *load) checkCounters(t *testing.T, urls []string) {
	t.Helper()
	for i, url := range urls {
		_, body := must(t, []int{200}, "GET", url, "")
		if want := strconv.FormatInt(l.acknowledged[i].Load(), 10); body != want {
			t.Errorf("session %d holds %s after %s acknowledged additions", i, body, want)
		}
	}
}

// TestServe_Killed kills the server under load, as kill -9 does. After the next start every acknowledged addition is
// there, and at most one more for each client: the addition that was under way.
func TestServe_Killed(t *testing.T) {
	dir := t.TempDir()
	p := startServe(t, dir)
	urls := counters(t, p, *loadSessions)
	l := startLoad(t.Context(), p, *loadClients, urls)
	l.after(t, 2**loadBetween)
	p.kill()
	close(l.stop)
	l.running.Wait()

	again := startServe(t, dir)
	var extra int64
	for i, url := range urls {
		_, body := must(t, []int{200}, "GET", again.api+url[len(p.api):]+"?locked=allow", "")
		got, err := strconv.ParseInt(body, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if want := l.acknowledged[i].Load(); got < want {
			t.Errorf("session %d holds %d after %d acknowledged additions", i, got, want)
		}
		extra += got - l.acknowledged[i].Load()
	}
	if extra > int64(*loadClients) {
		t.Errorf("%d additions that were not acknowledged, with %d clients", extra, *loadClients)
	}
	again.stop(t)
}
