package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/measure"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// scriptedOutage is the duration of a failover of a scripted pair. On a busy machine, an answer from before the
// failover reaches its client in less time.
const scriptedOutage = time.Second

// scriptedPair is a pair without servers. While it fails over, no request is answered.
type scriptedPair struct {
	proxy.PairView // nil: the other methods are not called

	serving sync.RWMutex // read-locked by every request, locked by a failover

	requests  atomic.Int64
	failAfter int64 // number of requests after which the pair fails over by itself; 0: never
	operator  sync.WaitGroup

	mu        sync.Mutex // guards all fields below
	principal string
	listeners map[chan proxy.Event]struct{}
}

// startScripted starts a server on such a pair, and returns the URLs of its API and its operators'
// listener.
func startScripted(t *testing.T) (pair *scriptedPair, api, admin string) {
	t.Helper()
	pair = &scriptedPair{principal: "a", listeners: map[chan proxy.Event]struct{}{}}
	a, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.StopWaiting)
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: a, Pair: pair, Events: pair})
	if err != nil {
		t.Fatal(err)
	}
	return pair, serveTest(t, pair.behind(a)), serveTest(t, h)
}

func (s *scriptedPair) behind(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No queue: a request that waits for a lock would delay the failover, and the failover
		// would delay the release of the lock.
		q := r.URL.Query()
		q.Del("wait")
		r.URL.RawQuery = q.Encode()
		if s.requests.Add(1) == s.failAfter {
			s.operator.Go(func() { _ = s.Failover(context.Background()) }) // it never fails
		}
		s.serving.RLock()
		defer s.serving.RUnlock()
		h.ServeHTTP(w, r)
	})
}

// Status implements proxy.PairView.
func (s *scriptedPair) Status() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]any{"topology": "mirroring", "principal": s.principal, "holding": 3}
}

// Failover implements proxy.PairView.
func (s *scriptedPair) Failover(context.Context) error {
	s.serving.Lock()
	s.tell(proxy.Event{At: time.Now(), Kind: measure.EventNoPrincipal})
	<-time.After(scriptedOutage)
	s.mu.Lock()
	s.principal = map[string]string{"a": "b", "b": "a"}[s.principal]
	s.mu.Unlock()
	s.tell(proxy.Event{At: time.Now(), Kind: measure.EventPrincipal, Partner: s.principal})
	s.serving.Unlock()
	return nil
}

func (s *scriptedPair) tell(e proxy.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.listeners {
		c <- e
	}
}

// Events implements proxy.EventSource.
func (s *scriptedPair) Events() (<-chan proxy.Event, func()) {
	c := make(chan proxy.Event, 100)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, c)
	}
}

// flagsFor3s is a load of 3 s with a failover. Even a busy machine catches up with the requests that the outage delays.
func flagsFor3s(api, admin string) Flags {
	f := hotLoad(api)
	f.Admin, f.Rate, f.Duration = admin, 150, 3*time.Second
	return f
}

// checkFailover checks the one failover of a scripted pair.
func checkFailover(t *testing.T, r *report.Report, kind string) {
	t.Helper()
	if len(r.Findings) > 0 || len(r.Failovers) != 1 || r.Failovers[0].Kind != kind {
		t.Fatalf("found %v, and the failovers %+v, want one of kind %s", r.Findings, r.Failovers, kind)
	}
	f := r.Failovers[0]
	outage := measure.Milliseconds(scriptedOutage)
	if f.NoPrincipalMS == nil || *f.NoPrincipalMS < outage*0.5 || *f.NoPrincipalMS > outage*3 {
		t.Errorf("there was no principal for %s, want about %v ms", inMS(f.NoPrincipalMS), outage)
	}
	if f.ResumeMS == nil || *f.ResumeMS > outage*2 || f.LongestStallMS < outage*0.8 || f.Failed != 0 {
		t.Errorf("the failover cost %+v", f)
	}
}

// inMS formats a number of milliseconds that may be missing.
func inMS(v *float64) string {
	if v == nil {
		return "no known time"
	}
	return fmt.Sprintf("%v ms", *v)
}

// The load test asks for a failover through --admin.
func TestRun_AsksForFailovers(t *testing.T) {
	t.Parallel()
	_, api, admin := startScripted(t)
	f := flagsFor3s(api, admin)
	f.Failovers = "manual@300ms"
	r := runLoad(t, f)
	checkFailover(t, r, measure.KindManual)
	held := 0
	for _, n := range r.Held {
		held = max(held, n)
	}
	if held != 3 {
		t.Errorf("at most %d calls were held, want 3", held)
	}
}

// The load test recognises a failover that others make while the load runs.
func TestRun_RecognisesFailovers(t *testing.T) {
	t.Parallel()
	pair, api, admin := startScripted(t)
	pair.failAfter = 100
	f := flagsFor3s(api, admin)
	r := runLoad(t, f)
	pair.operator.Wait()
	checkFailover(t, r, measure.KindObserved)
}

// Kinds of failovers that the target does not support are refused with a list of those that it
// supports.
func TestRun_KindsOfFailovers(t *testing.T) {
	_, api, admin := startScripted(t)
	f := hotLoad(api)
	f.Admin, f.Failovers = admin, "crash@300ms"
	_, err := tryLoad(t, f)
	if _, ok := errors.AsType[*UsageError](err); !ok || !strings.Contains(err.Error(), "is not supported by this pair (mirroring); it supports manual") {
		t.Errorf("the error is %v", err)
	}
}

// tryLoad runs a load test that may fail to start.
func tryLoad(t *testing.T, f Flags) (*report.Report, error) {
	t.Helper()
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), o, Environment{Progress: t.Output()})
}

// The errors for a target that is not a mirrorstate, and for a target without a server, differ.
func TestRun_WrongTargets(t *testing.T) {
	silent := httptest.NewServer(http.NotFoundHandler())
	silent.Close()
	for _, tt := range []struct {
		name, url, want string
		misuse          bool
	}{
		{"another server", serveTest(t, http.NotFoundHandler()), "is not a mirrorstate: it answers 404 Not Found to a request for a session that does not exist", true},
		{"a server that requires a key", serveTest(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"type":"https://mirrorstate.github.io/problems/unauthorized","status":401,"detail":"give a key","outcome":"not-applied"}`))
		})), "refused the request: give a key; make a key with mirrorstate key new", true},
		{"a server with other applications", serveTest(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			if r.URL.EscapedPath() == "/v1/apps/%2Floadtest%2Fhttp/sessions/"+path.Base(r.URL.Path) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"type":"https://mirrorstate.github.io/problems/unknown-application","status":404,"outcome":"not-applied"}`))
			}
		})), "unknown application /loadtest/http; add loadtest: {name: /loadtest/http} to apps in its configuration", true},
		{"a server that answers 200 to everything", serveTest(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "it answers 200 OK", true},
		{"no server", silent.URL, "connection refused; start mirrorstate serve there", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tryLoad(t, hotLoad(tt.url))
			_, misuse := errors.AsType[*UsageError](err)
			if err == nil || misuse != tt.misuse || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v (misuse: %v), want %q", err, misuse, tt.want)
			}
		})
	}
	_, api, _ := startScripted(t)
	f := hotLoad(api)
	f.Admin = serveTest(t, http.NotFoundHandler())
	if _, err := tryLoad(t, f); err == nil || !strings.Contains(err.Error(), "is not the operators' listener") {
		t.Errorf("the error is %v", err)
	}
}

// after calls f once, at the n-th request.
func after(h http.Handler, n int64, f func()) http.Handler {
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == n {
			f()
		}
		h.ServeHTTP(w, r)
	})
}

// If the target ends and does not come back, there is a report, and it has the failures.
func TestRun_TargetEnds(t *testing.T) {
	t.Parallel()
	died := make(chan struct{})
	server := httptest.NewServer(after(correctAPI(t), 100, func() { close(died) }))
	var killer sync.WaitGroup
	killer.Go(func() {
		<-died
		server.CloseClientConnections()
		server.Close()
	})
	r := runLoad(t, hotLoad(server.URL))
	killer.Wait()
	if r.FailedByProblem["no-answer"] < 50 || r.Integrity.UnreadSessions == 0 || len(r.Findings) < 2 {
		t.Errorf("after the target has ended: %v, %+v", r.Findings, r.FailedByProblem)
	}
	if r.Integrity.LostWrites != 0 {
		t.Errorf("%d writes are counted as lost although the server can not be asked", r.Integrity.LostWrites)
	}
}

// After an interrupt the report covers the time until then.
func TestRun_Interrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	f := hotLoad(serveTest(t, after(correctAPI(t), 200, interrupt)))
	f.Duration = time.Hour
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(ctx, o, Environment{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Requests < 100 || r.Seconds > 60 || len(r.Findings) > 0 || r.Integrity.ReadBack < 6 {
		t.Errorf("interrupted: %v, %d requests in %v s, %v, %+v", r.Interrupted, r.Requests, r.Seconds, r.Findings, r.Integrity)
	}
	if note := fmt.Sprint(r.Notes); !strings.Contains(note, "interrupted after") {
		t.Errorf("the notes are %s", note)
	}
}
