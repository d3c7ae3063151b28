package proxy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// always returns a fleet's secret that does not change.
func always(secret []byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return secret, nil }
}

// A handle or tag of one proxy is valid at every other proxy of the fleet, for its session only. This is also so on a
// stock schema, which has no secret. A proxy of another fleet does not accept it.
func TestAPI_SealedForTheFleet(t *testing.T) {
	for _, c := range []struct {
		name         string
		a, b         func(context.Context) ([]byte, error)
		sharesTheKey bool
	}{
		{"one secret", always([]byte("0123456789abcdef")), always([]byte("0123456789abcdef")), true},
		{"a stock schema", always(nil), always(nil), true},
		{"two secrets", always([]byte("0123456789abcdef")), always([]byte("0123456789abcdeF")), false},
		{"one without", always([]byte("0123456789abcdef")), always(nil), false},
		{"secrets of their own", nil, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := memory.New(nil)
			a, b := serve(t, proxy.Config{Store: store, FleetSecret: c.a}), serve(t, proxy.Config{Store: store, FleetSecret: c.b})
			path, other := sessions+"/Own-Id", sessions+"/other"
			tag := a.want(201, "PUT", path, "one").Header.Get("ETag")
			a.want(201, "PUT", other, "one")
			if got := b.want(200, "GET", path, "").Header.Get("ETag"); (got == tag) != c.sharesTheKey {
				t.Errorf("one version has the tags %s and %s", tag, got)
			}
			a.want(304, "GET", sessions+"/oWN-iD", "", "If-None-Match", tag)
			a.wantProblem(412, "precondition-failed", "PUT", other, "two", "If-Match", tag)
			if !c.sharesTheKey {
				b.want(200, "GET", path, "", "If-None-Match", tag)
				b.wantProblem(412, "precondition-failed", "PUT", path, "two", "If-Match", tag)
			} else {
				b.want(304, "GET", path, "", "If-None-Match", tag)
				tag = b.want(204, "PUT", path, "two", "If-Match", tag).Header.Get("ETag")
				a.want(304, "GET", path, "", "If-None-Match", tag)
			}
			lock := a.acquire(path)
			a.wantProblem(409, "lock-lost", "PUT", other, "x", "Session-Lock", lock)
			a.wantProblem(409, "lock-lost", "DELETE", other, "", "Session-Lock", lock)
			if !c.sharesTheKey {
				b.wantProblem(409, "lock-lost", "PUT", path, "x", "Session-Lock", lock)
				b.wantProblem(409, "lock-lost", "DELETE", path, "", "Session-Lock", lock)
			}
			if c.name != "a stock schema" {
				a.want(204, "DELETE", sessions+"/oWN-iD/lock", "", "Session-Lock", lock)
			} else {
				// In memory operation ids count, as on the extended schema. So a handle with the public key opens no
				// lock there.
				a.wantProblem(409, "lock-lost", "DELETE", path+"/lock", "", "Session-Lock", lock)
			}
		})
	}
}

// cookies is a store on a stock schema: it compares only the cookie of a lock.
type cookies struct {
	session.Store
	mu    sync.Mutex
	locks map[int32]session.OperationID
}

func (c *cookies) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	s, lock, err := c.Store.Acquire(ctx, ref, op)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locks[lock.Cookie] = lock.Operation
	return s, lock, err
}

func (c *cookies) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	lock.Operation = c.locks[lock.Cookie]
	return c.Store.Release(ctx, ref, lock, op)
}

// On a stock schema a lock's handle is valid at every proxy. The ids of keyed creates and operations are still made
// with a secret.
func TestAPI_Stock(t *testing.T) {
	store := &cookies{Store: memory.New(nil), locks: map[int32]session.OperationID{}}
	a, b := serve(t, proxy.Config{Store: store, FleetSecret: always(nil)}), serve(t, proxy.Config{Store: store, FleetSecret: always(nil)})
	path := a.create("one")
	b.want(204, "DELETE", path+"/lock", "", "Session-Lock", a.acquire(path))
	made := func(s *server) string {
		return s.want(201, "POST", sessions, "x", "Idempotency-Key", "k").Header.Get("Location")
	}
	if first, again, other := made(a), made(a), made(b); first != again || first == other {
		t.Errorf("a key makes the sessions %s and %s, and at another proxy %s: its secret is public", first, again, other)
	}
}

// If the secret changes, the API continues. Older handles and tags are no longer valid.
func TestAPI_SecretChanges(t *testing.T) {
	secret := []byte("0123456789abcdef")
	s := serve(t, proxy.Config{FleetSecret: func(context.Context) ([]byte, error) { return secret, nil }})
	path := s.create("one")
	tag, lock := s.want(200, "GET", path, "").Header.Get("ETag"), s.acquire(path)
	secret = []byte("another secret..")
	s.wantProblem(409, "lock-lost", "PUT", path, "two", "Session-Lock", lock)
	s.wantProblem(412, "precondition-failed", "PUT", path, "two", "If-Match", tag)
	s.wantProblem(423, "session-locked", "PUT", path, "two")
	secret = []byte("0123456789abcdef")
	s.want(204, "PUT", path, "two", "Session-Lock", lock)
}

// Without the secret no handle or tag can be opened, and no lock is granted, because it could not be answered. Calls
// that need no secret succeed: the session is answered without its tag.
func TestAPI_SecretUnreadable(t *testing.T) {
	var broken error
	s := serve(t, proxy.Config{FleetSecret: func(context.Context) ([]byte, error) { return []byte("0123456789abcdef"), broken }})
	path := s.create("one")
	r := s.want(200, "GET", path, "")
	tag, lock := r.Header.Get("ETag"), s.acquire(path)
	broken = session.ErrNoPrincipal
	for _, c := range []struct{ method, path, header, value string }{
		{"PUT", path, "Session-Lock", lock}, {"DELETE", path, "Session-Lock", lock}, {"DELETE", path + "/lock", "Session-Lock", lock},
		{"PUT", path, "If-Match", tag}, {"POST", path + "/lock", "Session-Timeout", "20"}, {"PUT", path, "Idempotency-Key", "k"},
	} {
		_, p := s.wantProblem(503, "no-principal", c.method, c.path, "x", c.header, c.value)
		if p.Outcome != "not-applied" {
			t.Errorf("%s %s with %s: outcome %s", c.method, c.path, c.header, p.Outcome)
		}
	}
	r = s.want(200, "GET", path+"?locked=allow", "", "If-None-Match", tag)
	s.header(r, "ETag", "")
	s.content(r, "one")
	s.header(s.want(201, "PUT", sessions+"/new", "x"), "ETag", "")
	broken = nil
	s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock)
	broken = session.ErrNoPrincipal
	s.wantProblem(503, "no-principal", "POST", path+"/lock", "")
	broken = nil
	s.want(204, "PUT", path, "nobody holds the lock")
}

// telltale is a store that records the operation ids that it gets.
type telltale struct {
	session.Store
	mu  sync.Mutex
	ids map[session.OperationID]bool
}

func (s *telltale) saw(id session.OperationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !id.IsZero() {
		s.ids[id] = true
	}
}

func (s *telltale) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	out, lock, err := s.Store.Acquire(ctx, ref, op)
	s.saw(lock.Operation)
	return out, lock, err
}

func (s *telltale) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	op.ID = session.NewOperationID()
	s.saw(op.ID)
	return s.Store.Put(ctx, ref, w, cond, op)
}

// A reader cannot make the handle of another caller's lock, because answers contain no operation id.
func TestAPI_TellsNoOperationIDs(t *testing.T) {
	store := &telltale{Store: memory.New(nil), ids: map[session.OperationID]bool{}}
	s := serve(t, proxy.Config{Store: store})
	path := s.create("one")
	var answers []http.Header
	for range 3 {
		lock := s.want(200, "POST", path+"/lock", "")
		held := s.want(200, "GET", path+"?locked=allow", "")
		// Tags were once made of created(8), cookie(4), locked(1) and operation(16), and handles of operation(16) and
		// cookie(4).
		raw, err := base64.RawURLEncoding.DecodeString(strings.Trim(held.Header.Get("ETag"), `"`))
		if err != nil || len(raw) < 29 {
			t.Fatalf("ETag %s: %v", held.Header.Get("ETag"), err)
		}
		forged := base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw[13:29]), raw[8:12]...))
		s.wantProblem(409, "lock-lost", "PUT", path, "stolen", "Session-Lock", forged)
		answers = append(answers, lock.Header, held.Header, s.want(204, "DELETE", path+"/lock", "", "Session-Lock", lock.Header.Get("Session-Lock")).Header,
			s.want(204, "PUT", path, "two").Header, s.want(200, "HEAD", path, "").Header)
	}
	if len(store.ids) < 7 {
		t.Fatalf("%d operation ids", len(store.ids))
	}
	for _, h := range answers {
		for _, name := range []string{"ETag", "Session-Lock"} {
			value := strings.Trim(h.Get(name), `"`)
			raw, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil {
				t.Errorf("%s %q: %v", name, value, err)
			}
			inside, _ := base64.RawURLEncoding.DecodeString(string(raw))
			for id := range store.ids {
				for _, text := range []string{value, string(raw), string(inside)} {
					if strings.Contains(text, string(id[:])) || strings.Contains(text, hex.EncodeToString(id[:])) {
						t.Errorf("%s %q has the operation id %x", name, value, id)
					}
				}
			}
		}
	}
}
