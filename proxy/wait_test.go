package proxy_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// Each verb that a lock stops waits for it, and each verb that ends a lock wakes the first waiter. The waits are far
// longer than the test, and a waiter polls only four times a second. So the test ends in time only if waiters are
// woken.
func TestAPI_Wait(t *testing.T) {
	waits := []struct {
		name, method, rest, body string
		status                   int
	}{
		{"GET", "GET", "?wait=60s", "", 200},
		{"HEAD", "HEAD", "?wait=60", "", 200},
		{"PUT", "PUT", "?wait=60s", "two", 204},
		{"DELETE", "DELETE", "?wait=60s", "", 204},
		{"acquire", "POST", "/lock?wait=1m", "", 200},
		{"acquire or make", "POST", "/lock?create=true&wait=1m", "", 200},
	}
	ends := []struct{ name, method, rest, body string }{
		{"release", "DELETE", "/lock", ""},
		{"update", "PUT", "", "one"},
		{"remove", "DELETE", "", ""},
		{"break", "DELETE", "?locked=break", ""},
	}
	s := serve(t, proxy.Config{})
	for _, wait := range waits {
		for _, end := range ends {
			t.Run(wait.name+" until "+end.name, func(t *testing.T) {
				path := s.create("one")
				lock := s.acquire(path)
				want := wait.status
				if end.method+end.rest != "DELETE/lock" && end.method == "DELETE" && wait.method != "DELETE" {
					want = 404 // a session that was removed while the call waited is not created again
				}
				before := s.api.Stats().Waiters.Total
				var wg sync.WaitGroup
				wg.Go(func() {
					if r := s.send(wait.method, path+wait.rest, wait.body); r.StatusCode != want {
						t.Errorf("%s: got %d, want %d: %s", wait.name, r.StatusCode, want, r.body)
					}
				})
				s.until(func(st proxy.Stats) bool { return st.Waiters.Total > before })
				if end.name == "break" {
					s.want(204, end.method, path+end.rest, end.body)
				} else {
					s.want(204, end.method, path+end.rest, end.body, "Session-Lock", lock)
				}
				wg.Wait()
			})
		}
	}
}

// A session that was removed is not created again by calls that waited for it, whatever their place in the queue. A
// call that begins after the removal creates a new session.
func TestAPI_WaitForTheRemoved(t *testing.T) {
	for _, key := range []string{"", "k"} {
		s := serve(t, proxy.Config{})
		path := s.create("one")
		s.acquire(path)
		answers := make(chan reply, 6)
		for i := range cap(answers) {
			var headers []string
			if key != "" {
				headers = []string{"Idempotency-Key", key + strconv.Itoa(i)}
			}
			go func() {
				if i%2 == 0 {
					answers <- s.send("PUT", path+"?wait=60s", "waited", headers...)
				} else {
					answers <- s.send("POST", path+"/lock?create=true&wait=60s", "", headers...)
				}
			}()
			s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == int64(i)+1 })
		}
		s.want(204, "DELETE", path+"?locked=break", "")
		for range cap(answers) {
			r := <-answers
			if p := s.problem(r, 404, "session-not-found", "a call that waited"); p.Outcome != "not-applied" || !strings.Contains(p.Detail, "while this call waited") {
				t.Errorf("got the outcome %s and the detail %q", p.Outcome, p.Detail)
			}
		}
		s.want(404, "GET", path, "")
		s.want(201, "PUT", path+"?wait=60s", "two")
		s.want(204, "DELETE", path+"?wait=60s", "")
		s.want(201, "POST", path+"/lock?create=true&wait=60s", "")
	}
}

// A removal with locked=break ignores locks, so it does not wait in the queue.
func TestAPI_BreakDoesNotWait(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	s.acquire(path)
	waits := make(chan int, 1)
	go func() { waits <- s.send("GET", path+"?wait=60s", "").StatusCode }()
	s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == 1 })
	s.want(204, "DELETE", path+"?locked=break&wait=60s", "")
	if got := s.api.Stats().Waiters.Total; got != 1 {
		t.Errorf("%d calls have waited, want 1", got)
	}
	if got := <-waits; got != 404 {
		t.Errorf("the read that waited: got %d, want 404", got)
	}
}

// A DELETE that waited for a session does not remove a new one that was created after another removal.
func TestAPI_DeleteWaits(t *testing.T) {
	store := memory.New(nil)
	s, other := serve(t, proxy.Config{Store: store}), serve(t, proxy.Config{Store: store}) // a release at one server does not wake waiters at the other
	path := s.create("one")
	s.acquire(path)
	answers := make(chan int, 2)
	for i := range cap(answers) {
		go func() { answers <- s.send("DELETE", path+"?wait=60s", "").StatusCode }()
		s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == int64(i)+1 })
	}
	other.want(204, "DELETE", path+"?locked=break", "")
	other.want(201, "PUT", path, "two")
	for range cap(answers) {
		if got := <-answers; got != 204 {
			t.Errorf("got %d, want 204", got)
		}
	}
	other.content(other.want(200, "GET", path, ""), "two")
}

// until waits until the counters satisfy so.
func (s *server) until(so func(proxy.Stats) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so(s.api.Stats()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("it did not come to this: %+v", s.api.Stats())
		}
	}
}

func TestAPI_WaitEnds(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	s.acquire(path)
	r, p := s.wantProblem(423, "session-locked", "GET", path+"?wait=20ms", "")
	if age, err := strconv.Atoi(r.Header.Get("Session-Lock-Age")); err != nil || p.LockAge == nil || *p.LockAge != age {
		t.Errorf("after the wait Session-Lock-Age is %q", r.Header.Get("Session-Lock-Age"))
	}
}

func TestAPI_WaitBounds(t *testing.T) {
	s := serve(t, proxy.Config{Limits: proxy.Limits{WaitersPerSession: 2}})
	path := s.create("one")
	lock := s.acquire(path)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { s.send("GET", path+"?wait=60s", "") })
	}
	s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == 2 })
	_, p := s.wantProblem(429, "overloaded", "GET", path+"?wait=60s", "")
	if !strings.Contains(p.Detail, "2 calls wait for this session") {
		t.Errorf("the detail is %q", p.Detail)
	}
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	wg.Wait()
}

// One request has one operation id for all its tries. So a call with a key that waited finds its lock again.
func TestAPI_WaitKeepsOperation(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	lock := s.acquire(path)
	got := make(chan string, 1)
	go func() {
		got <- s.send("POST", path+"/lock?wait=60s", "", "Idempotency-Key", "k").Header.Get("Session-Lock")
	}()
	s.until(func(st proxy.Stats) bool { return st.Waiters.Polls > 2 })
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	granted := <-got
	s.header(s.want(200, "POST", path+"/lock", "", "Idempotency-Key", "k"), "Session-Lock", granted)
}

// A caller that leaves while it waits is removed from the queue.
func TestAPI_WaiterLeaves(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	lock := s.acquire(path)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "POST", s.url+path+"/lock?wait=60s", nil)
		if err == nil {
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
	s.want(200, "GET", path, "")
}

// slow is a store that grants a lock only after its caller has left.
type slow struct {
	*memory.Store
	called chan struct{}
}

func (s slow) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	close(s.called)
	<-ctx.Done()
	return s.Store.Acquire(context.WithoutCancel(ctx), ref, op)
}

// The lock was granted after the caller had left, so it is given back.
func TestAPI_AcquirerLeaves(t *testing.T) {
	store := slow{memory.New(nil), make(chan struct{})}
	s := serve(t, proxy.Config{Store: store})
	path := s.create("one")
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "POST", s.url+path+"/lock", nil)
		if err == nil {
			_, err = s.client.Do(req)
		}
		ended <- err
	}()
	<-store.called
	leave()
	<-ended
	s.until(func(st proxy.Stats) bool { return st.Left == 1 })
	s.want(200, "GET", path, "")
}

// telling is a store that returns the seconds until the deadline as the timeout.
type telling struct{ failing }

func (telling) Get(ctx context.Context, _ session.Ref, _ session.GetOptions) (session.Session, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return session.Session{}, session.ErrNotFound
	}
	return session.Session{Timeout: int(time.Until(deadline).Seconds() + 0.5)}, nil
}

// A request's deadline is the sum of its wait, the hold window and five seconds.
func TestAPI_Deadline(t *testing.T) {
	s := serve(t, proxy.Config{Store: telling{}, HoldWindow: 7 * time.Second})
	s.header(s.want(200, "GET", sessions+"/x", ""), "Session-Timeout", "12")
	s.header(s.want(200, "GET", sessions+"/x?wait=100s", ""), "Session-Timeout", "112")
}

// A server that is about to end answers waiting calls at once.
func TestAPI_StopWaiting(t *testing.T) {
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, ended := run(t, api, proxy.ServerConfig{OnDrain: api.StopWaiting})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := &server{t: t, api: api, url: url, client: &http.Client{Transport: newValidator(t, transport)}}
	path := s.create("one")
	s.acquire(path)
	var wg sync.WaitGroup
	wg.Go(func() {
		if r := s.send("GET", path+"?wait=120s", ""); r.StatusCode != 423 {
			t.Errorf("who waited got %d, want 423: %s", r.StatusCode, r.body)
		}
	})
	s.until(func(st proxy.Stats) bool { return st.Waiters.Waiting == 1 })
	stop()
	wg.Wait()
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
