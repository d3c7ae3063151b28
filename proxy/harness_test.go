package proxy_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the session API on a real socket, with a client that checks every request and answer against
// openapi.yaml.
type server struct {
	t      *testing.T
	api    *proxy.API
	url    string
	client *http.Client
}

// serve starts the API on store.
func serve(t *testing.T, cfg proxy.Config) *server {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = memory.New(nil)
	}
	api, err := proxy.NewAPI(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, api, api)
}

// start serves h. The client checks the requests of the session API.
func start(t *testing.T, api *proxy.API, h http.Handler) *server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &server{t: t, api: api, url: srv.URL, client: &http.Client{Transport: newValidator(t, transport)}}
}

// reply is an answer whose body was read.
type reply struct {
	*http.Response
	body []byte
}

// send sends a request. headers are pairs of names and values.
func (s *server) send(method, path, body string, headers ...string) reply {
	s.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	return s.sendBody(method, path, content, headers...)
}

func (s *server) sendBody(method, path string, body io.Reader, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	return reply{resp, read}
}

// want sends a request and checks the status.
func (s *server) want(status int, method, path, body string, headers ...string) reply {
	s.t.Helper()
	r := s.send(method, path, body, headers...)
	if r.StatusCode != status {
		s.t.Fatalf("%s %s: got %d, want %d: %s", method, path, r.StatusCode, status, r.body)
	}
	return r
}

// detail is a problem as it is sent.
type detail struct {
	Type, Title, Detail, Outcome, Advice string
	Status                               int
	Retryable                            bool
	LockAge                              *int `json:"lock_age"`
	Limit                                int
	Number                               int32
}

// wantProblem sends a request and checks the name of the problem; "" stands for about:blank.
func (s *server) wantProblem(status int, name, method, path, body string, headers ...string) (reply, detail) {
	s.t.Helper()
	r := s.send(method, path, body, headers...)
	return r, s.problem(r, status, name, method+" "+path)
}

// problem checks that r is a problem with that status and name.
func (s *server) problem(r reply, status int, name, what string) detail {
	s.t.Helper()
	var p detail
	if err := json.Unmarshal(r.body, &p); err != nil {
		s.t.Fatalf("%s: got %d and no problem: %q", what, r.StatusCode, r.body)
	}
	want := "https://mirrorstate.github.io/problems/" + name
	if name == "" {
		want = "about:blank"
	}
	if r.StatusCode != status || p.Status != status || p.Type != want {
		s.t.Fatalf("%s: got %d %s, want %d %s", what, r.StatusCode, r.body, status, want)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		s.t.Errorf("%s: the problem's Content-Type is %q", what, got)
	}
	if p.Title == "" || p.Detail == "" {
		s.t.Errorf("%s: the problem says too little: %s", what, r.body)
	}
	return p
}

// sessions is the path of the tests' sessions.
const sessions = "/v1/apps/default/sessions"

// create creates a session with the item and returns its path.
func (s *server) create(item string) string {
	s.t.Helper()
	return s.want(201, "POST", sessions, item).Header.Get("Location")
}

// acquire locks the session and returns the handle.
func (s *server) acquire(path string) string {
	s.t.Helper()
	lock := s.want(200, "POST", path+"/lock", "").Header.Get("Session-Lock")
	if lock == "" {
		s.t.Fatalf("POST %s/lock: no Session-Lock", path)
	}
	return lock
}

func (s *server) header(r reply, name, want string) {
	s.t.Helper()
	if got := r.Header.Get(name); got != want {
		s.t.Errorf("%s %s: %s is %q, want %q", r.Request.Method, r.Request.URL.Path, name, got, want)
	}
}

func (s *server) content(r reply, want string) {
	s.t.Helper()
	if string(r.body) != want {
		s.t.Errorf("%s %s: got the body %q, want %q", r.Request.Method, r.Request.URL.Path, r.body, want)
	}
}

// failing is a store whose methods all return an error.
type failing struct{ err error }

func (f failing) Get(context.Context, session.Ref, session.GetOptions) (session.Session, error) {
	return session.Session{}, f.err
}

func (f failing) Acquire(context.Context, session.Ref, session.Operation) (session.Session, session.Lock, error) {
	return session.Session{}, session.Lock{}, f.err
}

func (f failing) Update(context.Context, session.Ref, session.Lock, session.Write, bool, session.Operation) (session.Session, error) {
	return session.Session{}, f.err
}

func (f failing) Put(context.Context, session.Ref, session.Write, session.Condition, session.Operation) (session.Session, error) {
	return session.Session{}, f.err
}

func (f failing) Release(context.Context, session.Ref, session.Lock, session.Operation) error {
	return f.err
}

func (f failing) GiveBack(context.Context, session.Ref, session.Lock, session.OperationID) error {
	return f.err
}

func (f failing) Remove(context.Context, session.Ref, session.Lock, session.Operation) error {
	return f.err
}

func (f failing) Touch(context.Context, session.Ref, session.Operation) (session.Session, error) {
	return session.Session{}, f.err
}

// errDeadline is the error of a call whose time was over in the store.
var errDeadline = context.DeadlineExceeded

// applied is an error with the outcome Applied.
type applied struct{}

func (applied) Error() string            { return "the answer could not be read" }
func (applied) Outcome() session.Outcome { return session.Applied }
