package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

const mismatch = "idempotency-mismatch"

// An Idempotency-Key belongs to one request. With another body, timeout or condition it is refused, and nothing is
// done.
func TestIdempotency_Mismatch(t *testing.T) {
	s := serve(t, proxy.Config{Hosts: []string{"example.com"}})
	const path, other = sessions + "/one", sessions + "/two"
	s.want(201, "PUT", path, "first", "Idempotency-Key", "k")
	s.want(201, "PUT", path, "first", "Idempotency-Key", "k")
	for name, headers := range map[string][]string{
		"second": {"Idempotency-Key", "k"},
		"first":  {"Idempotency-Key", "k", "Session-Timeout", "7"},
	} {
		_, p := s.wantProblem(422, mismatch, "PUT", path, name, headers...)
		if p.Outcome != "not-applied" || p.Retryable {
			t.Errorf("%s has the outcome %s, retryable %v", name, p.Outcome, p.Retryable)
		}
	}
	s.wantProblem(422, mismatch, "PUT", path, "first", "Idempotency-Key", "k", "If-None-Match", "*")
	s.wantProblem(422, mismatch, "PUT", path, "first", "Idempotency-Key", "k", "If-Match", `"x"`)
	s.content(s.want(200, "GET", path, ""), "first")

	s.want(201, "PUT", other, "second", "Idempotency-Key", "k") // another session
	s.want(204, "DELETE", other, "", "Idempotency-Key", "k")    // another verb

	s.want(201, "POST", sessions, "a", "Idempotency-Key", "new")
	s.want(201, "POST", sessions, "a", "Idempotency-Key", "new")
	s.wantProblem(422, mismatch, "POST", sessions, "b", "Idempotency-Key", "new")
}

// The lock, and whether it is kept, belong to the request too.
func TestIdempotency_MismatchOfLocks(t *testing.T) {
	s := serve(t, proxy.Config{Hosts: []string{"example.com"}})
	path := s.create("x")
	lock := s.acquire(path)
	s.want(204, "PUT", path+"?keep=lock", "1", "Session-Lock", lock, "Idempotency-Key", "k")
	s.wantProblem(422, mismatch, "PUT", path, "1", "Session-Lock", lock, "Idempotency-Key", "k")
	s.wantProblem(422, mismatch, "PUT", path, "1", "Idempotency-Key", "k")
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock, "Idempotency-Key", "k")
	again := s.acquire(path)
	s.wantProblem(422, mismatch, "DELETE", path+"/lock", "", "Session-Lock", again, "Idempotency-Key", "k")
	s.want(204, "DELETE", path, "", "Session-Lock", again, "Idempotency-Key", "k")
	s.wantProblem(422, mismatch, "DELETE", path, "", "Idempotency-Key", "k")
}

// TestIdempotency_Inputs tries each input of each keyed mutation: whether another value under the same key is another
// request. The first request has the first value of every input, and is applied.
func TestIdempotency_Inputs(t *testing.T) {
	type request struct {
		query, body string
		header      []string
	}
	with := func(r request, more ...string) request {
		r.header = append(slices.Clone(r.header), more...)
		return r
	}
	for _, verb := range []struct {
		name, method, under string
		status              int
		locked              bool // the requests hold the lock of the session, and send it
		first               request
		same, other         map[string]request
	}{
		{name: "create", method: "POST", status: 201, first: request{body: "a"},
			other: map[string]request{
				"body":    {body: "b"},
				"no body": {},
				"timeout": with(request{body: "a"}, "Session-Timeout", "7"),
			}},
		{name: "store", method: "PUT", under: "/x", status: 204, first: request{body: "a"},
			same: map[string]request{"wait": {query: "?wait=1", body: "a"}},
			other: map[string]request{
				"body":       {body: "b"},
				"no body":    {},
				"timeout":    with(request{body: "a"}, "Session-Timeout", "60s"),
				"lock":       with(request{body: "a"}, "Session-Lock", "another"),
				"only if":    with(request{body: "a"}, "If-Match", "*"),
				"only if no": with(request{body: "a"}, "If-None-Match", "*"),
				"keep":       with(request{query: "?keep=lock", body: "a"}, "Session-Lock", "another"),
			}},
		{name: "update", method: "PUT", under: "/x", status: 204, locked: true, first: request{query: "?keep=lock", body: "a"},
			same:  map[string]request{"wait": {query: "?keep=lock&wait=1", body: "a"}},
			other: map[string]request{"keep": {body: "a"}, "body": {query: "?keep=lock", body: "b"}}},
		{name: "remove", method: "DELETE", under: "/x", status: 204,
			same:  map[string]request{"wait": {query: "?wait=1"}},
			other: map[string]request{"locked": {query: "?locked=break"}, "lock": with(request{}, "Session-Lock", "another")}},
		{name: "break", method: "DELETE", under: "/x", status: 204, first: request{query: "?locked=break"},
			same:  map[string]request{"wait": {query: "?locked=break&wait=1"}},
			other: map[string]request{"locked": {}}},
		{name: "acquire", method: "POST", under: "/x/lock", status: 200,
			same:  map[string]request{"wait": {query: "?wait=1"}},
			other: map[string]request{"create": {query: "?create=true"}, "timeout": with(request{}, "Session-Timeout", "7")}},
		{name: "acquire or make", method: "POST", under: "/y/lock", status: 201, first: request{query: "?create=true"},
			same:  map[string]request{"wait": {query: "?create=true&wait=1"}},
			other: map[string]request{"create": {}, "timeout": with(request{query: "?create=true"}, "Session-Timeout", "7")}},
		{name: "release", method: "DELETE", under: "/x/lock", status: 204, locked: true,
			other: map[string]request{"timeout": with(request{}, "Session-Timeout", "7")}},
	} {
		s := serve(t, proxy.Config{})
		s.want(201, "PUT", sessions+"/x", "before")
		base := []string{"Idempotency-Key", "k"}
		if verb.locked {
			base = append(base, "Session-Lock", s.acquire(sessions+"/x"))
		}
		send := func(r request) reply {
			t.Helper()
			return s.send(verb.method, sessions+verb.under+r.query, r.body, append(r.header, base...)...)
		}
		if got := send(verb.first); got.StatusCode != verb.status {
			t.Errorf("%s: got %d %s, want %d", verb.name, got.StatusCode, got.body, verb.status)
		}
		for name, r := range verb.same {
			if got := send(r); got.StatusCode != verb.status {
				t.Errorf("%s with another %s: got %d %s, want %d as before", verb.name, name, got.StatusCode, got.body, verb.status)
			}
		}
		for name, r := range verb.other {
			s.problem(send(r), 422, mismatch, verb.name+" with another "+name)
		}
	}
}

// If a request was refused and had no effect, a corrected request may use its key.
func TestIdempotency_CorrectedParameter(t *testing.T) {
	s := serve(t, proxy.Config{})
	const path = sessions + "/corrected"
	s.wantProblem(404, "session-not-found", "POST", path+"/lock", "", "Idempotency-Key", "a")
	s.want(201, "POST", path+"/lock?create=true", "", "Idempotency-Key", "a")
	s.wantProblem(423, "session-locked", "DELETE", path, "", "Idempotency-Key", "b")
	s.want(204, "DELETE", path+"?locked=break", "", "Idempotency-Key", "b")
	s.want(404, "GET", path, "")
}

// failsOnce is a body that breaks off.
type failsOnce struct{ io.Reader }

func (f failsOnce) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// These requests are repetitions, so they are accepted: the same body in another encoding, with another wait, or
// after an upload that broke off. A request that was refused without effect may be corrected under its key.
func TestIdempotency_Retries(t *testing.T) {
	apps := map[string]session.Application{"default": {Name: "/LM/W3SVC/1/ROOT", MaxItem: 10}}
	s := serve(t, proxy.Config{Apps: apps, Hosts: []string{"example.com"}})
	key := func(name string, more ...string) []string { return append([]string{"Idempotency-Key", name}, more...) }
	path := s.create("x")

	s.want(204, "PUT", path, "chunked", key("chunked")...)
	if got := s.sendBody("PUT", path, io.MultiReader(strings.NewReader("chun"), strings.NewReader("ked")), key("chunked")...); got.StatusCode != 204 {
		t.Errorf("in chunks: %d %s", got.StatusCode, got.body)
	}
	s.want(204, "PUT", path+"?wait=5", "chunked", key("chunked")...)

	r := httptest.NewRequest("PUT", path, failsOnce{strings.NewReader("half")})
	r.Header.Set("Idempotency-Key", "broken")
	rec := httptest.NewRecorder()
	s.api.ServeHTTP(rec, r)
	if rec.Code != 400 {
		t.Errorf("an upload that breaks off: %d", rec.Code)
	}
	s.want(204, "PUT", path, "whole", key("broken")...)

	s.wantProblem(413, "too-large", "PUT", path, "more than ten", key("large")...)
	s.want(204, "PUT", path, "less", key("large")...)

	s.wantProblem(400, "bad-request", "PUT", path, "x", key("bad", "Session-Timeout", "0")...)
	s.want(204, "PUT", path, "y", key("bad")...)

	s.wantProblem(412, "precondition-failed", "PUT", path, "x", key("stale", "If-Match", `"stale"`)...)
	tag := s.want(200, "GET", path, "").Header.Get("ETag")
	s.want(204, "PUT", path, "y", key("stale", "If-Match", tag)...)

	lock := s.acquire(path)
	s.wantProblem(423, "session-locked", "PUT", path, "x", key("locked")...)
	s.wantProblem(409, "lock-lost", "PUT", path, "x", key("lost", "Session-Lock", "none")...)
	s.want(204, "PUT", path, "z", key("lost", "Session-Lock", lock)...)
	s.want(204, "PUT", path, "y", key("locked")...)
}

// A request that may have been applied keeps its key, even if its caller does not know that.
func TestIdempotency_UnknownOutcome(t *testing.T) {
	s := serve(t, proxy.Config{Store: failing{session.ErrOutcomeUnknown}})
	s.wantProblem(504, "outcome-unknown", "PUT", sessions+"/x", "1", "Idempotency-Key", "k")
	s.wantProblem(422, mismatch, "PUT", sessions+"/x", "2", "Idempotency-Key", "k")
	s.wantProblem(504, "outcome-unknown", "PUT", sessions+"/x", "1", "Idempotency-Key", "k")
	s = serve(t, proxy.Config{Store: failing{session.ErrNoPrincipal}})
	s.wantProblem(503, "no-principal", "PUT", sessions+"/x", "1", "Idempotency-Key", "k")
	s.wantProblem(503, "no-principal", "PUT", sessions+"/x", "2", "Idempotency-Key", "k")
}

// The client hung up while its call waited for a lock. The key still belongs to its request: the same request may be
// sent again, but a changed one needs another key.
func TestIdempotency_HungUpWhileItWaited(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("before")
	lock := s.acquire(path)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "PUT", s.url+path+"?wait=60s", strings.NewReader("first"))
		if err == nil {
			req.Header.Set("Idempotency-Key", "k")
			_, err = s.client.Do(req)
		}
		ended <- err
	}()
	s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == 1 })
	leave()
	if err := <-ended; err == nil {
		t.Error("a caller that left got an answer")
	}
	s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == 0 && st.Left == 1 })
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	s.content(s.want(200, "GET", path, ""), "before")

	_, p := s.wantProblem(422, mismatch, "PUT", path, "corrected", "Idempotency-Key", "k")
	if !strings.Contains(p.Detail, "give a new request a key of its own") {
		t.Errorf("the detail does not say what to do: %q", p.Detail)
	}
	s.want(204, "PUT", path, "first", "Idempotency-Key", "k")
	s.want(204, "PUT", path, "corrected", "Idempotency-Key", "k2")
	s.content(s.want(200, "GET", path, ""), "corrected")
}

// If a PUT is sent again, the answer has the tag of the version that it made. After others have stored, that tag
// matches no version.
func TestIdempotency_TagOfWhatIsSentAgain(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("before")
	first := s.want(204, "PUT", path, "mine", "Idempotency-Key", "k").Header.Get("ETag")
	s.header(s.want(204, "PUT", path, "mine", "Idempotency-Key", "k"), "ETag", first)
	s.header(s.want(200, "GET", path, ""), "ETag", first)
	s.want(204, "PUT", path, "theirs")
	again := s.want(204, "PUT", path, "mine", "Idempotency-Key", "k").Header.Get("ETag")
	s.wantProblem(412, "precondition-failed", "PUT", path, "over it", "If-Match", again)
	s.content(s.want(200, "GET", path, ""), "theirs")
}

// A refused call does not change the earlier calls of its key: the key still belongs to them.
func TestIdempotency_RefusedAfterApplied(t *testing.T) {
	store := &switched{Store: memory.New(nil)}
	s := serve(t, proxy.Config{Store: store})
	s.want(201, "PUT", sessions+"/x", "1", "Idempotency-Key", "k")
	store.Store, store.before = failing{session.ErrNoPrincipal}, store.Store
	s.wantProblem(503, "no-principal", "PUT", sessions+"/x", "1", "Idempotency-Key", "k")
	store.Store = store.before
	s.wantProblem(422, mismatch, "PUT", sessions+"/x", "2", "Idempotency-Key", "k")
}

// switched is a store that can be replaced by another one.
type switched struct {
	session.Store
	before session.Store
}

// A key is remembered for ten minutes.
func TestIdempotency_Life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := proxy.NewAPI(proxy.Config{Store: memory.New(time.Now), Hosts: []string{"example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		put := func(body string) int {
			r := httptest.NewRequest("PUT", sessions+"/x", strings.NewReader(body))
			r.Header.Set("Idempotency-Key", "k")
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			return rec.Code
		}
		got := []int{put("1")}
		time.Sleep(9 * time.Minute)
		got = append(got, put("2"), put("1"))
		time.Sleep(9 * time.Minute) // after its last call
		got = append(got, put("2"))
		time.Sleep(2 * time.Minute)
		got = append(got, put("2"))
		if want := "[201 422 201 422 201]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}

// The memory is bounded. A caller that sends many keys loses only its own.
func TestIdempotency_Bounded(t *testing.T) {
	keys, byName := ringOf(t, "quiet:read,write:default", "flood:read,write:default")
	s := serve(t, proxy.Config{Keys: keys, Limits: proxy.Limits{IdempotencyKeys: 8}})
	put := func(status int, caller, key, body string) {
		t.Helper()
		r := s.send("PUT", sessions+"/"+caller+key, body, "Idempotency-Key", key, "Authorization", "Bearer "+byName[caller])
		if r.StatusCode != status {
			t.Errorf("%s's %s with %s: got %d, want %d", caller, key, body, r.StatusCode, status)
		}
	}
	for i := range 3 {
		put(201, "quiet", fmt.Sprint(i), "1")
	}
	for i := range 100 {
		put(201, "flood", fmt.Sprint(i), "1")
	}
	for i := range 3 {
		put(422, "quiet", fmt.Sprint(i), "2")
	}
	put(422, "flood", "99", "2")
	if st := s.api.Stats(); st.RequestsKept != 8 || st.KeptForgotten != 95 {
		t.Errorf("%d are kept and %d forgotten, want 8 and 95", st.RequestsKept, st.KeptForgotten)
	}
	put(201, "flood", "0", "1") // the session still remembers it, although the memory has forgotten it
}

// If requests with the same key come at the same time, those with the same body as the first are applied, and the
// others are refused.
func TestIdempotency_AtOnce(t *testing.T) {
	s := serve(t, proxy.Config{Hosts: []string{"example.com"}})
	for round := range 20 {
		path, answers := fmt.Sprintf("%s/%d", sessions, round), make(chan [2]string, 16)
		for i := range cap(answers) {
			go func() {
				body := fmt.Sprint(i % 2)
				r := httptest.NewRequest("PUT", path, strings.NewReader(body))
				r.Header.Set("Idempotency-Key", "k")
				rec := httptest.NewRecorder()
				s.api.ServeHTTP(rec, r)
				answers <- [2]string{body, fmt.Sprint(rec.Code)}
			}()
		}
		byBody := map[string]map[string]int{"0": {}, "1": {}}
		for range cap(answers) {
			a := <-answers
			byBody[a[0]][a[1]]++
		}
		done := string(s.want(200, "GET", path, "").body)
		other := map[string]string{"0": "1", "1": "0"}[done]
		if byBody[done]["201"] != 8 || byBody[other]["422"] != 8 {
			t.Errorf("the session has %s; the answers are %v", done, byBody)
		}
	}
}

// BenchmarkIdempotencyKey compares stores of 1 KB and of 1 MB: without a key, with a key, and with a key that is not
// remembered.
func BenchmarkIdempotencyKey(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		item := strings.Repeat("x", size)
		for _, c := range []struct {
			name  string
			keyed bool
			limit int
		}{{"no key", false, 0}, {"key, nothing remembered", true, -1}, {"key", true, 0}} {
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Hosts: []string{"example.com"}, Limits: proxy.Limits{IdempotencyKeys: c.limit}})
				if err != nil {
					b.Fatal(err)
				}
				w, reader := &sink{header: map[string][]string{}}, strings.NewReader(item)
				req := httptest.NewRequest("PUT", target, reader)
				n := 0
				b.ReportAllocs()
				for b.Loop() {
					n++
					if c.keyed {
						req.Header["Idempotency-Key"] = []string{fmt.Sprint(n)}
					}
					reader.Reset(item)
					clear(w.header)
					api.ServeHTTP(w, req)
				}
				if w.status >= 400 {
					b.Fatalf("got %d", w.status)
				}
			})
		}
	}
}
