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

// gate authenticates the callers of a listener and checks their rights. Any number of goroutines may use it.
type gate struct {
	keys *keyring.Keys // nil: every caller is admitted
	// local means that callers of the operators' listener need no key until some key has an operator's right.
	// Sessions always need a key.
	local  bool
	counts *accessCounts
}

// AccessStats counts requests that were refused because of their credential.
type AccessStats struct {
	NoCredential  uint64 // no credential, or a malformed one
	Unknown       uint64 // an unknown key or certificate
	Expired       uint64
	NoRight       uint64 // a caller without the right that the request needs
	NoApplication uint64 // a caller whose key is for other applications
	OverRate      uint64 // more requests than the key's rate
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

// caller authenticates the caller: by the key in Authorization, or else by the certificate of the connection. It
// returns nil without an error if callers are not authenticated.
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

// operator authenticates the caller of the operators' listener, for everything but sessions.
func (g *gate) operator(r *http.Request) (*keyring.Caller, error) {
	if g.local && g.keys != nil && !g.keys.Operators() {
		admitWithoutCredential(r)
		return nil, nil
	}
	return g.caller(r)
}

var (
	errNoCredential = errors.New("no credential: send a key in Authorization: Bearer ms_…")
	errNoBearer     = errors.New("the header Authorization must have one key: Authorization: Bearer ms_…")
)

// identify returns the caller to whom a request's credential belongs.
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

// certificateExpired reports whether the request is authenticated by a certificate, and the certificate has expired.
func certificateExpired(r *http.Request, now time.Time) bool {
	return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && r.Header["Authorization"] == nil && now.After(r.TLS.PeerCertificates[0].NotAfter)
}

// checkRight returns an error if the caller does not have the right. app is an application's lower-cased name.
func (g *gate) checkRight(c *keyring.Caller, right keyring.Right, app string) error {
	switch {
	case c == nil:
		return nil
	case !c.For(app):
		g.counts.app.Add(1)
		return &problemError{kindForbidden, "the key is not valid for this application"}
	case !c.May(right, app):
		g.counts.right.Add(1)
		return &problemError{kindForbidden, "the key lacks the right: " + right.String()}
	}
	return nil
}

// ring returns the current keys; nil: callers are not authenticated.
func (g *gate) ring() *keyring.Ring {
	if g.keys == nil {
		return nil
	}
	return g.keys.Ring()
}

// recheck checks again whether an authorized call may go on. It costs almost nothing while no key has changed.
func (g *gate) recheck(c *call, right keyring.Right) error {
	if c.caller == nil {
		return nil
	}
	if now := time.Now(); g.ring() == c.ring && !c.caller.Expired(now) && !certificateExpired(c.r, now) {
		return nil
	}
	caller, err := g.caller(c.r)
	if err != nil {
		return err
	}
	return g.checkRight(caller, right, c.ref.App.Name)
}

// pace takes one request from the caller's rate.
func (g *gate) pace(c *keyring.Caller) error {
	if c == nil || c.Bucket == nil || c.Bucket.Allow() {
		return nil
	}
	g.counts.rate.Add(1)
	return &problemError{kindOverloaded, "the key has used up its rate"}
}

// callerKey is the context key of the caller of an operators' request.
type callerKey struct{}

// operators is the middleware of the operators' listener. Any caller may use the paths for which open returns true.
// For other paths a caller needs the right observe or operator.
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
				err = &problemError{kindForbidden, "the key is for the session API: the operators' listener needs the right observe or operator"}
			}
			if err != nil {
				report.fail(w, r, err, false)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
		})
	}
}

// showsKey reports whether a request has a valid key in its header. A certificate does not count.
func (g *gate) showsKey(r *http.Request) bool {
	if g.keys == nil || len(r.Header["Authorization"]) == 0 {
		return false
	}
	_, err := identify(g.keys.Ring(), r)
	return err == nil
}

// operate is the middleware of routes that need the right operator. The middleware operators must run before it.
func (g *gate) operate(report reporter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := callerOf(r)
			if c != nil && c.Rights&keyring.Operate == 0 {
				g.counts.right.Add(1)
				report.fail(w, r, &problemError{kindForbidden, "the key may observe only: this needs the right operator"}, false)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// stillOperates checks again, after the body has arrived, whether the caller has the right operator.
func (g *gate) stillOperates(r *http.Request) error {
	c, err := g.operator(r)
	if err == nil && c != nil && c.Rights&keyring.Operate == 0 {
		g.counts.right.Add(1)
		err = &problemError{kindForbidden, "the key has lost the right operator"}
	}
	return err
}

// stillOpen reports whether the caller of an event stream may still use the operators' listener. Its key may have been
// revoked since the stream began.
func (g *gate) stillOpen(r *http.Request) bool {
	c, err := g.operator(r)
	return err == nil && (c == nil || c.Rights&keyring.Operators != 0)
}

// callerOf returns the caller of an operators' request; nil: the caller was not authenticated.
func callerOf(r *http.Request) *keyring.Caller {
	c, _ := r.Context().Value(callerKey{}).(*keyring.Caller)
	return c
}

// nameOf returns the caller's name, for logs, operation ids and bounds; empty: callers are not authenticated.
func nameOf(c *keyring.Caller) string {
	if c == nil {
		return ""
	}
	return c.Name
}
