package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// pair is a PairView that remembers what it was asked to do.
type pair struct {
	ready  bool
	reason string
	err    error

	mu   sync.Mutex
	done []string // owned by mu
}

func (p *pair) Status() any {
	return map[string]any{"principal": "a", "sweep": map[string]any{"leader": true}}
}
func (p *pair) Ready() (bool, string) { return p.ready, p.reason }
func (p *pair) did(verb string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, verb)
	return p.err
}
func (p *pair) Failover(context.Context) error { return p.did("failover") }
func (p *pair) ForceService(_ context.Context, lose bool) error {
	return p.did(fmt.Sprintf("force %t", lose))
}
func (p *pair) Suspend(context.Context) error { return p.did("suspend") }
func (p *pair) Resume(context.Context) error  { return p.did("resume") }
func (p *pair) Sweep(context.Context) error   { return p.did("sweep") }
func (p *pair) Accept(_ context.Context, partner, reason string) error {
	return p.did("accept " + partner + " because " + reason)
}

// verbs is what was done since it was last asked.
func (p *pair) verbs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := strings.Join(p.done, ", ")
	p.done = nil
	return done
}

// refusal is what a pair answers that will not: SQL Server's number, 0 if it was not asked.
type refusal int32

func (refusal) Error() string { return "refused" }
func (r refusal) Refusal() (int32, string, string) {
	return int32(r), "The mirror server instance is not caught up.", "wait until it is SYNCHRONIZED"
}

// administer starts the operators' listener.
func administer(t *testing.T, p *pair, cfg proxy.Config, hosts ...string) *server {
	t.Helper()
	inner := serve(t, cfg)
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: inner.api, Pair: p, Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, inner.api, h)
}

func TestAdmin_Health(t *testing.T) {
	p := &pair{ready: true, reason: "a is principal"}
	s := administer(t, p, proxy.Config{})
	s.want(200, "GET", "/healthz", "")
	s.want(200, "GET", "/healthz", "", "Host", "a.probe.example")
	for _, path := range []string{"/", "/healthz", "/readyz", "/v1/pair"} { // some probes ask with HEAD
		s.content(s.want(200, "HEAD", path, ""), "")
	}
	s.content(s.want(200, "GET", "/", ""), string(s.want(200, "GET", "/", "").body))

	var got struct {
		Ready  bool
		Reason string
	}
	for _, want := range []int{200, 503} {
		r := s.want(want, "GET", "/readyz", "", "Host", "a.probe.example")
		if err := json.Unmarshal(r.body, &got); err != nil || got.Ready != p.ready || got.Reason != p.reason {
			t.Errorf("/readyz answers %s, want %t %q", r.body, p.ready, p.reason)
		}
		p.ready, p.reason = false, "no principal for 31 s"
	}
}

func TestAdmin_Pair(t *testing.T) {
	p := &pair{}
	s := administer(t, p, proxy.Config{})
	r := s.want(200, "GET", "/v1/pair", "")
	var status struct {
		Principal string
		Sweep     struct{ Leader bool }
	}
	if err := json.Unmarshal(r.body, &status); err != nil || status.Principal != "a" || !status.Sweep.Leader {
		t.Errorf("/v1/pair answers %s", r.body)
	}
	for _, c := range []struct{ path, body, does string }{
		{"/v1/pair/failover", `{"kind":"manual"}`, "failover"},
		{"/v1/pair/failover", `{"kind":"force","allow_data_loss":true}`, "force true"},
		{"/v1/pair/failover", `{"kind":"force"}`, "force false"},
		{"/v1/pair/suspend", `{}`, "suspend"},
		{"/v1/pair/suspend", "", "suspend"},
		{"/v1/pair/resume", `{}`, "resume"},
		{"/v1/pair/sweep", `{}`, "sweep"},
	} {
		r := s.want(200, "POST", c.path, c.body, "Content-Type", "application/json; charset=utf-8")
		if !strings.Contains(string(r.body), `"principal"`) {
			t.Errorf("%s answers %s, want the pair's state", c.path, r.body)
		}
		if done := p.verbs(); done != c.does {
			t.Errorf("%s %s did %q, want %q", c.path, c.body, done, c.does)
		}
	}
}

func TestAdmin_Refusals(t *testing.T) {
	p := &pair{err: fmt.Errorf("failover: %w", refusal(1422))}
	s := administer(t, p, proxy.Config{})
	_, d := s.wantProblem(409, "failover-refused", "POST", "/v1/pair/failover", `{"kind":"manual"}`, "Content-Type", "application/json")
	if d.Number != 1422 || !strings.Contains(d.Detail, "not caught up") || !strings.Contains(d.Advice, "SYNCHRONIZED") {
		t.Errorf("the refusal is told as %+v", d)
	}
	p.err = refusal(0)
	r, _ := s.wantProblem(409, "failover-refused", "POST", "/v1/pair/failover", `{"kind":"force"}`, "Content-Type", "application/json")
	if strings.Contains(string(r.body), "number") {
		t.Errorf("a refusal of our own has a number: %s", r.body)
	}
	p.err = context.DeadlineExceeded
	s.wantProblem(504, "outcome-unknown", "POST", "/v1/pair/suspend", "{}", "Content-Type", "application/json")
	p.err = session.ErrNoPrincipal
	s.wantProblem(503, "no-principal", "POST", "/v1/pair/resume", "{}", "Content-Type", "application/json")
}

func TestAdmin_BadRequests(t *testing.T) {
	p := &pair{}
	s := administer(t, p, proxy.Config{})
	const failover = "/v1/pair/failover"
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json/x"} {
		s.wantProblem(415, "unsupported-media-type", "POST", failover, `{"kind":"manual"}`, "Content-Type", media)
	}
	for _, body := range []string{"", "{}", "null", "[]", `"manual"`, `{"kind":"manual"`, `{"kind":"manual"}{}`, `{"kind":"quick"}`,
		`{"kind":1}`, `{"kind":"force","allow_data_los":true}`, `{"kind":"manual","allow_data_loss":true}`} {
		s.wantProblem(400, "bad-request", "POST", failover, body, "Content-Type", "application/json")
	}
	s.wantProblem(400, "bad-request", "POST", "/v1/pair/suspend", `{"kind":"manual"}`, "Content-Type", "application/json")
	s.wantProblem(413, "too-large", "POST", failover, strings.Repeat(" ", 5000), "Content-Type", "application/json")
	r, _ := s.wantProblem(405, "method-not-allowed", "GET", failover, "")
	s.header(r, "Allow", "POST")
	if done := p.verbs(); done != "" {
		t.Errorf("bad requests did %s", done)
	}
}

func TestAdmin_Guard(t *testing.T) {
	p := &pair{}
	s := administer(t, p, proxy.Config{}, "admin.example", "other.example:8081")
	host := strings.TrimPrefix(s.url, "http://")
	port := host[strings.LastIndex(host, ":"):]
	post := func(headers ...string) reply {
		t.Helper()
		return s.send("POST", "/v1/pair/resume", "{}", append(headers, "Content-Type", "application/json")...)
	}
	for _, h := range []string{host, "localhost" + port, "LOCALHOST", "[::1]" + port, "127.0.0.2" + port, "admin.example:9", "OTHER.example"} {
		if r := post("Host", h); r.StatusCode != 200 {
			t.Errorf("Host %s: got %d", h, r.StatusCode)
		}
		if r := post("Host", h, "Origin", "http://"+h); r.StatusCode != 200 {
			t.Errorf("Host %s with its origin: got %d", h, r.StatusCode)
		}
	}
	p.verbs()
	for _, h := range []string{"evil.example", "evil.example" + port, "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3" + port, "admin.example.evil"} {
		s.problem(post("Host", h), 403, "forbidden", "Host "+h)
	}
	for _, origin := range []string{"http://evil.example", "null", "http://" + host + "1", "http://localhost" + port, "http://127.0.0.1", "://"} {
		s.problem(post("Origin", origin), 403, "forbidden", "Origin "+origin)
	}
	s.problem(post("Origin", "http://"+host, "Origin", "http://"+host), 403, "forbidden", "two Origins")
	for _, path := range []string{sessions, sessions + "/x", "/debug/pprof/"} {
		s.wantProblem(403, "forbidden", "GET", path, "", "Host", "evil.example")
	}
	if done := p.verbs(); done != "" {
		t.Errorf("what was forbidden did %s", done)
	}
}

func TestAdmin_Sessions(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	for _, id := range []string{"c", "a", "b"} {
		s.want(201, "PUT", sessions+"/"+id, "item of "+id)
	}
	s.acquire(sessions + "/b")
	type page struct {
		Sessions []session.Entry
		Next     session.ID
	}
	list := func(query, want string, next session.ID) page {
		t.Helper()
		r := s.want(200, "GET", sessions+query, "")
		var p page
		if err := json.Unmarshal(r.body, &p); err != nil {
			t.Fatal(err)
		}
		ids := ""
		for _, e := range p.Sessions {
			ids += string(e.ID)
		}
		if ids != want || p.Next != next {
			t.Errorf("%q lists %q, next %q; want %q, %q", query, ids, p.Next, want, next)
		}
		return p
	}
	all := list("", "abc", "")
	if b := all.Sessions[1]; !b.Locked || b.Size != len("item of b") || b.Timeout != 20 {
		t.Errorf("the locked session is listed as %+v", b)
	}
	list("?limit=2", "ab", "b")
	list("?limit=2&after=b", "c", "")
	list("?after=c", "", "")
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?after=%01", "?limit=1&limit=2"} {
		s.wantProblem(400, "bad-request", "GET", sessions+query, "")
	}
	if r := s.want(200, "GET", "/v1/apps/nobody/sessions", ""); !strings.Contains(string(r.body), `"sessions": []`) {
		t.Errorf("an application without sessions is listed as %s", r.body)
	}
	none := administer(t, &pair{}, proxy.Config{Store: failing{}})
	none.wantProblem(400, "bad-request", "GET", sessions, "")
}

func TestAdmin_Profiles(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline"} {
		if r := s.want(200, "GET", path, ""); len(r.body) == 0 {
			t.Errorf("%s is empty", path)
		}
	}
}

func TestNewAdmin_Refuses(t *testing.T) {
	if _, err := proxy.NewAdmin(proxy.AdminConfig{}); err == nil {
		t.Error("no error without an API and a pair")
	}
}

// The index names every route of the pair that there is.
func TestAdmin_IndexNamesEveryRoute(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	index := string(s.want(200, "GET", "/", "").body)
	for _, r := range adminRoutes {
		if line := fmt.Sprintf("%-4s %s ", r.method, r.path); r.method != "DELETE" && strings.HasPrefix(r.path, "/v1/pair") && !strings.Contains(index, line) {
			t.Errorf("the index lacks %s", line)
		}
	}
}
