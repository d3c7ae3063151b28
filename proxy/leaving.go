package proxy

import (
	"net/http"
	"sync/atomic"
)

// Leaving records that a server will end soon. The readiness check then fails, so that a load balancer sends no more
// requests, and each connection ends after its next answer. The zero value means that the server keeps running. Any
// number of goroutines may use it.
type Leaving struct{ begun atomic.Bool }

// Begin records that the server will end. This cannot be undone.
func (l *Leaving) Begin() { l.begun.Store(true) }

// Begun reports whether the server will end. It returns false for a nil Leaving.
func (l *Leaving) Begun() bool { return l != nil && l.begun.Load() }

// Wrap adds Connection: close to the answers of a server that will end. So each connection ends after its next answer,
// and no connection is closed while a client uses it. An HTTP/2 connection takes no new requests.
func (l *Leaving) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Begun() {
			w.Header()["Connection"] = closes
		}
		next.ServeHTTP(w, r)
	})
}
