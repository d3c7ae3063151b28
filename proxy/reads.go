package proxy

import (
	"context"
	"net/http"
	"strings"

	"github.com/mirrorstate/mirrorstate/session"
)

// get is GET /v1/apps/{app}/sessions/{id}[?locked=allow][&peek=true][&wait=…]: 200 with the item, or 304 if
// If-None-Match names its version. It renews the expiry unless peeking.
func get(ctx context.Context, c *call) error {
	peek, err := c.flag("peek", "true")
	if err != nil {
		return err
	}
	return c.read(ctx, peek)
}

// head is HEAD of the same path: 200 or 304. It never renews the expiry. The item is read for its length.
func head(ctx context.Context, c *call) error { return c.read(ctx, true) }

func (c *call) read(ctx context.Context, peek bool) error {
	beside, err := c.flag("locked", "allow")
	if err != nil {
		return err
	}
	known := c.r.Header["If-None-Match"]
	if _, err := noneMatch(known, ""); err != nil { // before the store is asked
		return err
	}
	if c.r.Header["If-Match"] != nil {
		return badInput("header If-Match", "has no meaning for this method; it is for PUT")
	}
	opts := session.GetOptions{Peek: peek, AllowLocked: beside}
	read := func(ctx context.Context, store session.Store) (session.Session, error) {
		return store.Get(ctx, c.ref, opts)
	}
	var s session.Session
	if beside { // a lock does not stop it, so it need not wait in the queue
		s, err = admit(ctx, c, read)
	} else {
		s, err = admitWhenUnlocked(ctx, c, true, read)
	}
	if err != nil {
		return err
	}
	m := &c.api.memory
	if m.writesItem(c.w, &c.items); !m.take(nameOf(c.caller), &c.items, len(s.Item)) {
		return m.fullError()
	}
	if known != nil {
		if same, _ := noneMatch(known, strings.Trim(c.tagOf(ctx, &s), `"`)); same {
			c.answerSession(ctx, http.StatusNotModified, &s)
			return nil
		}
	}
	c.answerItem(ctx, http.StatusOK, &s)
	return nil
}

// touch is POST /v1/apps/{app}/sessions/{id}/touch: 204. It renews the expiry, even if the session is locked, and sets
// the timeout if there is a Session-Timeout.
func touch(ctx context.Context, c *call) error {
	c.op.Timeout, c.op.Seconds = c.timeout, c.seconds
	s, err := admit(ctx, c, func(ctx context.Context, store session.Store) (session.Session, error) {
		return store.Touch(ctx, c.ref, c.op)
	})
	if err != nil {
		return err
	}
	c.answerSession(ctx, http.StatusNoContent, &s)
	return nil
}
