package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// pair is a PairView that records its verbs.
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

// verbs returns the verbs since the last call.
func (p *pair) verbs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := strings.Join(p.done, ", ")
	p.done = nil
	return done
}

// refusal is the error of a pair that refuses: SQL Server's number, or 0 if SQL Server was not asked.
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
	s.want(200, "GET", "/healthz", "", "Host", "10.1.2.3:8081")             // a kubelet or load balancer uses an address
	for _, path := range []string{"/", "/healthz", "/readyz", "/v1/pair"} { // some probes use HEAD
		s.content(s.want(200, "HEAD", path, ""), "")
	}
	s.content(s.want(200, "GET", "/", ""), string(s.want(200, "GET", "/", "").body))

	var got struct {
		Ready  bool
		Reason string
	}
	for _, want := range []int{200, 503} {
		r := s.want(want, "GET", "/readyz", "", "Host", "10.1.2.3")
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
		t.Errorf("the refusal is answered as %+v", d)
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
	for _, h := range []string{host, "localhost" + port, "LOCALHOST", "[::1]" + port, "127.0.0.2" + port, "10.1.2.3" + port, "[fd00::1]", "admin.example:9", "OTHER.example"} {
		if r := post("Host", h); r.StatusCode != 200 {
			t.Errorf("Host %s: got %d", h, r.StatusCode)
		}
		if r := post("Host", h, "Origin", "http://"+h, "Sec-Fetch-Site", "same-origin"); r.StatusCode != 200 {
			t.Errorf("Host %s with its origin: got %d", h, r.StatusCode)
		}
	}
	p.verbs()
	for _, h := range []string{"evil.example", "evil.example" + port, "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2", "admin.example.evil"} {
		s.problem(post("Host", h), 403, "forbidden", "Host "+h)
	}
	for _, origin := range []string{"http://evil.example", "null", "http://" + host + "1", "http://localhost" + port, "http://127.0.0.1", "://"} {
		s.problem(post("Origin", origin), 403, "forbidden", "Origin "+origin)
	}
	s.problem(post("Origin", "http://"+host, "Origin", "http://"+host), 403, "forbidden", "two Origins")
	s.problem(post("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), 403, "forbidden", "a form of another site")
	if done := p.verbs(); done != "" {
		t.Errorf("what was forbidden did %s", done)
	}
}

// Every route of the operators' listener is guarded, for every caller. So are unknown paths.
func TestAdmin_GuardsEveryRoute(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics") })
	keys, byName := ringOf(t, "ops:observe,operator,read,list:*")
	for name, s := range map[string]*server{
		"without keys": administerBehind(t, &pair{}, proxy.Config{}, proxy.AdminConfig{Local: true, Metrics: metrics}),
		"with keys":    administerBehind(t, &pair{}, proxy.Config{Keys: keys}, proxy.AdminConfig{Keys: keys, Metrics: metrics}),
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/v1/pair", "/v1/pair/events", "/openapi.yaml", "/debug/pprof/", "/none", sessions, sessions + "/x"} {
				for _, method := range []string{"GET", "HEAD"} {
					for _, headers := range [][]string{{"Host", "evil.example"}, {"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, {"Sec-Fetch-Site", "same-site"}} {
						if r := s.send(method, path, "", headers...); r.StatusCode != 403 {
							t.Errorf("%s %s with %q is answered %d", method, path, headers, r.StatusCode)
						}
					}
				}
			}
			_, detail := s.wantProblem(403, "forbidden", "GET", "/healthz", "", "Host", "state1.example")
			if !strings.Contains(fmt.Sprint(detail), "admin.hosts") {
				t.Errorf("the refusal does not name the key: %v", detail)
			}
			s.want(200, "GET", "/healthz", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate") // the user followed a link
			if status, _ := bare(s, "GET /healthz HTTP/1.0\r\n\r\n"); !strings.HasPrefix(status, "HTTP/1.0 200") && !strings.HasPrefix(status, "HTTP/1.1 200") {
				t.Errorf("a probe without Host is answered %q", status)
			}
			if status, _ := bare(s, "GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(status, "HTTP/1.1 403") {
				t.Errorf("HTTP/1.1 with an empty Host is answered %q", status)
			}
		})
	}
	// A page has no key. So a request with a key may read under any Host, but not change anything.
	s := administerBehind(t, &pair{}, proxy.Config{Keys: keys}, proxy.AdminConfig{Keys: keys, Metrics: metrics})
	named := []string{"Host", "state1.example", "Authorization", "Bearer " + byName["ops"]}
	s.want(200, "GET", "/metrics", "", named...)
	s.want(200, "GET", "/v1/pair", "", named...)
	s.wantProblem(403, "forbidden", "GET", sessions, "", named...)
	s.wantProblem(403, "forbidden", "GET", "/v1/pair", "", "Host", "state1.example", "Authorization", "Bearer ms_no_key")
	s.wantProblem(403, "forbidden", "GET", "/v1/pair", "", append(named, "Origin", "http://evil.example")...)
}

// OPTIONS * reaches no handler by its path, but it is guarded too.
func TestServe_GuardsTheServerItself(t *testing.T) {
	api := serve(t, proxy.Config{}).api
	url, _, _ := run(t, api, proxy.ServerConfig{})
	s := &server{t: t, url: url}
	for host, want := range map[string]string{"evil.example": "403", "": "403", "localhost": "404"} {
		if status, _ := bare(s, "OPTIONS * HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(status, "HTTP/1.1 "+want) {
			t.Errorf("OPTIONS * of Host %q is answered %q, want %s", host, status, want)
		}
	}
}

// bare sends bytes. It returns the first line of the answer, and the answer.
func bare(s *server, text string) (status, all string) {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		s.t.Fatal(err)
	}
	status, _, _ = strings.Cut(string(answer), "\r\n")
	return status, string(answer)
}

// Without keys the session API is guarded like the operators' listener: otherwise it could not distinguish an
// application from a page in a browser on the same machine. With keys a caller has a key, and may use any Host.
func TestAPI_Guard(t *testing.T) {
	open := serve(t, proxy.Config{Hosts: []string{"state.example"}})
	for _, headers := range [][]string{{"Host", "evil.example"}, {"Host", "127.0.0.1.evil.example"}, {"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		open.wantProblem(403, "forbidden", "PUT", sessions+"/x", "an item", headers...)
		open.wantProblem(403, "forbidden", "GET", sessions+"/x", "", headers...)
		open.wantProblem(403, "forbidden", "GET", "/none", "", headers...)
	}
	_, detail := open.wantProblem(403, "forbidden", "GET", sessions+"/x", "", "Host", "app.example")
	if !strings.Contains(fmt.Sprint(detail), "api.hosts") {
		t.Errorf("the refusal does not name the key: %v", detail)
	}
	for _, host := range []string{"", "localhost:8080", "10.1.2.3:8080", "state.example:8080"} {
		var headers []string
		if host != "" {
			headers = []string{"Host", host}
		}
		open.wantProblem(404, "session-not-found", "GET", sessions+"/x", "", headers...)
	}
	keys, byName := ringOf(t, "shop:read:default")
	closed := serve(t, proxy.Config{Keys: keys})
	closed.wantProblem(404, "session-not-found", "GET", sessions+"/x", "", "Host", "state1.example", "Authorization", "Bearer "+byName["shop"])
	closed.wantProblem(401, "unauthorized", "GET", sessions+"/x", "", "Host", "evil.example")
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

// The command line of the process is not shown, because it may contain a password.
func TestAdmin_Profiles(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1"} {
		if r := s.want(200, "GET", path, ""); len(r.body) == 0 {
			t.Errorf("%s is empty", path)
		}
	}
	if r := s.want(404, "GET", "/debug/pprof/cmdline", ""); strings.Contains(string(r.body), os.Args[0]) {
		t.Errorf("the command line is shown: %s", r.body)
	}
}

func TestNewAdmin_Refuses(t *testing.T) {
	if _, err := proxy.NewAdmin(proxy.AdminConfig{}); err == nil {
		t.Error("no error without an API and a pair")
	}
}

// The index names every route of the pair.
func TestAdmin_IndexNamesEveryRoute(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	index := string(s.want(200, "GET", "/", "").body)
	for _, r := range adminRoutes {
		if line := fmt.Sprintf("%-4s %s ", r.method, r.path); r.method != "DELETE" && strings.HasPrefix(r.path, "/v1/pair") && !strings.Contains(index, line) {
			t.Errorf("the index lacks %s", line)
		}
	}
}
