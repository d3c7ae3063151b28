package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// listed is one session on a page of the session API: everything that a peek returns, without the item.
type listed struct {
	ID            session.ID `json:"id"`
	Created       time.Time  `json:"created"`
	Expires       time.Time  `json:"expires"`
	Locked        bool       `json:"locked"`
	LockAge       int        `json:"lock_age_s"`
	Uninitialized bool       `json:"uninitialized"`
	Size          int        `json:"size"`
}

// listSessions is GET and HEAD /v1/apps/{app}/sessions[?cursor=…][&limit=N]: 200 with a page of the application's
// sessions in the order of their ids, and the cursor of the next page. Expired sessions are left out, so a page may
// have fewer entries than the limit, or none, and still have a next page.
func listSessions(ctx context.Context, c *call) error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	if _, ok := c.query["after"]; ok { // a client that pages by ids would get the first page again and again
		return badInput("parameter after", "is for the operators' listener only; use the parameter cursor here")
	}
	k, err := c.api.secrets.sealer(ctx)
	if err != nil {
		return err
	}
	var after session.ID
	if value, ok, err := c.parameter("cursor"); err != nil {
		return err
	} else if ok {
		if after, ok = k.openCursor(c.ref, value); !ok {
			return badInput("parameter cursor", "must be the member next of an earlier page of this application; start again without it")
		}
	}
	entries, err := c.list(ctx, after, limit)
	if err != nil {
		return err
	}
	page := struct {
		Sessions []listed `json:"sessions"`
		Next     string   `json:"next,omitempty"`
	}{Sessions: make([]listed, 0, len(entries))}
	for _, e := range entries {
		if !e.Expired {
			page.Sessions = append(page.Sessions, listed{e.ID, e.Created, e.Expires, e.Locked, e.LockAge, e.Uninitialized, e.Size})
		}
	}
	if len(entries) == limit {
		page.Next = k.cursor(c.ref, entries[limit-1].ID)
	}
	body, err := json.Marshal(page)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	c.w.WriteHeader(http.StatusOK)
	c.w.Write(append(body, '\n'))
	return nil
}

// list asks the store for a page of the application's sessions.
func (c *call) list(ctx context.Context, after session.ID, limit int) ([]session.Entry, error) {
	lister, err := c.lister()
	if err != nil {
		return nil, err
	}
	return admit(ctx, c, func(ctx context.Context, _ session.Store) ([]session.Entry, error) {
		return lister.List(ctx, c.ref.App, after, limit)
	})
}

// lister returns the store if it can list sessions.
func (c *call) lister() (session.Lister, error) {
	lister, ok := c.api.store.(session.Lister)
	if !ok {
		return nil, badInput("the store", "cannot list sessions")
	}
	return lister, nil
}

// cursor returns the last id of a page of the application's sessions, sealed. An id is a credential, and access logs
// contain queries.
func (s *sealer) cursor(ref session.Ref, last session.ID) string {
	w := s.cursors.work(session.Ref{App: ref.App})
	defer s.cursors.done(w)
	w.message = append(w.message, last...)
	return w.seal("")
}

// openCursor returns the id in a cursor. ok is false for a cursor that no sealer of this secret made for this
// application.
func (s *sealer) openCursor(ref session.Ref, text string) (last session.ID, ok bool) {
	w := s.cursors.work(session.Ref{App: ref.App})
	defer s.cursors.done(w)
	if !w.unseal(text) {
		return "", false
	}
	last, err := session.ParseID(string(w.plain()))
	return last, err == nil
}

// limit reads ?limit=, the most entries in a page.
func (c *call) limit() (int, error) {
	value, ok, err := c.parameter("limit")
	if err != nil || !ok {
		return min(100, c.api.limits.ListedSessions), err
	}
	limit, err := strconv.Atoi(value)
	if err != nil || limit < 1 || limit > c.api.limits.ListedSessions {
		return 0, badInput("parameter limit", "must be between 1 and "+strconv.Itoa(c.api.limits.ListedSessions))
	}
	return limit, nil
}

// page reads ?after= and ?limit=.
func (c *call) page() (after session.ID, limit int, err error) {
	if limit, err = c.limit(); err != nil {
		return "", 0, err
	}
	value, ok, err := c.parameter("after")
	if ok && value != "" {
		after, err = session.ParseID(value)
	}
	return after, limit, err
}
