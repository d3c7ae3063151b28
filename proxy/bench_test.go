package proxy_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// The cost of the handler is the difference between these two: a bare handler makes the same calls of the same store.
//
//	go test -bench Handler -benchmem ./proxy
func BenchmarkHandler(b *testing.B) {
	app := session.Application{Name: "/lm/w3svc/1/root"}.WithDefaults()
	bare := func(store session.Store) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ref := session.Ref{App: &app, ID: session.ID(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])}
			if r.Method == http.MethodPut {
				body, err := io.ReadAll(r.Body)
				if err == nil {
					_, err = store.Put(r.Context(), ref, session.Write{Item: body}, session.Condition{}, session.Operation{})
				}
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				w.WriteHeader(http.StatusNoContent)
				return
			}
			s, err := store.Get(r.Context(), ref, session.GetOptions{})
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(s.Item)
		})
	}
	ours := func(store session.Store) http.Handler {
		api, err := proxy.NewAPI(proxy.Config{Store: store, Hosts: []string{"example.com"}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		return api
	}
	for _, h := range []struct {
		name string
		make func(session.Store) http.Handler
	}{{"bare", bare}, {"proxy", ours}} {
		for _, method := range []string{"GET", "PUT"} {
			b.Run(method+"/"+h.name, func(b *testing.B) { benchHandler(b, h.make(memory.New(nil)), method) })
			b.Run(method+"/socket/"+h.name, func(b *testing.B) { benchSocket(b, h.make(memory.New(nil)), method) })
		}
	}
}

// target is the path of the benchmarks' session; body is its item of 1 KB.
const target = "/v1/apps/default/sessions/abcdefghijklmnopqrstuvwx"

// localhost is a Host that needs no key.
const localhost = "http://localhost"

var body = strings.Repeat("x", 1024)

// benchHandler calls the handler without a connection.
func benchHandler(b *testing.B, h http.Handler, method string) {
	w := &sink{header: make(http.Header)}
	h.ServeHTTP(w, httptest.NewRequest("PUT", localhost+target, strings.NewReader(body)))
	reader := strings.NewReader(body)
	req := httptest.NewRequest(method, localhost+target, reader)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, req)
	}
	if w.status >= 400 {
		b.Fatalf("got %d", w.status)
	}
}

// benchSocket calls the handler over loopback.
func benchSocket(b *testing.B, h http.Handler, method string) {
	srv := httptest.NewServer(h)
	defer srv.Close()
	client := srv.Client()
	call := func(method string) {
		var content io.Reader
		if method == "PUT" {
			content = strings.NewReader(body)
		}
		req, err := http.NewRequestWithContext(b.Context(), method, srv.URL+target, content)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode >= 400 {
			b.Fatalf("got %s", resp.Status)
		}
	}
	call("PUT")
	for b.Loop() {
		call(method)
	}
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkLockCycle takes the lock, and stores and releases with its handle, without a connection.
func BenchmarkLockCycle(b *testing.B) {
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Hosts: []string{"example.com"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	w := &sink{header: make(http.Header)}
	reader := strings.NewReader(body)
	api.ServeHTTP(w, httptest.NewRequest("PUT", localhost+target, reader))
	lock, put := httptest.NewRequest("POST", localhost+target+"/lock", nil), httptest.NewRequest("PUT", localhost+target, reader)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		api.ServeHTTP(w, lock)
		put.Header["Session-Lock"] = w.header["Session-Lock"]
		reader.Reset(body)
		clear(w.header)
		api.ServeHTTP(w, put)
	}
	if w.status != http.StatusNoContent {
		b.Fatalf("got %d", w.status)
	}
}

// BenchmarkHandOver measures how a lock goes from one to the next of eight callers that wait for it.
func BenchmarkHandOver(b *testing.B) {
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Hosts: []string{"example.com"}})
	if err != nil {
		b.Fatal(err)
	}
	api.ServeHTTP(&sink{header: make(http.Header)}, httptest.NewRequest("PUT", localhost+target, strings.NewReader(body)))
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := &sink{header: make(http.Header)}
			api.ServeHTTP(w, httptest.NewRequest("POST", localhost+target+"/lock?wait=60s", nil))
			req := httptest.NewRequest("DELETE", localhost+target+"/lock", nil)
			req.Header["Session-Lock"] = w.header["Session-Lock"]
			w = &sink{header: make(http.Header)}
			if api.ServeHTTP(w, req); w.status != http.StatusNoContent {
				b.Errorf("release: got %d", w.status)
				return
			}
		}
	})
}

// BenchmarkAccess is what a key costs beside a server that asks nobody: in the handler
// alone, and over loopback.
//
//	go test -run '^$' -bench Access -count 5 ./proxy
func BenchmarkAccess(b *testing.B) {
	path := filepath.Join(b.TempDir(), "keys.json")
	key, _, err := keyring.Add(path, keyring.Entry{Name: "n", Apps: []string{"default"}, Rights: []string{"read", "write"}}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	resolve, err := proxy.Names(nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, method := range []string{"GET", "PUT"} {
		for _, kind := range []string{"open", "key", "key and rate"} {
			o := keyring.Options{Path: path, Resolve: resolve}
			if kind == "key and rate" {
				o.Rate, o.Burst = 1e9, 1e9
			}
			var keys *keyring.Keys
			if kind != "open" {
				if keys, err = keyring.Open(o); err != nil {
					b.Fatal(err)
				}
			}
			api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: keys})
			if err != nil {
				b.Fatal(err)
			}
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header["Authorization"] = []string{"Bearer " + key} // has the same cost each time
				api.ServeHTTP(w, r)
			})
			b.Run(method+"/"+kind, func(b *testing.B) { benchHandler(b, h, method) })
			b.Run(method+"/socket/"+kind, func(b *testing.B) { benchSocket(b, h, method) })
		}
	}
}

// BenchmarkAccessBeside asks two servers in turn, one of which wants a key, over loopback,
// and reports what the key adds in percent of a request to the other: in turn, because two
// runs after each other differ by more than that.
func BenchmarkAccessBeside(b *testing.B) {
	path := filepath.Join(b.TempDir(), "keys.json")
	key, _, err := keyring.Add(path, keyring.Entry{Name: "n", Apps: []string{"default"}, Rights: []string{"read", "write"}}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	resolve, err := proxy.Names(nil)
	if err != nil {
		b.Fatal(err)
	}
	keys, err := keyring.Open(keyring.Options{Path: path, Resolve: resolve})
	if err != nil {
		b.Fatal(err)
	}
	var clients [2]func()
	for i, k := range []*keyring.Keys{nil, keys} {
		api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: k})
		if err != nil {
			b.Fatal(err)
		}
		srv := httptest.NewServer(api)
		defer srv.Close()
		send := func(method string, body io.Reader) {
			req, err := http.NewRequestWithContext(b.Context(), method, srv.URL+target, body)
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+key)
			resp, err := srv.Client().Do(req)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode >= 400 {
				b.Fatalf("got %s", resp.Status)
			}
		}
		send("PUT", strings.NewReader(body))
		clients[i] = func() { send("GET", nil) }
	}
	var samples [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		for i := range 2 {
			which := (n + i) % 2
			began := time.Now()
			clients[which]()
			samples[which] = append(samples[which], time.Since(began))
		}
	}
	for i := range samples {
		slices.Sort(samples[i])
	}
	open, keyed := samples[0][len(samples[0])/2], samples[1][len(samples[1])/2]
	b.ReportMetric(float64(open.Nanoseconds()), "open-p50-ns")
	b.ReportMetric(float64(keyed.Nanoseconds()), "keyed-p50-ns")
	b.ReportMetric(100*(float64(keyed)/float64(open)-1), "added-%")
}
