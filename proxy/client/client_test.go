package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var app = session.Application{Name: "/lm/w3svc/1/root"}

// dial starts a server that runs h, and returns a client for it.
func dial(t *testing.T, h http.Handler, cfg client.Config) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg.URL = srv.URL
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func api(t *testing.T) http.Handler {
	t.Helper()
	h, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestClient_Create(t *testing.T) {
	c := dial(t, api(t), client.Config{})
	op := session.NewOperation()
	id, s, err := c.Create(t.Context(), &app, session.Write{Item: []byte("one"), Timeout: 7}, op)
	if err != nil || !id.Classic() || !s.Made || s.Timeout != 7 || s.Tag == "" || s.Expires.IsZero() {
		t.Fatalf("got %q, %+v, %v", id, s, err)
	}
	again, _, err := c.Create(t.Context(), &app, session.Write{Item: []byte("one"), Timeout: 7}, op)
	if err != nil || again != id {
		t.Errorf("the second call of the operation made %q (%v), want %q", again, err, id)
	}
	got, err := c.Get(t.Context(), session.Ref{App: &app, ID: id}, session.GetOptions{})
	if err != nil || string(got.Item) != "one" {
		t.Errorf("got %q, %v", got.Item, err)
	}
	id, s, err = c.Create(t.Context(), &app, session.Write{Uninitialized: true}, session.Operation{})
	if err != nil || !s.Uninitialized {
		t.Errorf("got %q, %+v, %v, want an uninitialized session", id, s, err)
	}
	if _, _, err := c.Create(t.Context(), &app, session.Write{}, op); !errors.As(err, new(*session.InvalidError)) {
		t.Errorf("an item of no bytes: got %v", err)
	}
}

// Ids that can't be in a path are sent in the header; with HideID all are.
func TestClient_IDs(t *testing.T) {
	for _, hide := range []bool{false, true} {
		inner := api(t)
		var mu sync.Mutex
		paths := ""
		c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			paths += r.URL.Path + " "
			mu.Unlock()
			inner.ServeHTTP(w, r)
		}), client.Config{HideID: hide})
		for _, id := range []session.ID{"plain-id", "-", ".", "..", "a/b", "50%", "Own~=+", "a?b#c"} {
			ref := session.Ref{App: &app, ID: id}
			if _, err := c.Put(t.Context(), ref, session.Write{Item: []byte(id)}, session.Condition{OnlyCreate: true}, session.Operation{}); err != nil {
				t.Errorf("put %q: %v", id, err)
			}
			if s, err := c.Get(t.Context(), ref, session.GetOptions{}); err != nil || string(s.Item) != string(id) {
				t.Errorf("get %q: got %q, %v", id, s.Item, err)
			}
		}
		if seen := strings.Contains(paths, "plain-id"); seen == hide {
			t.Errorf("HideID is %t, but the id is in a path: %t", hide, seen)
		}
	}
}

func TestClient_Waiting(t *testing.T) {
	h, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, h, client.Config{})
	id, _, err := c.Create(t.Context(), &app, session.Write{Item: []byte("one")}, session.Operation{})
	if err != nil {
		t.Fatal(err)
	}
	ref := session.Ref{App: &app, ID: id}
	_, lock, err := c.Acquire(t.Context(), ref, session.Operation{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Acquire(t.Context(), ref, session.Operation{}); !errors.Is(err, session.ErrLocked) {
		t.Fatalf("got %v, want locked", err)
	}
	granted := make(chan error, 1)
	go func() {
		_, lock, err := c.Waiting(time.Minute).Acquire(t.Context(), ref, session.Operation{})
		granted <- errors.Join(err, c.Release(t.Context(), ref, lock, session.Operation{}))
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for h.Stats().Waiters.Waiting == 0 {
		<-tick.C
	}
	if err := c.Release(t.Context(), ref, lock, session.Operation{}); err != nil {
		t.Fatal(err)
	}
	if err := <-granted; err != nil {
		t.Error(err)
	}
}

// script is a handler with one prepared answer for each request. It records the requests.
type script struct {
	mu      sync.Mutex
	answers []func(w http.ResponseWriter) // owned by mu
	keys    []string                      // owned by mu: Idempotency-Keys
	bodies  []string                      // owned by mu
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	s.bodies = append(s.bodies, string(body))
	answer := s.answers[0]
	s.answers = s.answers[1:]
	s.mu.Unlock()
	answer(w)
}

// requests returns the keys and bodies of the requests, and how many answers are left.
func (s *script) requests() (keys, bodies []string, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, s.bodies, len(s.answers)
}

func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func stored(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }

func problem(status int, name, outcome string, retryable bool) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"https://mirrorstate.github.io/problems/%s","title":"T","status":%d,"detail":"D","outcome":%q,"retryable":%t}`,
			name, status, outcome, retryable)
	}
}

var ref = session.Ref{App: &app, ID: "x"}

func put(c *client.Client, ctx context.Context) error {
	_, err := c.Put(ctx, ref, session.Write{Item: []byte("one")}, session.Condition{}, session.Operation{})
	return err
}

// A retryable request is sent again with the same key and the same body.
func TestClient_Retries(t *testing.T) {
	s := &script{answers: []func(http.ResponseWriter){hangUp, problem(503, "no-principal", "not-applied", true), stored}}
	if err := put(dial(t, s, client.Config{}), t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, bodies, _ := s.requests()
	if len(keys) != 3 || len(keys[0]) != 32 || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("the keys were %q, want three times the same", keys)
	}
	if strings.Join(bodies, " ") != "one one one" {
		t.Errorf("the bodies were %q", bodies)
	}
}

func TestClient_GivesUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []func(http.ResponseWriter)
		want    error
		outcome session.Outcome
	}{
		{"never answered", []func(http.ResponseWriter){hangUp, hangUp, hangUp}, session.ErrOutcomeUnknown, session.Unknown},
		{"locked", []func(http.ResponseWriter){problem(423, "session-locked", "not-applied", true)}, session.ErrLocked, session.NotApplied},
		{"not retryable", []func(http.ResponseWriter){problem(504, "outcome-unknown", "unknown", false)}, session.ErrOutcomeUnknown, session.Unknown},
		{"lock lost", []func(http.ResponseWriter){problem(409, "lock-lost", "not-applied", false)}, session.ErrLockLost, session.NotApplied},
		{"precondition", []func(http.ResponseWriter){problem(412, "precondition-failed", "not-applied", false)}, session.ErrPrecondition, session.NotApplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{answers: c.answers}
			err := put(dial(t, s, client.Config{}), t.Context())
			if !errors.Is(err, c.want) || session.OutcomeOf(err) != c.outcome {
				t.Errorf("got %v, outcome %v; want %v, %v", err, session.OutcomeOf(err), c.want, c.outcome)
			}
			if _, _, left := s.requests(); left != 0 {
				t.Errorf("%d answers were not asked for", left)
			}
			if strings.Contains(fmt.Sprint(err), "/sessions/") {
				t.Errorf("the error contains the session id: %v", err)
			}
		})
	}
}

// An answer of a balancer has no problem document, so the error has no problem name and can't be retried.
func TestClient_ForeignAnswer(t *testing.T) {
	c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "bad gateway", http.StatusBadGateway)
	}), client.Config{})
	err := put(c, t.Context())
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != 502 || e.Name != "" || e.Retryable {
		t.Errorf("got %v", err)
	}
}

// If no server listens, nothing was sent, so nothing was applied.
func TestClient_NoServer(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c, err := client.New(client.Config{URL: srv.URL, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := put(c, t.Context()); err == nil || session.OutcomeOf(err) != session.NotApplied || errors.Is(err, session.ErrOutcomeUnknown) {
		t.Errorf("got %v, outcome %v", err, session.OutcomeOf(err))
	}
}

// An acquire whose connection broke gets lock-lost when it is sent again: the server
// took the grant back. If the caller gave no operation, the client acquires with a new one.
func TestClient_AcquireAnew(t *testing.T) {
	lost := problem(409, "lock-lost", "not-applied", false)
	granted := func(w http.ResponseWriter) {
		w.Header().Set("Session-Lock", "a handle")
		io.WriteString(w, "item")
	}
	s := &script{answers: []func(http.ResponseWriter){hangUp, lost, granted}}
	got, lock, err := dial(t, s, client.Config{}).Acquire(t.Context(), ref, session.Operation{})
	if err != nil || lock != (session.Lock{Handle: "a handle"}) || string(got.Item) != "item" {
		t.Fatalf("got %q, %v, %v", got.Item, lock, err)
	}
	if keys, _, _ := s.requests(); keys[0] != keys[1] || keys[2] == keys[1] {
		t.Errorf("the keys were %q, want a new one for the third try only", keys)
	}
	s = &script{answers: []func(http.ResponseWriter){hangUp, lost}}
	if _, _, err := dial(t, s, client.Config{}).Acquire(t.Context(), ref, session.NewOperation()); !errors.Is(err, session.ErrLockLost) {
		t.Errorf("with the caller's operation: got %v, want lock-lost", err)
	}
}

func TestNew_Refuses(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "://"} {
		if _, err := client.New(client.Config{URL: url}); err == nil {
			t.Errorf("%q: no error", url)
		}
	}
}

// A call without an application returns an error. It sends nothing and does not panic.
func TestClient_NoApplication(t *testing.T) {
	sent := 0
	c := dial(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }), client.Config{})
	ctx, ref, op := t.Context(), session.Ref{ID: "x"}, session.NewOperation()
	w := session.Write{Item: []byte("i"), Timeout: 7}
	for name, call := range map[string]func() error{
		"create":  func() error { _, _, err := c.Create(ctx, nil, w, op); return err },
		"get":     func() error { _, err := c.Get(ctx, ref, session.GetOptions{}); return err },
		"acquire": func() error { _, _, err := c.Acquire(ctx, ref, op); return err },
		"put":     func() error { _, err := c.Put(ctx, ref, w, session.Condition{}, op); return err },
		"update":  func() error { _, err := c.Update(ctx, ref, session.Lock{}, w, false, op); return err },
		"give":    func() error { return c.GiveBack(ctx, ref, session.Lock{}, session.OperationID{}) },
		"release": func() error { return c.Release(ctx, ref, session.Lock{}, op) },
		"remove":  func() error { return c.Remove(ctx, ref, session.Lock{}, op) },
		"touch":   func() error { _, err := c.Touch(ctx, ref, session.Operation{}); return err },
		"list":    func() error { _, err := c.List(ctx, nil, "", 1); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "no application") {
			t.Errorf("%s without an application: %v", name, err)
		}
	}
	if sent > 0 {
		t.Errorf("%d requests were sent", sent)
	}
}
