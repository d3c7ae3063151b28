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

// honest is a server that keeps its word: the real API, on a store in memory.
func honest(t *testing.T) http.Handler {
	t.Helper()
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.StopWaiting)
	return api
}

// hotLoad is a short load on few sessions, so that clients meet: 235 visits. On a busy machine they come late, and
// more of them meet, so that a visit may be one request that is refused; but each is made.
func hotLoad(targets ...string) Flags {
	return Flags{
		Targets: targets, Rate: 400, Clients: 16, Duration: time.Second, Timeout: 40 * time.Second,
		Mix: "lock=60,read=30,touch=5,renew=5", Size: "64..9000", Sessions: 6, Think: time.Millisecond, Seed: 1,
	}
}

// loaded runs a load on a server, and gives the report.
func loaded(t *testing.T, f Flags) *report.Report {
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

// served serves a handler, and gives its URL.
func served(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// rewritten passes a request on as another one, and gives the answer. The path is an escaped one.
func rewritten(h http.Handler, r *http.Request, method, path string) *httptest.ResponseRecorder {
	other := r.Clone(r.Context())
	other.Method, other.URL.RawPath = method, path
	other.URL.Path, _ = url.PathUnescape(path)
	other.Body, other.ContentLength = http.NoBody, 0
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, other)
	return answer
}

// copied answers what was answered.
func copied(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// every tells whether this is the n-th time, again and again.
func every(n int64) func() bool {
	var count atomic.Int64
	return func() bool { return count.Add(1)%n == 0 }
}

// forgetful acknowledges now and then a store that it has not done: it only releases.
func forgetful(h http.Handler) http.Handler {
	now := every(20)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.Header.Get("Session-Lock") != "" && now() {
			copied(w, rewritten(h, r, http.MethodDelete, r.URL.EscapedPath()+"/lock"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// generous grants a lock that somebody has to everybody who asks for it, too.
func generous(h http.Handler) http.Handler {
	var handles sync.Map // of the holders, by path
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
			if answer = rewritten(h, r, http.MethodGet, strings.TrimSuffix(r.URL.EscapedPath(), "/lock")); answer.Code == http.StatusOK {
				answer.Header().Set("Session-Lock", handle.(string))
			}
		}
		copied(w, answer)
	})
}

// necromancer removes no session.
func necromancer(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && r.Header.Get("Session-Lock") != "" && !strings.HasSuffix(r.URL.Path, "/lock") {
			copied(w, rewritten(h, r, http.MethodDelete, r.URL.EscapedPath()+"/lock"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// careless damages an item now and then, on its way out.
func careless(h http.Handler) http.Handler {
	now := every(5)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if b := answer.Body.Bytes(); r.Method == http.MethodGet && answer.Code == http.StatusOK && len(b) > 0 && now() {
			b[len(b)/2] ^= 1
		}
		copied(w, answer)
	})
}

// liar does now and then what it says it has not done.
func liar(h http.Handler) http.Handler {
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
		copied(w, answer)
	})
}

// dropping answers for a while as a balancer does whose server is away. The while is counted in
// requests: how many there are in a time is the machine's business. Those that carry a lock get through, or the
// lock would stay, and the others would wait for it instead of failing.
func dropping(h http.Handler) http.Handler {
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

// hanging cuts a connection in the middle of an answer now and then, so that nobody knows.
// Before the first byte, Go's own client would send the call again: it has an Idempotency-Key.
func hanging(h http.Handler) http.Handler {
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
		copied(w, answer)
	})
}

// TestRun_Honest: an honest server is found to be one, however many clients meet.
func TestRun_Honest(t *testing.T) {
	t.Parallel()
	h := honest(t)
	r := loaded(t, hotLoad(served(t, h), served(t, h))) // a fleet of two
	if len(r.Findings) != 0 || r.Integrity.UnknownOutcomes != 0 || r.Integrity.AcknowledgedWrites < 20 || r.Integrity.ReadBack < 6 {
		t.Errorf("an honest server: %v, %+v", r.Findings, r.Integrity)
	}
}

// TestRun_Broken: whoever breaks the promise is caught.
func TestRun_Broken(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breaks  func(http.Handler) http.Handler
		caught  func(*report.Report) bool
		finding string
	}{
		{"acknowledges without writing", forgetful, func(r *report.Report) bool { return r.Integrity.LostWrites > 0 }, "writes were lost"},
		{"grants twice", generous, func(r *report.Report) bool { return r.Integrity.DoubleGrants > 0 }, "granted twice"},
		{"removes nothing", necromancer, func(r *report.Report) bool { return r.Integrity.ResurrectedSessions > 0 }, "came back"},
		{"damages items", careless, func(r *report.Report) bool { return r.Integrity.DamagedItems > 0 }, "damaged"},
		{"does what it refuses", liar, func(r *report.Report) bool { return r.Integrity.GhostWrites > 0 }, "took effect"},
		{"drops requests", dropping, func(r *report.Report) bool { return r.FailedByProblem["status-502"] > 10 }, "requests failed (status-502"},
		{"does not answer", hanging, func(r *report.Report) bool {
			return r.FailedByProblem["no-answer"] > 0 && r.Integrity.UnknownOutcomes > 0 && r.Integrity.LostWrites == 0 && r.Integrity.GhostWrites == 0
		}, "requests failed (no-answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := hotLoad(served(t, tt.breaks(honest(t))))
			if tt.name == "grants twice" {
				f.Think = 20 * time.Millisecond // so long that holders meet, however busy the machine is
			}
			r := loaded(t, f)
			found := strings.Join(r.Findings, "; ")
			if !tt.caught(r) || !strings.Contains(found, tt.finding) {
				t.Errorf("found %q, %+v, want %q", found, r.Integrity, tt.finding)
			}
		})
	}
}

// A page says the same as the text.
func TestRun_WritesBoth(t *testing.T) {
	t.Parallel()
	r := loaded(t, hotLoad(served(t, dropping(honest(t)))))
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
