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
	"github.com/mirrorstate/mirrorstate/shares"
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
// When there are as many as may be, one makes room for the next. Connections whose last answer is written go first, and then
// those that have shown no credential, the oldest of them first, whatever they do; below a tenth of the limit they are spared while another
// goes, so that a new client has time to show its key. Then those of the caller that has most go, as long as it has more than
// its share, which is the same for all: its idle ones first, and then those that wait for their client, for more of a request or for an
// answer to be taken. Then go, of whoever's, those that have been idle longest, and those that have waited for their client for
// unreadLimit. A connection is its first credential's. One with a request at work stays: if all are at work, a new connection is closed.
//
// One address has a bound of its own for connections that have shown no credential: the next one
// closes the oldest of that address.
type connections struct {
	limit   int           // 0: none
	perPeer int           // without a credential, of one address; 0: no bound
	reserve int           // beyond limit, for health checks
	keys    *keyring.Keys // nil: no connection is a stranger's

	evicted, refused, perAddress, unread atomic.Uint64

	mu              sync.Mutex
	open            map[*connection]struct{}    // owned by mu
	leaving         int                         // owned by mu; how many of those were closed to make room
	spare           *list.List                  // owned by mu; of those, the ones beyond the limit, the oldest first
	unauthenticated *list.List                  // owned by mu; those that have shown no credential, the oldest first
	callers         shares.Pool[*connection]    // guarded by mu; those that have, and are not leaving
	peers           map[netip.Prefix]*list.List // owned by mu; the same by address; none is empty
	none            chan struct{}               // owned by mu; closed when open becomes empty, nil while nobody asked
}

// newConnections makes those of a server with these limits. reserve of them are kept for health checks.
func newConnections(limits ServerLimits, reserve int, keys *keyring.Keys) *connections {
	return &connections{
		limit: limits.Connections - reserve, perPeer: limits.UnauthenticatedPerAddress, reserve: reserve, keys: keys,
		open: make(map[*connection]struct{}), spare: list.New(), unauthenticated: list.New(), peers: make(map[netip.Prefix]*list.List),
	}
}

// unauthenticatedShare is the part of the limit, one in so many, that connections without a credential
// keep while others are idle.
const unauthenticatedShare = 10

// unreadLimit is how long a client has had an answer without taking it, for its connection to make room for others; or has been
// sending a request, where its caller has not more than its share.
const unreadLimit = time.Second

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

// unlistLocked takes a connection out of its lists.
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

// outLocked chooses a listed connection to be closed.
func (c *connections) outLocked(e *list.Element) *connection {
	conn := e.Value.(*connection)
	c.unlistLocked(conn)
	conn.doing.Or(int64(chosen)) // it may be at work, but not at the store
	c.leavesLocked(conn)
	return conn
}

// leavesLocked has a connection count no more.
func (c *connections) leavesLocked(conn *connection) {
	c.callers.Remove(&conn.part)
	conn.leaving = true
	c.leaving++
}

// roomLocked chooses those that make room.
func (c *connections) roomLocked() []*connection {
	if room := c.longestLocked((*connection).endedSince); len(room) > 0 {
		return room
	}
	if c.unauthenticated.Len() > c.limit/unauthenticatedShare {
		return []*connection{c.outLocked(c.unauthenticated.Front())}
	}
	if room := c.largestLocked(); len(room) > 0 {
		return room
	}
	if room := c.longestLocked((*connection).idleSince); len(room) > 0 {
		return room
	}
	if c.unauthenticated.Len() > 0 {
		return []*connection{c.outLocked(c.unauthenticated.Front())}
	}
	return c.longestLocked(func(conn *connection) int64 { return conn.waitsSince(unreadLimit) })
}

// candidate is a connection that may make room.
type candidate struct {
	conn  *connection
	has   int   // of its caller's
	idle  bool  // rather than waiting for its client
	since int64 // when it began to be so
}

// largestLocked chooses connections of those callers that have more than their share.
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
	return c.chooseLocked(all, fair)
}

// longestLocked chooses those that have been so longest. since is 0 for a connection that is not.
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
	return c.chooseLocked(all, 0)
}

// chooseLocked has the first candidates make room: one in a hundred, so that the next ones need not look again, and as long as
// their caller has more than keep.
func (c *connections) chooseLocked(all []candidate, keep int) (gone []*connection) {
	for _, one := range all {
		if len(gone) > c.limit/100 {
			break
		}
		if one.conn.part.Share().Count > keep && one.conn.choose() {
			c.leavesLocked(one.conn)
			gone = append(gone, one.conn)
		}
	}
	return gone
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
		conn.answered.Store(monotonic())
		conn.idle.Store(0)
	case http.StateIdle:
		conn.idle.Store(monotonic())
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
	c.callers.Remove(&conn.part)
	delete(c.open, conn)
	if len(c.open) == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// authenticated notes that a connection has shown a caller's credential. Its name is empty where callers are not told apart.
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

// stats reads the counters.
func (c *connections) stats() ConnectionStats {
	c.mu.Lock()
	open, unauthenticated := len(c.open)-c.leaving, c.unauthenticated.Len()
	c.mu.Unlock()
	return ConnectionStats{
		Open: int64(open), Unauthenticated: int64(unauthenticated), Evicted: c.evicted.Load(),
		Refused: c.refused.Load(), PerAddress: c.perAddress.Load(), Unread: c.unread.Load(),
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
