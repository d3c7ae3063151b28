package proxy

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ConnectionStats count a listener's connections.
type ConnectionStats struct {
	Open    int64  // now
	Evicted uint64 // idle ones that were closed to make room
	Refused uint64 // closed as they came, for all others were at work
}

// connections are a server's: counted, for each one's goroutine ends with it, and
// bounded. When there are as many as may be, those that have been idle longest make room, and
// with them those that were opened and never sent a request: whoever opens many and
// leaves them so closes his own.
type connections struct {
	limit int // 0: none

	evicted, refused atomic.Uint64

	mu      sync.Mutex
	open    map[*connection]struct{} // owned by mu
	leaving int                      // owned by mu; how many of those were closed to make room
	none    chan struct{}            // owned by mu; closed when open becomes empty, nil while nobody asked
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, open: make(map[*connection]struct{})}
}

// connection is a client's. What it does is noted without a lock.
type connection struct {
	net.Conn
	idle    atomic.Int64 // since when, in nanoseconds of Unix time; 0: at work
	leaving bool         // owned by connections.mu; it was closed to make room
}

// limitedListener makes connections out of what a listener accepts.
type limitedListener struct {
	net.Listener
	conns *connections
}

// Accept implements net.Listener.
func (l limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn := l.conns.add(c); conn != nil {
			return conn, nil
		}
		_ = c.Close() // there is nobody to tell
	}
}

// add takes a new connection in, making room if need be; nil: there is none.
func (c *connections) add(inner net.Conn) *connection {
	conn := &connection{Conn: inner}
	conn.idle.Store(time.Now().UnixNano())
	evicted, ok := c.admit(conn)
	for _, other := range evicted {
		_ = other.Close() // nobody was at work on it
	}
	if !ok {
		return nil
	}
	return conn
}

func (c *connections) admit(conn *connection) (evicted []*connection, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit > 0 && len(c.open)-c.leaving >= c.limit {
		if evicted = c.evictLocked(); len(evicted) == 0 {
			c.refused.Add(1)
			return nil, false
		}
	}
	c.open[conn] = struct{}{}
	return evicted, true
}

// evictLocked chooses those that have been idle longest: one in a hundred, so that the
// next ones need not look again.
func (c *connections) evictLocked() []*connection {
	type idler struct {
		conn  *connection
		since int64
	}
	var all []idler
	for conn := range c.open {
		if since := conn.idle.Load(); since != 0 && !conn.leaving {
			all = append(all, idler{conn, since})
		}
	}
	slices.SortFunc(all, func(a, b idler) int { return cmp.Compare(a.since, b.since) })
	chosen := make([]*connection, min(len(all), 1+c.limit/100))
	for i := range chosen {
		chosen[i] = all[i].conn
		chosen[i].leaving = true
	}
	c.leaving += len(chosen)
	c.evicted.Add(uint64(len(chosen)))
	return chosen
}

// track is a ConnState hook. net/http reports StateClosed at the very end of a
// connection's goroutine, its handler included.
func (c *connections) track(nc net.Conn, state http.ConnState) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	conn, ok := nc.(*connection)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		conn.idle.Store(0)
	case http.StateIdle:
		conn.idle.Store(time.Now().UnixNano())
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	}
}

func (c *connections) remove(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[conn]; ok && conn.leaving {
		c.leaving--
	}
	delete(c.open, conn)
	if len(c.open) == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// stats reads the counters.
func (c *connections) stats() ConnectionStats {
	return ConnectionStats{Open: int64(c.count()), Evicted: c.evicted.Load(), Refused: c.refused.Load()}
}

// wait returns once there are no connections. Call it when no more are taken.
func (c *connections) wait() error {
	c.mu.Lock()
	none := make(chan struct{})
	if len(c.open) == 0 {
		close(none)
	} else {
		c.none = none
	}
	c.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-time.After(closeTimeout):
		return fmt.Errorf("%d handlers still run %v after their connections were closed", c.count(), closeTimeout)
	}
}
