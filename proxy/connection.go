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
	of   *connections
	peer netip.Prefix // the client's address; of IPv6 the network's part, because a host may have all its addresses

	idle     atomic.Int64 // since when it is idle; 0: it is not
	answered atomic.Int64 // when the last answer began
	doing    atomic.Int64 // the activity of the requests
	ended    atomic.Bool  // the last answer is written, and net/http gives the client time to read it before it closes the connection
	deadline atomic.Int64 // for writing, as net/http set it; 0: none
	due      atomic.Int64 // when the client should have read all that was written, at answerRate
	armed    atomic.Int64 // the socket's deadline

	known atomic.Bool   // it has shown a credential, or none is needed
	shown chan struct{} // closed when known
	turns chan struct{} // has one token for each stream of HTTP/2 that is served without a credential
	lined atomic.Int32  // streams that wait for such a token

	leaving   bool                        // owned by connections.mu; it was evicted
	part      fairshare.Part[*connection] // guarded by connections.mu; in its caller's share, from its first credential until it is evicted
	spare     bool                        // it is beyond the limit, for health checks only; never changes once it is open
	place     *list.Element               // owned by connections.mu; in the list of unauthenticated or of spare connections
	peerPlace *list.Element               // owned by connections.mu
}

// activity is the state of a connection's requests in one number. So a connection is not evicted while one of its
// requests is at the store, and a request of a connection that is evicted does not reach the store.
type activity int64

// The parts of an activity.
const (
	aRequest activity = 1       // a request without an answer
	aBody    activity = 1 << 24 // a request that waits for its client to send more of the body
	chosen   activity = 1 << 48 // the connection is evicted
)

// waits reports whether all requests wait for their client.
func (a activity) waits() bool {
	requests, bodies := a&(aBody-1), a&(chosen-1)/aBody
	return requests == bodies
}

// does adds to the activity, and reports whether the connection is not evicted.
func (c *connection) does(more activity) bool { return activity(c.doing.Add(int64(more)))&chosen == 0 }

// choose evicts the connection unless a request is being served. The caller then closes it.
func (c *connection) choose() bool {
	for {
		now := activity(c.doing.Load())
		if !now.waits() {
			return false
		}
		if c.doing.CompareAndSwap(int64(now), int64(now|chosen)) {
			return true
		}
	}
}

// unauthenticatedStreams is how many requests an HTTP/2 connection may have in progress before it has shown a
// credential. As many may wait for one of them to end. If more come, or one has waited for turnWait, the connection
// is closed.
const (
	unauthenticatedStreams = 8
	turnWait               = time.Second
)

func newConnection(inner net.Conn, of *connections) *connection {
	c := &connection{Conn: inner, of: of, peer: peerOf(inner.RemoteAddr()), shown: make(chan struct{}), turns: make(chan struct{}, unauthenticatedStreams)}
	c.idle.Store(monotonic())
	c.known.Store(of.keys == nil)
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

// idleSince returns since when the connection is idle; 0: it is not.
func (c *connection) idleSince() int64 { return c.idle.Load() }

// identify authenticates the connection if the request has a valid credential.
func (c *connection) identify(r *http.Request) {
	if caller, err := identify(c.of.keys.Ring(), r); err == nil {
		c.of.authenticated(c, caller.Name)
	}
}

// waitsSince returns since when the connection waits for its client alone; 0: it is idle, or a request is being
// served. It must have waited for unreadLimit if the client does not read answers, and for least if more of a request
// is to come.
func (c *connection) waitsSince(least time.Duration) int64 {
	now := activity(c.doing.Load())
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

// endedSince returns since when the connection only has to be closed; 0: it has more to do.
func (c *connection) endedSince() int64 {
	if !c.ended.Load() || !activity(c.doing.Load()).waits() {
		return 0
	}
	return c.answered.Load()
}

// CloseWrite tells the client that the last answer has ended. net/http calls it before it waits for a client whose
// request it has not read.
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
	b.c.does(aBody)
	n, err := b.ReadCloser.Read(p)
	if !b.c.does(-aBody) {
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

// SetWriteDeadline implements net.Conn. Unlike other connections', the deadline applies from the next Write on:
// nothing here ends a Write by its deadline.
func (c *connection) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.deadline.Store(0)
		return nil
	}
	c.deadline.Store(int64(t.Sub(started)))
	return nil
}

// Write implements net.Conn. A client that does not read in time loses the connection. It has answerTime plus the
// time for the unread bytes at answerRate, and never more than the deadline that was set. A client without a
// credential gets no large answers: earlier bytes add no time.
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
		c.of.unread.Add(1)
		_ = c.Conn.Close() // in HTTP/2 other streams wait to write
	}
	return n, err
}

// arm sets the socket's deadline unless it is between two times already.
func (c *connection) arm(until, latest int64) error {
	if armed := c.armed.Load(); until <= armed && armed <= latest {
		return nil
	}
	c.armed.Store(latest)
	return c.Conn.SetWriteDeadline(started.Add(time.Duration(latest)))
}

// answerBy returns when the client must have read n bytes of an answer that begins now.
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

// admitWithoutCredential notes that a request is admitted without a credential.
func admitWithoutCredential(r *http.Request) {
	if c := connectionOf(r.Context()); c != nil && !c.known.Load() {
		c.of.authenticated(c, "")
		if !c.does(0) {
			panic(http.ErrAbortHandler) // it is evicted already
		}
	}
}

// refusing says that the request is now answered with a problem. Without a credential that ends the connection; an
// HTTP/2 connection takes no new requests. In HTTP/1.1 the client has no earlier answer left to read, unless it sends
// requests without waiting for answers.
func (c *connection) refusing(w http.ResponseWriter, r *http.Request) {
	if !c.known.Load() {
		w.Header()["Connection"] = closes
	}
	if r.ProtoMajor == 1 {
		c.deadline.Store(monotonic() + int64(answerTime))
	}
}

// answering says that the request is now answered with n bytes, and gives the client time for them. Call written
// after they are written. The connection is nil if [Serve] is not the server.
func answering(w http.ResponseWriter, r *http.Request, n int) *connection {
	c := connectionOf(r.Context())
	if c == nil {
		return nil
	}
	if r.ProtoMajor == 2 { // in HTTP/1.1 Write sets the deadline
		_ = http.NewResponseController(w).SetWriteDeadline(c.answerBy(n)) // a broken connection fails in Write
	}
	c.answered.Store(monotonic())
	c.does(-aRequest)
	return c
}

// written ends what answering began.
func (c *connection) written() {
	if c != nil {
		c.does(aRequest)
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
	if !c.does(aRequest) {
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
		c.does(-aRequest)
	}()
	next.ServeHTTP(w, r)
}

// turn waits until a stream of a connection without a credential may be served, and keeps its token until the client
// has read the answer. If the client reads no answers, the connection is closed and the request is not served.
// Answers without a credential are made at once, so a stream that takes longer waits for its client.
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
	c.of.unread.Add(1)
	_ = c.Conn.Close()
}
