package proxy

import (
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/fairshare"
)

// How long a client may take to read what it is sent.
const (
	// answerTime is granted to every answer, however small.
	answerTime = 5 * time.Second
	// answerRate is how many bytes per second a client must read of a larger answer.
	answerRate = 64 << 10
	// deadlineStep is by how much the socket's deadline may be later, so that not every answer has to set it.
	deadlineStep = 500 * time.Millisecond
)

// timeFor returns how long n bytes may take beyond answerTime.
func timeFor(n int) time.Duration { return time.Duration(n) * time.Second / answerRate }

// started is the origin of the times in a connection: monotonic, in eight bytes.
var started = time.Now()

// monotonic returns the current time in nanoseconds since started; never 0.
func monotonic() int64 { return int64(time.Since(started)) }

// connection is a client's connection. Its state is kept without a lock.
type connection struct {
	net.Conn
	owner *connections
	peer  netip.Prefix // the client's address; of IPv6 the network's part, because a host may have all its addresses

	idle     atomic.Int64 // when it became idle; 0: it is not idle
	answered atomic.Int64 // when the last answer began
	requests atomic.Int64 // the activity of the requests
	ended    atomic.Bool  // the last answer is written, and net/http gives the client time to read it before it closes the connection
	deadline atomic.Int64 // for writing, as net/http set it; 0: none
	due      atomic.Int64 // when the client should have read everything that was written, at answerRate
	armed    atomic.Int64 // the deadline that the socket has

	known atomic.Bool   // it has shown a credential, or needs none
	shown chan struct{} // closed when known becomes true
	turns chan struct{} // holds one value for each HTTP/2 stream that is served without a credential
	lined atomic.Int32  // streams that wait for room in turns

	leaving   bool                        // owned by connections.mu; it was evicted
	part      fairshare.Part[*connection] // guarded by connections.mu; in its caller's share, from its first credential until it is evicted
	spare     bool                        // it is beyond the limit, for health checks only; never changes once it is open
	place     *list.Element               // owned by connections.mu; in the list of unauthenticated or of spare connections
	peerPlace *list.Element               // owned by connections.mu
}

// activity is the state of a connection's requests, in one number that can be changed atomically. So a connection is not
// evicted while one of its requests is at the store, and a request of an evicted connection does not reach the store.
type activity int64

// The parts of an activity.
const (
	aRequest   activity = 1       // a request without an answer
	aBody      activity = 1 << 24 // a request that waits for its client to send more of the body
	evictedBit activity = 1 << 48 // the connection is evicted
)

// waits reports whether all requests wait for their client.
func (a activity) waits() bool {
	requests, bodies := a&(aBody-1), a&(evictedBit-1)/aBody
	return requests == bodies
}

// addActivity adds more to the activity. It returns false if the connection is evicted.
func (c *connection) addActivity(more activity) bool {
	return activity(c.requests.Add(int64(more)))&evictedBit == 0
}

// tryEvict marks the connection as evicted, unless a request is being served. If it returns true, the caller must close
// the connection.
func (c *connection) tryEvict() bool {
	for {
		now := activity(c.requests.Load())
		if !now.waits() {
			return false
		}
		if c.requests.CompareAndSwap(int64(now), int64(now|evictedBit)) {
			return true
		}
	}
}

// unauthenticatedStreams is how many requests an HTTP/2 connection may have in progress before it has shown a
// credential. The same number may wait until one of these ends. If more come, or one has waited for turnWait, the
// connection is closed.
const (
	unauthenticatedStreams = 8
	turnWait               = time.Second
)

func newConnection(inner net.Conn, owner *connections) *connection {
	c := &connection{Conn: inner, owner: owner, peer: peerOf(inner.RemoteAddr()), shown: make(chan struct{}), turns: make(chan struct{}, unauthenticatedStreams)}
	c.idle.Store(monotonic())
	c.known.Store(owner.keys == nil)
	return c
}

// peerOf returns the client's address, or the network's part of it.
func peerOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // an invalid address has the zero prefix
	return prefix
}

// idleSince returns the time at which the connection became idle; 0: it is not idle.
func (c *connection) idleSince() int64 { return c.idle.Load() }

// identify authenticates the connection if the request has a valid credential.
func (c *connection) identify(r *http.Request) {
	if caller, err := identify(c.owner.keys.Ring(), r); err == nil {
		c.owner.authenticated(c, caller.Name)
	}
}

// waitsSince returns the time at which the connection began to wait for its client. It returns 0 if the connection is
// idle, if a request is being served, or if it has not waited long enough: unreadLimit while the client has to read
// answers, and least while it has to send more of a request.
func (c *connection) waitsSince(least time.Duration) int64 {
	now := activity(c.requests.Load())
	if c.idle.Load() != 0 || !now.waits() {
		return 0
	}
	if now < aBody {
		least = unreadLimit
	}
	if at := c.answered.Load(); monotonic()-at > int64(least) {
		return at
	}
	return 0
}

// endedSince returns the time at which the last answer of the connection was written; 0: it is still in use.
func (c *connection) endedSince() int64 {
	if !c.ended.Load() || !activity(c.requests.Load()).waits() {
		return 0
	}
	return c.answered.Load()
}

// CloseWrite closes the connection for writing: the client sees that the last answer has ended. net/http calls it before
// it waits for a client whose request it has not read.
func (c *connection) CloseWrite() error {
	c.ended.Store(true)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// comingBody is the body of a request. The connection may be evicted while it waits for more of the body.
type comingBody struct {
	io.ReadCloser
	c *connection
}

var errMadeRoom = errors.New("the connection was closed to make room for others")

// Read implements io.Reader.
func (b comingBody) Read(p []byte) (int, error) {
	b.c.addActivity(aBody)
	n, err := b.ReadCloser.Read(p)
	if !b.c.addActivity(-aBody) {
		return 0, errMadeRoom // the connection is closed, so there is no answer
	}
	return n, err
}

// bodyOf returns a request's body, to be read instead of r.Body.
func bodyOf(r *http.Request) io.ReadCloser {
	if c := connectionOf(r.Context()); c != nil && r.ContentLength != 0 {
		return comingBody{r.Body, c}
	}
	return r.Body
}

// SetDeadline implements net.Conn.
func (c *connection) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. Unlike with other connections, the deadline applies only to later calls of
// Write, not to one in progress.
func (c *connection) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.deadline.Store(0)
		return nil
	}
	c.deadline.Store(int64(t.Sub(started)))
	return nil
}

// Write implements net.Conn. If the client does not read in time, Write closes the connection. The client has answerTime
// plus the time for the unread bytes at answerRate, but not longer than the deadline that was set. For a client without
// a credential only the bytes of this call count, because it gets no large answers.
func (c *connection) Write(p []byte) (int, error) {
	now := monotonic()
	due := now
	if c.known.Load() {
		due = max(due, c.due.Load())
	}
	due += int64(timeFor(len(p)))
	c.due.Store(due)
	until := due + int64(answerTime)
	latest := until + int64(deadlineStep)
	if set := c.deadline.Load(); set != 0 {
		until, latest = min(until, set), min(latest, set)
	}
	if err := c.arm(until, latest); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.owner.unread.Add(1)
		_ = c.Conn.Close() // in HTTP/2 other streams wait to write
	}
	return n, err
}

// arm sets the socket's deadline to latest, unless it is between until and latest already.
func (c *connection) arm(until, latest int64) error {
	if armed := c.armed.Load(); until <= armed && armed <= latest {
		return nil
	}
	c.armed.Store(latest)
	return c.Conn.SetWriteDeadline(started.Add(time.Duration(latest)))
}

// answerBy returns the time by which the client must have read n bytes of an answer that begins now.
func (c *connection) answerBy(n int) time.Time {
	due := monotonic()
	if c.known.Load() {
		due = max(due, c.due.Load())
	}
	return started.Add(time.Duration(due) + answerTime + timeFor(n))
}

// connKey is the context key of a request's connection.
type connKey struct{}

// connectionOf returns the connection of a request; nil if [Serve] is not the server.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connKey{}).(*connection)
	return c
}

// withConnection is a ConnContext hook.
func withConnection(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, ours(nc))
}

// admitWithoutCredential records that a request needs no credential, so that its connection counts as known.
func admitWithoutCredential(r *http.Request) {
	if c := connectionOf(r.Context()); c != nil && !c.known.Load() {
		c.owner.authenticated(c, "")
		if !c.addActivity(0) {
			panic(http.ErrAbortHandler) // it is evicted already
		}
	}
}

// refusing prepares the answer with a problem. A connection without a credential ends after it; an HTTP/2 connection
// takes no new requests. In HTTP/1.1 the client gets answerTime to read it: it has no earlier answer left to read,
// unless it sends requests without waiting for answers.
func (c *connection) refusing(w http.ResponseWriter, r *http.Request) {
	if !c.known.Load() {
		w.Header()["Connection"] = closes
	}
	if r.ProtoMajor == 1 {
		c.deadline.Store(monotonic() + int64(answerTime))
	}
}

// answering records that an answer of n bytes begins, and gives the client time to read them. The caller must call
// written after the answer. The result is nil if [Serve] is not the server.
func answering(w http.ResponseWriter, r *http.Request, n int) *connection {
	c := connectionOf(r.Context())
	if c == nil {
		return nil
	}
	if r.ProtoMajor == 2 { // in HTTP/1.1 Write sets the deadline
		_ = http.NewResponseController(w).SetWriteDeadline(c.answerBy(n)) // a broken connection fails in Write
	}
	c.answered.Store(monotonic())
	c.addActivity(-aRequest)
	return c
}

// written records that the answer announced by answering is written.
func (c *connection) written() {
	if c != nil {
		c.addActivity(aRequest)
	}
}

// served counts the requests of a server's connections, and gives each answer its time. health reports which paths
// are answered on a spare connection; refuse answers the others there.
func served(next http.Handler, health func(path string) bool, refuse http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionOf(r.Context())
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		if c.spare {
			w.Header()["Connection"] = closes // one request for each spare connection
			if !health(r.URL.Path) {
				refuse(w, r)
				return
			}
		}
		if !c.spare && !c.known.Load() {
			c.identify(r)
		}
		if r.ProtoMajor != 2 {
			c.serve(next, w, r)
			return
		}
		if !c.known.Load() {
			c.turn(r.Context())
		}
		c.serve(next, w, r)
		if d, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
			_ = d.SetWriteDeadline(c.answerBy(0))
		}
	})
}

// serve counts a request and serves it, unless the connection is evicted.
func (c *connection) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !c.addActivity(aRequest) {
		panic(http.ErrAbortHandler)
	}
	if r.ProtoMajor == 1 {
		c.idle.Store(0) // net/http reports no state change for a pipelined request
	}
	defer func() {
		c.answered.Store(monotonic())
		if r.ProtoMajor == 1 && slices.Contains(w.Header()["Connection"], "close") {
			c.ended.Store(true)
		}
		c.addActivity(-aRequest)
	}()
	next.ServeHTTP(w, r)
}

// turn waits until a stream of a connection without a credential may be served. The stream keeps its place in turns
// until the client has read the answer. If the client reads no answers, turn closes the connection, and the request is
// not served. Requests without a credential are answered at once, so a stream that takes longer waits for its client.
func (c *connection) turn(ctx context.Context) {
	select {
	case c.turns <- struct{}{}:
	default:
		defer c.lined.Add(-1)
		if c.lined.Add(1) > unauthenticatedStreams {
			c.cutUnread()
			panic(http.ErrAbortHandler)
		}
		timer := time.NewTimer(turnWait)
		defer timer.Stop()
		select {
		case c.turns <- struct{}{}:
		case <-c.shown:
			return
		case <-timer.C:
			c.cutUnread()
			panic(http.ErrAbortHandler)
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	began := monotonic()
	context.AfterFunc(ctx, func() {
		<-c.turns
		if monotonic()-began >= int64(answerTime) && !c.known.Load() {
			c.cutUnread() // the stream was reset at its deadline
		}
	})
}

// cutUnread closes the connection of a client that does not read its answers.
func (c *connection) cutUnread() {
	c.owner.unread.Add(1)
	_ = c.Conn.Close()
}
