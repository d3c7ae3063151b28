package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// Headers with any values are accepted within their bounds, or refused by name. A given Idempotency-Key is never
// ignored.
func FuzzHeaders(f *testing.F) {
	api, err := NewAPI(Config{Store: memory.New(nil), FleetSecret: theSecret})
	if err != nil {
		f.Fatal(err)
	}
	ref := session.Ref{App: &session.Application{Name: "/x"}, ID: "x"}
	sealing, err := api.secrets.sealer(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	lock, none := sealing.handle(ref, session.Lock{Operation: session.OperationID{1}, Cookie: 2}), sealing.handle(ref, session.Lock{})
	for _, seed := range []struct{ timeout, key, lock string }{
		{"20", "a", lock}, {"0", "", ""}, {"525601", strings.Repeat("k", 256), lock[1:]}, {"+1", "\x00", lock + "="},
		{"1e2", "é", none}, {"90s", "b", lock}, {"0s", "b", lock}, {"31536001s", "b", lock}, {" 20", " ", " " + lock},
	} {
		f.Add(seed.timeout, seed.key, seed.lock)
	}
	f.Fuzz(func(t *testing.T, timeout, key, lock string) {
		var invalid *session.InvalidError
		minutes, seconds, err := parseTimeout([]string{timeout})
		bad := session.ParseTimeout(minutes) != nil || session.CheckTimeout(minutes, seconds) != nil || seconds != 0 && (seconds+59)/60 != minutes
		if err == nil && bad || err != nil && !errors.As(err, &invalid) {
			t.Errorf("Session-Timeout %q: %d, %v", timeout, minutes, err)
		}
		r := httptest.NewRequest("PUT", "/v1/apps/default/sessions/x", nil)
		r.Header["Idempotency-Key"] = []string{key}
		c := call{api: api, r: r, ref: ref}
		opened, err := c.lockOf(t.Context(), lock)
		switch {
		case err != nil && !errors.Is(err, session.ErrLockLost):
			t.Errorf("Session-Lock %q: %v", lock, err)
		case err == nil && (opened.IsZero() || sealing.handle(ref, opened) != lock):
			t.Errorf("Session-Lock %q is taken for %+v", lock, opened)
		}
		err = c.makeOperation(t.Context())
		if taken := len(key) > 0 && len(key) <= maxIdempotencyKey; taken != (err == nil) || taken != c.keyed() || err != nil && !errors.As(err, &invalid) {
			t.Errorf("Idempotency-Key %q: %v, keyed %t", key, err, c.keyed())
		}
	})
}

// knownStatus are the statuses of the session API.
var knownStatus = map[int]bool{200: true, 201: true, 204: true, 304: true, 400: true, 403: true, 404: true, 405: true, 409: true, 412: true, 413: true, 423: true}

// Every request that net/http accepts is answered: with a status of the contract, without a fault of the server, and
// if it is refused, with a problem.
func FuzzRequest(f *testing.F) {
	const one = "/v1/apps/default/sessions/abc"
	sealing, err := newSealer([]byte(testSecret))
	if err != nil {
		f.Fatal(err)
	}
	app := session.Application{Name: strings.ToLower(DefaultApplicationName)}
	lock := sealing.handle(session.Ref{App: &app, ID: "abc"}, session.Lock{Operation: session.OperationID{1}, Cookie: 2})
	for _, seed := range []string{
		"GET " + one + "?locked=allow&peek=true HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/\"a\", \"b\"\r\n\r\n",
		"PUT " + one + "?keep=lock HTTP/1.1\r\nHost: x\r\nSession-Lock: " + lock + "\r\nContent-Length: 3\r\n\r\nabc",
		"PUT " + one + " HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\nSession-Timeout: 20\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"PUT " + one + " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n",
		"POST /v1/apps/%2FLM%2FW3SVC%2F1%2FROOT/sessions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 1\r\n\r\na",
		"POST " + one + "/lock?wait=1ms HTTP/1.1\r\nHost: x\r\n\r\n",
		"DELETE " + one + "/lock HTTP/1.0\r\nSession-Lock: x\r\nSession-Lock: y\r\n\r\n",
		"POST /v1/apps/default/sessions/-/touch HTTP/1.1\r\nHost: x\r\nSession-ID: a%00\r\n\r\n",
		"GET /v1/apps/%zz/sessions/%2e%2e%2f HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://other/../v1//apps/default/sessions/%E2%84%AA HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	var faults faultLog
	api, err := NewAPI(Config{Store: memory.New(nil), FleetSecret: theSecret, Hosts: []string{"x"}, Limits: Limits{MaxWait: time.Millisecond}, Logger: slog.New(&faults)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if !knownStatus[w.Code] {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		if w.Code >= 400 && r.Method != http.MethodHead {
			var p problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Outcome != session.NotApplied.String() || w.Body.Len() > 4<<10 {
				t.Errorf("%d with %q: %v", w.Code, w.Body, err)
			}
		}
		if w.Header().Get("X-Content-Type-Options") == "" && w.Body.Len() > 0 {
			t.Errorf("%d without nosniff", w.Code)
		}
		if faults != "" {
			t.Errorf("a fault of ours: %s", faults)
		}
	})
}

// faultLog records whether an error was logged.
type faultLog string

func (f *faultLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (f *faultLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { *f += faultLog(fmt.Sprint(a, " ")); return true })
	return nil
}
func (f *faultLog) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f *faultLog) WithGroup(string) slog.Handler      { return f }

// counting is a pair that counts its verbs.
type counting struct{ done int }

func (c *counting) Status() any                                  { return struct{}{} }
func (c *counting) Ready() (bool, string)                        { return true, "" }
func (c *counting) did() error                                   { c.done++; return nil }
func (c *counting) Failover(context.Context) error               { return c.did() }
func (c *counting) ForceService(context.Context, bool) error     { return c.did() }
func (c *counting) Suspend(context.Context) error                { return c.did() }
func (c *counting) Resume(context.Context) error                 { return c.did() }
func (c *counting) Sweep(context.Context) error                  { return c.did() }
func (c *counting) Accept(context.Context, string, string) error { return c.did() }

// anAddress is a Host that is always ours.
var anAddress = regexp.MustCompile(`^(?i:localhost\.?|[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\])(:[0-9]*)?$`)

// An operators' verb is executed only if the Host is ours, the Origin is the same, the type is JSON, and the body is
// empty or one JSON object. Otherwise it is refused, and nothing is done.
func FuzzAction(f *testing.F) {
	for _, verb := range []string{"failover", "suspend", "resume", "accept", "sweep", "fault"} {
		f.Add(verb, "127.0.0.1:8081", "", "application/json", []byte(`{"kind":"manual"}`))
	}
	f.Add("accept", "localhost", "http://localhost", "application/json; charset=utf-8", []byte(`{"partner":"a","reason":"x"}`))
	f.Add("failover", "evil.example", "", "application/json", []byte(`{"kind":"manual"}`))
	f.Add("failover", "127.0.0.1", "http://evil.example", "text/plain", []byte(`{"kind":"force","allow_data_loss":true} {}`))
	f.Add("suspend", "[::1]:1", "null", "application/json", []byte(`{"kind":1}`))
	f.Add("failover", "[::1%25evil]", "", "application/json", []byte(`{"kind":"manual"}`))
	f.Add("failover", "[localhost]:99999", "ftp://[localhost]:99999", "application/json", []byte(`{"kind":"manual"}`))
	f.Add("failover", "127.0.0.1@evil.example", "", "application/json", []byte(`[]`))
	api, err := NewAPI(Config{Store: memory.New(nil)})
	if err != nil {
		f.Fatal(err)
	}
	pair := new(counting)
	admin, err := NewAdmin(AdminConfig{API: api, Pair: pair})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, verb, host, origin, media string, body []byte) {
		if strings.ContainsAny(verb, "/?#%") {
			return
		}
		r := httptest.NewRequest("POST", "/v1/pair/x", bytes.NewReader(body))
		r.URL.Path, r.Host = "/v1/pair/"+verb, host
		r.Header["Content-Type"] = []string{media}
		if origin != "" {
			r.Header["Origin"] = []string{origin}
		}
		w := httptest.NewRecorder()
		before := pair.done
		admin.ServeHTTP(w, r)
		done := pair.done - before
		if done != 0 && w.Code != http.StatusOK || done == 0 && w.Code < 400 || w.Code >= 500 {
			t.Errorf("%d verbs, and %d: %s", done, w.Code, w.Body)
		}
		if done == 0 {
			return
		}
		if origin != "" && !strings.EqualFold(origin, "http://"+host) && !strings.EqualFold(origin, "https://"+host) || !anAddress.MatchString(host) {
			t.Errorf("done for Host %q and Origin %q", host, origin)
		}
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(media)), "application/json") || len(body) > 0 && !json.Valid(body) {
			t.Errorf("done for %q: %q", media, body)
		}
	})
}
