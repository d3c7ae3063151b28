package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

func TestAPI_BadInput(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	for _, c := range []struct {
		name, method, path string
		headers            []string
		says               string
	}{
		{"timeout 0", "POST", sessions, []string{"Session-Timeout", "0"}, "Session-Timeout must be whole minutes between 1 and 525600"},
		{"timeout -1", "PUT", path, []string{"Session-Timeout", "-1"}, "Session-Timeout must be whole minutes between 1 and 525600"},
		{"timeout abc", "PUT", path, []string{"Session-Timeout", "abc"}, "Session-Timeout must be whole minutes between 1 and 525600"},
		{"timeout above a year", "PUT", path, []string{"Session-Timeout", "525601"}, "between 1 and 525600"},
		{"empty timeout", "PUT", path, []string{"Session-Timeout", ""}, "between 1 and 525600"},
		{"huge timeout", "PUT", path, []string{"Session-Timeout", "99999999999999999999"}, "between 1 and 525600"},
		{"two timeouts", "PUT", path, []string{"Session-Timeout", "1", "Session-Timeout", "2"}, "Session-Timeout is given more than once"},
		{"id of 81 characters", "GET", sessions + "/" + strings.Repeat("x", 81), nil, "session id has 81 characters"},
		{"id with a control character", "GET", sessions + "/a%01b", nil, "session id has a space or a control character"},
		{"id with a line feed", "GET", sessions + "/a%0Ab", nil, "session id has"},
		{"id with a blank", "GET", sessions + "/a%20b", nil, "session id has"},
		{"id that is not UTF-8", "GET", sessions + "/a%FFb", nil, "session id is not valid UTF-8"},
		{"id of letters that are not ASCII", "GET", sessions + "/s%C3%A9ance", nil, "session id has U+00E9"},
		{"id with a character that databases overlook", "GET", sessions + "/co%C2%ADop", nil, "session id has U+00AD"},
		{"id with a blank at its end", "GET", sessions + "/a%20", nil, "session id has a space"},
		{"- without a header", "GET", sessions + "/-", nil, "Session-ID is missing"},
		{"- with an empty header", "GET", sessions + "/-", []string{"Session-ID", ""}, "session id is empty"},
		{"- with two headers", "GET", sessions + "/-", []string{"Session-ID", "a", "Session-ID", "b"}, "Session-ID is given more than once"},
		{"empty application", "POST", "/v1/apps//sessions", nil, "application name is empty"},
		{"application of 281 bytes", "POST", "/v1/apps/" + strings.Repeat("x", 281) + "/sessions", nil, "application name has 281 bytes"},
		{"application that is not ASCII", "POST", "/v1/apps/%C3%A9/sessions", nil, "not printable ASCII"},
		{"wait abc", "GET", path + "?wait=abc", nil, "wait must be seconds or a duration"},
		{"wait -1", "GET", path + "?wait=-1", nil, "wait must be"},
		{"wait -1s", "GET", path + "?wait=-1s", nil, "wait must be"},
		{"wait +5s", "GET", path + "?wait=%2B5s", nil, "wait must be"},
		{"wait 121", "GET", path + "?wait=121", nil, "between 0 and 120 s"},
		{"wait 2m1s", "GET", path + "?wait=2m1s", nil, "between 0 and 120 s"},
		{"wait beyond int64", "GET", path + "?wait=9999999999999999999", nil, "wait must be"},
		{"empty wait", "GET", path + "?wait=", nil, "wait must be"},
		{"two waits", "GET", path + "?wait=1&wait=2", nil, "wait is given more than once"},
		{"broken query", "GET", path + "?wait=%zz", nil, "the query"},
		{"locked=deny", "GET", path + "?locked=deny", nil, "locked must be allow"},
		{"peek=1", "GET", path + "?peek=1", nil, "peek must be true"},
		{"keep=all", "PUT", path + "?keep=all", []string{"Session-Lock", "x"}, "keep must be lock"},
		{"keep without a lock", "PUT", path + "?keep=lock", nil, "keep needs the header Session-Lock"},
		{"release without a lock", "DELETE", path + "/lock", nil, "Session-Lock is missing"},
		{"both conditions", "PUT", path, []string{"If-Match", "*", "If-None-Match", "*"}, "cannot be combined"},
		{"a lock and a condition", "PUT", path, []string{"If-Match", "*", "Session-Lock", "x"}, "cannot be combined"},
		{"If-Match of two tags", "PUT", path, []string{"If-Match", `"a", "b"`}, "If-Match must be one entity tag"},
		{"If-Match without quotation marks", "PUT", path, []string{"If-Match", "abc"}, "If-Match must be one entity tag"},
		{"If-Match of half a tag", "PUT", path, []string{"If-Match", `"abc`}, "If-Match must be one entity tag"},
		{"If-None-Match of a tag with PUT", "PUT", path, []string{"If-None-Match", `"abc"`}, "If-None-Match must be *"},
		{"If-None-Match without quotation marks", "GET", path, []string{"If-None-Match", "abc"}, "If-None-Match must be entity tags"},
		{"If-None-Match of tags without a comma", "GET", path, []string{"If-None-Match", `"a" "b"`}, "If-None-Match must be entity tags"},
		{"If-Match with GET", "GET", path, []string{"If-Match", `"a"`}, "If-Match has no meaning"},
		{"If-Match with DELETE", "DELETE", path, []string{"If-Match", `"a"`}, "has no meaning for this method"},
		{"If-None-Match with an acquire", "POST", path + "/lock", []string{"If-None-Match", "*"}, "has no meaning for this method"},
		{"empty Idempotency-Key", "DELETE", path, []string{"Idempotency-Key", ""}, "Idempotency-Key must have between 1 and 255 bytes"},
		{"long Idempotency-Key", "DELETE", path, []string{"Idempotency-Key", strings.Repeat("k", 256)}, "Idempotency-Key must have"},
		{"two Idempotency-Keys", "DELETE", path, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, "Idempotency-Key is given more than once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := ""
			if c.method == "PUT" {
				body = "two"
			}
			_, p := s.wantProblem(400, "bad-request", c.method, c.path, body, c.headers...)
			if !strings.Contains(p.Detail, c.says) {
				t.Errorf("the detail is %q, want it to say %q", p.Detail, c.says)
			}
			if p.Outcome != "not-applied" || p.Retryable {
				t.Errorf("outcome %s, retryable %t", p.Outcome, p.Retryable)
			}
		})
	}
	s.content(s.want(200, "GET", path, ""), "one")
}

func TestAPI_GoodInput(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	for _, wait := range []string{"0", "30", "120", "120s", "1.5s", "250ms", "1m30s", "0s"} {
		s.want(200, "GET", path+"?wait="+wait, "")
	}
	for _, minutes := range []string{"1", "525600"} {
		s.header(s.want(204, "PUT", path, "x", "Session-Timeout", minutes), "Session-Timeout", minutes)
	}
	s.want(200, "GET", path+"?utm=ignored", "")
	s.want(200, "GET", path+"?locked=allow&peek=true&wait=1", "")
	s.want(201, "PUT", sessions+"/"+strings.Repeat("x", 80), "x")
	s.want(201, "POST", "/v1/apps/"+strings.Repeat("x", 280)+"/sessions", "x")
}

func TestAPI_Names(t *testing.T) {
	s := serve(t, proxy.Config{Apps: map[string]session.Application{
		"shop":  {Name: "/LM/W3SVC/1/ROOT", MaxItem: 10, Timeout: 33},
		"store": {Name: "/LM/W3SVC/2/ROOT"},
	}, AppsOpen: true})
	r := s.want(201, "POST", "/v1/apps/shop/sessions", "one")
	s.header(r, "Session-Timeout", "33")
	id := r.Header.Get("Location")[len("/v1/apps/shop/sessions/"):]
	for _, app := range []string{"shop", "Shop", "%2FLM%2FW3SVC%2F1%2FROOT", "%2flm%2fw3svc%2f1%2froot", "%2FLM%2FW3SVC%2F1%2FRoot", "s%68op"} {
		path := "/v1/apps/" + app + "/sessions/"
		s.content(s.want(200, "GET", path+id, ""), "one")
		s.content(s.want(200, "GET", path+strings.ToUpper(id), ""), "one")
		s.wantProblem(413, "too-large", "PUT", path+id, "12345678901")
		s.want(200, "GET", path+"-", "", "Session-ID", id)
		s.want(200, "GET", path+"%2D", "", "Session-ID", id)
	}
	made := s.want(201, "POST", "/v1/apps/%2FLM%2FW3SVC%2F1%2FROOT/sessions", "two").Header.Get("Location")
	if !strings.HasPrefix(made, "/v1/apps/%2FLM%2FW3SVC%2F1%2FROOT/sessions/") {
		t.Errorf("Location is %s", made)
	}
	s.want(200, "GET", made, "")
	for _, app := range []string{"store", "default", "%2FLM%2FW3SVC%2F1", "%2FLM%2FW3SVC%2F1%2FROOT%2F"} {
		s.wantProblem(404, "session-not-found", "GET", "/v1/apps/"+app+"/sessions/"+id, "")
	}

	for _, id := range []string{"a/b", "50%", "a%2Fb", "..", ".", "~x'\"<>", "Own", "a?b#c", "x+y", "a;b"} {
		path := "/v1/apps/shop/sessions/" + url.PathEscape(id)
		if id == "." || id == ".." { // as the client sends them
			path = "/v1/apps/shop/sessions/-"
		}
		s.want(201, "PUT", path, id[:1], "Session-ID", id)
		s.content(s.want(200, "GET", "/v1/apps/shop/sessions/-", "", "Session-ID", id), id[:1])
		s.content(s.want(200, "POST", path+"/lock", "", "Session-ID", id), id[:1])
	}
}

// A dot segment cannot be an id in a path, because clients and proxies remove it. In the header it is an ordinary id.
func TestAPI_DotSegments(t *testing.T) {
	s := serve(t, proxy.Config{AppsOpen: true})
	for _, dots := range []string{".", "..", "%2e", "%2E%2e"} {
		for _, call := range [][2]string{{"GET", ""}, {"PUT", ""}, {"DELETE", ""}, {"POST", "/lock"}, {"DELETE", "/lock"}, {"POST", "/touch"}} {
			_, p := s.wantProblem(400, "bad-request", call[0], sessions+"/"+dots+call[1], "")
			if !strings.Contains(p.Detail, "Session-ID") {
				t.Errorf("%s %s%s: it does not say what to do: %s", call[0], dots, call[1], p.Detail)
			}
		}
		_, p := s.wantProblem(400, "bad-request", "GET", "/v1/apps/"+dots+"/sessions/x", "")
		if !strings.Contains(p.Detail, "alias") {
			t.Errorf("application %s: it does not say what to do: %s", dots, p.Detail)
		}
	}
	for _, id := range []string{".", ".."} {
		s.want(201, "PUT", sessions+"/-", id, "Session-ID", id)
		s.content(s.want(200, "GET", sessions+"/-", "", "Session-ID", id), id)
	}
	s.want(201, "PUT", sessions+"/...", "x")
}

func TestAPI_DefaultApplication(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	s.want(200, "GET", strings.Replace(path, "/default/", "/%2FLM%2FW3SVC%2F1%2FROOT/", 1), "")
}

func TestNewAPI_Refuses(t *testing.T) {
	for name, apps := range map[string]map[string]session.Application{
		"a name of no bytes":          {"a": {}},
		"a bad timeout":               {"a": {Name: "x", Timeout: -1}},
		"a negative limit":            {"a": {Name: "x", MaxItem: -1}},
		"aliases that differ by case": {"a": {Name: "x"}, "A": {Name: "y"}},
		"two rules for one name":      {"a": {Name: "x"}, "b": {Name: "X", Timeout: 5}},
		"a name that is not a name ":  {"a": {Name: "x "}},
	} {
		if _, err := proxy.NewAPI(proxy.Config{Store: failing{}, Apps: apps}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := proxy.NewAPI(proxy.Config{}); err == nil {
		t.Error("no store: no error")
	}
}

func TestAPI_TooLarge(t *testing.T) {
	s := serve(t, proxy.Config{Apps: map[string]session.Application{"default": {Name: "x", MaxItem: 100_000}}})
	path := s.create("one")
	body := strings.Repeat("x", 100_001)
	for name, send := range map[string]func() reply{
		"PUT":                  func() reply { return s.send("PUT", path, body) },
		"PUT without a length": func() reply { return s.sendBody("PUT", path, onlyReader{strings.NewReader(body)}) },
		"POST":                 func() reply { return s.send("POST", sessions, body) },
	} {
		if p := s.problem(send(), 413, "too-large", name); p.Limit != 100_000 || p.Outcome != "not-applied" {
			t.Errorf("%s: the problem is %+v", name, p)
		}
	}
	s.content(s.want(200, "GET", path, ""), "one")
	s.want(204, "PUT", path, body[1:])
}

// A client that reads nothing before it has sent everything gets the refusal too, and its connection is not closed
// while it sends.
func TestAPI_TooLargeSentWhole(t *testing.T) {
	s := serve(t, proxy.Config{Hosts: []string{"x"}})
	for name, head := range map[string]string{
		"with a length": "Content-Length: 12582912\r\n\r\n",
		"in one chunk":  "Transfer-Encoding: chunked\r\n\r\nC00000\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text := "PUT " + sessions + "/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + strings.Repeat("x", 12<<20) + "\r\n0\r\n\r\n"
		if _, err := io.WriteString(conn, text); err != nil {
			t.Errorf("%s: the item can't be sent: %v", name, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("%s: got %s, want 413", name, resp.Status)
		}
	}
}

// If a body is announced as too large, it is refused before it is sent.
func TestAPI_TooLargeUnread(t *testing.T) {
	s := serve(t, proxy.Config{})
	body, send := io.Pipe()
	defer send.Close() // nothing is written to it
	req, err := http.NewRequestWithContext(t.Context(), "PUT", s.url+sessions+"/x", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 40
	req.Header.Set("Expect", "100-continue")
	resp, err := (&http.Transport{ExpectContinueTimeout: time.Minute, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("got %s, want 413", resp.Status)
	}
}

func TestAPI_Routes(t *testing.T) {
	s := serve(t, proxy.Config{})
	for _, path := range []string{"/", "/v1", "/v1/apps/default", sessions + "/x/items", sessions + "/x/lock/", "/v1/pair", "/healthz"} {
		_, p := s.wantProblem(404, "", "GET", path, "")
		if p.Outcome != "not-applied" {
			t.Errorf("%s: outcome %s", path, p.Outcome)
		}
	}
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", sessions, "GET, HEAD, POST"},
		{"DELETE", sessions, "GET, HEAD, POST"},
		{"POST", sessions + "/x", "GET, HEAD, PUT, DELETE"},
		{"PATCH", sessions + "/x", "GET, HEAD, PUT, DELETE"},
		{"GET", sessions + "/x/lock", "POST, DELETE"},
		{"PUT", "/v1/apps/%2Fx/sessions/a%2Fb/lock", "POST, DELETE"},
		{"GET", sessions + "/x/touch", "POST"},
		{"OPTIONS", sessions + "/x/touch", "POST"},
		{"BREW", sessions + "/x/touch", "POST"},
		{"POST", "/openapi.yaml", "GET, HEAD"},
	} {
		r, _ := s.wantProblem(405, "method-not-allowed", c.method, c.path, "")
		s.header(r, "Allow", c.allow)
	}
	s.wantProblem(404, "", "BREW", "/coffee", "")
}

func TestAPI_StoreErrors(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		err                error
		status             int
		problem, outcome   string
		retryable          bool
		keyed              bool
	}{
		{"no principal", "GET", "/x", session.ErrNoPrincipal, 503, "no-principal", "not-applied", true, false},
		{"no principal, wrapped", "PUT", "/x", fmt.Errorf("put x: %w", session.ErrNoPrincipal), 503, "no-principal", "not-applied", true, false},
		{"hold full", "POST", "/x/lock", session.ErrOverloaded, 429, "overloaded", "not-applied", true, false},
		{"outcome unknown", "PUT", "/x", session.ErrOutcomeUnknown, 504, "outcome-unknown", "unknown", false, false},
		{"outcome unknown, with a key", "PUT", "/x", session.ErrOutcomeUnknown, 504, "outcome-unknown", "unknown", true, true},
		{"the time was over in a write", "DELETE", "/x", fmt.Errorf("remove: %w", errDeadline), 504, "outcome-unknown", "unknown", true, true},
		{"the time was over in a read", "GET", "/x", errDeadline, 503, "no-principal", "not-applied", true, false},
		{"anything else", "GET", "/x", fmt.Errorf("login of sa:secret at 10.0.0.1 failed"), 500, "internal", "not-applied", false, false},
		{"applied, and then an error", "PUT", "/x", applied{}, 500, "internal", "applied", false, false},
		{"unsupported", "GET", "/x?locked=allow", fmt.Errorf("%w: the schema is stock", session.ErrUnsupported), 400, "bad-request", "not-applied", false, false},
		{"locked without an age", "GET", "/x", session.ErrLocked, 423, "session-locked", "not-applied", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, proxy.Config{Store: failing{c.err}})
			var headers []string
			if c.keyed {
				headers = []string{"Idempotency-Key", "k"}
			}
			r, p := s.wantProblem(c.status, c.problem, c.method, sessions+c.path, "x", headers...)
			if p.Outcome != c.outcome || p.Retryable != c.retryable {
				t.Errorf("outcome %s, retryable %t; want %s, %t", p.Outcome, p.Retryable, c.outcome, c.retryable)
			}
			if strings.Contains(string(r.body), "secret") {
				t.Errorf("the problem tells what is the log's: %s", r.body)
			}
			after := r.Header.Get("Retry-After")
			if wants := c.status == 423 || c.status == 429 || c.status == 503; wants != (after != "") || wants && (after < "1" || after > "3") {
				t.Errorf("Retry-After is %q with %d", after, c.status)
			}
			if got := s.api.Stats().Problems[c.problem]; got != 1 {
				t.Errorf("%d problems %s are counted, want 1", got, c.problem)
			}
		})
	}
}

func TestAPI_SecretMissing(t *testing.T) {
	secret := func(err error, n int) proxy.Config {
		return proxy.Config{FleetSecret: func(context.Context) ([]byte, error) { return make([]byte, n), err }}
	}
	s := serve(t, secret(session.ErrNoPrincipal, 0))
	s.wantProblem(503, "no-principal", "PUT", sessions+"/x", "x", "Idempotency-Key", "k")
	s.want(201, "PUT", sessions+"/x", "x")
	s = serve(t, secret(nil, 15))
	s.wantProblem(500, "internal", "PUT", sessions+"/x", "x", "Idempotency-Key", "k")
}

// A message that is not HTTP reaches no handler. The contract says how it is answered.
func TestAPI_NotHTTP(t *testing.T) {
	s := serve(t, proxy.Config{})
	for name, head := range map[string]string{
		"path":   "GET " + sessions + "/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"header": "GET " + sessions + "/x HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), "text/plain") {
			t.Errorf("%s: got %q, %v; want 400 in text/plain and the end of the connection", name, answer, err)
		}
	}
}

// If an item without a length breaks off, it is not stored, and its Idempotency-Key may be used again.
func TestBody_ChunksThatBreakOff(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("whole")
	for name, sent := range map[string]string{
		"in a chunk":         "5\r\nha",
		"between two":        "5\r\nfirst\r\n",
		"before the last":    "5\r\nfirst\r\n0\r\n",
		"in a chunk's start": "5\r\nfirst\r\n3",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.WriteString(conn, "PUT "+path+" HTTP/1.1\r\nHost: x\r\nIdempotency-Key: "+url.PathEscape(name)+"\r\nTransfer-Encoding: chunked\r\n\r\n"+sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || strings.Contains(string(answer), " 204 ") {
				t.Errorf("got %q, %v", answer, err)
			}
			s.content(s.want(200, "GET", path, ""), "whole")
			s.want(204, "PUT", path, "whole", "Idempotency-Key", url.PathEscape(name))
		})
	}
}
