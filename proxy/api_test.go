package proxy_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

func TestAPI_Create(t *testing.T) {
	s := serve(t, proxy.Config{})
	r := s.want(201, "POST", sessions, "some item", "Session-Timeout", "7")
	var made struct{ ID session.ID }
	if err := json.Unmarshal(r.body, &made); err != nil || !made.ID.Classic() {
		t.Fatalf("got %s, want an id as ASP.NET makes them", r.body)
	}
	s.header(r, "Location", sessions+"/"+string(made.ID))
	s.header(r, "Session-Timeout", "7")
	s.header(r, "Cache-Control", "no-store")
	s.header(r, "Session-Flags", "")
	expires, err := http.ParseTime(r.Header.Get("Session-Expires"))
	if left := time.Until(expires); err != nil || left < 6*time.Minute || left > 8*time.Minute {
		t.Errorf("Session-Expires is %q, want about 7 minutes from now", r.Header.Get("Session-Expires"))
	}
	got := s.want(200, "GET", r.Header.Get("Location"), "")
	s.content(got, "some item")
	s.header(got, "ETag", r.Header.Get("ETag"))
	s.header(got, "Content-Type", "application/octet-stream")
	s.header(got, "X-Content-Type-Options", "nosniff")
	if other := s.create("x"); other == r.Header.Get("Location") {
		t.Error("two sessions got one id")
	}
}

func TestAPI_CreateUninitialized(t *testing.T) {
	s := serve(t, proxy.Config{})
	r := s.want(201, "POST", sessions, "")
	s.header(r, "Session-Flags", "uninitialized")
	s.header(r, "Session-Timeout", "20")
	path := r.Header.Get("Location")

	r = s.want(200, "GET", path, "")
	s.header(r, "Session-Flags", "uninitialized")
	s.content(r, "")
	r = s.want(200, "HEAD", path, "")
	s.header(r, "Session-Flags", "uninitialized")
	s.header(r, "Content-Length", "0")

	r = s.want(200, "POST", path+"/lock", "")
	s.header(r, "Session-Flags", "uninitialized")
	s.content(r, "")
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", r.Header.Get("Session-Lock"))

	// Now it is an ordinary session with an empty item, as its caller stored it.
	r = s.want(200, "GET", path, "")
	s.header(r, "Session-Flags", "")
	s.content(r, "")
	s.header(s.want(200, "HEAD", path, ""), "Content-Length", "0")
	r = s.want(200, "POST", path+"/lock", "")
	s.content(r, "")
	s.want(204, "PUT", path, "", "Session-Lock", r.Header.Get("Session-Lock"))
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", s.acquire(path))
	s.content(s.want(200, "GET", path, ""), "")
}

// An item that .NET emptied is returned byte for byte. So is an item of the same form that a caller stored.
func TestAPI_DotnetsEmptyItem(t *testing.T) {
	store := memory.New(nil)
	s := serve(t, proxy.Config{Store: store})
	ref := session.Ref{App: &session.Application{Name: strings.ToLower(proxy.DefaultApplicationName)}, ID: "theirs"}
	w := session.Write{Item: session.EmptyItem(20), Uninitialized: true}
	if _, err := store.Put(t.Context(), ref, w, session.Condition{}, session.Operation{}); err != nil {
		t.Fatal(err)
	}
	path := sessions + "/theirs"
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", s.acquire(path))
	s.content(s.want(200, "GET", path, ""), string(session.EmptyItem(20)))
	s.content(s.want(200, "GET", s.create(string(session.EmptyItem(20))), ""), string(session.EmptyItem(20)))
}

func TestAPI_AcquireOrMake(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := sessions + "/cart"
	s.wantProblem(400, "bad-request", "POST", path+"/lock?create=yes", "")
	s.wantProblem(404, "session-not-found", "POST", path+"/lock", "", "Idempotency-Key", "k")
	// With the key of an acquire that created nothing, this is another operation.
	r := s.want(201, "POST", path+"/lock?create=true", "", "Idempotency-Key", "k")
	lock := r.Header.Get("Session-Lock")
	s.header(r, "Session-Flags", "uninitialized")
	s.header(r, "Session-Timeout", "20")
	s.content(r, "")
	again := s.want(201, "POST", path+"/lock?create=true", "", "Idempotency-Key", "k")
	s.header(again, "Session-Lock", lock)
	s.header(again, "Session-Flags", "uninitialized")
	s.wantProblem(423, "session-locked", "POST", path+"/lock?create=true", "")
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	s.wantProblem(409, "lock-lost", "POST", path+"/lock?create=true", "", "Idempotency-Key", "k")
	s.content(s.want(200, "GET", path, ""), "") // it is still empty
	r = s.want(200, "POST", path+"/lock?create=true", "")
	s.header(r, "Session-Flags", "")
	s.content(r, "")
}

// An acquire that finds its lock again returns what the holder has stored since: the item, its flag and its tag.
func TestAPI_LockFoundAgain(t *testing.T) {
	s := serve(t, proxy.Config{})
	const path = sessions + "/found"
	acquire := func() reply {
		t.Helper()
		r := s.want(201, "POST", path+"/lock?create=true", "", "Idempotency-Key", "k")
		if got := r.Header.Get("Session-Lock"); got == "" {
			t.Error("no Session-Lock")
		}
		return r
	}
	first := acquire()
	s.header(first, "Session-Flags", "uninitialized")
	s.content(first, "")
	lock := first.Header.Get("Session-Lock")
	stored := s.want(204, "PUT", path+"?keep=lock", "item", "Session-Lock", lock)
	again := acquire()
	s.header(again, "Session-Flags", "")
	s.header(again, "ETag", stored.Header.Get("ETag"))
	s.content(again, "item")
	s.want(204, "PUT", path+"?keep=lock", "", "Session-Lock", again.Header.Get("Session-Lock"))
	s.header(acquire(), "Session-Flags", "uninitialized")
}

// The error of a lost lock names what was not done. An acquire has no Session-Lock, so it has another text.
func TestAPI_LockLostWords(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("item")
	lock := s.want(200, "POST", path+"/lock", "", "Idempotency-Key", "k").Header.Get("Session-Lock")
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	for _, c := range []struct{ method, rest, key, want, not string }{
		{"POST", "/lock", "k", "acquire with a new key", "Session-Lock"},
		{"PUT", "", "1", "nothing was written", "removed"},
		{"DELETE", "/lock", "2", "nothing was released", "written"},
		{"DELETE", "", "3", "nothing was removed", "written"},
	} {
		for _, handle := range []string{lock, "none"} {
			headers := []string{"Idempotency-Key", c.key + handle[:1], "Session-Lock", handle}
			if c.method == "POST" {
				headers = []string{"Idempotency-Key", c.key}
			}
			_, p := s.wantProblem(409, "lock-lost", c.method, path+c.rest, "", headers...)
			if !strings.Contains(p.Detail, c.want) || strings.Contains(p.Detail, c.not) || p.Outcome != "not-applied" {
				t.Errorf("%s %s: got %s, %q; want %q, and not %q", c.method, c.rest, p.Outcome, p.Detail, c.want, c.not)
			}
		}
	}
}

func TestAPI_TimeoutWithoutStoring(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("item")
	s.header(s.want(204, "POST", path+"/touch", "", "Session-Timeout", "45"), "Session-Timeout", "45")
	s.header(s.want(200, "GET", path, ""), "Session-Timeout", "45")
	r := s.want(200, "POST", path+"/lock", "", "Session-Timeout", "90s")
	s.header(r, "Session-Timeout", "90s")
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", r.Header.Get("Session-Lock"), "Session-Timeout", "3")
	s.header(s.want(200, "HEAD", path, ""), "Session-Timeout", "3")
	s.header(s.want(204, "PUT", path, "other", "Session-Timeout", "120s"), "Session-Timeout", "120s")
	for _, bad := range []string{"0", "0s", "-1", "1.5", "90 s", "90S", "s", "", "525601", "31536001s", "99999999999s"} {
		for _, call := range [][2]string{{"POST", "/touch"}, {"POST", "/lock"}, {"DELETE", "/lock"}} {
			s.wantProblem(400, "bad-request", call[0], path+call[1], "", "Session-Timeout", bad, "Session-Lock", "x")
		}
	}
	s.header(s.want(200, "HEAD", path, ""), "Session-Timeout", "120s")
}

// A session of one minute that was given in seconds lives exactly one minute. One given in minutes may live longer.
func TestAPI_TimeoutOfWholeMinutesInSeconds(t *testing.T) {
	for timeout, after := range map[string]int{"60s": 404, "1": 200} {
		clock := newClock()
		s := serve(t, proxy.Config{Store: clock.store})
		path := s.want(201, "POST", sessions, "item", "Session-Timeout", timeout).Header.Get("Location")
		clock.advance(30 * time.Second)
		s.header(s.want(200, "GET", path, ""), "Session-Timeout", timeout)
		clock.advance(61 * time.Second)
		if got := s.send("GET", path, "").StatusCode; got != after {
			t.Errorf("%s: got %d after 61 seconds, want %d", timeout, got, after)
		}
	}
}

// A session of 90 seconds is answered with 90 seconds, and each read extends it to exactly that.
func TestAPI_TimeoutInSeconds(t *testing.T) {
	clock := newClock()
	s := serve(t, proxy.Config{Store: clock.store})
	path := s.want(201, "POST", sessions, "item", "Session-Timeout", "90s").Header.Get("Location")
	clock.advance(60 * time.Second)
	s.want(200, "GET", path, "")
	clock.advance(89 * time.Second)
	s.want(200, "HEAD", path, "")
	clock.advance(time.Second)
	s.wantProblem(404, "session-not-found", "GET", path, "")
}

// A logout during a request that hangs: the session is removed, and the later store of that request is refused.
func TestAPI_RemoveLocked(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("item")
	lock := s.acquire(path)
	s.wantProblem(400, "bad-request", "DELETE", path+"?locked=allow", "")
	s.wantProblem(400, "bad-request", "DELETE", path+"?locked=break", "", "Session-Lock", lock)
	// With the key of a removal that was refused because of the lock, this is another operation.
	s.wantProblem(423, "session-locked", "DELETE", path, "", "Idempotency-Key", "logout")
	s.want(204, "DELETE", path+"?locked=break", "", "Idempotency-Key", "logout")
	s.wantProblem(404, "session-not-found", "GET", path, "")
	s.wantProblem(409, "lock-lost", "PUT", path, "late", "Session-Lock", lock)
	s.wantProblem(404, "session-not-found", "GET", path, "")
	s.want(201, "PUT", path, "successor")
	s.want(204, "DELETE", path+"?locked=break", "", "Idempotency-Key", "logout")
	s.content(s.want(200, "GET", path, ""), "successor")
}

func TestAPI_PutUninitialized(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := sessions + "/mine"
	r := s.want(201, "PUT", path, "", "Session-Timeout", "9")
	s.header(r, "Session-Flags", "uninitialized")
	s.header(r, "Session-Timeout", "9")
	s.want(204, "PUT", path, "content")
	r = s.want(200, "GET", path, "")
	s.header(r, "Session-Flags", "")
	s.content(r, "content")
}

func TestAPI_Get(t *testing.T) {
	clock := newClock()
	s := serve(t, proxy.Config{Store: clock.store})
	path := s.create("item")
	first := s.want(200, "GET", path, "")
	clock.advance(15 * time.Minute)
	if peeked := s.want(200, "GET", path+"?peek=true", ""); peeked.Header.Get("Session-Expires") != first.Header.Get("Session-Expires") {
		t.Error("a peek slid the expiry")
	}
	if head := s.want(200, "HEAD", path, ""); head.Header.Get("Session-Expires") != first.Header.Get("Session-Expires") {
		t.Error("HEAD slid the expiry")
	}
	if again := s.want(200, "GET", path, ""); again.Header.Get("Session-Expires") == first.Header.Get("Session-Expires") {
		t.Error("GET did not slide the expiry")
	}
	clock.advance(22 * time.Minute)
	s.wantProblem(404, "session-not-found", "GET", path, "")
}

func TestAPI_GetConditional(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("item")
	tag := s.want(200, "GET", path, "").Header.Get("ETag")
	for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, `W/"a",` + tag + `, "b"`, "*"} {
		r := s.want(304, "GET", path, "", "If-None-Match", known)
		s.header(r, "ETag", tag)
		s.content(r, "")
		s.want(304, "HEAD", path, "", "If-None-Match", known)
	}
	s.want(304, "GET", path, "", "If-None-Match", `"a"`, "If-None-Match", tag)
	for _, unknown := range []string{`"other"`, `"a", "b"`, `""`} {
		s.content(s.want(200, "GET", path, "", "If-None-Match", unknown), "item")
	}
	s.want(204, "PUT", path, "item")
	if s.want(200, "GET", path, "", "If-None-Match", tag).Header.Get("ETag") == tag {
		t.Error("a store left the entity tag as it was")
	}
}

func TestAPI_Head(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create(strings.Repeat("x", 1234))
	r := s.want(200, "HEAD", path, "")
	s.header(r, "Content-Length", "1234")
	s.header(r, "Content-Type", "application/octet-stream")
	s.header(r, "ETag", s.want(200, "GET", path, "").Header.Get("ETag"))
	s.want(404, "HEAD", path+"x", "")
	s.acquire(path)
	r = s.want(423, "HEAD", path, "")
	if _, err := strconv.Atoi(r.Header.Get("Session-Lock-Age")); err != nil {
		t.Errorf("423 to HEAD has Session-Lock-Age %q", r.Header.Get("Session-Lock-Age"))
	}
}

func TestAPI_Put(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := sessions + "/mine"
	r := s.want(201, "PUT", path, "one")
	s.header(r, "Session-Timeout", "20")
	s.want(204, "PUT", path, "two", "Session-Timeout", "30")
	r = s.want(204, "PUT", path, "three")
	s.header(r, "Session-Timeout", "30")
	r = s.want(200, "GET", path, "")
	s.content(r, "three")

	t.Run("without a length", func(t *testing.T) {
		s.sendBody("PUT", path, onlyReader{strings.NewReader("chunked")}, "Content-Type", "text/plain")
		s.content(s.want(200, "GET", path, ""), "chunked")
	})
}

func TestAPI_PutConditional(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	old := s.want(200, "GET", path, "").Header.Get("ETag")
	r := s.want(204, "PUT", path, "two", "If-Match", old)
	tag := r.Header.Get("ETag")
	s.wantProblem(412, "precondition-failed", "PUT", path, "three", "If-Match", old)
	s.wantProblem(412, "precondition-failed", "PUT", path, "three", "If-Match", "W/"+tag)
	s.wantProblem(412, "precondition-failed", "PUT", path, "three", "If-Match", `""`)
	s.wantProblem(412, "precondition-failed", "PUT", path, "three", "If-None-Match", "*")
	s.content(s.want(200, "GET", path, ""), "two")

	s.want(204, "PUT", path, "four", "If-Match", "*")
	s.content(s.want(200, "GET", path, ""), "four")
	s.wantProblem(412, "precondition-failed", "PUT", path+"x", "five", "If-Match", "*")
	s.wantProblem(412, "precondition-failed", "PUT", path+"x", "five", "If-Match", tag)
	s.want(201, "PUT", path+"x", "five", "If-None-Match", "*")

	lock := s.acquire(path)
	s.wantProblem(423, "session-locked", "PUT", path, "six", "If-Match", "*")
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
}

func TestAPI_Locks(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	r := s.want(200, "POST", path+"/lock", "")
	lock := r.Header.Get("Session-Lock")
	s.content(r, "one")
	for _, call := range []struct{ method, path, body string }{
		{"GET", path, ""}, {"PUT", path, "x"}, {"DELETE", path, ""}, {"POST", path + "/lock", ""}, {"GET", path + "?wait=0", ""},
	} {
		r, p := s.wantProblem(423, "session-locked", call.method, call.path, call.body)
		s.header(r, "Retry-After", "1")
		if p.LockAge == nil || strconv.Itoa(*p.LockAge) != r.Header.Get("Session-Lock-Age") {
			t.Errorf("lock_age is %v, Session-Lock-Age %q", p.LockAge, r.Header.Get("Session-Lock-Age"))
		}
		if p.Outcome != "not-applied" || !p.Retryable || r.Header.Get("Session-Lock") != "" || strings.Contains(string(r.body), lock) {
			t.Errorf("423 says %s %v", r.body, r.Header)
		}
	}
	s.content(s.want(200, "GET", path+"?locked=allow", ""), "one")
	s.want(204, "POST", path+"/touch", "")

	s.want(204, "PUT", path+"?keep=lock", "two", "Session-Lock", lock)
	s.wantProblem(423, "session-locked", "GET", path, "")
	s.want(204, "PUT", path, "three", "Session-Lock", lock)
	s.content(s.want(200, "GET", path, ""), "three")

	p := detail{}
	_, p = s.wantProblem(409, "lock-lost", "PUT", path, "four", "Session-Lock", lock)
	if p.Outcome != "not-applied" || p.Retryable {
		t.Errorf("the problem of a lost lock is %+v", p)
	}
	s.wantProblem(409, "lock-lost", "DELETE", path, "", "Session-Lock", lock)
	s.wantProblem(409, "lock-lost", "DELETE", path+"/lock", "", "Session-Lock", lock)

	lock = s.acquire(path)
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	lock = s.acquire(path)
	s.want(204, "DELETE", path, "", "Session-Lock", lock)
	s.wantProblem(404, "session-not-found", "POST", path+"/lock", "")
}

func TestAPI_MalformedLock(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	lock := s.acquire(path)
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	for _, handle := range []string{"", "nonsense", "ÿ", strings.Repeat("A", 5000), lock + "=", lock[1:], lock} {
		s.wantProblem(409, "lock-lost", "PUT", path, "two", "Session-Lock", handle)
		s.wantProblem(409, "lock-lost", "DELETE", path, "", "Session-Lock", handle)
		s.wantProblem(409, "lock-lost", "DELETE", path+"/lock", "", "Session-Lock", handle)
	}
	s.content(s.want(200, "GET", path, ""), "one")
}

func TestAPI_Remove(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	s.want(204, "DELETE", path, "")
	s.want(204, "DELETE", path, "")
	s.wantProblem(404, "session-not-found", "GET", path, "")
	s.wantProblem(404, "session-not-found", "POST", path+"/touch", "")
}

func TestAPI_Touch(t *testing.T) {
	clock := newClock()
	s := serve(t, proxy.Config{Store: clock.store})
	path := s.create("one")
	clock.advance(15 * time.Minute)
	s.want(204, "POST", path+"/touch", "")
	clock.advance(15 * time.Minute)
	s.want(200, "GET", path, "")
}

func TestAPI_IdempotencyKey(t *testing.T) {
	s := serve(t, proxy.Config{})
	first := s.want(201, "POST", sessions, "one", "Idempotency-Key", "k1")
	again := s.want(201, "POST", sessions, "one", "Idempotency-Key", "k1")
	path := first.Header.Get("Location")
	s.header(again, "Location", path)
	if !strings.Contains(path, "/sessions/") || len(path) != len(sessions)+1+24 {
		t.Fatalf("the session of a keyed create is at %s", path)
	}
	if other := s.want(201, "POST", "/v1/apps/other/sessions", "one", "Idempotency-Key", "k1"); strings.HasSuffix(path, string(other.body)) {
		t.Error("two applications' sessions got one id")
	}

	lock := s.want(200, "POST", path+"/lock", "", "Idempotency-Key", "k2").Header.Get("Session-Lock")
	s.header(s.want(200, "POST", path+"/lock", "", "Idempotency-Key", "k2"), "Session-Lock", lock)
	s.wantProblem(423, "session-locked", "POST", path+"/lock", "", "Idempotency-Key", "k3")
	s.want(204, "PUT", path, "two", "Session-Lock", lock, "Idempotency-Key", "k4")
	s.want(204, "PUT", path, "two", "Session-Lock", lock, "Idempotency-Key", "k4")
	s.wantProblem(409, "lock-lost", "POST", path+"/lock", "", "Idempotency-Key", "k2")
	s.content(s.want(200, "GET", path, ""), "two")

	t.Run("a create that the session has forgotten", func(t *testing.T) {
		for range 5 {
			s.want(204, "PUT", path, "later")
		}
		r := s.want(201, "POST", sessions, "one", "Idempotency-Key", "k1")
		s.header(r, "Location", path)
		s.content(s.want(200, "GET", path, ""), "later")
	})
	t.Run("one key for two sessions", func(t *testing.T) {
		s.want(201, "PUT", sessions+"/a", "one", "Idempotency-Key", "shared")
		s.want(201, "PUT", sessions+"/b", "one", "Idempotency-Key", "shared")
		s.want(200, "GET", sessions+"/b", "")
	})
}

func TestAPI_Contract(t *testing.T) {
	s := serve(t, proxy.Config{})
	r := s.want(200, "GET", "/openapi.yaml", "")
	s.header(r, "Content-Type", "application/yaml")
	if !strings.HasPrefix(string(r.body), "openapi: 3.1") {
		t.Errorf("the contract begins %.40q", r.body)
	}
	s.want(200, "HEAD", "/openapi.yaml", "")
}
