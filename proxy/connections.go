package proxy

import (
	"cmp"
	"container/list"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// ConnectionStats count a listener's connections.
type ConnectionStats struct {
	Open            int64  // now
	Unauthenticated int64  // of those, the ones that have shown no credential
	Evicted         uint64 // closed to make room
	Refused         uint64 // closed as they came, for all others were at work
	PerAddress      uint64 // closed because their address had too many without a credential
	Unread          uint64 // closed because the client did not take its answers
}

// connections are a server's: counted, for each one's goroutine ends with it, and bounded.
//
// When there are as many as may be, one makes room for the next. Connections that have shown no
// credential go first, the oldest of them first, whatever they do; below a tenth of the limit they are spared while a
// connection is idle, so that a new client has time to show its key. Then go those that have been idle longest, and then those whose
// clients do not take their answers. If all others are at work, a new connection is closed.
//
// One address has a bound of its own for connections that have shown no credential: the next one
// closes the oldest of that address.
type connections struct {
	limit   int           // 0: none
	perPeer int           // without a credential, of one address; 0: no bound
	reserve int           // beyond limit, for health checks
	keys    *keyring.Keys // nil: no connection is a stranger's

	evicted, refused, crowded, unread atomic.Uint64

	mu        sync.Mutex
	open      map[*connection]struct{}    // owned by mu
	leaving   int                         // owned by mu; how many of those were closed to make room
	spare     *list.List                  // owned by mu; of those, the ones beyond the limit, the oldest first
	strangers *list.List                  // owned by mu; those that have shown no credential, the oldest first
	peers     map[netip.Prefix]*list.List // owned by mu; the same by address; none is empty
	none      chan struct{}               // owned by mu; closed when open becomes empty, nil while nobody asked
}

// newConnections makes those of a server with these limits. reserve of them are kept for health checks.
func newConnections(limits ServerLimits, reserve int, keys *keyring.Keys) *connections {
	return &connections{
		limit: limits.Connections - reserve, perPeer: limits.UnauthenticatedPerAddress, reserve: reserve, keys: keys,
		open: make(map[*connection]struct{}), spare: list.New(), strangers: list.New(), peers: make(map[netip.Prefix]*list.List),
	}
}

// newcomersShare is the part of the limit, one in so many, that connections without a credential
// keep while others are idle.
const newcomersShare = 10

// untaken is how long a client has had an answer without taking it, for its connection to make room for others.
const untaken = time.Second

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
	conn := newConnection(inner, c)
	evicted, ok := c.admit(conn)
	for _, other := range evicted {
		_ = other.Close()
	}
	if !ok {
		return nil
	}
	return conn
}

func (c *connections) admit(conn *connection) (evicted []*connection, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if line := c.peers[conn.peer]; line != nil && c.perPeer > 0 && line.Len() >= c.perPeer {
		evicted = append(evicted, c.outLocked(line.Front()))
		c.crowded.Add(1)
	}
	if c.limit > 0 && len(c.open)-c.leaving-c.spare.Len() >= c.limit {
		room := c.roomLocked()
		evicted = append(evicted, room...)
		c.evicted.Add(uint64(len(room)))
		switch {
		case len(room) > 0:
		case c.reserve > 0:
			if c.spare.Len() >= c.reserve {
				evicted = append(evicted, c.outLocked(c.spare.Front()))
				c.evicted.Add(1)
			}
			conn.spare = true
		default:
			c.refused.Add(1)
			return evicted, false
		}
	}
	c.open[conn] = struct{}{}
	c.joinLocked(conn)
	return evicted, true
}

// joinLocked puts a new connection into the lists it belongs to.
func (c *connections) joinLocked(conn *connection) {
	switch {
	case conn.spare:
		conn.place = c.spare.PushBack(conn)
	case !conn.known.Load():
		conn.place = c.strangers.PushBack(conn)
		line := c.peers[conn.peer]
		if line == nil {
			line = list.New()
			c.peers[conn.peer] = line
		}
		conn.peerPlace = line.PushBack(conn)
	}
}

// unlistLocked takes a connection out of its lists.
func (c *connections) unlistLocked(conn *connection) {
	if conn.place != nil {
		if conn.spare {
			c.spare.Remove(conn.place)
		} else {
			c.strangers.Remove(conn.place)
		}
		conn.place = nil
	}
	if conn.peerPlace != nil {
		line := c.peers[conn.peer]
		line.Remove(conn.peerPlace)
		if line.Len() == 0 {
			delete(c.peers, conn.peer)
		}
		conn.peerPlace = nil
	}
}

// outLocked chooses a listed connection to be closed.
func (c *connections) outLocked(e *list.Element) *connection {
	conn := e.Value.(*connection)
	c.unlistLocked(conn)
	conn.leaving = true
	c.leaving++
	return conn
}

// roomLocked chooses those that make room.
func (c *connections) roomLocked() []*connection {
	if c.strangers.Len() > c.limit/newcomersShare {
		return []*connection{c.outLocked(c.strangers.Front())}
	}
	if idle := c.longestLocked((*connection).idleSince); len(idle) > 0 {
		return idle
	}
	if c.strangers.Len() > 0 {
		return []*connection{c.outLocked(c.strangers.Front())}
	}
	return c.longestLocked((*connection).untakenSince)
}

// longestLocked chooses those that have been so longest: one in a hundred, so that the
// next ones need not look again. since is 0 for a connection that is not.
func (c *connections) longestLocked(since func(*connection) int64) []*connection {
	type candidate struct {
		conn  *connection
		since int64
	}
	var all []candidate
	for conn := range c.open {
		if conn.leaving || conn.spare || conn.place != nil {
			continue
		}
		if s := since(conn); s != 0 {
			all = append(all, candidate{conn, s})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.since, b.since) })
	chosen := make([]*connection, min(len(all), 1+c.limit/100))
	for i := range chosen {
		chosen[i] = all[i].conn
		chosen[i].leaving = true
	}
	c.leaving += len(chosen)
	return chosen
}

// track is a ConnState hook. net/http reports StateClosed at the very end of a
// connection's goroutine, its handler included.
func (c *connections) track(nc net.Conn, state http.ConnState) {
	conn := ours(nc)
	if conn == nil {
		return
	}
	switch state {
	case http.StateActive:
		conn.answered.Store(sinceStart())
		conn.idle.Store(0)
	case http.StateIdle:
		conn.idle.Store(sinceStart())
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	}
}

// ours is the connection below TLS; nil: another listener's.
func ours(nc net.Conn) *connection {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	conn, _ := nc.(*connection)
	return conn
}

func (c *connections) remove(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[conn]; ok && conn.leaving {
		c.leaving--
	}
	c.unlistLocked(conn)
	delete(c.open, conn)
	if len(c.open) == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// authenticated notes that a connection has shown a credential.
func (c *connections) authenticated(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.spare || conn.known.Load() {
		return
	}
	c.unlistLocked(conn)
	conn.known.Store(true)
	close(conn.shown)
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// stats reads the counters.
func (c *connections) stats() ConnectionStats {
	c.mu.Lock()
	open, strangers := len(c.open), c.strangers.Len()
	c.mu.Unlock()
	return ConnectionStats{
		Open: int64(open), Unauthenticated: int64(strangers), Evicted: c.evicted.Load(),
		Refused: c.refused.Load(), PerAddress: c.crowded.Load(), Unread: c.unread.Load(),
	}
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
