package proxy_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// Two names with the same id.
const (
	collidesOne = "/LM/W3SVC/1/ROOT/xt"
	collidesTwo = "/LM/W3SVC/1/ROOT/z6"
)

func TestApplications_namesCollide(t *testing.T) {
	if a, b := session.HashApplicationName(collidesOne), session.HashApplicationName(collidesTwo); a != b {
		t.Fatalf("the ids are %s and %s", a.Suffix(), b.Suffix())
	}
}

// Configured names with the same id are refused, at the start and later.
func TestApplications_ConfiguredCollision(t *testing.T) {
	both := map[string]session.Application{"shop": {Name: collidesOne}, "blog": {Name: collidesTwo}}
	_, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), AppsOpen: true, Apps: both})
	for _, want := range []string{strings.ToLower(collidesOne), strings.ToLower(collidesTwo), "rename one of them"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, which does not say %q", err, want)
		}
	}
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.SetApps(both, true); err == nil {
		t.Error("they can be set")
	}
	if _, err := proxy.Names(both); err == nil {
		t.Error("a key-ring takes them")
	}
	two := map[string]session.Application{"a": {Name: collidesOne}, "b": {Name: strings.ToUpper(collidesOne)}}
	if err := api.SetApps(two, true); err != nil {
		t.Errorf("two aliases of one name: %v", err)
	}
}

// registering is a store that registers an application at its first call, as ASPState does.
type registering struct {
	session.Store
	known map[string]bool
}

func (r *registering) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	if p := session.PermissionOf(ctx); p != nil && !r.known[ref.App.Name] {
		for range 3 { // attempts
			if err := p.MayRegister(ref.App.Name); err != nil {
				return session.Session{}, err
			}
		}
	}
	r.known[ref.App.Name] = true
	return r.Store.Put(ctx, ref, w, cond, op)
}

// sessionsOf returns the path of an application's sessions.
func sessionsOf(name string) string {
	return "/v1/apps/" + url.PathEscape(name) + "/sessions/x"
}

// No application gets the id of a configured one, even if that was not used yet.
func TestApplications_TakeNoConfiguredId(t *testing.T) {
	store := &registering{memory.New(nil), map[string]bool{}}
	apps := map[string]session.Application{"shop": {Name: collidesOne}}
	keys, byName := ringOf(t, "all:read,write:*")
	for name, cfg := range map[string]proxy.Config{
		"without keys": {Store: store, AppsOpen: true, Apps: apps}, "with keys": {Store: store, AppsOpen: true, Apps: apps, Keys: keys},
	} {
		s := serve(t, cfg)
		auth := []string{"Authorization", "Bearer " + byName["all"]}
		_, p := s.wantProblem(409, "application-collision", "PUT", sessionsOf(collidesTwo), "1", auth...)
		if p.Outcome != "not-applied" || p.Retryable {
			t.Errorf("%s: the outcome is %s, retryable %v", name, p.Outcome, p.Retryable)
		}
		s.want(404, "GET", sessionsOf(collidesTwo), "", auth...)
	}
	s := serve(t, proxy.Config{Store: store, AppsOpen: true, Apps: apps})
	s.want(201, "PUT", sessionsOf(collidesOne), "1")
}

// A collision that the database reports is answered as one.
func TestApplications_CollisionInTheDatabase(t *testing.T) {
	s := serve(t, proxy.Config{Store: failing{session.ErrCollision}})
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		if method == "HEAD" {
			s.want(409, method, sessions+"/x", "")
			continue
		}
		s.wantProblem(409, "application-collision", method, sessions+"/x", "")
	}
	s.wantProblem(409, "application-collision", "POST", sessions, "")
	s.wantProblem(409, "application-collision", "POST", sessions+"/x/lock", "")
	s.wantProblem(409, "application-collision", "POST", sessions+"/x/touch", "")
}

// A caller with the right to all applications may register a limited number of new ones per hour. Applications that
// the configuration or a key names do not count.
func TestApplications_Registrations(t *testing.T) {
	keys, byName := ringOf(t, "all:read,write:*", "more:read,write:*", "named:read,write:/lm/w3svc/9/root/1,/lm/w3svc/9/root/2,/lm/w3svc/9/root/3")
	synctest.Test(t, func(t *testing.T) {
		api, err := proxy.NewAPI(proxy.Config{
			Store: &registering{memory.New(time.Now), map[string]bool{}}, Keys: keys, Apps: twoApps, AppsOpen: true, Limits: proxy.Limits{NewApplications: 2},
		})
		if err != nil {
			t.Fatal(err)
		}
		put := func(caller, name string, want int) *httptest.ResponseRecorder {
			t.Helper()
			r := httptest.NewRequest("PUT", sessionsOf(name), strings.NewReader("x"))
			r.Header.Set("Authorization", "Bearer "+byName[caller])
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			if rec.Code != want {
				t.Errorf("%s puts to %s: got %d %s, want %d", caller, name, rec.Code, rec.Body, want)
			}
			return rec
		}
		put("all", "/LM/W3SVC/2/ROOT", 201) // configured
		put("all", "/new/1", 201)
		put("all", "/new/2", 201)
		refused := put("all", "/new/3", 429)
		if after, text := refused.Header().Get("Retry-After"), refused.Body.String(); after != "1800" || !strings.Contains(text, "limits.new_applications") {
			t.Errorf("after %s s: %s", after, text)
		}
		put("all", "/new/1", 204)
		put("more", "/new/4", 201)
		for _, n := range []string{"1", "2", "3"} {
			put("named", "/LM/W3SVC/9/ROOT/"+n, 201)
		}
		time.Sleep(31 * time.Minute)
		put("all", "/new/3", 201)
		put("all", "/new/5", 429)
		if got := api.Stats().Registrations; got != 2 {
			t.Errorf("%d were refused, want 2", got)
		}
	})
}

// Without a limit, any number of applications may be registered.
func TestApplications_RegistrationsUnbounded(t *testing.T) {
	keys, byName := ringOf(t, "all:read,write:*")
	s := serve(t, proxy.Config{Store: &registering{memory.New(nil), map[string]bool{}}, Keys: keys, Limits: proxy.Limits{NewApplications: -1}})
	for i := range 150 {
		s.want(201, "PUT", sessionsOf("/new/"+strings.Repeat("n", i+1)), "1", "Authorization", "Bearer "+byName["all"])
	}
}
