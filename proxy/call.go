package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
)

// verb does one method of the contract: it calls the store and answers success.
// An error is answered by its caller; a verb that wrote returns nil.
type verb func(ctx context.Context, c *call) error

// traits are what the shared steps must know of a verb.
type traits struct {
	mutates     bool // an operation id is made, and time that runs out leaves the outcome unknown
	body        bool // takes an item
	timeout     bool // takes Session-Timeout
	conditional bool // looks at If-Match or If-None-Match itself
	noID        bool // its path names no session
	varies      bool // an operation has a content: what it does is more than its name, session and key say
	right       keyring.Right
}

// call is one request of the session API, decoded.
type call struct {
	api     *API
	base    string // what is put before paths in the answer
	gate    *gate
	caller  *keyring.Caller // nil: nobody asked who calls
	ring    *keyring.Ring   // where it was found
	right   keyring.Right   // what the caller must have the right to
	items   itemShare       // of the bytes of items in memory
	named   session.CallerContext
	w       http.ResponseWriter
	r       *http.Request
	began   time.Time // when its head had come; the body may come slowly
	ref     session.Ref
	op      session.Operation // its id is zero without an Idempotency-Key
	timeout int               // Session-Timeout in minutes, rounded up, 0 without
	seconds int               // Session-Timeout where it is in seconds, else 0
	wait    time.Duration     // ?wait=
	query   url.Values        // nil without a query
	body    []byte
	etag    string // the session's tag as it is answered, once it was sealed
	values  headerValues

	registers bool // the application is counted as registered by the caller
}

// handle makes a handler of a verb behind a gate: caller, decode, deadline, operation id, verb, errors; and
// counts it as rm's.
func (a *API) handle(g *gate, base string, do verb, t traits, rm *routeMetrics) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer rm.end(rm.begin())
		c := call{api: a, base: base, w: w, r: r, began: time.Now()}
		defer c.forget() // when the answer is written
		var err error
		if a.tracer == nil {
			err = c.run(g, do, t)
		} else {
			err = c.traced(g, do, t, rm.pattern)
		}
		c.noted(w)
		if err != nil {
			a.report.fail(w, c.r, err, t.mutates)
			return
		}
		rm.ok.Inc()
	}
}

// forget stops counting the items of a call.
func (c *call) forget() { c.api.memory.giveBack(&c.items) }

// context is the request's, in which the store finds whose it is.
func (c *call) context() context.Context {
	name := nameOf(c.caller)
	if name == "" {
		return c.r.Context()
	}
	if c.named.Context == nil { // somebody may have it already
		c.named = session.CallerContext{Context: c.r.Context(), Caller: name}
	}
	return &c.named
}

func (c *call) run(g *gate, do verb, t traits) error {
	if err := c.admit(g, t); err != nil {
		return err
	}
	if err := c.decode(t); err != nil {
		return err
	}
	// The body is here, so the time starts now; how long it took to come is the
	// server's ReadTimeout's concern.
	ctx, cancel := context.WithTimeout(c.context(), c.wait+c.api.hold+deadlineMargin)
	defer cancel()
	if c.caller != nil && c.items.taken > 0 {
		c.items.end = cancel
	}
	if c.wait > 0 {
		extendWriteDeadline(c.w, c.wait+c.api.hold+2*deadlineMargin)
	}
	if t.mutates {
		if err := c.makeOperation(ctx); err != nil {
			return err
		}
	}
	ctx = c.permitting(ctx)
	if t.varies && c.keyed() {
		return c.once(ctx, do)
	}
	return c.do(ctx, do)
}

// evictable says that the call waits from now on, and that nothing of it is sent before pin; if it has made room
// already, why it has to end. Whoever has no item in memory makes none, and who is not told apart from others has nobody to
// make it for.
func (c *call) evictable() error {
	if m := &c.api.memory; c.items.end != nil && !m.evictable(&c.items, endCall) {
		return m.fullError()
	}
	return nil
}

// pin says that the store is about to send the call, which then stays; if it has made room before, why it has to end.
func (c *call) pin() error {
	if m := &c.api.memory; c.items.end != nil && !m.pin(&c.items) {
		return m.fullError()
	}
	return nil
}

// do calls a verb. Where the call's context has ended because it had to make room, that is the error.
func (c *call) do(ctx context.Context, do verb) error {
	err := do(ctx, c)
	if m := &c.api.memory; errors.Is(err, context.Canceled) && c.items.end != nil && m.isEvicted(&c.items) {
		return m.fullError() // nothing was sent: see pin
	}
	return err
}

// once calls a verb unless its operation is known to have another content.
func (c *call) once(ctx context.Context, do verb) error {
	m := c.api.requests
	r, err := m.begin(nameOf(c.caller), c.op.ID, m.contentOf(c))
	if err != nil {
		return err
	}
	applied := true // where it panics, nobody knows
	defer func() { r.end(applied) }()
	err = c.do(ctx, do)
	applied = err == nil || c.r.Context().Err() != nil || describe(err, true).Outcome != session.NotApplied.String()
	return err
}

// admit finds out who calls, and whether for what is theirs: before the rest is looked at,
// so that who may not learns nothing.
func (c *call) admit(g *gate, t traits) (err error) {
	c.gate, c.right = g, t.right
	c.ring = g.ring() // before the look-up, so that a change between them is seen
	if c.caller, err = g.caller(c.r); err != nil {
		return err
	}
	if err := g.pace(c.caller); err != nil {
		return err
	}
	name, err := c.param("app")
	if err == nil && (name == "." || name == "..") {
		err = badInput("application", fmt.Sprintf("%q can't stand in a path, because clients and proxies take such parts out of it: use an alias (apps in the server's configuration), or another name", name))
	}
	if err != nil {
		return err
	}
	apps := c.api.apps.Load()
	if c.ref.App, err = apps.find(name); err != nil {
		return err
	}
	if err := g.admit(c.caller, t.right, c.ref.App.Name); err != nil {
		return err
	}
	return apps.admit(c.ref.App, func(name string) bool { return c.caller == nil || c.caller.For(name) })
}

// decode reads what all verbs have in common, the cheap parts first.
func (c *call) decode(t traits) error {
	if err := c.decodeID(t); err != nil {
		return err
	}
	if c.r.URL.RawQuery != "" {
		if err := c.decodeQuery(); err != nil {
			return err
		}
	}
	h := c.r.Header
	if !t.conditional && (h["If-Match"] != nil || h["If-None-Match"] != nil) {
		return badInput("If-Match or If-None-Match", "has no meaning for this method; they are for PUT, the latter also for GET and HEAD")
	}
	var err error
	if t.timeout {
		if c.timeout, c.seconds, err = parseTimeout(h["Session-Timeout"]); err != nil {
			return err
		}
	}
	if !t.body {
		return withoutBody(c.w, c.r)
	}
	c.r.Body = bodyOf(c.r) // c.r is the router's copy
	if c.r.ContentLength < 0 {
		c.r.Body = chunkedBody{c.r.Body}
	}
	if c.body, err = c.api.memory.readItem(c.w, c.r, nameOf(c.caller), &c.items, c.ref.App.MaxItem); err != nil {
		if c.items.evicted { // by our own deadline, after which net/http believes that the client has left
			c.r = c.r.WithContext(context.WithoutCancel(c.r.Context()))
		}
		return err
	}
	c.r.Body = http.NoBody // read
	return nil
}

// decodeID finds the session.
func (c *call) decodeID(t traits) error {
	if t.noID {
		return nil
	}
	id, err := c.param("id")
	if err != nil {
		return err
	}
	switch id {
	case ".", "..":
		return badInput("session id", fmt.Sprintf("%q can't stand in a path, because clients and proxies take such parts out of it: write - there and the id in the header Session-ID, or use another id", id))
	case "-":
		if id, err = requiredHeader(c.r.Header, "Session-Id", "Session-ID"); err != nil {
			return err
		}
	}
	c.ref.ID, err = session.ParseID(id)
	return err
}

// param is a part of the path, decoded. chi matches the path as it came only if
// Go could not have encoded it the same way; otherwise it is decoded already.
func (c *call) param(name string) (string, error) {
	value := chi.URLParam(c.r, name)
	if c.r.URL.RawPath == "" {
		return value, nil
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return "", badInput("the path", "is not percent-encoded as it should be")
	}
	return decoded, nil
}

// decodeQuery reads the query and, of its parameters, wait.
func (c *call) decodeQuery() error {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return badInput("the query", "is not encoded as it should be")
	}
	c.query = query
	wait, ok, err := c.parameter("wait")
	if err != nil || !ok {
		return err
	}
	c.wait, err = parseWait(wait, c.api.limits.MaxWait)
	return err
}

// parameter is a query parameter that may be there once.
func (c *call) parameter(name string) (value string, ok bool, err error) {
	switch values := c.query[name]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, badInput("parameter "+name, "is there more than once")
}

// flag is a query parameter that has one possible value.
func (c *call) flag(name, only string) (bool, error) {
	value, ok, err := c.parameter(name)
	if ok && value != only {
		return false, badInput("parameter "+name, fmt.Sprintf("must be %s, if it is there", only))
	}
	return ok, err
}

// maxDiscard is how much of a refused item is read all the same. A client that
// reads no answer before it has sent everything would see a broken connection
// instead of the refusal.
const maxDiscard = 16 << 20

// discard reads what is left of a refused item, unless the client waits to be
// told to send it. What goes wrong is the client's to see.
func discard(r *http.Request) {
	if r.Header["Expect"] == nil {
		io.CopyN(io.Discard, r.Body, maxDiscard)
	}
}

// chunkedBody is a body whose length was not announced. Where it breaks off it does not end as io.ReadFull
// has a whole one end that is shorter than there is room for.
type chunkedBody struct{ io.ReadCloser }

var errBrokeOff = errors.New("it broke off before its end")

// Read implements io.Reader.
func (b chunkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = errBrokeOff
	}
	return n, err
}

// badBody is for a body that broke off: nothing was done with it.
func badBody(err error) error {
	return badInput("the body", fmt.Sprintf("could not be read whole: %v", err))
}

// extendWriteDeadline gives an answer that comes late by design its time. The
// server takes the deadline back after the request. A writer without deadlines
// (a test's recorder) needs none.
func extendWriteDeadline(w http.ResponseWriter, d time.Duration) {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the connection is broken; the write will tell
	}
}
