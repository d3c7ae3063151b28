package loadtest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest/report"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// correctAPI is a server without faults: the real API on a store in memory.
func correctAPI(t *testing.T) http.Handler {
	t.Helper()
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.StopWaiting)
	return api
}

// hotLoad is a short load of 235 visits on few sessions, so that clients use a session at the same time. On a busy
// machine more visits do so, and a visit may be a single refused request; but every visit is made.
func hotLoad(targets ...string) Flags {
	return Flags{
		Targets: targets, Rate: 400, Clients: 16, Duration: time.Second, Timeout: 40 * time.Second,
		Mix: "lock=60,read=30,touch=5,renew=5", Size: "64..9000", Sessions: 6, Think: time.Millisecond, Seed: 1,
	}
}

// runLoad runs a load on a server and returns the report.
func runLoad(t *testing.T, f Flags) *report.Report {
	t.Helper()
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), o, Environment{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests < 200 {
		t.Errorf("%d requests were made", r.Requests)
	}
	return r
}

// serveTest serves a handler and returns its URL.
func serveTest(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// forward passes a request on with another method and an escaped path, and returns the answer.
func forward(h http.Handler, r *http.Request, method, path string) *httptest.ResponseRecorder {
	other := r.Clone(r.Context())
	other.Method, other.URL.RawPath = method, path
	other.URL.Path, _ = url.PathUnescape(path)
	other.Body, other.ContentLength = http.NoBody, 0
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, other)
	return answer
}

// copyAnswer writes an answer.
func copyAnswer(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// every returns a function that reports true at every n-th call.
func every(n int64) func() bool {
	var count atomic.Int64
	return func() bool { return count.Add(1)%n == 0 }
}

// acknowledgesOnly sometimes acknowledges an update that it has not made: it only releases the
// lock.
func acknowledgesOnly(h http.Handler) http.Handler {
	now := every(20)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.Header.Get("Session-Lock") != "" && now() {
			copyAnswer(w, forward(h, r, http.MethodDelete, r.URL.EscapedPath()+"/lock"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// grantsTwice grants a lock that another client holds.
func grantsTwice(h http.Handler) http.Handler {
	var handles sync.Map // handles of the holders, by path
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/lock") {
			h.ServeHTTP(w, r)
			return
		}
		r.URL.RawQuery = "" // no queue: the refusal comes at once
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code == http.StatusOK {
			handles.Store(r.URL.Path, answer.Header().Get("Session-Lock"))
		}
		if handle, ok := handles.Load(r.URL.Path); ok && answer.Code == http.StatusLocked {
			r.URL.RawQuery = "locked=allow"
			if answer = forward(h, r, http.MethodGet, strings.TrimSuffix(r.URL.EscapedPath(), "/lock")); answer.Code == http.StatusOK {
				answer.Header().Set("Session-Lock", handle.(string))
			}
		}
		copyAnswer(w, answer)
	})
}

// keepsRemoved acknowledges a removal and removes nothing.
func keepsRemoved(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && r.Header.Get("Session-Lock") != "" && !strings.HasSuffix(r.URL.Path, "/lock") {
			copyAnswer(w, forward(h, r, http.MethodDelete, r.URL.EscapedPath()+"/lock"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// damagesItems sometimes changes an item in the answer.
func damagesItems(h http.Handler) http.Handler {
	now := every(5)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if b := answer.Body.Bytes(); r.Method == http.MethodGet && answer.Code == http.StatusOK && len(b) > 0 && now() {
			b[len(b)/2] ^= 1
		}
		copyAnswer(w, answer)
	})
}

// appliesRefused sometimes applies a write and answers that it was refused.
func appliesRefused(h http.Handler) http.Handler {
	now := every(20)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if r.Method == http.MethodPut && r.Header.Get("Session-Lock") != "" && now() {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"type":"https://mirrorstate.github.io/problems/no-principal","status":503,"outcome":"not-applied","retryable":true}`)
			return
		}
		copyAnswer(w, answer)
	})
}

// dropsRequests answers 40 requests like a load balancer without a server. It counts requests and
// not time, because their rate depends on the machine. It passes requests with a lock; otherwise
// the lock would stay and the other clients would wait for it.
func dropsRequests(h http.Handler) http.Handler {
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Session-Lock") != "" {
			h.ServeHTTP(w, r)
			return
		}
		if n := count.Add(1); n > 80 && n <= 120 {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// cutsAnswers sometimes closes the connection in the middle of an answer, so that the outcome is
// unknown. Before the first byte, Go's own client would repeat the request, which has an
// Idempotency-Key.
func cutsAnswers(h http.Handler) http.Handler {
	now := every(15)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if r.Method == http.MethodPut && now() {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, "HTTP/1.1 20")
			conn.Close()
			return
		}
		copyAnswer(w, answer)
	})
}

// With a correct server there are no findings, however many clients use the same session.
func TestRun_Correct(t *testing.T) {
	t.Parallel()
	h := correctAPI(t)
	r := runLoad(t, hotLoad(serveTest(t, h), serveTest(t, h))) // a fleet of two servers
	if len(r.Findings) != 0 || r.Integrity.UnknownOutcomes != 0 || r.Integrity.AcknowledgedWrites < 20 || r.Integrity.ReadBack < 6 {
		t.Errorf("a correct server: %v, %+v", r.Findings, r.Integrity)
	}
}

// A load test finds the faults of a server.
func TestRun_Broken(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breaks  func(http.Handler) http.Handler
		caught  func(*report.Report) bool
		finding string
	}{
		{"acknowledges without writing", acknowledgesOnly, func(r *report.Report) bool { return r.Integrity.LostWrites > 0 }, "writes were lost"},
		{"grants twice", grantsTwice, func(r *report.Report) bool { return r.Integrity.DoubleGrants > 0 }, "granted twice"},
		{"removes nothing", keepsRemoved, func(r *report.Report) bool { return r.Integrity.ResurrectedSessions > 0 }, "came back"},
		{"damages items", damagesItems, func(r *report.Report) bool { return r.Integrity.DamagedItems > 0 }, "damaged"},
		{"applies what it refuses", appliesRefused, func(r *report.Report) bool { return r.Integrity.GhostWrites > 0 }, "took effect"},
		{"drops requests", dropsRequests, func(r *report.Report) bool { return r.FailedByProblem["status-502"] > 10 }, "requests failed (status-502"},
		{"does not answer", cutsAnswers, func(r *report.Report) bool {
			return r.FailedByProblem["no-answer"] > 0 && r.Integrity.UnknownOutcomes > 0 && r.Integrity.LostWrites == 0 && r.Integrity.GhostWrites == 0
		}, "requests failed (no-answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := hotLoad(serveTest(t, tt.breaks(correctAPI(t))))
			if tt.name == "grants twice" {
				f.Think = 20 * time.Millisecond // long enough for two holders to meet on a busy machine
			}
			r := runLoad(t, f)
			found := strings.Join(r.Findings, "; ")
			if !tt.caught(r) || !strings.Contains(found, tt.finding) {
				t.Errorf("found %q, %+v, want %q", found, r.Integrity, tt.finding)
			}
		})
	}
}

// The page and the text have the same findings.
func TestRun_WritesBoth(t *testing.T) {
	t.Parallel()
	r := runLoad(t, hotLoad(serveTest(t, dropsRequests(correctAPI(t)))))
	var text, page bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"text": text.String(), "page": page.String()} {
		if !strings.Contains(got, "FAILED") || !strings.Contains(got, "status-502") {
			t.Errorf("the %s does not say what failed:\n%s", name, got)
		}
	}
}
