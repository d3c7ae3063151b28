package chaos

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
)

// sendMode is how a client sends one request of a call.
type sendMode struct {
	hangsUp bool          // the client does not wait for the answer
	begun   bool          // it hangs up after the proxy has begun with the request; otherwise at any time
	after   time.Duration // how long after that it hangs up
	twin    bool          // one of two requests; the client hangs up when the other is answered
}

// plan is one round of a call: its requests, sent at the same moment.
type plan struct {
	requests []sendMode
	goes     bool // if it is not answered, the client never asks again
}

// plan returns how a round of the call is sent. If the call is not rude, the client sends it to one proxy and waits for
// the answer. It does the same in the last round of every call.
func (c *client) plan(rude bool, round int) plan {
	if len(c.plans) > 0 {
		p := c.plans[0]
		c.plans = c.plans[1:]
		return p
	}
	one := plan{requests: []sendMode{{}}}
	if !rude || round > resends {
		return one
	}
	n := c.random.IntN(20)
	switch {
	case round == 1 && n < 14, n < 3:
		p := plan{requests: []sendMode{c.hangUp()}}
		p.goes = round == 1 && c.random.IntN(15) == 0
		return p
	case round == 1, n < 9:
		return plan{requests: []sendMode{{twin: true}, {twin: true}}}
	}
	return one
}

// hangUp returns when a client hangs up: before the proxy has begun, or soon after.
func (c *client) hangUp() sendMode {
	m := sendMode{hangsUp: true, begun: c.random.IntN(4) > 0}
	if c.random.IntN(3) > 0 {
		m.after = time.Duration(c.random.Int64N(int64(8 * time.Millisecond)))
	}
	return m
}

// isRude reports whether the call is sent as rude clients do.
func (c *client) isRude(in input) bool {
	return c.rude > 0 && in.mutates() && c.random.IntN(c.rude) == 0
}

// try is one request as its proxy handles it. It tells clients when to hang up.
type try struct {
	name    string
	hangsUp bool          // its client may hang up
	begun   chan struct{} // closed when the proxy calls the store
	left    chan struct{} // closed when the proxy knows that its client has hung up
	ended   chan struct{} // closed when the proxy has finished with it

	mu     sync.Mutex
	struck bool
	at     time.Time // when it began; zero if it has not
}

// tryHeader is the request header with the name of a try.
const tryHeader = "Chaos-Try"

// underway are the tries by their names.
var (
	underway sync.Map
	tries    atomic.Int64
)

// tryKey is the context key of a try.
type tryKey struct{}

// newTry returns a try for the request that is sent with the context.
func newTry(ctx context.Context) (context.Context, *try) {
	t := &try{name: fmt.Sprint(tries.Add(1)), begun: make(chan struct{}), left: make(chan struct{}), ended: make(chan struct{})}
	return context.WithValue(ctx, tryKey{}, t), t
}

// begin records that the proxy calls the store. It returns false if the try was cancelled.
func (t *try) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.IsZero() && !t.struck {
		t.at = time.Now()
		close(t.begun)
	}
	return !t.struck
}

// strike cancels a request if its proxy has not begun with it. Nothing is promised for a request that nobody has read
// from its socket: the proxy can't know that it was sent before others were answered.
func (t *try) strike() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.struck = t.at.IsZero()
}

// beganAt returns when the proxy called the store; zero if it has not.
func (t *try) beganAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

// tellsTries is a client's transport that names the try in a request's header. A request that its client hangs up has
// its own connection: otherwise net/http may cancel the next request on that connection too.
type tellsTries struct {
	*http.Transport
	once *http.Transport // uses each connection once
}

func newTransport(known *tls.Config) tellsTries {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if known != nil {
		t.TLSClientConfig = known.Clone()
	}
	t.MaxIdleConnsPerHost = 64
	once := t.Clone()
	once.DisableKeepAlives = true
	if known != nil {
		// HTTP/1 only: now and then the transport closes an HTTP/2 connection for one request before the request.
		once.Protocols = new(http.Protocols)
		once.Protocols.SetHTTP1(true)
		once.TLSClientConfig = known.Clone() // a clone, because the other transport has added h2 to it
	}
	return tellsTries{t, once}
}

// RoundTrip implements http.RoundTripper.
func (t tellsTries) RoundTrip(r *http.Request) (*http.Response, error) {
	if try, ok := r.Context().Value(tryKey{}).(*try); ok {
		underway.Store(try.name, try)
		r = r.Clone(r.Context())
		r.Header.Set(tryHeader, try.name)
		if try.hangsUp {
			return t.once.RoundTrip(r)
		}
	}
	return t.Transport.RoundTrip(r)
}

// seesTries wraps a proxy's handler: it finds the try of a request, and records when it is left and when it ends.
func seesTries(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := underway.LoadAndDelete(r.Header.Get(tryHeader))
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		t := found.(*try)
		defer close(t.ended)
		defer context.AfterFunc(r.Context(), func() { close(t.left) })()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tryKey{}, t)))
	})
}

// begins wraps a proxy's store: a try that calls it has begun.
type begins struct{ session.Store }

// errStruck answers a cancelled try. No client waits for it.
var errStruck = fmt.Errorf("the request was cancelled: %w", session.ErrOverloaded)

// may records the beginning of a try; errStruck if the try was cancelled.
func (b begins) may(ctx context.Context) error {
	if t, ok := ctx.Value(tryKey{}).(*try); ok && !t.begin() {
		return errStruck
	}
	return nil
}

// Acquire implements session.Store.
func (b begins) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	if err := b.may(ctx); err != nil {
		return session.Session{}, session.Lock{}, err
	}
	return b.Store.Acquire(ctx, ref, op)
}

// Update implements session.Store.
func (b begins) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	if err := b.may(ctx); err != nil {
		return session.Session{}, err
	}
	return b.Store.Update(ctx, ref, lock, w, keep, op)
}

// Put implements session.Store.
func (b begins) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	if err := b.may(ctx); err != nil {
		return session.Session{}, err
	}
	return b.Store.Put(ctx, ref, w, cond, op)
}

// Release implements session.Store.
func (b begins) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	if err := b.may(ctx); err != nil {
		return err
	}
	return b.Store.Release(ctx, ref, lock, op)
}

// Remove implements session.Store.
func (b begins) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	if err := b.may(ctx); err != nil {
		return err
	}
	return b.Store.Remove(ctx, ref, lock, op)
}
