package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// load runs clients that each cycle over the sessions until stop is closed.
type load struct {
	acknowledged []atomic.Int64 // by session
	failures     chan error
	stop         chan struct{}
	running      sync.WaitGroup
	cycles       atomic.Int64
}

func startLoad(ctx context.Context, clients int, urls []string) *load {
	l := &load{acknowledged: make([]atomic.Int64, len(urls)), failures: make(chan error, clients), stop: make(chan struct{})}
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for want := l.cycles.Load() + cycles; l.cycles.Load() < want; {
		select {
		case err := <-l.failures:
			t.Fatalf("a request failed: %v", err)
		case <-ctx.Done():
			t.Fatal("the clients do not get on")
		default:
			// A request of our own paces this loop, and must not fail either.
			if status, _, body, err := request(ctx, "GET", l.pace(), ""); err != nil || status != 200 {
				t.Fatalf("GET /v1/pair: %d %s %v", status, body, err)
			}
		}
	}
}

var paceURL atomic.Value

func (l *load) pace() string { return paceURL.Load().(string) }

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

// TestServe_ManualFailovers is the promise, seen from outside: under load, with
// one planned failover after the other, no request fails and every counter is exact.
func TestServe_ManualFailovers(t *testing.T) {
	p := startServe(t, t.TempDir())
	paceURL.Store(p.admin + "/v1/pair")
	urls := counters(t, p, 4)
	l := startLoad(t.Context(), 8, urls)
	for range 5 {
		l.after(t, 50)
		must(t, []int{200}, "POST", p.admin+"/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	}
	l.after(t, 50)
	l.end(t)
	for i, url := range urls {
		_, body := must(t, []int{200}, "GET", url, "")
		if want := strconv.FormatInt(l.acknowledged[i].Load(), 10); body != want {
			t.Errorf("session %d holds %s after %s acknowledged additions", i, body, want)
		}
	}
	p.stop(t)
}

// TestServe_Killed kills the server as kill -9 does, under load: every
// acknowledged addition is there after the next start, and at most the one that
// was under way in each client besides.
func TestServe_Killed(t *testing.T) {
	dir := t.TempDir()
	p := startServe(t, dir)
	paceURL.Store(p.admin + "/v1/pair")
	urls := counters(t, p, 4)
	const clients = 8
	l := startLoad(t.Context(), clients, urls)
	l.after(t, 100)
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
	if extra > clients {
		t.Errorf("%d additions more than were acknowledged, from %d clients", extra, clients)
	}
	again.stop(t)
}
