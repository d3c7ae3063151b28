package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// ringOf makes a file of keys. A line has a name, the rights after the first colon, and the applications after the
// second one. It returns the keys by name.
func ringOf(t *testing.T, lines ...string) (*keyring.Keys, map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	byName := make(map[string]string)
	for _, line := range lines {
		parts := strings.Split(line, ":")
		e := keyring.Entry{Name: parts[0], Rights: strings.Split(parts[1], ",")}
		if parts[2] != "" {
			e.Apps = strings.Split(parts[2], ",")
		}
		now := time.Now()
		if e.Name == "expired" {
			now = now.Add(-time.Hour)
			e.Expires = now.Add(time.Minute)
		}
		key, _, err := keyring.Add(path, e, now)
		if err != nil {
			t.Fatal(err)
		}
		byName[e.Name] = key
	}
	return openKeys(t, path, keyring.Options{}), byName
}

// twoApps are the applications of the tests with keys.
var twoApps = map[string]session.Application{"default": {Name: "/LM/W3SVC/1/ROOT"}, "other": {Name: "/LM/W3SVC/2/ROOT"}}

func openKeys(t *testing.T, path string, o keyring.Options) *keyring.Keys {
	t.Helper()
	resolve, err := proxy.Names(twoApps)
	if err != nil {
		t.Fatal(err)
	}
	o.Path, o.Resolve = path, resolve
	keys, err := keyring.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// credentials are all kinds of credentials. A valid one is made from its name.
var credentials = []string{
	"none", "malformed", "basic", "two", "wrong secret", "unknown", "expired", "other application", "read", "write", "lock", "remove", "all", "every",
	"list", "observe", "operator", "operator and sessions",
}

var credentialLines = []string{
	"expired:read,write,lock,remove,list,observe,operator:*", "other application:read,write,lock,remove:other", "read:read:default", "write:write:default",
	"lock:lock:default", "remove:remove:default", "all:read,write,lock,remove:default", "every:read,write,lock,remove:*",
	"list:observe,list:default", "observe:observe:", "operator:observe,operator:", "operator and sessions:observe,operator,read,write,lock,remove,list:default",
}

// headersOf returns the headers with which a credential is sent.
func headersOf(credential string, keys map[string]string) []string {
	key := keys[credential]
	switch credential {
	case "none":
		return nil
	case "malformed":
		key = "ms_"
	case "basic":
		return []string{"Authorization", "Basic " + keys["all"]}
	case "two":
		return []string{"Authorization", "Bearer " + keys["all"], "Authorization", "Bearer " + keys["all"]}
	case "wrong secret":
		key = keys["all"][:len(keys["all"])-1] + "0"
	case "unknown":
		key, _ = keyring.NewKey()
	}
	return []string{"Authorization", "Bearer " + key}
}

// unauthenticated reports whether a credential belongs to no caller.
func unauthenticated(credential string) bool {
	return strings.Contains("none malformed basic two wrong secret unknown expired", credential)
}

// route is one route of a listener: how it is requested, and which credentials are allowed.
type route struct {
	method, path, body string
	allowed            string // the allowed credentials, separated by bars
}

const everybody = "everybody"

// sessionRoutes are the routes of the session API on the API's listener.
var sessionRoutes = []route{
	{"POST", sessions, "x", "write|all|every|operator and sessions"},
	{"GET", sessions, "", "list|operator and sessions"},
	{"HEAD", sessions, "", "list|operator and sessions"},
	{"GET", sessions + "/s", "", "read|all|every|operator and sessions"},
	{"GET", sessions + "/s?peek=true", "", "read|all|every|operator and sessions"},
	{"HEAD", sessions + "/s", "", "read|all|every|operator and sessions"},
	{"PUT", sessions + "/s", "x", "write|all|every|operator and sessions"},
	{"DELETE", sessions + "/s", "", "remove|all|every|operator and sessions"},
	{"POST", sessions + "/s/lock", "", "lock|all|every|operator and sessions"},
	{"POST", sessions + "/s/lock?create=true", "", "all|every|operator and sessions"}, // needs the right to write as well
	{"DELETE", sessions + "/s?locked=break", "", "remove|all|every|operator and sessions"},
	{"DELETE", sessions + "/s/lock", "", "lock|all|every|operator and sessions"},
	{"POST", sessions + "/s/touch", "", "write|all|every|operator and sessions"},
	// The same application, by its name, and in another case.
	{"GET", "/v1/apps/%2FLM%2FW3SVC%2F1%2FROOT/sessions/s", "", "read|all|every|operator and sessions"},
	{"GET", "/v1/apps/DEFAULT/sessions/s", "", "read|all|every|operator and sessions"},
	{"GET", "/v1/apps/%2fLm%2fw3svc%2f1%2froot/sessions/-", "", "read|all|every|operator and sessions"},
	// An application that no key names.
	{"GET", "/v1/apps/nobody/sessions/s", "", "every"},
	{"PUT", "/v1/apps/%2FLM%2FW3SVC%2F1%2FROOT%2F/sessions/s", "x", "every"},
	{"GET", "/openapi.yaml", "", everybody},
	{"HEAD", "/openapi.yaml", "", everybody},
}

const (
	lookers = "list|observe|operator|operator and sessions"
	actors  = "operator|operator and sessions"
)

// adminRoutes are the routes of the operators' listener. A key that has only rights to sessions does not give access.
var adminRoutes = []route{
	{"GET", "/healthz", "", everybody},
	{"HEAD", "/healthz", "", everybody},
	{"GET", "/readyz", "", everybody},
	{"GET", "/", "", lookers},
	{"GET", "/v1/pair", "", lookers},
	{"GET", "/v1/pair/events", "", lookers},
	{"GET", "/openapi.yaml", "", everybody},
	{"POST", "/v1/pair/failover", `{"kind":"manual"}`, actors},
	{"POST", "/v1/pair/failover", `{"kind":"force","allow_data_loss":true}`, actors},
	{"POST", "/v1/pair/suspend", "{}", actors},
	{"POST", "/v1/pair/resume", "{}", actors},
	{"POST", "/v1/pair/accept", `{"partner":"a","reason":"why"}`, actors},
	{"POST", "/v1/pair/sweep", "{}", actors},
	{"POST", "/v1/pair/fault", `{"partner":"a","fault":"crash"}`, actors},
	{"GET", "/metrics", "", lookers},
	{"HEAD", "/metrics", "", lookers},
	{"GET", "/debug/pprof", "", actors},
	{"GET", "/debug/pprof/", "", actors},
	{"GET", "/debug/pprof/profile", "", actors},
	{"GET", "/debug/pprof/trace?seconds=0.001", "", actors},
	{"GET", "/debug/pprof/goroutine?debug=1", "", actors},
	{"GET", "/debug/pprof/symbol", "", actors},
	{"GET", sessions, "", "list|operator and sessions"},
	{"HEAD", sessions, "", "list|operator and sessions"},
	{"POST", sessions, "x", "operator and sessions"},
	{"GET", sessions + "/s", "", "operator and sessions"},
	{"HEAD", sessions + "/s", "", "operator and sessions"},
	{"PUT", sessions + "/s", "x", "operator and sessions"},
	{"DELETE", sessions + "/s", "", "operator and sessions"},
	{"POST", sessions + "/s/lock", "", "operator and sessions"},
	{"DELETE", sessions + "/s/lock", "", "operator and sessions"},
	{"POST", sessions + "/s/touch", "", "operator and sessions"},
	{"GET", "/v1/apps/other/sessions/s", "", ""},
	{"GET", "/v1/apps/other/sessions", "", ""},
	{"GET", "/no/such/route", "", lookers},
	{"DELETE", "/v1/pair", "", lookers},
}

// Every route is requested with every kind of credential.
func TestAccess_API(t *testing.T) {
	keys, byName := ringOf(t, credentialLines...)
	store := &watched{Store: newClock().store}
	s := serve(t, proxy.Config{Store: store, Keys: keys, Apps: twoApps})
	for _, r := range sessionRoutes {
		for _, credential := range credentials {
			s.checkRoute(r, credential, byName, store)
		}
	}
}

func TestAccess_Admin(t *testing.T) {
	_ = pprof.StartCPUProfile(io.Discard) // a second profile is refused at once, so that the test does not take 30 s
	defer pprof.StopCPUProfile()
	keys, byName := ringOf(t, credentialLines...)
	p := &pair{ready: true, reason: "a is principal"}
	store := &watched{Store: newClock().store}
	s := administerBehind(t, p, proxy.Config{Store: store, Keys: keys, Apps: twoApps}, proxy.AdminConfig{Keys: keys, Local: true, Metrics: http.NotFoundHandler()})
	for _, r := range adminRoutes {
		for _, credential := range credentials {
			s.checkRoute(r, credential, byName, store)
			if done := p.verbs(); done != "" && !allows(r, credential) {
				t.Errorf("%s %s with %q was refused, and did %s", r.method, r.path, credential, done)
			}
		}
	}
}

// administerBehind starts an operators' listener that needs keys.
func administerBehind(t *testing.T, p *pair, cfg proxy.Config, ac proxy.AdminConfig) *server {
	t.Helper()
	inner := serve(t, cfg)
	ac.API, ac.Pair = inner.api, p
	ac.Faults = &breakable{}
	ac.Events = endedEvents{}
	h, err := proxy.NewAdmin(ac)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, inner.api, h)
}

func allows(r route, credential string) bool {
	return r.allowed == everybody || strings.Contains("|"+r.allowed+"|", "|"+credential+"|")
}

// checkRoute requests a route with a credential. It expects 401 for an unknown credential, 403 for one without the
// right, and otherwise neither. The store is called only for allowed credentials.
func (s *server) checkRoute(r route, credential string, keys map[string]string, store *watched) {
	s.t.Helper()
	headers := append(headersOf(credential, keys), "Session-ID", "s")
	if strings.HasPrefix(r.path, "/v1/pair") {
		headers = append(headers, "Content-Type", "application/json")
	}
	what := fmt.Sprintf("%s %s with %q", r.method, r.path, credential)
	before := store.calls()
	got := s.send(r.method, r.path, r.body, headers...)
	may, status, name := allows(r, credential), http.StatusForbidden, "forbidden"
	if unauthenticated(credential) {
		status, name = http.StatusUnauthorized, "unauthorized"
	}
	switch {
	case may && (got.StatusCode == 401 || got.StatusCode == 403):
		s.t.Errorf("%s: got %d: %s", what, got.StatusCode, got.body)
	case may:
		return
	case got.StatusCode != status:
		s.t.Errorf("%s: got %d, want %d: %s", what, got.StatusCode, status, got.body)
	case r.method != "HEAD":
		s.problem(got, status, name, what)
	}
	if store.calls() != before {
		s.t.Errorf("%s: the store was asked", what)
	}
	if challenge := got.Header.Get("WWW-Authenticate"); (got.StatusCode == 401) != (challenge == `Bearer realm="mirrorstate"`) {
		s.t.Errorf("%s: %d with WWW-Authenticate %q", what, got.StatusCode, challenge)
	}
}

// A key of one application does not reach a session of another one, however the id or the name is spelled.
func TestAccess_Isolated(t *testing.T) {
	keys, byName := ringOf(t, "a:read,write,lock,remove:default", "b:read,write,lock,remove:other")
	s := serve(t, proxy.Config{Keys: keys, Apps: twoApps})
	a := []string{"Authorization", "Bearer " + byName["a"]}
	b := []string{"Authorization", "Bearer " + byName["b"]}
	path := s.want(201, "POST", sessions, "secret of a", a...).Header.Get("Location")
	id := path[strings.LastIndexByte(path, '/')+1:]
	for _, app := range []string{"default", "Default", "%64efault", "%2FLM%2FW3SVC%2F1%2FROOT", "%2flm%2fw3svc%2f1%2froot", "%2FLM%2FW3SVC%2F1%2FROOT%2F", "x"} {
		for _, method := range []string{"GET", "DELETE", "PUT"} {
			r := s.send(method, "/v1/apps/"+app+"/sessions/"+id, "", b...)
			s.problem(r, 403, "forbidden", method+" of "+app)
			if strings.Contains(string(r.body), "secret of a") {
				t.Errorf("%s of %s gives the item away", method, app)
			}
		}
	}
	for _, other := range []string{id, id + "%00", "..%2F..%2Fdefault%2Fsessions%2F" + id, "%2e%2e%2f" + id} {
		r := s.send("GET", "/v1/apps/other/sessions/"+other, "", b...)
		if r.StatusCode != 404 && r.StatusCode != 400 {
			t.Errorf("%s in the other application: %d %s", other, r.StatusCode, r.body)
		}
	}
	s.content(s.want(200, "GET", path, "", a...), "secret of a")
}

// The same Idempotency-Key of two callers names two operations. With two keys of one caller it names one.
func TestAccess_IdempotencyKey(t *testing.T) {
	keys, byName := ringOf(t, "a:read,write,lock:default", "b:read,write,lock:default", "a2:read,write,lock:default")
	_ = byName
	s := serve(t, proxy.Config{Keys: keys, Apps: twoApps})
	make := func(name string) string {
		return s.want(201, "POST", sessions, "x", "Authorization", "Bearer "+byName[name], "Idempotency-Key", "k").Header.Get("Location")
	}
	first := make("a")
	if make("a") != first {
		t.Error("the same caller's key makes another session")
	}
	if make("b") == first {
		t.Error("two callers' keys meet at one session")
	}
	lock := s.want(200, "POST", first+"/lock", "", "Authorization", "Bearer "+byName["a"], "Idempotency-Key", "l").Header.Get("Session-Lock")
	s.wantProblem(423, "session-locked", "POST", first+"/lock", "", "Authorization", "Bearer "+byName["b"], "Idempotency-Key", "l")
	again := s.want(200, "POST", first+"/lock", "", "Authorization", "Bearer "+byName["a"], "Idempotency-Key", "l")
	s.header(again, "Session-Lock", lock)
}

// A second key with the same name belongs to the same caller, so a rotation loses nothing. The old key is refused
// after it was revoked.
func TestAccess_Rotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	add := func(expires time.Time) (string, string) {
		key, id, err := keyring.Add(path, keyring.Entry{Name: "shop", Apps: []string{"default"}, Rights: []string{"read", "write"}, Expires: expires}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return key, id
	}
	old, id := add(time.Time{})
	keys := openKeys(t, path, keyring.Options{})
	s := serve(t, proxy.Config{Keys: keys, Apps: twoApps})
	first := s.want(201, "POST", sessions, "x", "Authorization", "Bearer "+old, "Idempotency-Key", "k")
	next, _ := add(time.Time{})
	s.wantProblem(401, "unauthorized", "GET", sessions+"/x", "", "Authorization", "Bearer "+next)
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	second := s.want(201, "POST", sessions, "x", "Authorization", "Bearer "+next, "Idempotency-Key", "k")
	s.header(second, "Location", first.Header.Get("Location"))
	if _, err := keyring.Revoke(path, id); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	s.wantProblem(401, "unauthorized", "GET", sessions+"/x", "", "Authorization", "Bearer "+old)
	s.want(404, "GET", sessions+"/x", "", "Authorization", "Bearer "+next)
}

// On loopback the operators' listener needs no key until some key has an operator's right, even an expired one.
func TestAccess_LocalOperators(t *testing.T) {
	for _, c := range []struct {
		name, line string
		local      bool
		want       int
	}{
		{"on loopback, with keys for sessions only", "a:read:default", true, 200},
		{"elsewhere, with keys for sessions only", "a:read:default", false, 401},
		{"on loopback, with an operator's key", "a:operator:", true, 401},
		{"on loopback, with an operator's key that has expired", "expired:operator:", true, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, byName := ringOf(t, c.line)
			s := administerBehind(t, &pair{}, proxy.Config{Keys: keys, Apps: twoApps}, proxy.AdminConfig{Keys: keys, Local: c.local})
			s.want(c.want, "GET", "/v1/pair", "")
			s.want(c.want, "POST", "/v1/pair/suspend", "", "Content-Type", "application/json")
			// Sessions need a key in every case.
			s.wantProblem(401, "unauthorized", "GET", sessions+"/x", "")
			s.wantProblem(401, "unauthorized", "GET", sessions, "")
			if c.want == 200 {
				s.want(404, "GET", sessions+"/x", "", "Authorization", "Bearer "+byName["a"])
			}
		})
	}
}

// After the last operator's key was revoked, the listener refuses all callers. It must not become open to everybody.
func TestAccess_LastOperatorRevoked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	key, id, err := keyring.Add(path, keyring.Entry{Name: "ops", Rights: []string{"operator"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys := openKeys(t, path, keyring.Options{})
	p := &pair{}
	s := administerBehind(t, p, proxy.Config{Keys: keys, Apps: twoApps}, proxy.AdminConfig{Keys: keys, Local: true})
	s.want(200, "GET", "/v1/pair", "", "Authorization", "Bearer "+key)
	if _, err := keyring.Revoke(path, id); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, headers := range [][]string{nil, {"Authorization", "Bearer " + key}} {
		s.wantProblem(401, "unauthorized", "GET", "/v1/pair", "", headers...)
		s.wantProblem(401, "unauthorized", "GET", sessions+"/x", "", headers...)
		s.wantProblem(401, "unauthorized", "POST", "/v1/pair/failover", `{"kind":"manual"}`, append(headers, "Content-Type", "application/json")...)
	}
	if done := p.verbs(); done != "" {
		t.Errorf("what was refused did %s", done)
	}
}

// Requests of a page of another origin are refused even with an operator's key.
func TestAccess_GuardBehindKeys(t *testing.T) {
	keys, byName := ringOf(t, "ops:observe,operator:")
	p := &pair{}
	s := administerBehind(t, p, proxy.Config{Keys: keys}, proxy.AdminConfig{Keys: keys, Local: true})
	for _, more := range [][]string{{"Host", "evil.example"}, {"Origin", "https://evil.example"}} {
		headers := append([]string{"Authorization", "Bearer " + byName["ops"], "Content-Type", "application/json"}, more...)
		s.wantProblem(403, "forbidden", "POST", "/v1/pair/failover", `{"kind":"manual"}`, headers...)
	}
	if done := p.verbs(); done != "" {
		t.Errorf("what was forbidden did %s", done)
	}
}

func TestAccess_Stats(t *testing.T) {
	keys, byName := ringOf(t, "read:read:default", "expired:read:default")
	s := serve(t, proxy.Config{Keys: keys, Apps: twoApps})
	for _, c := range []struct{ key, method, path string }{
		{"", "GET", sessions + "/x"}, {"ms_x", "GET", sessions + "/x"}, {byName["expired"], "GET", sessions + "/x"},
		{byName["read"], "DELETE", sessions + "/x"}, {byName["read"], "GET", "/v1/apps/other/sessions/x"},
	} {
		var headers []string
		if c.key != "" {
			headers = []string{"Authorization", "Bearer " + c.key}
		}
		s.send(c.method, c.path, "", headers...)
	}
	want := proxy.AccessStats{NoCredential: 1, Unknown: 1, Expired: 1, NoRight: 1, NoApplication: 1}
	if got := s.api.Stats().Access; got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// The tables above have every route. A new route must be added there too.
func TestAccess_TablesAreComplete(t *testing.T) {
	inner := serve(t, proxy.Config{})
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: inner.api, Pair: &pair{}, Metrics: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	mux := h.(chi.Routes)
	covered := func(table []route) map[string]bool {
		patterns := make(map[string]bool)
		for _, r := range table {
			path, _, _ := strings.Cut(r.path, "?")
			ctx := chi.NewRouteContext()
			if mux.Match(ctx, r.method, path) {
				patterns[r.method+" "+ctx.RoutePattern()] = true
			}
		}
		return patterns
	}
	admin, api := covered(adminRoutes), covered(sessionRoutes)
	err = chi.Walk(mux, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + strings.TrimSuffix(pattern, "/")
		one := func(m map[string]bool) bool {
			return m[method+" "+pattern] || m[name] || method == "HEAD" && m["GET "+pattern]
		}
		if !one(admin) {
			t.Errorf("%s %s is not in the operators' table", method, pattern)
		}
		if strings.HasPrefix(pattern, "/v1/apps") && !one(api) && name != "GET /v1/apps/{app}/sessions" {
			t.Errorf("%s %s is not in the API's table", method, pattern)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each key has its own rate. A key that has used up its rate does not slow down others.
func TestAccess_Rate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	add := func(name string) string {
		key, _, err := keyring.Add(path, keyring.Entry{Name: name, Apps: []string{"default"}, Rights: []string{"read", "write"}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + key
	}
	one, other := add("one"), add("other")
	s := serve(t, proxy.Config{Keys: openKeys(t, path, keyring.Options{Path: path, Rate: 0.001, Burst: 3}), Apps: twoApps})
	s.want(201, "PUT", sessions+"/x", "x", "Authorization", one)
	s.want(200, "GET", sessions+"/x", "", "Authorization", one)
	s.wantProblem(403, "forbidden", "DELETE", sessions+"/x", "", "Authorization", one) // refused requests count too
	r, p := s.wantProblem(429, "overloaded", "PUT", sessions+"/x", "y", "Authorization", one)
	if r.Header.Get("Retry-After") == "" || p.Outcome != "not-applied" || !p.Retryable {
		t.Errorf("got %+v", p)
	}
	s.content(s.want(200, "GET", sessions+"/x", "", "Authorization", other), "x")
	if got := s.api.Stats().Access.OverRate; got != 1 {
		t.Errorf("counted %d over the rate", got)
	}
}
