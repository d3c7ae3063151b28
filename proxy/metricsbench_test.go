package proxy

import (
	"context"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// deaf is a tracer that does nothing.
type deaf struct{}

func (deaf) Begin(r *http.Request, _ string) (context.Context, func(CallEnd)) {
	return r.Context(), func(CallEnd) {}
}

// readHandlers returns handlers of a read of the session API: as it is, without counting, and with a tracer that does
// nothing.
func readHandlers(b *testing.B) map[string]http.Handler {
	store := memory.New(nil)
	ref := session.Ref{App: &session.Application{Name: "/lm/w3svc/1/root"}, ID: "abc"}
	if _, err := store.Put(b.Context(), ref, session.Write{Item: make([]byte, 1024)}, session.Condition{}, session.NewOperation()); err != nil {
		b.Fatal(err)
	}
	made := func(tracer Tracer) *API {
		api, err := NewAPI(Config{Store: store, Hosts: []string{"example.com"}, Tracer: tracer})
		if err != nil {
			b.Fatal(err)
		}
		return api
	}
	api := made(nil)
	mux := newRouter(api.report)
	mux.Get("/v1/apps/{app}/sessions/{id}", func(w http.ResponseWriter, r *http.Request) {
		c := call{api: api, w: w, r: r}
		if err := c.run(api.gate, get, traits{conditional: true, right: keyring.Read}); err != nil {
			api.report.fail(w, r, err, false)
		}
	})
	return map[string]http.Handler{"uncounted": mux, "counted": api, "traced": made(deaf{})}
}

// BenchmarkHandle runs the handlers in turn, so that other load of the machine affects all of them, and reports the
// median of each. Without a tracer, tracing costs one comparison, which is part of "counted".
//
//	go test -run '^$' -bench 'Handle$' -benchtime 200000x ./proxy
func BenchmarkHandle(b *testing.B) {
	handlers := readHandlers(b)
	r := httptest.NewRequest("GET", "/v1/apps/default/sessions/abc", nil)
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, h := range handlers {
			w := httptest.NewRecorder()
			began := time.Now()
			h.ServeHTTP(w, r)
			took[name] = append(took[name], time.Since(began))
			if w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2]), name+"-ns")
	}
}

// BenchmarkCounting measures what counting adds to a request.
func BenchmarkCounting(b *testing.B) {
	rm := newRequestMetrics().route("GET", "/x")
	b.ReportAllocs()
	for b.Loop() {
		began := rm.begin()
		rm.ok.Inc()
		rm.end(began)
	}
}

// Counting a request allocates nothing.
func TestCounting_TakesNoMemory(t *testing.T) {
	rm := newRequestMetrics().route("GET", "/x")
	if n := testing.AllocsPerRun(1000, func() {
		began := rm.begin()
		rm.ok.Inc()
		rm.end(began)
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}
