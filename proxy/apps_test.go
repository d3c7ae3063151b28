package proxy_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// An application that is not configured is refused if others are configured, so a misspelt name creates no
// application.
func TestAPI_UnknownApplication(t *testing.T) {
	s := serve(t, proxy.Config{Apps: twoApps})
	s.create("one")
	for _, call := range []struct{ method, path string }{
		{"POST", ""}, {"GET", "/x"}, {"PUT", "/x"}, {"DELETE", "/x"}, {"POST", "/x/lock"}, {"DELETE", "/x/lock"}, {"POST", "/x/touch"},
	} {
		for _, app := range []string{"defautl", "%2FLM%2FW3SVC%2F1%2FROOT2"} {
			body := ""
			if call.path == "" || call.method == "PUT" {
				body = "x"
			}
			_, p := s.wantProblem(404, "unknown-application", call.method, "/v1/apps/"+app+"/sessions"+call.path, body, "Session-Lock", "x")
			if p.Outcome != "not-applied" || p.Retryable {
				t.Errorf("outcome %s, retryable %t", p.Outcome, p.Retryable)
			}
			for _, says := range []string{"to apps", "apps_open: true", "configured: default, other"} {
				if !strings.Contains(p.Detail, says) {
					t.Errorf("%s %s: the detail is %q, want it to say %q", call.method, call.path, p.Detail, says)
				}
			}
		}
	}
	if r := s.send("HEAD", "/v1/apps/defautl/sessions/x", ""); r.StatusCode != 404 {
		t.Errorf("HEAD: got %d", r.StatusCode)
	}
	for _, app := range []string{"default", "Other", "%2FLM%2FW3SVC%2F2%2FROOT", "%2flm%2fw3svc%2f1%2froot"} {
		s.want(201, "POST", "/v1/apps/"+app+"/sessions", "x")
	}
	if got := s.api.Stats().Problems["unknown-application"]; got != 15 {
		t.Errorf("%d problems are counted, want 15", got)
	}
}

func TestAPI_SetAppsOpensAndCloses(t *testing.T) {
	s := serve(t, proxy.Config{})
	const other = "/v1/apps/other/sessions"
	s.want(201, "POST", other, "nothing is configured")
	for _, open := range []bool{false, true, false} {
		if err := s.api.SetApps(map[string]session.Application{"default": {Name: "/a"}}, open); err != nil {
			t.Fatal(err)
		}
		s.create("one")
		if open {
			s.want(201, "POST", other, "x")
		} else {
			s.wantProblem(404, "unknown-application", "POST", other, "x")
		}
	}
}

// The refusal lists only configured applications that the caller's key may use, and only a few of them.
func TestAPI_UnknownApplicationTellsNobodyElse(t *testing.T) {
	keys, secrets := ringOf(t, "every:read:*", "one:read:other,/gone", "gone:read:/gone")
	apps := maps.Clone(twoApps)
	for i := range 12 {
		apps[fmt.Sprintf("z%02d", i)] = session.Application{Name: fmt.Sprintf("/z%d", i)}
	}
	s := serve(t, proxy.Config{Apps: apps, Keys: keys})
	for _, c := range []struct{ key, says string }{
		{"every", "; configured: default, other, z00, z01, z02, z03, z04, z05, z06, z07, 4 more"},
		{"one", "; configured: other"},
		{"gone", "allows every application)"},
	} {
		_, p := s.wantProblem(404, "unknown-application", "GET", "/v1/apps/%2Fgone/sessions/x", "", "Authorization", "Bearer "+secrets[c.key])
		if !strings.HasSuffix(p.Detail, c.says) {
			t.Errorf("the key %s gets %q, want it to end in %q", c.key, p.Detail, c.says)
		}
		if c.key != "every" {
			s.wantProblem(403, "forbidden", "GET", "/v1/apps/unheard/sessions/x", "", "Authorization", "Bearer "+secrets[c.key])
			s.wantProblem(403, "forbidden", "GET", "/v1/apps/default/sessions/x", "", "Authorization", "Bearer "+secrets[c.key])
		}
	}
}

// A path in an answer is valid for callers, even if a reverse proxy has removed a prefix.
func TestAPI_BasePath(t *testing.T) {
	s := serve(t, proxy.Config{BasePath: "/state"})
	location := s.want(201, "POST", sessions, "one").Header.Get("Location")
	path, ok := strings.CutPrefix(location, "/state/")
	if !ok {
		t.Fatalf("Location is %s, want it to begin with /state/", location)
	}
	s.content(s.want(200, "GET", "/"+path, ""), "one")
	if body := string(s.want(200, "GET", "/openapi.yaml", "").body); !strings.Contains(body, "\nservers:\n  - url: \"/state\"\n") {
		t.Error("the contract does not name the path as its server's")
	}
	o := administer(t, &pair{}, proxy.Config{BasePath: "/state"})
	o.create("operators' listener is elsewhere")
	if got := o.create("x"); !strings.HasPrefix(got, sessions) {
		t.Errorf("at the operators' listener Location is %s", got)
	}
}

// If a compressing proxy has changed the tag, the error says so and what to do.
func TestAPI_ChangedTag(t *testing.T) {
	s := serve(t, proxy.Config{})
	path := s.create("one")
	tag := s.want(200, "GET", path, "").Header.Get("ETag")
	plain := strings.Trim(tag, `"`)
	for _, changed := range []string{"W/" + tag, `"` + plain + `-gzip"`, `W/"` + plain + `-gzip"`, `"` + plain + `--gzip"`, `"` + plain + `;gzip"`, `"` + plain + `-br"`} {
		_, p := s.wantProblem(412, "precondition-failed", "PUT", path, "two", "If-Match", changed)
		for _, says := range []string{"nothing was written", "compress", "turn its compression off", "W/"} {
			if !strings.Contains(p.Detail, says) {
				t.Errorf("If-Match: %s is refused with %q, want it to say %q", changed, p.Detail, says)
			}
		}
		if p.Outcome != "not-applied" || p.Retryable {
			t.Errorf("outcome %s, retryable %t", p.Outcome, p.Retryable)
		}
	}
	s.content(s.want(200, "GET", path, ""), "one")
	s.want(204, "PUT", path, "two", "If-Match", tag)
	if _, p := s.wantProblem(412, "precondition-failed", "PUT", path, "three", "If-Match", tag); strings.Contains(p.Detail, "compress") {
		t.Errorf("an old version is refused with %q", p.Detail)
	}
}
