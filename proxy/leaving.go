package proxy

import (
	"net/http"
	"sync/atomic"
)

// Leaving says that a server will end soon. Its readiness check then fails, so that a load balancer sends nothing
// more, and its clients keep no connection that is about to be closed. The zero value is a server that keeps running.
// Any number of goroutines may use it.
type Leaving struct{ begun atomic.Bool }

// Begin marks the server as leaving, for good.
func (l *Leaving) Begin() { l.begun.Store(true) }

// Begun reports whether the server will end. For a nil Leaving it is false.
func (l *Leaving) Begun() bool { return l != nil && l.begun.Load() }

// closing is a header's value. It is shared; do not write to it.
var closing = []string{"close"}

// Wrap adds to the answers of a leaving server that the connection ends: each connection ends with its next answer,
// and none is cut while a client may use it. An HTTP/2 connection then takes no new requests.
func (l *Leaving) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Begun() {
			w.Header()["Connection"] = closing
		}
		next.ServeHTTP(w, r)
	})
}
