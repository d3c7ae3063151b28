package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
)

// page is a page of the session API's list.
type page struct {
	Sessions []struct {
		ID            session.ID
		Locked        bool
		Size          int
		Uninitialized bool
		Expires       time.Time
	}
	Next string
}

func (s *server) page(path string) (p page) {
	s.t.Helper()
	r := s.want(200, "GET", path, "")
	s.header(r, "Cache-Control", "no-store")
	if err := json.Unmarshal(r.body, &p); err != nil {
		s.t.Fatalf("GET %s: %v: %s", path, err, r.body)
	}
	return p
}

func TestAPI_List(t *testing.T) {
	clock := newClock()
	apps := map[string]session.Application{"default": {Name: proxy.DefaultApplicationName, Timeout: 20}, "other": {Name: "/other"}}
	s := serve(t, proxy.Config{Store: clock.store, Apps: apps})
	if p := s.page(sessions); len(p.Sessions) != 0 || p.Next != "" {
		t.Errorf("an empty application: got %+v", p)
	}
	for i := range 5 {
		s.want(201, "PUT", fmt.Sprintf("%s/id%d", sessions, i), strings.Repeat("x", i+1), "Session-Timeout", "60")
	}
	s.want(201, "PUT", sessions+"/id9", "", "Session-Timeout", "1") // will expire
	s.want(201, "PUT", "/v1/apps/other/sessions/id3", "another's")
	clock.advance(2 * time.Minute)
	s.acquire(sessions + "/id3")

	var got, cursors []string
	for next := ""; ; {
		p := s.page(sessions + "?limit=2" + next)
		for _, e := range p.Sessions {
			got = append(got, fmt.Sprintf("%s %d %v", e.ID, e.Size, e.Locked))
		}
		if p.Next == "" {
			break
		}
		cursors = append(cursors, p.Next)
		next = "&cursor=" + url.QueryEscape(p.Next)
	}
	if want := "[id0 1 false id1 2 false id2 3 false id3 4 true id4 5 false]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, c := range cursors {
		s.wantProblem(400, "bad-request", "GET", "/v1/apps/other/sessions?cursor="+c, "") // the cursor of another application
	}
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x", "cursor=id2", "cursor=", "cursor=" + cursors[0] + "A", "limit=1&limit=2", "after=id2"} {
		s.wantProblem(400, "bad-request", "GET", sessions+"?"+bad, "")
	}
	// The list did not renew the expiry, and locked nothing.
	s.wantProblem(423, "session-locked", "GET", sessions+"/id3", "")
}

// A store that cannot list sessions returns an error.
func TestAPI_ListUnable(t *testing.T) {
	s := serve(t, proxy.Config{Store: failing{}})
	s.wantProblem(400, "bad-request", "GET", sessions, "")
}

// HEAD has the headers of GET and no body, on both listeners.
func TestList_Head(t *testing.T) {
	s := serve(t, proxy.Config{})
	s.want(201, "PUT", sessions+"/id", "item")
	for name, at := range map[string]*server{"API": s, "operators": administer(t, &pair{}, proxy.Config{})} {
		r := at.want(200, "HEAD", sessions+"?limit=1", "")
		at.header(r, "Content-Type", "application/json")
		at.content(r, "")
		if got := at.send("HEAD", sessions+"?limit=0", "").StatusCode; got != 400 {
			t.Errorf("%s, a bad limit: got %d, want 400", name, got)
		}
	}
}
