package proxy

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mirrorstate/mirrorstate/session"
)

// headerValues is memory within the call for the values of an answer's headers. Without it each header would cost an
// allocation.
type headerValues struct {
	values [6]string
	used   int
}

// set sets a header of h. The key must be canonical.
func (v *headerValues) set(h http.Header, key, value string) {
	i := v.used
	v.used++
	v.values[i] = value
	h[key] = v.values[i : i+1 : i+1]
}

// sessionHeaders sets the headers that describe a session. Unknown parts are left out.
func (c *call) sessionHeaders(ctx context.Context, s *session.Session) {
	h := c.w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	if tag := c.tagOf(ctx, s); tag != "" {
		c.values.set(h, "ETag", tag)
	}
	switch {
	case s.Seconds > 0:
		c.values.set(h, "Session-Timeout", strconv.Itoa(s.Seconds)+"s")
	case s.Timeout > 0:
		c.values.set(h, "Session-Timeout", strconv.Itoa(s.Timeout))
	}
	if !s.Expires.IsZero() {
		c.values.set(h, "Session-Expires", s.Expires.UTC().Format(http.TimeFormat))
	}
	if s.Uninitialized {
		h["Session-Flags"] = flagged
	}
}

// answerItem answers with the session's item. The body is empty while the session is uninitialized, and also after its
// first lock, which ends the flag: the item is then still the placeholder that the proxy stored.
func (c *call) answerItem(ctx context.Context, status int, s *session.Session) {
	item := s.Item
	if s.Uninitialized || session.IsEmptyContent(item) {
		item = nil
	}
	c.sessionHeaders(ctx, s)
	h := c.w.Header()
	h["Content-Type"] = octetStream
	c.values.set(h, "Content-Length", strconv.Itoa(len(item)))
	c.w.WriteHeader(status)
	defer answering(c.w, c.r, len(item)).written()
	c.w.Write(item) // net/http drops it for HEAD
}

// answerSession answers without a body.
func (c *call) answerSession(ctx context.Context, status int, s *session.Session) {
	c.sessionHeaders(ctx, s)
	c.w.WriteHeader(status)
}

// answerDone answers 204 to a call that returns nothing about the session.
func (c *call) answerDone() {
	h := c.w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	c.w.WriteHeader(http.StatusNoContent)
}

// Values of headers that never change. The slices are shared; do not write to them.
var (
	problemType = []string{"application/problem+json"}
	octetStream = []string{"application/octet-stream"}
	jsonType    = []string{"application/json"}
	yamlType    = []string{"application/yaml"}
	eventType   = []string{"text/event-stream"}
	textType    = []string{"text/plain; charset=utf-8"}
	noStore     = []string{"no-store"}
	nosniff     = []string{"nosniff"}
	closes      = []string{"close"}
	bearer      = []string{`Bearer realm="mirrorstate"`}
	flagged     = []string{"uninitialized"}
)
