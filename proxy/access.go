package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// gate says who is let in. A listener has one. Any number of goroutines may use it.
type gate struct {
	keys *keyring.Keys // nil: anybody is let in
	// local says that whoever reaches an operators' listener may see and move the pair until a key
	// opens it. Sessions want a key all the same.
	local  bool
	counts *accessCounts
}

// AccessStats counts requests that were refused for their credential.
type AccessStats struct {
	NoCredential  uint64 // none, or none that can be read
	Unknown       uint64 // a key or a certificate of nobody's
	Expired       uint64
	NoRight       uint64 // a caller without the right to this
	NoApplication uint64 // a caller of other applications
	OverRate      uint64 // more than the key's rate
}

type accessCounts struct {
	none, unknown, expired, right, app, rate atomic.Uint64
}

func (c *accessCounts) stats() AccessStats {
	return AccessStats{
		NoCredential: c.none.Load(), Unknown: c.unknown.Load(), Expired: c.expired.Load(),
		NoRight: c.right.Load(), NoApplication: c.app.Load(), OverRate: c.rate.Load(),
	}
}

// caller finds out who calls: by the key in Authorization, or else by the certificate of the
// connection. nil without an error: anybody may, and nobody asks.
func (g *gate) caller(r *http.Request) (*keyring.Caller, error) {
	if g.keys == nil {
		return nil, nil
	}
	c, err := identify(g.keys.Ring(), r)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, keyring.ErrExpired):
		g.counts.expired.Add(1)
	case errors.Is(err, keyring.ErrUnknown):
		g.counts.unknown.Add(1)
	default:
		g.counts.none.Add(1)
	}
	return nil, &problemError{kindUnauthorized, err.Error()}
}

// operator is caller, for what of the operators' listener is not about sessions.
func (g *gate) operator(r *http.Request) (*keyring.Caller, error) {
	if g.local && g.keys != nil && !g.keys.Operators() {
		admitWithoutCredential(r)
		return nil, nil
	}
	return g.caller(r)
}

var (
	errNoCredential = errors.New("give a key: Authorization: Bearer ms_…")
	errNoBearer     = errors.New("the header Authorization is not one key: Authorization: Bearer ms_…")
)

// identify looks a request's credential up.
func identify(ring *keyring.Ring, r *http.Request) (*keyring.Caller, error) {
	switch values := r.Header["Authorization"]; {
	case len(values) == 1:
		scheme, key, ok := strings.Cut(values[0], " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return nil, errNoBearer
		}
		return ring.Key(key, time.Now())
	case len(values) > 1:
		return nil, errNoBearer
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return ring.Certificate(r.TLS.PeerCertificates[0], time.Now())
	}
	return nil, errNoCredential
}

// certificateOver reports whether the request has its caller by a certificate, and that has ended.
func certificateOver(r *http.Request, now time.Time) bool {
	return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && r.Header["Authorization"] == nil && now.After(r.TLS.PeerCertificates[0].NotAfter)
}

// admit says whether the caller may do this now. app is an application's lower-cased name.
func (g *gate) admit(c *keyring.Caller, right keyring.Right, app string) error {
	switch {
	case c == nil:
		return nil
	case !c.For(app):
		g.counts.app.Add(1)
		return &problemError{kindForbidden, "the key is not good for this application"}
	case !c.May(right, app):
		g.counts.right.Add(1)
		return &problemError{kindForbidden, "the key has not the right to this: " + right.String()}
	}
	return nil
}

// ring is the keys as they are now; nil: there are none.
func (g *gate) ring() *keyring.Ring {
	if g.keys == nil {
		return nil
	}
	return g.keys.Ring()
}

// still says whether a call that was admitted would be now. It costs next to nothing while no key has changed.
func (g *gate) still(c *call, right keyring.Right) error {
	if c.caller == nil {
		return nil
	}
	if now := time.Now(); g.ring() == c.ring && !c.caller.Expired(now) && !certificateOver(c.r, now) {
		return nil
	}
	caller, err := g.caller(c.r)
	if err != nil {
		return err
	}
	return g.admit(caller, right, c.ref.App.Name)
}

// pace takes one request out of the caller's bucket.
func (g *gate) pace(c *keyring.Caller) error {
	if c == nil || c.Bucket == nil || c.Bucket.Allow() {
		return nil
	}
	g.counts.rate.Add(1)
	return &problemError{kindOverloaded, "the key's rate is used up"}
}

// callerKey is the context key of an operators' request's caller.
type callerKey struct{}

// operators lets those in who may use the operators' listener: everybody to what open
// says, otherwise whoever has a right of an operator's.
func (g *gate) operators(report reporter, open func(path string) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if open(r.URL.Path) {
				next.ServeHTTP(w, r)
				return
			}
			c, err := g.operator(r)
			if err == nil && c != nil && c.Rights&keyring.Operators == 0 {
				g.counts.right.Add(1)
				err = &problemError{kindForbidden, "the key opens the session API, not the operators' listener: that wants the right observe or operator"}
			}
			if err != nil {
				report.fail(w, r, err, false)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
		})
	}
}

// showsKey reports whether a request shows a key that is good.
func (g *gate) showsKey(r *http.Request) bool {
	if g.keys == nil || len(r.Header["Authorization"]) == 0 {
		return false
	}
	_, err := identify(g.keys.Ring(), r)
	return err == nil
}

// operate lets those through who may change something. It stands behind operators.
func (g *gate) operate(report reporter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := callerOf(r)
			if c != nil && c.Rights&keyring.Operate == 0 {
				g.counts.right.Add(1)
				report.fail(w, r, &problemError{kindForbidden, "the key may look, and not act: this wants the right operator"}, false)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// stillOperates says whether who was let through operate would be now: an operator's request may come slowly.
func (g *gate) stillOperates(r *http.Request) error {
	c, err := g.operator(r)
	if err == nil && c != nil && c.Rights&keyring.Operate == 0 {
		g.counts.right.Add(1)
		err = &problemError{kindForbidden, "the key has no longer the right operator"}
	}
	return err
}

// stillOpen says whether the operators' listener is still open to who was let in before: a
// stream outlives its request's first moment.
func (g *gate) stillOpen(r *http.Request) bool {
	c, err := g.operator(r)
	return err == nil && (c == nil || c.Rights&keyring.Operators != 0)
}

// callerOf is who makes an operators' request; nil: nobody asked.
func callerOf(r *http.Request) *keyring.Caller {
	c, _ := r.Context().Value(callerKey{}).(*keyring.Caller)
	return c
}

// nameOf is who is answerable for a request, for logs and for operation ids; empty: nobody asked.
func nameOf(c *keyring.Caller) string {
	if c == nil {
		return ""
	}
	return c.Name
}
