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

// verb implements one method of the contract. It calls the store and writes the answer, and returns nil. If it returns
// an error, it has written nothing, and its caller answers with the problem.
type verb func(ctx context.Context, c *call) error

// traits are the properties of a verb that the steps before it depend on.
type traits struct {
	mutates     bool // changes sessions: the call has an operation id, and its outcome is unknown after a timeout
	body        bool // takes an item
	timeout     bool // takes Session-Timeout
	conditional bool // reads If-Match or If-None-Match itself
	noID        bool // the path has no session id
	varies      bool // two requests with the same operation id may have different contents, so the contents are compared
	right       keyring.Right
}

// call is one request of the session API, decoded.
type call struct {
	api     *API
	base    string // the prefix of paths in the answer
	gate    *gate
	caller  *keyring.Caller // nil: callers are not authenticated
	ring    *keyring.Ring   // the keys with which the caller was authenticated
	right   keyring.Right   // the rights that the call needs
	items   itemShare       // the bytes of items that the call has in memory
	named   session.CallerContext
	w       http.ResponseWriter
	r       *http.Request
	began   time.Time // when the headers had arrived; the body may arrive later
	ref     session.Ref
	op      session.Operation // its id is zero without an Idempotency-Key
	timeout int               // Session-Timeout in minutes, rounded up; 0: no such header
	seconds int               // Session-Timeout if it is given in seconds; otherwise 0
	wait    time.Duration     // ?wait=
	query   url.Values        // nil: no query
	body    []byte
	etag    string // the session's sealed tag; empty: not sealed yet
	values  headerValues

	registers bool // MayRegister has counted the application
}

// handle returns the handler of a verb behind a gate. It counts requests in rm.
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
		c.logSession(w)
		if err != nil {
			a.report.fail(w, c.r, err, t.mutates)
			return
		}
		rm.ok.Inc()
	}
}

// forget removes the call's items from the bytes of items in memory.
func (c *call) forget() { c.api.memory.giveBack(&c.items) }

// context returns the request's context, with the caller's name for the store.
func (c *call) context() context.Context {
	name := nameOf(c.caller)
	if name == "" {
		return c.r.Context()
	}
	if c.named.Context == nil { // the store may use it already
		c.named = session.CallerContext{Context: c.r.Context(), Caller: name}
	}
	return &c.named
}

// run authorizes and decodes the request, and calls its verb.
func (c *call) run(g *gate, do verb, t traits) error {
	if err := c.authorize(g, t); err != nil {
		return err
	}
	if err := c.decode(t); err != nil {
		return err
	}
	// The body has arrived, so the deadline starts now. The server's ReadTimeout bounds how long the body takes.
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
		return c.doUnlessMismatch(ctx, do)
	}
	return c.do(ctx, do)
}

// evictable records that the call begins to wait: its item may be evicted until pin is called. If the item was evicted
// before, it returns an error, and the call must end. A call without an item in memory, or without a named caller, is
// never evicted.
func (c *call) evictable() error {
	if m := &c.api.memory; c.items.end != nil && !m.evictable(&c.items, endCall) {
		return m.fullError()
	}
	return nil
}

// pin records that the store is about to send the call: its item can no longer be evicted. If the item was evicted
// before, it returns an error, and the call must end.
func (c *call) pin() error {
	if m := &c.api.memory; c.items.end != nil && !m.pin(&c.items) {
		return m.fullError()
	}
	return nil
}

// do calls a verb. If the call's context ended because its item was evicted, it returns an overload.
func (c *call) do(ctx context.Context, do verb) error {
	err := do(ctx, c)
	if m := &c.api.memory; errors.Is(err, context.Canceled) && c.items.end != nil && m.isEvicted(&c.items) {
		return m.fullError() // nothing was sent: see pin
	}
	return err
}

// doUnlessMismatch calls a verb unless another request with the same operation id had another content.
func (c *call) doUnlessMismatch(ctx context.Context, do verb) error {
	m := c.api.requests
	r, err := m.begin(nameOf(c.caller), c.op.ID, m.contentOf(c))
	if err != nil {
		return err
	}
	applied := true // after a panic it is not known
	defer func() { r.end(applied) }()
	err = c.do(ctx, do)
	applied = err == nil || c.r.Context().Err() != nil || describe(err, true).Outcome != session.NotApplied.String()
	return err
}

// authorize authenticates the caller and checks its rights to the application. It is the first step of a call, so that
// an unauthorized caller learns nothing.
func (c *call) authorize(g *gate, t traits) (err error) {
	c.gate, c.right = g, t.right
	c.ring = g.ring() // before the caller is looked up, so that a change of the keys in between is noticed
	if c.caller, err = g.caller(c.r); err != nil {
		return err
	}
	if err := g.pace(c.caller); err != nil {
		return err
	}
	name, err := c.param("app")
	if err == nil && (name == "." || name == "..") {
		err = badInput("application", fmt.Sprintf("%q cannot be a part of a path, because clients and proxies remove it: use an alias (apps in the server's configuration), or another name", name))
	}
	if err != nil {
		return err
	}
	apps := c.api.apps.Load()
	if c.ref.App, err = apps.find(name); err != nil {
		return err
	}
	if err := g.checkRight(c.caller, t.right, c.ref.App.Name); err != nil {
		return err
	}
	return apps.checkConfigured(c.ref.App, func(name string) bool { return c.caller == nil || c.caller.For(name) })
}

// decode decodes the parts of a request that all verbs have, with the cheap checks first.
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
		if c.items.evicted { // our read deadline ended the body, and net/http takes that for a client that left
			c.r = c.r.WithContext(context.WithoutCancel(c.r.Context()))
		}
		return err
	}
	c.r.Body = http.NoBody // read
	return nil
}

// decodeID reads the session's id.
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
		return badInput("session id", fmt.Sprintf("%q cannot be a part of a path, because clients and proxies remove it: write - in the path and the id in the header Session-ID, or use another id", id))
	case "-":
		if id, err = requiredHeader(c.r.Header, "Session-Id", "Session-ID"); err != nil {
			return err
		}
	}
	c.ref.ID, err = session.ParseID(id)
	return err
}

// param returns a part of the path, decoded. chi matches the escaped path only if Go would escape it in another way;
// otherwise the part is decoded already.
func (c *call) param(name string) (string, error) {
	value := chi.URLParam(c.r, name)
	if c.r.URL.RawPath == "" {
		return value, nil
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return "", badInput("the path", "has an invalid percent-encoding")
	}
	return decoded, nil
}

// decodeQuery reads the query, and the parameter wait.
func (c *call) decodeQuery() error {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return badInput("the query", "has an invalid encoding")
	}
	c.query = query
	wait, ok, err := c.parameter("wait")
	if err != nil || !ok {
		return err
	}
	c.wait, err = parseWait(wait, c.api.limits.MaxWait)
	return err
}

// parameter returns a query parameter that may be given once.
func (c *call) parameter(name string) (value string, ok bool, err error) {
	switch values := c.query[name]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, badInput("parameter "+name, "is given more than once")
}

// flag reports whether a query parameter is given. Its only possible value is only.
func (c *call) flag(name, only string) (bool, error) {
	value, ok, err := c.parameter(name)
	if ok && value != only {
		return false, badInput("parameter "+name, fmt.Sprintf("must be %s, if it is given", only))
	}
	return ok, err
}

// maxDiscard is how many bytes of a refused item are read and discarded. Some clients read no answer before they have
// sent everything; without this they would see a broken connection instead of the refusal.
const maxDiscard = 16 << 20

// discard reads the rest of a refused item, unless the client waits for permission to send it. It ignores errors.
func discard(r *http.Request) {
	if r.Header["Expect"] == nil {
		io.CopyN(io.Discard, r.Body, maxDiscard)
	}
}

// chunkedBody is a body without a Content-Length. If it breaks off, its error differs from the one with which
// io.ReadFull reports a whole body that is shorter than the buffer.
type chunkedBody struct{ io.ReadCloser }

var errBrokeOff = errors.New("it ended too early")

// Read implements io.Reader.
func (b chunkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = errBrokeOff
	}
	return n, err
}

// badBody returns the error of a body that could not be read. Nothing was done with it.
func badBody(err error) error {
	return badInput("the body", fmt.Sprintf("could not be read to its end: %v", err))
}

// extendWriteDeadline extends the deadline of an answer that may be written late. The server resets the deadline after
// the request. It does nothing for a writer without deadlines, such as a test's recorder.
func extendWriteDeadline(w http.ResponseWriter, d time.Duration) {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the connection is broken, and the write will fail
	}
}
