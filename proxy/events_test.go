package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// source is an EventSource with one subscriber.
type source struct {
	events  chan proxy.Event
	stopped chan struct{}
}

func newSource() *source {
	return &source{events: make(chan proxy.Event, 8), stopped: make(chan struct{})}
}

func (s *source) Events() (<-chan proxy.Event, func()) {
	return s.events, func() { close(s.stopped) }
}

// newAdmin returns the handler of an operators' listener with that source.
func newAdmin(t *testing.T, src proxy.EventSource) http.Handler {
	t.Helper()
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: api, Pair: &pair{}, Events: src})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// The text of the stream, event by event.
func TestEvents_Text(t *testing.T) {
	src := newSource()
	src.events <- proxy.Event{At: noon, Kind: "principal", Partner: "b", Epoch: 4, Detail: "b serves"}
	src.events <- proxy.Event{At: noon, Kind: "fault", Partner: "a", Detail: "crash"}
	close(src.events)
	rec := httptest.NewRecorder()
	newAdmin(t, src).ServeHTTP(rec, local("/v1/pair/events"))
	want := `id: 1
event: pair
data: {"principal":"a","sweep":{"leader":true}}

id: 2
event: principal
data: {"at":"2026-01-02T12:00:00Z","kind":"principal","partner":"b","epoch":4,"detail":"b serves"}

id: 3
event: fault
data: {"at":"2026-01-02T12:00:00Z","kind":"fault","partner":"a","detail":"crash"}

id: 4
event: end
data: {"reason":"this client reads too slowly; connect again"}

`
	if got := rec.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := rec.Header().Get("Content-Type"); got != "text/event-stream" || !rec.Flushed {
		t.Errorf("Content-Type %q, flushed %t", got, rec.Flushed)
	}
	<-src.stopped
}

func local(path string) *http.Request {
	return httptest.NewRequest("GET", "http://localhost"+path, nil)
}

// A stream without events sends a comment every 15 s, and ends when its client leaves.
func TestEvents_Heartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		h := newAdmin(t, src)
		ctx, leave := context.WithCancel(t.Context())
		rec := &lockedRecorder{ResponseRecorder: httptest.NewRecorder()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(rec, local("/v1/pair/events").WithContext(ctx))
		}()
		time.Sleep(15*time.Second - 1)
		synctest.Wait()
		if text := rec.text(); strings.Contains(text, "alive") {
			t.Errorf("too early: %q", text)
		}
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		if text := rec.text(); strings.Count(text, ": alive\n\n") != 3 {
			t.Errorf("after 45 s: %q, want three signs of life", text)
		}
		leave()
		<-done
		<-src.stopped
		if text := rec.text(); strings.Contains(text, "event: end") {
			t.Errorf("a client that left got %q", text)
		}
	})
}

// lockedRecorder is a recorder that can be read while it is written.
type lockedRecorder struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

// Write implements http.ResponseWriter.
func (l *lockedRecorder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ResponseRecorder.Write(p)
}

// Flush implements http.Flusher.
func (l *lockedRecorder) Flush() {}

func (l *lockedRecorder) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Body.String()
}

// A stream does not delay the drain, and says why it ends.
func TestEvents_Drain(t *testing.T) {
	src := newSource()
	url, stop, ended := run(t, newAdmin(t, src), proxy.ServerConfig{})
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/pair/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	src.events <- proxy.Event{At: noon, Kind: "role", Partner: "b", Detail: "mirror"}
	for line := ""; line != "event: role\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatalf("the event does not arrive: %v", err)
		}
	}
	stop()
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), `event: end`+"\n"+`data: {"reason":"the server is stopping"}`) {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	<-src.stopped
}

func TestEvents_Refuses(t *testing.T) {
	s := administer(t, &pair{}, proxy.Config{})
	s.wantProblem(404, "", "GET", "/v1/pair/events", "")
	src := newSource()
	s = administerWith(t, &pair{}, proxy.AdminConfig{Events: src})
	s.wantProblem(403, "forbidden", "GET", "/v1/pair/events", "", "Origin", "http://evil.example")
	s.wantProblem(405, "method-not-allowed", "POST", "/v1/pair/events", "")
}

// quiet is a source without events, for any number of subscribers.
type quiet struct{}

func (quiet) Events() (<-chan proxy.Event, func()) { return make(chan proxy.Event), func() {} }

// If one caller has all event streams and another one needs a stream, the newest of the first caller ends and says
// why.
func TestEvents_EachCallerHasATurn(t *testing.T) {
	keys, byName := ringOf(t, "flood:observe:", "good:observe:")
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	h, err := proxy.NewAdmin(proxy.AdminConfig{API: api, Pair: &pair{}, Events: quiet{}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, ended := run(t, h, proxy.ServerConfig{Keys: keys})
	v := &victim{t: t, url: url, addr: strings.TrimPrefix(url, "http://")}
	open := func(caller string) *http.Response {
		c := v.dial()
		fmt.Fprintf(c, "GET /v1/pair/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", byName[caller])
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	var newest *http.Response
	for range 100 {
		newest = open("flood")
	}
	if resp := open("flood"); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more of the same caller is answered %s", resp.Status)
	}
	if resp := open("good"); resp.StatusCode != http.StatusOK {
		t.Fatalf("the other caller is answered %s", resp.Status)
	}
	if text, err := io.ReadAll(newest.Body); err != nil || !strings.Contains(string(text), "event: end") || !strings.Contains(string(text), "a caller with fewer event streams") {
		t.Errorf("the stream that made room ends with %q, %v", text, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
