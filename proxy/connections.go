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

	"github.com/mirrorstate/mirrorstate/fairshare"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// ConnectionStats counts a listener's connections.
type ConnectionStats struct {
	Open            int64  // now
	Unauthenticated int64  // open connections that have shown no credential
	Evicted         uint64 // closed to make room
	Refused         uint64 // closed on arrival, because all others were serving requests
	PerAddress      uint64 // closed because their address had too many connections without a credential
	Unread          uint64 // closed because the client did not read its answers
}

// connections bounds and counts the connections of a server.
//
// If the limit is reached, a new connection evicts others, in this order:
//
//  1. connections whose last answer is written;
//  2. the oldest connection without a credential, if more than a tenth of the limit have none. A smaller number is
//     spared at first, so that a new client has time to show its key;
//  3. connections of the caller that has the most, if it has more than an equal share: idle ones, then those that wait
//     for their client to send more of a request or to read an answer;
//  4. connections of any caller that have been idle longest;
//  5. the oldest connection without a credential;
//  6. connections that have waited for their client for unreadLimit.
//
// A connection belongs to the caller of its first credential. Apart from those without a credential, a connection stays
// while it serves a request. If no connection can be evicted, the new one is closed, or reserved for health checks.
//
// Each address has a bound of its own for connections without a credential: one more evicts the oldest of that address.
type connections struct {
	limit   int           // 0: no limit
	perPeer int           // for connections of one address without a credential; 0: no bound
	reserve int           // connections beyond limit, for health checks
	keys    *keyring.Keys // nil: no connection needs a credential

	evicted, refused, perAddress, unread atomic.Uint64

	mu              sync.Mutex
	open            map[*connection]struct{}    // owned by mu
	leaving         int                         // owned by mu; how many of open are evicted
	spare           *list.List                  // owned by mu; the connections beyond the limit, the oldest first
	unauthenticated *list.List                  // owned by mu; those that have shown no credential, the oldest first
	callers         fairshare.Pool[*connection] // guarded by mu; those that have shown a credential and are not evicted
	peers           map[netip.Prefix]*list.List // owned by mu; the unauthenticated connections by address; no list is empty
	none            chan struct{}               // owned by mu; closed when open becomes empty; nil: wait was not called
}

// newConnections returns the connections of a server with these limits. reserve of them are kept for health checks.
func newConnections(limits ServerLimits, reserve int, keys *keyring.Keys) *connections {
	return &connections{
		limit: limits.Connections - reserve, perPeer: limits.UnauthenticatedPerAddress, reserve: reserve, keys: keys,
		open: make(map[*connection]struct{}), spare: list.New(), unauthenticated: list.New(), peers: make(map[netip.Prefix]*list.List),
	}
}

// unauthenticatedShare is the divisor of the limit: that part of the connections may be without a credential before
// these are evicted ahead of idle ones.
const unauthenticatedShare = 10

// unreadLimit is how long a client must have left an answer unread before its connection may be evicted. For a caller
// with no more than its share, the same time applies to a client that sends its request slowly.
const unreadLimit = time.Second

// limitedListener turns what a listener accepts into connections.
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
		_ = c.Close() // nobody reads this error
	}
}

// add adds a new connection, and evicts others if necessary. It returns nil if there is no room.
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
		evicted = append(evicted, c.evictListedLocked(line.Front()))
		c.perAddress.Add(1)
	}
	if c.limit > 0 && len(c.open)-c.leaving-c.spare.Len() >= c.limit {
		room := c.roomLocked()
		evicted = append(evicted, room...)
		c.evicted.Add(uint64(len(room)))
		switch {
		case len(room) > 0:
		case c.reserve > 0:
			if c.spare.Len() >= c.reserve {
				evicted = append(evicted, c.evictListedLocked(c.spare.Front()))
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

// joinLocked adds a new connection to its lists.
func (c *connections) joinLocked(conn *connection) {
	switch {
	case conn.spare:
		conn.place = c.spare.PushBack(conn)
	case conn.known.Load():
		c.callers.Add("", &conn.part)
	default:
		conn.place = c.unauthenticated.PushBack(conn)
		line := c.peers[conn.peer]
		if line == nil {
			line = list.New()
			c.peers[conn.peer] = line
		}
		conn.peerPlace = line.PushBack(conn)
	}
}

// unlistLocked removes a connection from its lists.
func (c *connections) unlistLocked(conn *connection) {
	if conn.place != nil {
		if conn.spare {
			c.spare.Remove(conn.place)
		} else {
			c.unauthenticated.Remove(conn.place)
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

// evictListedLocked evicts the connection of a list's element.
func (c *connections) evictListedLocked(e *list.Element) *connection {
	conn := e.Value.(*connection)
	c.unlistLocked(conn)
	conn.requests.Or(int64(evictedBit)) // it may serve a request, but not at the store
	c.leavesLocked(conn)
	return conn
}

// leavesLocked records that a connection is evicted, so that it no longer counts.
func (c *connections) leavesLocked(conn *connection) {
	c.callers.Remove(&conn.part)
	conn.leaving = true
	c.leaving++
}

// roomLocked evicts connections to make room.
func (c *connections) roomLocked() []*connection {
	if room := c.longestLocked((*connection).endedSince); len(room) > 0 {
		return room
	}
	if c.unauthenticated.Len() > c.limit/unauthenticatedShare {
		return []*connection{c.evictListedLocked(c.unauthenticated.Front())}
	}
	if room := c.largestLocked(); len(room) > 0 {
		return room
	}
	if room := c.longestLocked((*connection).idleSince); len(room) > 0 {
		return room
	}
	if c.unauthenticated.Len() > 0 {
		return []*connection{c.evictListedLocked(c.unauthenticated.Front())}
	}
	return c.longestLocked(func(conn *connection) int64 { return conn.waitsSince(unreadLimit) })
}

// candidate is a connection that may be evicted.
type candidate struct {
	conn  *connection
	has   int   // how many connections its caller has
	idle  bool  // false: it waits for its client
	since int64 // when that began
}

// largestLocked evicts connections of callers that have more than their share.
func (c *connections) largestLocked() []*connection {
	fair := c.limit / max(1, c.callers.Callers())
	var all []candidate
	for conn := range c.open {
		has := conn.part.Share().Count
		if has <= fair {
			continue
		}
		if since := conn.idleSince(); since != 0 {
			all = append(all, candidate{conn, has, true, since})
		} else if since := conn.waitsSince(0); since != 0 {
			all = append(all, candidate{conn, has, false, since})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		switch {
		case a.has != b.has:
			return b.has - a.has
		case a.idle != b.idle && a.idle:
			return -1
		case a.idle != b.idle:
			return 1
		}
		return cmp.Compare(a.since, b.since)
	})
	return c.evictLocked(all, fair)
}

// longestLocked evicts the connections whose since is the earliest. since returns 0 for a connection that must stay.
func (c *connections) longestLocked(since func(*connection) int64) []*connection {
	var all []candidate
	for conn := range c.open {
		if !conn.part.In() {
			continue
		}
		if s := since(conn); s != 0 {
			all = append(all, candidate{conn: conn, since: s})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.since, b.since) })
	return c.evictLocked(all, 0)
}

// evictLocked evicts the first candidates whose callers have more than keep connections. It evicts one in a hundred of
// the limit, so that the next new connections need no search.
func (c *connections) evictLocked(all []candidate, keep int) (gone []*connection) {
	for _, one := range all {
		if len(gone) > c.limit/100 {
			break
		}
		if one.conn.part.Share().Count > keep && one.conn.tryEvict() {
			c.leavesLocked(one.conn)
			gone = append(gone, one.conn)
		}
	}
	return gone
}

// track is a ConnState hook. net/http reports StateClosed at the very end of a connection's goroutine, after its
// handler.
func (c *connections) track(nc net.Conn, state http.ConnState) {
	conn := ours(nc)
	if conn == nil {
		return
	}
	switch state {
	case http.StateActive:
		conn.answered.Store(monotonic())
		conn.idle.Store(0)
	case http.StateIdle:
		conn.idle.Store(monotonic())
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	}
}

// ours returns the connection below TLS; nil: another listener's.
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
	c.callers.Remove(&conn.part)
	delete(c.open, conn)
	if len(c.open) == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// authenticated records that a connection has shown a caller's credential. The name is empty if the connection needs no
// credential.
func (c *connections) authenticated(conn *connection, caller string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.spare || conn.known.Load() {
		return
	}
	c.unlistLocked(conn)
	if !conn.leaving {
		c.callers.Add(caller, &conn.part)
	}
	conn.known.Store(true)
	close(conn.shown)
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// stats returns the counters.
func (c *connections) stats() ConnectionStats {
	c.mu.Lock()
	open, unauthenticated := len(c.open)-c.leaving, c.unauthenticated.Len()
	c.mu.Unlock()
	return ConnectionStats{
		Open: int64(open), Unauthenticated: int64(unauthenticated), Evicted: c.evicted.Load(),
		Refused: c.refused.Load(), PerAddress: c.perAddress.Load(), Unread: c.unread.Load(),
	}
}

// wait waits until there are no connections. Call it when no more are accepted.
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
		return fmt.Errorf("%d handlers are still running %v after their connections were closed", c.count(), closeTimeout)
	}
}
