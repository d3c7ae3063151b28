package proxy

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// A client has its time for an answer by the bytes of it: one that reads slowly gets a large item whole, one
// that reads hardly anything does not, and without a credential nothing but the answer itself gives time.
func TestConnection_Write(t *testing.T) {
	const item = 1 << 20
	for _, c := range []struct {
		name  string
		rate  int // bytes a second that are read
		known bool
		sent  int // bytes written before, and taken by the kernel
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
			conn.due.Store(sinceStart() + int64(timeFor(c.sent)))
			done := make(chan struct{})
			go func() { // ends with the pipe
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
