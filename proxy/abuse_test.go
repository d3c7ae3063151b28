package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// soon is the longest time that a test waits for the server.
const soon = 20 * time.Second

// victim is a server with one session, which the abusive clients must not change.
type victim struct {
	t      *testing.T
	store  *watched
	api    *proxy.API
	url    string
	addr   string
	secret string
	stats  func() proxy.ConnectionStats
	stop   func()
	ended  <-chan error
}

// abused starts a server as in production, with the limits of the test.
func abused(t *testing.T, cfg proxy.Config, limits proxy.ServerLimits) *victim {
	t.Helper()
	v := &victim{t: t, store: &watched{Store: memory.New(nil)}, secret: "the victim's item"}
	cfg.Store = v.store
	cfg.Hosts = []string{"x", "y", "other"} // requests written by hand use these names
	var err error
	if v.api, err = proxy.NewAPI(cfg); err != nil {
		t.Fatal(err)
	}
	rules := proxy.ServerConfig{Limits: limits, Watch: func(stats func() proxy.ConnectionStats) { v.stats = stats }, OnDrain: v.api.StopWaiting}
	v.url, v.stop, v.ended = run(t, v.api, rules)
	v.addr = strings.TrimPrefix(v.url, "http://")
	if status, _ := v.raw("PUT /v1/apps/default/sessions/victim HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 17\r\n\r\n" + v.secret); !strings.HasPrefix(status, "HTTP/1.1 201") {
		t.Fatalf("the session could not be made: %s", status)
	}
	t.Cleanup(func() {
		v.stop()
		if err := <-v.ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return v
}

// dial connects. The connection is closed when the test ends.
func (v *victim) dial() net.Conn {
	v.t.Helper()
	c, err := new(net.Dialer).DialContext(v.t.Context(), "tcp", v.addr)
	if err != nil {
		v.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(soon))
	v.t.Cleanup(func() { c.Close() })
	return c
}

// raw sends bytes. It returns the first line and the whole of what the server answers until it closes.
func (v *victim) raw(text string) (status, all string) {
	v.t.Helper()
	c := v.dial()
	defer c.Close()
	io.WriteString(c, text) // the server may close before it has read everything
	read, _ := io.ReadAll(io.LimitReader(c, 1<<20))
	status, _, _ = strings.Cut(string(read), "\r\n")
	return status, string(read)
}

// unharmed checks that the session is unchanged and that the server still serves.
func (v *victim) unharmed(what string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), soon)
	defer cancel()
	if body, err := get(ctx, v.url+"/v1/apps/default/sessions/victim?peek=true"); err != nil || body != v.secret {
		v.t.Errorf("%s: the session is %q, %v", what, body, err)
	}
}

// A client that sends its request slowly loses its connection, and other clients are served.
func TestAbuse_Slow(t *testing.T) {
	v := abused(t, proxy.Config{}, proxy.ServerLimits{HeaderTimeout: 300 * time.Millisecond, BodyTimeout: 600 * time.Millisecond, IdleTimeout: 300 * time.Millisecond})
	for name, begin := range map[string]string{
		"nothing at all":    "",
		"half a line":       "GET /v1/apps/def",
		"half the headers":  "GET /v1/apps/default/sessions/victim HTTP/1.1\r\nHost: x\r\nX-A: ",
		"half a body":       "PUT /v1/apps/default/sessions/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nxxx",
		"half a chunk":      "PUT /v1/apps/default/sessions/slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFF\r\nxxx",
		"nothing after one": "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		began := time.Now()
		c := v.dial()
		io.WriteString(c, begin)
		dribble := make(chan struct{})
		go func() {
			defer close(dribble)
			if strings.HasPrefix(begin, "PUT") || strings.Contains(begin, "X-A") { // a byte from time to time does not keep a connection open
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for range tick.C {
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
				}
			}
		}()
		_, err := io.Copy(io.Discard, c)
		c.Close()
		<-dribble
		if took := time.Since(began); took > soon/2 {
			t.Errorf("%s: the connection was kept for %v (%v)", name, took, err)
		}
		v.unharmed(name)
	}
}

// Requests that two parsers could read in different ways are refused, or read as one request. A request hidden in
// them is not executed.
func TestAbuse_Smuggling(t *testing.T) {
	v := abused(t, proxy.Config{}, proxy.ServerLimits{IdleTimeout: 500 * time.Millisecond})
	const hidden = "DELETE /v1/apps/default/sessions/victim HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	const put = "PUT /v1/apps/default/sessions/other HTTP/1.1\r\nHost: x\r\n"
	length := fmt.Sprint("Content-Length: ", len(hidden), "\r\n")
	for name, text := range map[string]string{
		"a length and chunks, hidden in the length": put + length + "Transfer-Encoding: chunked\r\n\r\n" + hidden,
		"two lengths":                      put + "Content-Length: 0\r\n" + length + "\r\n" + hidden,
		"two lengths in one":               put + fmt.Sprint("Content-Length: 0, ", len(hidden)) + "\r\n\r\n" + hidden,
		"a length with a plus":             put + fmt.Sprint("Content-Length: +", len(hidden)) + "\r\n\r\n" + hidden,
		"a negative length":                put + "Content-Length: -1\r\n\r\n" + hidden,
		"a length in hexadecimal":          put + "Content-Length: 0x0\r\n\r\n" + hidden,
		"an empty length":                  put + "Content-Length: \r\n\r\n" + hidden,
		"another coding":                   put + "Transfer-Encoding: xchunked\r\n\r\n" + hidden,
		"two codings":                      put + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
		"two headers of codings":           put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"a blank before the colon":         put + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"a vertical tab before the coding": put + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
		"a header with a NUL":              put + "X-A: a\x00b\r\n" + length + "\r\n" + hidden,
		"a header with a lone CR":          put + "X-A: a\rTransfer-Encoding: chunked\r\n" + length + "\r\n" + hidden,
		"a folded header":                  put + "Transfer-Encoding:\r\n chunked\r\n" + "X-B: 1\r\n\r\n" + "5\r\nxxxx\r\n" + hidden,
		"a line without a name":            put + ": chunked\r\n\r\n" + hidden,
		"a chunk with a broken size":       put + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + hidden,
		"a chunk with a lone LF":           put + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + hidden,
		"a chunk size beyond 64 bits":      put + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + hidden,
		"a chunk that ends too late":       put + "Transfer-Encoding: chunked\r\n\r\n1\r\nxx0\r\n\r\n" + hidden,
		"a body with GET":                  "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n" + length + "Connection: close\r\n\r\n" + hidden,
		"two hosts":                        "PUT /v1/apps/default/sessions/other HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + length + "\r\n" + hidden,
		"no host":                          "PUT /v1/apps/default/sessions/other HTTP/1.1\r\n" + length + "\r\n" + hidden,
		"HTTP/1.0 with chunks":             "PUT /v1/apps/default/sessions/other HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden,
		"a length with lone LFs":           strings.ReplaceAll(put+length+"\r\n", "\r\n", "\n") + hidden,
		"no version":                       "GET /openapi.yaml\r\n" + hidden,
		"another version":                  "GET /openapi.yaml HTTP/9.9\r\nHost: x\r\n\r\n" + hidden,
		"a method with a NUL":              "PU\x00T / HTTP/1.1\r\nHost: x\r\n\r\n" + hidden,
		"HTTP/2 in the clear":              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden,
		"a connection to elsewhere":        "CONNECT example.net:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"an upgrade":                       "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
	} {
		status, all := v.raw(text)
		if strings.Contains(all, " 204 ") && strings.Count(all, "HTTP/1.") > 1 || strings.HasPrefix(status, "HTTP/1.1 5") && !strings.Contains(status, "501") && !strings.Contains(status, "505") {
			t.Errorf("%s: answered %q", name, all)
		}
		v.unharmed(name)
	}
}

// Paths that could be read in another way than they are routed reach no session.
func TestAbuse_Paths(t *testing.T) {
	v := abused(t, proxy.Config{}, proxy.ServerLimits{})
	before := v.store.calls()
	const base = "/v1/apps/default/sessions/"
	for _, path := range []string{
		base + "%2e%2e/victim", base + "%2e%2e%2fvictim", base + "../sessions/victim", base + "./victim", base + "/victim", "/" + base + "victim", "/v1//apps/default/sessions/victim",
		base + "victim%00", base + "%00victim", base + "victim%0d%0aX-A:%20b", base + "victim%252e", base + "%76%69ctim%2f..", base + "victim/", base + "victim/.", base + "victim%2flock",
		base + "victim;x=1", base + "victim%3fpeek=true", base + "victim%23", base + "vic\u00adtim", base + "victi\u006d\u0301", base + "ｖictim", base + "victim%20", base + "victim%ff",
		base + "victim%c0%ae", base + "victim%u002e", base + "%", base + "%zz", base + strings.Repeat("v", 81), base + strings.Repeat("%76", 20000),
		"/v1/apps/default/../default/sessions/victim", "/v1/apps/%2e/sessions/victim", "/v1/apps/other/sessions/victim", "/v1/apps/default%00/sessions/victim", "/v1/apps/default%20/sessions/victim",
		"/v1/apps/d%C3%A9fault/sessions/victim", "/v1/apps/" + strings.Repeat("a", 300) + "/sessions/victim", "/V1/apps/default/sessions/victim", "/v1/apps/default/sessions/victim\\..", "*", "//x", "http://",
	} {
		status, all := v.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		shown := path[:min(len(path), 70)]
		if !strings.HasPrefix(status, "HTTP/1.1 4") {
			t.Errorf("%s: answered %q", shown, status)
		}
		if strings.Contains(all, v.secret) {
			t.Errorf("%s gives the victim's item away", shown)
		}
	}
	for _, path := range []string{base + "%76ictim", base + "-"} { // both of these name the session
		if _, all := v.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nSession-ID: victim\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(all, v.secret) {
			t.Errorf("%s is answered %q", path, all)
		}
	}
	if v.store.calls() == before {
		t.Error("nothing reached the store: this test shows nothing")
	}
}

// Headers are bounded in bytes. So is the memory that is made from them.
func TestAbuse_Headers(t *testing.T) {
	v := abused(t, proxy.Config{}, proxy.ServerLimits{})
	many := func(n int, line string) string { return strings.Repeat(line, n) }
	for name, headers := range map[string]string{
		"one long":        "X-A: " + many(1<<20, "a") + "\r\n",
		"many":            many(100_000, "X-A: a\r\n"),
		"many short":      many(300_000, "a:\r\n"),
		"a long name":     many(1<<20, "a") + ": b\r\n",
		"many conditions": "If-None-Match: " + many(50_000, `"a",`) + "\r\n",
		"never an end":    "X-A: " + many(4<<20, "a"),
	} {
		status, _ := v.raw("GET /v1/apps/default/sessions/victim HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n")
		if status != "" && !strings.HasPrefix(status, "HTTP/1.1 431") { // empty: closed while the client was sending
			t.Errorf("%s: answered %q", name, status)
		}
		v.unharmed(name)
	}
	// Headers within the limit are parsed, and do no harm.
	for name, headers := range map[string]string{
		"many conditions": "If-None-Match: " + many(7000, `"a",`) + "\r\n",
		"many keys":       many(500, "Authorization: Bearer a\r\n"),
		"many ranges":     "Range: bytes=" + many(3000, "0-1,") + "\r\n",
		"many queries":    "X: y\r\n",
	} {
		path := "/v1/apps/default/sessions/victim"
		if name == "many queries" {
			path += "?" + many(5000, "a=b&")
		}
		status, _ := v.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n")
		if !strings.HasPrefix(status, "HTTP/1.1 200") {
			t.Errorf("%s: answered %q", name, status)
		}
	}
}

// Items in memory are bounded. Bytes that are only announced do not count.
func TestAbuse_Items(t *testing.T) {
	v := abused(t, proxy.Config{Limits: proxy.Limits{ItemsMemory: 1 << 20}}, proxy.ServerLimits{})
	begin := func(sent int) net.Conn {
		t.Helper()
		c := v.dial()
		if _, err := io.WriteString(c, "PUT /v1/apps/default/sessions/big HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"+strings.Repeat("x", sent)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var announced []net.Conn
	for range 10 {
		announced = append(announced, begin(1))
	}
	v.awaitBytes(10 << 10)
	for range 10 {
		announced = append(announced, begin(0))
	}
	v.unharmed("while twenty have announced 18 MB")
	v.awaitBytes(10 << 10) // clients that sent nothing take no memory
	for _, c := range announced {
		c.Close()
	}
	v.awaitBytes(0)

	first := begin(899_999)
	v.awaitBytes(900_000)
	second := begin(899_999)
	resp, err := http.ReadResponse(bufio.NewReader(second), nil)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("an item beyond the bound: %+v, %v", resp, err)
	}
	v.unharmed("while the memory is full")
	io.WriteString(first, "x")
	resp, err = http.ReadResponse(bufio.NewReader(first), nil)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Errorf("the item that was first: %+v, %v", resp, err)
	}
	first.Close()
	second.Close()
	v.awaitBytes(0)
	if s := v.api.Stats().Memory; s.Refused == 0 {
		t.Errorf("counted %+v", s)
	}
}

// An item in an answer that is not read takes memory too. While the memory is full, no more locks are granted.
func TestAbuse_Locks(t *testing.T) {
	const size, limit = 8 << 20, 1 << 20
	v := abused(t, proxy.Config{Limits: proxy.Limits{ItemsMemory: limit}}, proxy.ServerLimits{})
	app := session.Application{Name: strings.ToLower(proxy.DefaultApplicationName)}.WithDefaults()
	app.MaxItem = size
	ref := session.Ref{App: &app, ID: "big"}
	if _, err := v.store.Put(t.Context(), ref, session.Write{Item: make([]byte, size)}, session.Condition{}, session.NewOperation()); err != nil {
		t.Fatal(err)
	}
	lock := func() net.Conn {
		c := v.dial()
		c.(*net.TCPConn).SetReadBuffer(4096)
		io.WriteString(c, "POST /v1/apps/default/sessions/big/lock HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n")
		return c
	}
	first := lock() // the client does not read the answer
	v.awaitBytes(size)
	asked := v.store.calls()
	for range 3 {
		if resp, err := http.ReadResponse(bufio.NewReader(lock()), nil); err != nil || resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("a lock while the memory is full: %+v, %v", resp, err)
		}
	}
	if got := v.store.calls(); got != asked {
		t.Errorf("the store was asked %d times", got-asked)
	}
	first.Close()
	v.awaitBytes(0)
	if resp, err := http.ReadResponse(bufio.NewReader(lock()), nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a lock when there is room: %+v, %v", resp, err)
	}
}

// A client without a key that announces an item and sends nothing is answered at once. Its connection is closed soon.
func TestAbuse_Unread(t *testing.T) {
	const limit = 5
	keys, byName := ringOf(t, "shop:read,write:default")
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil), Keys: keys, Apps: twoApps})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, ended := run(t, api, proxy.ServerConfig{Limits: proxy.ServerLimits{Connections: limit, BodyTimeout: 10 * soon}})
	v := &victim{t: t, addr: strings.TrimPrefix(url, "http://")}
	const put = "PUT /v1/apps/default/sessions/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
	var silent []net.Conn
	for range limit {
		c := v.dial()
		io.WriteString(c, put+"\r\n")
		silent = append(silent, c)
	}
	for _, c := range silent {
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401") || !strings.Contains(string(answer), "\r\nConnection: close\r\n") {
			t.Errorf("a client without a key is answered %q, %v", answer, err)
		}
	}
	if status, _ := v.raw("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(status, "HTTP/1.1 200") {
		t.Errorf("another is answered %q", status)
	}
	// A client with a key keeps its connection, even if its item is refused.
	c := v.dial()
	r := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, put+"Authorization: Bearer "+byName["shop"]+"\r\n\r\nitem")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode >= 300 || resp.Close {
			t.Errorf("who has a key is answered %+v, %v", resp, err)
		}
	}
	c.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// awaitBytes waits until the items in memory have this many bytes.
func (v *victim) awaitBytes(want int64) {
	v.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(soon); v.api.Stats().Memory.Bytes != want; <-tick.C {
		if time.Now().After(end) {
			v.t.Fatalf("%d bytes of items are counted, want %d", v.api.Stats().Memory.Bytes, want)
		}
	}
}

// A client that opens the largest number of connections and leaves them idle does not stop other clients: its oldest
// connections are closed.
func TestAbuse_Connections(t *testing.T) {
	const limit = 50
	v := abused(t, proxy.Config{}, proxy.ServerLimits{Connections: limit})
	for i := range 4 * limit {
		c := v.dial()
		if i%2 == 0 {
			io.WriteString(c, "GET /v1/apps")
		}
	}
	v.unharmed("beside four times as many idle connections as there may be")
	v.await("those that were closed to be gone", func(s proxy.ConnectionStats) bool { return s.Open <= limit })
	if s := v.stats(); s.Evicted == 0 {
		t.Errorf("counted %+v with a limit of %d", s, limit)
	}

	// If all connections are in use, a new one is closed and counted.
	busy := &blocking{Store: v.store, entered: make(chan struct{}, limit), leave: make(chan struct{})}
	api, err := proxy.NewAPI(proxy.Config{Store: busy, Hosts: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	var stats func() proxy.ConnectionStats
	url, stop, ended := run(t, api, proxy.ServerConfig{Limits: proxy.ServerLimits{Connections: 2}, Watch: func(f func() proxy.ConnectionStats) { stats = f }})
	w := &victim{t: t, addr: strings.TrimPrefix(url, "http://")}
	for range 2 {
		io.WriteString(w.dial(), "GET /v1/apps/default/sessions/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		<-busy.entered
	}
	if _, all := w.raw("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"); all != "" {
		t.Errorf("one connection too many is answered %.40q", all)
	}
	if s := stats(); s.Refused != 1 || s.Open != 2 {
		t.Errorf("counted %+v", s)
	}
	close(busy.leave)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// blocking is a store whose reads wait.
type blocking struct {
	session.Store
	entered, leave chan struct{}
}

// Get implements session.Store.
func (b *blocking) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	b.entered <- struct{}{}
	<-b.leave
	return b.Store.Get(ctx, ref, opts)
}
