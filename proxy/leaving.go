package proxy

import (
	"net/http"
	"sync/atomic"
)

// Leaving tells that a server will end soon: those who ask whether it is ready, so that a balancer sends nothing more,
// and its clients, so that they keep no connection that is about to go. The zero value is a server
// that stays. Any number of goroutines may use it.
type Leaving struct{ begun atomic.Bool }

// Begin begins it. It does not end.
func (l *Leaving) Begin() { l.begun.Store(true) }

// Begun says whether the server will end. A nil Leaving stays.
func (l *Leaving) Begun() bool { return l != nil && l.begun.Load() }

// closing is the header's value; shared, and not to be written to.
var closing = []string{"close"}

// Wrap has the answers of a server that is leaving say so: each connection ends with the next answer on it, and
// none is cut while a client believes that it can be used. Of HTTP/2 the connection then takes no new requests.
func (l *Leaving) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Begun() {
			w.Header()["Connection"] = closing
		}
		next.ServeHTTP(w, r)
	})
}
