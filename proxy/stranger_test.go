package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// guarded starts a server whose callers need a key. It returns the key of the caller shop. Without ca it uses no TLS.
func guarded(t *testing.T, limits proxy.ServerLimits, ca *authority) (v *victim, key string) {
	t.Helper()
	keys, byName := ringOf(t, "shop:read,write,lock,remove:default")
	v = &victim{t: t, store: &watched{Store: memory.New(nil)}}
	var err error
	if v.api, err = proxy.NewAPI(proxy.Config{Store: v.store, Keys: keys, Apps: twoApps}); err != nil {
		t.Fatal(err)
	}
	told := make(chan func() proxy.ConnectionStats, 1)
	rules := proxy.ServerConfig{Keys: keys, Limits: limits, Watch: func(stats func() proxy.ConnectionStats) { told <- stats }, DrainTimeout: time.Millisecond}
	if ca != nil {
		certs, err := proxy.OpenCertificates(ca.files("server.example.net"), nil)
		if err != nil {
			t.Fatal(err)
		}
		rules.TLS = certs.TLS()
	}
	v.url, v.stop, v.ended = run(t, v.api, rules)
	v.addr = strings.TrimPrefix(v.url, "http://")
	v.stats = <-told
	t.Cleanup(func() {
		v.stop()
		<-v.ended // some connections may have to be closed by force
	})
	return v, byName["shop"]
}

// by returns the same victim for another test.
func (v *victim) by(t *testing.T) *victim {
	w := *v
	w.t = t
	return &w
}

// rude is an HTTP/2 client that reads no answers: its window is 0.
type rude struct {
	net.Conn
	framer *http2.Framer
	text   bytes.Buffer
	enc    *hpack.Encoder
	next   uint32
}

func (v *victim) rude(ca *authority) *rude {
	v.t.Helper()
	how := ca.client("").Transport.(*http.Transport).TLSClientConfig.Clone()
	how.NextProtos = []string{"h2"}
	c := tls.Client(v.dial(), how)
	how.ServerName = "127.0.0.1"
	if err := c.HandshakeContext(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
	r := &rude{Conn: c, next: 1}
	r.enc = hpack.NewEncoder(&r.text)
	io.WriteString(c, http2.ClientPreface)
	r.framer = http2.NewFramer(c, c)
	if err := r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		v.t.Fatal(err)
	}
	return r
}

// ask opens a stream.
func (r *rude) ask(path string, headers ...string) {
	r.text.Reset()
	for i, name := range []string{":method", "GET", ":scheme", "https", ":authority", "x", ":path", path} {
		if i%2 == 1 {
			continue
		}
		r.enc.WriteField(hpack.HeaderField{Name: name, Value: []string{"", "GET", "", "https", "", "x", "", path}[i+1]})
	}
	for i := 0; i < len(headers); i += 2 {
		r.enc.WriteField(hpack.HeaderField{Name: headers[i], Value: headers[i+1]})
	}
	r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: r.next, BlockFragment: r.text.Bytes(), EndStream: true, EndHeaders: true})
	r.next += 2
}

// An HTTP/2 client without a key that reads no answers loses the connection.
func TestStranger_HTTP2TakesNothing(t *testing.T) {
	ca := newAuthority(t)
	v, _ := guarded(t, proxy.ServerLimits{}, ca)
	for path, streams := range map[string]int{"/v1/apps/default/sessions/x": 100, "/openapi.yaml": 8, "/no/such/route": 1} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r := v.by(t).rude(ca)
			for range streams {
				r.ask(path)
			}
			began := time.Now()
			_, err := io.Copy(io.Discard, r) // reads frames until the connection ends
			if took := time.Since(began); took > soon/2 {
				t.Errorf("%d times, and no answer taken: the connection was kept for %v (%v)", streams, took, err)
			}
		})
	}
}

// A client that opens a connection with the largest number of requests, each with its key, gets all answers.
func TestStranger_HTTP2Burst(t *testing.T) {
	ca := newAuthority(t)
	v, key := guarded(t, proxy.ServerLimits{}, ca)
	client := ca.client("")
	url := strings.Replace(v.url, "http:", "https:", 1)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/apps/default/sessions/x", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+key)
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusNotFound || resp.ProtoMajor != 2 {
				t.Errorf("%s over HTTP/%d", resp.Status, resp.ProtoMajor)
			}
		})
	}
	all.Wait()
}

// pipelined opens a connection that repeats the request and reads nothing.
func (v *victim) pipelined(request string) net.Conn {
	c := v.dial()
	go func() { // until the server or the test closes the connection
		for many := strings.Repeat(request, 100); ; {
			if _, err := io.WriteString(c, many); err != nil {
				return
			}
		}
	}()
	return c
}

// An HTTP/1.1 client that pipelines and reads nothing loses the connection, with and without a key.
func TestStranger_PipelinedUnread(t *testing.T) {
	v, key := guarded(t, proxy.ServerLimits{}, nil)
	v.pipelined("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n")
	v.pipelined("GET /v1/apps/default/sessions/none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n\r\n")
	v.await("the unread connections to be closed", func(s proxy.ConnectionStats) bool { return s.Open == 0 && s.Unread == 2 })

	// A client without a key gets one answer, and then the connection is closed.
	c := v.dial()
	io.WriteString(c, strings.Repeat("GET /v1/apps/default/sessions/x HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	if all, _ := io.ReadAll(c); strings.Count(string(all), "HTTP/1.1 401") != 1 {
		t.Errorf("a hundred requests without a key are answered %q", all)
	}
}

// await waits until the counters of connections satisfy is.
func (v *victim) await(what string, is func(proxy.ConnectionStats) bool) {
	v.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(soon); !is(v.stats()); <-tick.C {
		if time.Now().After(end) {
			v.t.Fatalf("waited for %s; counted %+v", what, v.stats())
		}
	}
}

// keyed opens a connection that has shown a key and is idle.
func (v *victim) keyed(key string) *bufio.ReadWriter {
	v.t.Helper()
	c := v.dial()
	rw := bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
	v.asks(rw, key)
	return rw
}

// asks sends a request on a connection and checks that it is answered.
func (v *victim) asks(rw *bufio.ReadWriter, key string) {
	v.t.Helper()
	fmt.Fprintf(rw, "GET /v1/apps/default/sessions/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", key)
	rw.Flush()
	resp, err := http.ReadResponse(rw.Reader, nil)
	if err != nil {
		v.t.Errorf("a connection with a key: %v", err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusNotFound || resp.Close {
		v.t.Errorf("a connection with a key is answered %s, closed: %t", resp.Status, resp.Close)
	}
}

// Idle connections with a key stay open during a flood of connections without a key.
func TestStranger_Flood(t *testing.T) {
	const limit = 20
	v, key := guarded(t, proxy.ServerLimits{Connections: limit}, nil)
	var honest []*bufio.ReadWriter
	for range limit / 2 {
		honest = append(honest, v.keyed(key))
	}
	const put = "PUT /v1/apps/default/sessions/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
	for i := range 10 * limit {
		c := v.dial()
		io.WriteString(c, []string{
			"", "GET /v1/apps", "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", put + "\r\n",
			strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 50),
		}[i%5])
	}
	for _, rw := range honest {
		v.asks(rw, key)
	}
	v.keyed(key) // a new connection with a key is accepted
	if s := v.stats(); s.Evicted == 0 || s.Refused != 0 {
		t.Errorf("counted %+v with a limit of %d", s, limit)
	}
	v.await("those that were closed to be gone", func(s proxy.ConnectionStats) bool { return s.Open <= limit })
}

// One address has a limit of connections without a key. Connections of another address, and with a key, do not count.
func TestStranger_PerAddress(t *testing.T) {
	const most = 5
	v, key := guarded(t, proxy.ServerLimits{Connections: 100, UnauthenticatedPerAddress: most}, nil)
	var honest []*bufio.ReadWriter
	for range 2 * most {
		honest = append(honest, v.keyed(key))
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other, err := from.DialContext(t.Context(), "tcp", v.addr)
	if err != nil {
		t.Skipf("this machine has one loopback address: %v", err)
	}
	defer other.Close()
	for range 4 * most {
		v.dial()
	}
	v.await("all to be counted", func(s proxy.ConnectionStats) bool { return s.PerAddress == 3*most })
	v.await("the others to be gone", func(s proxy.ConnectionStats) bool { return s.Open == 2*most+most+1 })
	if s := v.stats(); s.Unauthenticated != most+1 || s.Evicted != 0 || s.Refused != 0 {
		t.Errorf("counted %+v", s)
	}
	for _, rw := range honest {
		v.asks(rw, key)
	}
	other.SetDeadline(time.Now().Add(soon))
	v.asks(bufio.NewReadWriter(bufio.NewReader(other), bufio.NewWriter(other)), key)
}

// If no connection is idle, those are evicted whose clients read no answers, even if they have a key.
func TestStranger_UnreadMakeRoom(t *testing.T) {
	const limit = 3
	v, key := guarded(t, proxy.ServerLimits{Connections: limit}, nil)
	const size, times = 4 << 20, 4 // more than the kernel buffers
	show := " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n"
	v.raw("PUT /v1/apps/default/sessions/big" + show + fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n", size) + strings.Repeat("x", size))
	v.await("the one that stored to be gone", func(s proxy.ConnectionStats) bool { return s.Open == 0 })
	for range limit {
		io.WriteString(v.dial(), strings.Repeat("GET /v1/apps/default/sessions/big"+show+"\r\n", times))
	}
	v.await("all to have shown a key", func(s proxy.ConnectionStats) bool { return s.Open == limit && s.Unauthenticated == 0 })
	v.awaitStill()
	v.keyed(key)
	if s := v.stats(); s.Evicted == 0 {
		t.Errorf("counted %+v", s)
	}
}

// A connection whose last answer was written stays open for half a second, so that its client can read the answer. It
// is evicted first.
func TestTurns_ConnectionsThatEnd(t *testing.T) {
	const limit = 5
	v, key := guarded(t, proxy.ServerLimits{Connections: limit}, nil)
	old := v.keyed(key)
	for range 4 * limit {
		c := v.dial()
		c.SetDeadline(time.Now().Add(soon))
		fmt.Fprintf(c, "PUT /nothere HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000\r\n\r\nzz", key)
		if status, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(status, "404") {
			t.Fatalf("answered %q, %v", status, err)
		}
	}
	v.keyed(key)
	v.asks(old, key)
	if s := v.stats(); s.Refused > 0 {
		t.Errorf("counted %+v", s)
	}
}

// awaitStill waits until no more requests arrive, because the answers are not read.
func (v *victim) awaitStill() {
	v.t.Helper()
	tick := time.NewTicker(1200 * time.Millisecond)
	defer tick.Stop()
	for before := int64(-1); v.store.calls() != before; <-tick.C {
		before = v.store.calls()
	}
}

// A connection without a key takes little memory, whatever it requests.
func TestStranger_Memory(t *testing.T) {
	if testing.Short() {
		t.Skip("opens many connections")
	}
	const conns, most = 40, 500 << 10
	ca := newAuthority(t)
	v, _ := guarded(t, proxy.ServerLimits{}, ca)
	used := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	for _, streams := range []int{1, 16, 100} {
		before := used()
		var all []*rude
		for range conns {
			r := v.rude(ca)
			// The largest possible frame, if the server accepts it.
			r.framer.WriteRawFrame(http2.FrameType(0x42), 0, 0, make([]byte, 16<<10))
			for range streams {
				r.ask("/openapi.yaml", "x-a", strings.Repeat("a", 1000))
			}
			all = append(all, r)
		}
		each := (used() - before) / conns
		t.Logf("%d bytes a connection of %d streams, the client's part included", each, streams)
		if each > most {
			t.Errorf("a connection without a key and with %d streams costs %d bytes, want %d at most", streams, each, most)
		}
		for _, r := range all {
			r.Close()
		}
		v.await("all connections to be gone", func(s proxy.ConnectionStats) bool { return s.Open == 0 })
	}
}

// Health checks are answered while all other connections are in use. Other requests on the reserved connections get
// the reason why not.
func TestAdmin_HealthWhileFull(t *testing.T) {
	const limit = 8 // one connection is reserved for health checks
	src := newSource()
	h := newAdmin(t, src)
	url, stop, ended := run(t, h, proxy.ServerConfig{Limits: proxy.ServerLimits{Connections: limit}, Health: proxy.IsHealth})
	v := &victim{t: t, url: url, addr: strings.TrimPrefix(url, "http://")}
	for range limit - 1 {
		c := v.dial()
		io.WriteString(c, "GET /v1/pair/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
			t.Fatalf("a stream is answered %q, %v", line, err)
		}
	}
	for range 3 {
		v.dial() // sends nothing, and takes the reserved connection
	}
	for _, path := range []string{"/healthz", "/readyz", "/healthz"} {
		status, all := v.raw("GET " + path + " HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")
		if !strings.Contains(all, `"ready"`) && !strings.HasPrefix(status, "HTTP/1.1 200") {
			t.Errorf("%s is answered %q", path, all)
		}
	}
	if status, all := v.raw("GET /v1/pair HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); !strings.HasPrefix(status, "HTTP/1.1 429") || !strings.Contains(all, "reserved for health checks") {
		t.Errorf("the pair is answered %q", all)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The number of event streams is bounded, so that other requests are still served.
func TestEvents_Bounded(t *testing.T) {
	src := newSource()
	url, stop, ended := run(t, newAdmin(t, src), proxy.ServerConfig{})
	v := &victim{t: t, url: url, addr: strings.TrimPrefix(url, "http://")}
	open := func() (net.Conn, *http.Response) {
		c := v.dial()
		io.WriteString(c, "GET /v1/pair/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, resp
	}
	for range 100 {
		if _, resp := open(); resp.StatusCode != http.StatusOK {
			t.Fatalf("a stream is answered %s", resp.Status)
		}
	}
	if _, resp := open(); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one stream too many is answered %s", resp.Status)
	}
	if body, err := get(t.Context(), url+"/healthz"); err != nil || !strings.Contains(body, "true") {
		t.Errorf("beside them: %q, %v", body, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A small body that never arrives does not keep the connection open.
func TestStranger_BodyNeverComes(t *testing.T) {
	v, key := guarded(t, proxy.ServerLimits{BodyTimeout: 10 * soon}, nil)
	for _, request := range []string{"GET /openapi.yaml", "POST /v1/apps/default/sessions/x/lock", "POST /v1/apps/default/sessions", "PUT /no/such/route"} {
		began := time.Now()
		headers := "\r\nAuthorization: Bearer " + key
		if strings.HasSuffix(request, "sessions") {
			headers = "" // with this right the client has limits.body_timeout
		}
		v.raw(request + " HTTP/1.1\r\nHost: x" + headers + "\r\nContent-Length: 10\r\n\r\n")
		if took := time.Since(began); took > soon/2 {
			t.Errorf("%s: the connection was kept for %v", request, took)
		}
	}
}

// The body of a request that needs none is read if it is small, and refused at once otherwise.
func TestStranger_Bodies(t *testing.T) {
	v, key := guarded(t, proxy.ServerLimits{BodyTimeout: 10 * soon}, nil)
	const one = " /v1/apps/default/sessions/x"
	head := " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n"
	for _, request := range []string{"GET" + one, "HEAD" + one, "DELETE" + one, "POST" + one + "/lock", "POST" + one + "/touch", "DELETE" + one + "/lock", "GET /openapi.yaml"} {
		for name, c := range map[string]struct {
			body    string
			refused bool
		}{
			"announced and not sent":         {"Content-Length: 100000\r\n\r\n", true},
			"in chunks without an end":       {"Transfer-Encoding: chunked\r\n\r\n800\r\n" + strings.Repeat("x", 0x800), true},
			"small":                          {"Connection: close\r\nContent-Length: 2\r\n\r\n{}", false},
			"small, in chunks":               {"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", false},
			"of no bytes, in chunks":         {"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
			"of no bytes, with their number": {"Connection: close\r\nContent-Length: 0\r\n\r\n", false},
		} {
			t.Run(request+" "+name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				status, all := v.by(t).raw(request + head + c.body)
				refused := strings.HasPrefix(status, "HTTP/1.1 400")
				if !strings.HasPrefix(request, "HEAD") { // a release without its header is refused for another reason
					refused = refused && strings.Contains(all, "the body")
				}
				if refused != c.refused || status == "" || time.Since(began) > soon/2 {
					t.Errorf("answered %q after %v", all[:min(len(all), 300)], time.Since(began))
				}
			})
		}
	}
}
