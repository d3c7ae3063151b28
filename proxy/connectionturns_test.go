package proxy_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// standing are the ways in which a connection with a key can wait for its client.
var standing = map[string]func(v *victim, key string){
	"idle": func(v *victim, key string) { v.keyed(key) },
	"a byte of a head": func(v *victim, key string) {
		rw := v.keyed(key)
		rw.WriteString("G")
		rw.Flush()
	},
	"half of a head": func(v *victim, key string) {
		rw := v.keyed(key)
		rw.WriteString("GET / HTTP/1.1\r\nHost:")
		rw.Flush()
	},
	"a byte of an item": func(v *victim, key string) {
		fmt.Fprintf(v.dial(), "PUT /v1/apps/default/sessions/y%sContent-Length: 100\r\n\r\ny", showing(key))
	},
	"a byte of a body that nobody needs": func(v *victim, key string) {
		fmt.Fprintf(v.dial(), "DELETE /v1/apps/default/sessions/y%sContent-Length: 100\r\n\r\ny", showing(key))
	},
}

// showing returns the end of a request with a key, after its path.
func showing(key string) string {
	return " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n"
}

// Connections of one caller that wait for their client are evicted before an idle one of another caller. A connection
// with a request at the store is not evicted.
func TestTurns_Connections(t *testing.T) {
	const limit = 20
	for name, stand := range standing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &slowStore{memory.New(nil), make(chan struct{})}
			v, keys := rivalsAt(t, store, proxy.ServerLimits{Connections: limit, BodyTimeout: 10 * soon}, nil)
			good := v.keyed(keys["good"])
			busy := v.dial()
			fmt.Fprintf(busy, "PUT /v1/apps/default/sessions/busy%sContent-Length: 1\r\n\r\nx", showing(keys["flood"]))
			known := func(s proxy.ConnectionStats) bool { return s.Unauthenticated == 0 && s.Open > 1 }
			v.await("the busy connection to show its key", known)
			for range 3 * limit {
				stand(v, keys["flood"])
				v.await("the next connection to show its key", known)
			}
			v.asks(good, keys["good"])
			v.keyed(keys["good"]) // a new connection of that caller is accepted too
			if s := v.stats(); s.Evicted < 2*limit || s.Refused != 0 {
				t.Errorf("counted %+v with a limit of %d", s, limit)
			}
			close(store.go1)
			resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
			if err != nil {
				t.Fatalf("the request at the store has no answer: %v", err)
			}
			if resp.StatusCode != http.StatusCreated {
				t.Errorf("the request at the store is answered %s", resp.Status)
			}
		})
	}
}

// rivalsAt starts a server with two callers, flood and good. Without ca it uses no TLS.
func rivalsAt(t *testing.T, store *slowStore, limits proxy.ServerLimits, ca *authority) (v *victim, keys map[string]string) {
	t.Helper()
	ring, keys := ringOf(t, "flood:read,write,remove:default", "good:read:default")
	api, err := proxy.NewAPI(proxy.Config{Store: store, Keys: ring, Apps: twoApps})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan func() proxy.ConnectionStats, 1)
	v = &victim{t: t, api: api}
	rules := proxy.ServerConfig{
		Keys: ring, Limits: limits, DrainTimeout: time.Millisecond,
		Watch: func(stats func() proxy.ConnectionStats) { told <- stats },
	}
	if ca != nil {
		certs, err := proxy.OpenCertificates(ca.files("server.example.net"), nil)
		if err != nil {
			t.Fatal(err)
		}
		rules.TLS = certs.TLS()
	}
	v.url, v.stop, v.ended = run(t, api, rules)
	v.addr, v.stats = strings.TrimPrefix(v.url, "http://"), <-told
	t.Cleanup(func() {
		v.stop()
		<-v.ended // some connections may have to be closed by force
	})
	return v, keys
}

// If no connection is idle, those are evicted that wait for the rest of an item, even if one caller has them all.
func TestTurns_ConnectionsOfOneCaller(t *testing.T) {
	const limit = 3
	store := &slowStore{memory.New(nil), make(chan struct{})}
	close(store.go1)
	v, keys := rivalsAt(t, store, proxy.ServerLimits{Connections: limit, BodyTimeout: 10 * soon}, nil)
	known := func(s proxy.ConnectionStats) bool { return s.Unauthenticated == 0 && s.Open == limit }
	for range limit {
		standing["a byte of an item"](v, keys["flood"])
	}
	v.await("all to show their key", known)
	for end := time.Now().Add(soon); ; { // connections that have not waited long stay, and the new one is refused
		c := v.dial()
		fmt.Fprintf(c, "GET /v1/apps/default/sessions/x%s\r\n", showing(keys["flood"]))
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			break
		}
		c.Close() // a fast machine gets further than this process may open files
		if time.Now().After(end) {
			t.Fatal("no connection made room")
		}
	}
	if s := v.stats(); s.Evicted != 1 || s.Refused == 0 {
		t.Errorf("counted %+v", s)
	}
}

// The same applies to HTTP/2. A connection whose streams all wait for their items is evicted; one with a stream at
// the store is not.
func TestTurns_ConnectionsOfHTTP2(t *testing.T) {
	const limit = 20
	ca := newAuthority(t)
	store := &slowStore{memory.New(nil), make(chan struct{})}
	v, keys := rivalsAt(t, store, proxy.ServerLimits{Connections: limit, BodyTimeout: 10 * soon}, ca)
	url := strings.Replace(v.url, "http:", "https:", 1)
	client := ca.client("")
	ask := func() (reused bool) {
		t.Helper()
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/v1/apps/default/sessions/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+keys["good"])
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusNotFound {
			t.Errorf("answered %s over HTTP/%d", resp.Status, resp.ProtoMajor)
		}
		return reused
	}
	ask()
	known := func(s proxy.ConnectionStats) bool { return s.Unauthenticated == 0 && s.Open > 1 }
	busy := v.rude(ca)
	for _, path := range []string{"/of-store", "/of-client"} {
		busy.begin("/v1/apps/default/sessions"+path, keys["flood"], path == "/of-store")
	}
	v.await("the busy connection to show its key", known)
	for range 3 * limit {
		v.rude(ca).begin("/v1/apps/default/sessions/y", keys["flood"], false)
		v.await("the next connection to show its key", known)
	}
	if !ask() {
		t.Error("the other caller's connection made room")
	}
	if s := v.stats(); s.Evicted < 2*limit || s.Refused != 0 {
		t.Errorf("counted %+v", s)
	}
	close(store.go1)
	for {
		frame, err := busy.framer.ReadFrame()
		if err != nil {
			t.Fatalf("the stream at the store has no answer: %v", err)
		}
		if _, ok := frame.(*http2.HeadersFrame); ok {
			break
		}
	}
}

// begin opens a stream of a PUT. It sends one byte of the item, which has one byte, or two if whole is false.
func (r *rude) begin(path, key string, whole bool) {
	r.text.Reset()
	for _, f := range [][2]string{{":method", "PUT"}, {":scheme", "https"}, {":authority", "x"}, {":path", path}, {"authorization", "Bearer " + key}} {
		r.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: r.next, BlockFragment: r.text.Bytes(), EndHeaders: true})
	r.framer.WriteData(r.next, whole, []byte("x"))
	r.next += 2
}
