package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// A client has time for an answer in proportion to its bytes. A slow client gets a large item completely, and one
// that reads almost nothing does not. Without a credential, earlier bytes give no time.
func TestConnection_Write(t *testing.T) {
	const item = 1 << 20
	for _, c := range []struct {
		name  string
		rate  int // bytes a second that are read
		known bool
		sent  int // bytes written before, which the kernel has taken
		ends  time.Duration
		whole bool
	}{
		{"a slow one", 70_000, true, 0, 15 * time.Second, true},
		{"one that is too slow", 10_000, true, 0, 21 * time.Second, false},
		{"one that reads nothing", 0, true, 0, 21 * time.Second, false},
		{"one that has much to read before", 10_000, true, 4 << 20, 85 * time.Second, false},
		{"one without a credential that has much to read before", 10_000, false, 4 << 20, 21 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			of := newConnections(ServerLimits{}, 0, new(keyring.Keys))
			conn := newConnection(server, of)
			conn.known.Store(c.known)
			conn.due.Store(monotonic() + int64(timeFor(c.sent)))
			done := make(chan struct{})
			go func() { // ends when the pipe is closed
				defer close(done)
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for ; c.rate > 0; <-tick.C {
					if _, err := io.CopyN(io.Discard, client, int64(c.rate/10)); err != nil {
						return
					}
				}
			}()
			began := time.Now()
			n, err := conn.Write(make([]byte, item))
			if whole := err == nil && n == item; whole != c.whole {
				t.Errorf("%s: %d bytes, %v", c.name, n, err)
			}
			if took := time.Since(began); took < c.ends-time.Second || took > c.ends+time.Second {
				t.Errorf("%s: after %v, want %v", c.name, took, c.ends)
			}
			if _, err := server.Write(nil); !c.whole && err == nil {
				t.Errorf("%s: the connection is open", c.name)
			}
			server.Close()
			<-done
		})
	}
}

// meanwhile is a body that calls a function while it is read.
type meanwhile struct {
	io.Reader
	do func()
}

func (m meanwhile) Read(p []byte) (int, error) {
	m.do()
	return m.Reader.Read(p)
}

// A connection can be evicted while its requests wait for their client, and its requests are not served afterwards.
// While a request is being served, the connection cannot be evicted.
func TestConnection_MakesRoom(t *testing.T) {
	one := func() *connection {
		_, server := net.Pipe()
		t.Cleanup(func() { server.Close() })
		return newConnection(server, newConnections(ServerLimits{}, 0, new(keyring.Keys)))
	}
	request := func(c *connection, body io.Reader) *http.Request {
		ctx := context.WithValue(t.Context(), connKey{}, c)
		return httptest.NewRequestWithContext(ctx, "PUT", "/", body)
	}
	t.Run("at work", func(t *testing.T) {
		c := one()
		c.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if c.tryEvict() {
				t.Error("it makes room before the body is read")
			}
			if item, err := io.ReadAll(bodyOf(r)); string(item) != "item" || err != nil {
				t.Errorf("the body is %q, %v", item, err)
			}
			if c.tryEvict() {
				t.Error("it makes room when the body was read")
			}
		}), httptest.NewRecorder(), request(c, strings.NewReader("item")))
		if !c.tryEvict() {
			t.Error("it makes no room without a request")
		}
	})
	t.Run("while a body comes", func(t *testing.T) {
		c := one()
		c.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.addActivity(aRequest) // another request of the connection is at the store
			r.Body = io.NopCloser(meanwhile{strings.NewReader("it"), func() {
				if c.tryEvict() {
					t.Error("it makes room though another request is at the store")
				}
			}})
			if n, err := bodyOf(r).Read(make([]byte, 2)); n != 2 || err != nil {
				t.Errorf("read %d bytes, %v", n, err)
			}
			c.addActivity(-aRequest)
			r.Body = io.NopCloser(meanwhile{strings.NewReader("em"), func() {
				if !c.tryEvict() {
					t.Error("it makes no room")
				}
			}})
			if n, err := bodyOf(r).Read(make([]byte, 2)); n != 0 || err != errMadeRoom {
				t.Errorf("when it has made room: %d bytes, %v", n, err)
			}
		}), httptest.NewRecorder(), request(c, strings.NewReader("item")))
	})
	t.Run("before a request", func(t *testing.T) {
		c := one()
		if !c.tryEvict() {
			t.Fatal("it makes no room while it is idle")
		}
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("a request is not broken off")
			}
		}()
		c.serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request is served") }), httptest.NewRecorder(), request(c, nil))
	})
}
