package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// holding is a store that holds calls, like a pair without a principal. It calls during meanwhile, and then makes the
// next attempt. With sent, an earlier attempt was sent and not answered.
type holding struct {
	session.Store
	during func()
	sent   bool
}

// unanswered is the refusal of an attempt after one that was not answered.
type unanswered struct{ error }

func (unanswered) Outcome() session.Outcome { return session.Unknown }
func (u unanswered) Unwrap() error          { return u.error }

// attempt asks for the permission, as a store does before each attempt.
func (h *holding) attempt(ctx context.Context) error {
	if during := h.during; during != nil {
		h.during = nil
		during()
	}
	err := session.Permitted(ctx)
	if err != nil && h.sent {
		return unanswered{err}
	}
	return err
}

func (h *holding) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	if err := h.attempt(ctx); err != nil {
		return session.Session{}, err
	}
	return h.Store.Put(ctx, ref, w, cond, op)
}

func (h *holding) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	if err := h.attempt(ctx); err != nil {
		return session.Session{}, err
	}
	return h.Store.Get(ctx, ref, opts)
}

func (h *holding) List(ctx context.Context, app *session.Application, after session.ID, limit int) ([]session.Entry, error) {
	if err := h.attempt(ctx); err != nil {
		return nil, err
	}
	return h.Store.(session.Lister).List(ctx, app, after, limit)
}

// If the key is revoked while the store holds the call, the call is not executed. The answer says whether an earlier
// attempt may have been.
func TestCall_RevokedWhileTheStoreHoldsIt(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		sent, admin        bool
		outcome            string
	}{
		{"put, not sent yet", "PUT", sessions + "/x", false, false, "not-applied"},
		{"put, sent and not answered", "PUT", sessions + "/x", true, false, "unknown"},
		{"get", "GET", sessions + "/x", false, false, "not-applied"},
		{"put at the operators' listener", "PUT", sessions + "/x", false, true, "not-applied"},
		{"list", "GET", sessions, false, true, "not-applied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			key, id, err := keyring.Add(path, keyring.Entry{Name: "a", Rights: []string{"read", "write", "list", "operator"}, Apps: []string{"default"}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := keyring.Add(path, keyring.Entry{Name: "b", Rights: []string{"operator"}}, time.Now()); err != nil {
				t.Fatal(err)
			}
			keys := openKeys(t, path, keyring.Options{})
			store := &holding{Store: memory.New(nil), sent: c.sent}
			s := serve(t, proxy.Config{Store: store, Keys: keys})
			if c.admin {
				s = administerBehind(t, &pair{}, proxy.Config{Store: store, Keys: keys}, proxy.AdminConfig{Keys: keys})
			}
			auth := []string{"Authorization", "Bearer " + key}
			s.want(201, "PUT", sessions+"/x", "before", auth...)
			store.during = func() {
				if _, err := keyring.Revoke(path, id); err != nil {
					t.Error(err)
				}
				if err := keys.Reload(); err != nil {
					t.Error(err)
				}
			}
			_, p := s.wantProblem(401, "unauthorized", c.method, c.path, "after", auth...)
			if p.Outcome != c.outcome {
				t.Errorf("the outcome is %s, want %s", p.Outcome, c.outcome)
			}
			app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
			got, err := store.Store.Get(t.Context(), session.Ref{App: &app, ID: "x"}, session.GetOptions{})
			if err != nil || string(got.Item) != "before" {
				t.Errorf("the session has %q, %v", got.Item, err)
			}
		})
	}
}

// A call that waits for a lock ends when its client's certificate expires, even if no key has changed.
func TestWait_CertificateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		e := keyring.Entry{Name: "a", Rights: []string{"read", "write", "lock"}, Apps: []string{"default"}, Certificate: "a.example.net"}
		if _, _, err := keyring.Add(path, e, time.Now()); err != nil {
			t.Fatal(err)
		}
		api, err := proxy.NewAPI(proxy.Config{Store: memory.New(time.Now), Keys: openKeys(t, path, keyring.Options{})})
		if err != nil {
			t.Fatal(err)
		}
		do := func(lives time.Duration, method, path string, headers ...string) *httptest.ResponseRecorder {
			cert := &x509.Certificate{DNSNames: []string{"a.example.net"}, NotAfter: time.Now().Add(lives)}
			r := httptest.NewRequest(method, path, nil)
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			return rec
		}
		do(time.Hour, "PUT", sessions+"/x")
		lock := do(time.Hour, "POST", sessions+"/x/lock").Header().Get("Session-Lock")
		short, long := make(chan int, 1), make(chan int, 1)
		go func() { short <- do(5*time.Second, "GET", sessions+"/x?wait=60").Code }()
		go func() { long <- do(time.Hour, "GET", sessions+"/x?wait=60").Code }()
		time.Sleep(10 * time.Second)
		if code := do(time.Hour, "DELETE", sessions+"/x/lock", "Session-Lock", lock).Code; code != 204 {
			t.Fatalf("release: %d", code)
		}
		if s, l := <-short, <-long; s != 401 || l != 200 {
			t.Errorf("got %d with a certificate that had ended and %d with one that had not, want 401 and 200", s, l)
		}
	})
}

// slowBody is a body that calls during before it returns its bytes.
type slowBody struct {
	io.Reader
	during func()
}

func (s *slowBody) Read(p []byte) (int, error) {
	if s.during != nil {
		s.during()
		s.during = nil
	}
	return s.Reader.Read(p)
}

// An operators' verb is not executed if its key was revoked while the request arrived.
func TestAdmin_RevokedWhileTheRequestComes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	key, id, err := keyring.Add(path, keyring.Entry{Name: "a", Rights: []string{"operator"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := keyring.Add(path, keyring.Entry{Name: "b", Rights: []string{"operator"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	keys := openKeys(t, path, keyring.Options{})
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{}
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: api, Pair: p, Keys: keys, Local: true})
	if err != nil {
		t.Fatal(err)
	}
	revoke := func() {
		_, err := keyring.Revoke(path, id)
		if err := errors.Join(err, keys.Reload()); err != nil {
			t.Error(err)
		}
	}
	r := httptest.NewRequest("POST", "http://localhost/v1/pair/failover", &slowBody{strings.NewReader(`{"kind":"manual"}`), revoke})
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var got detail
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 401 || got.Outcome != "not-applied" || p.verbs() != "" {
		t.Errorf("got %d %s, and the pair did %q; want 401 and nothing", rec.Code, rec.Body, p.verbs())
	}
}
