package proxy

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// How long a client may take over what it is sent.
const (
	// answerTime is what every answer has, however small.
	answerTime = 5 * time.Second
	// answerRate is the bytes in a second that a client must take of a larger one.
	answerRate = 64 << 10
	// deadlineStep is how much longer it may have, so that not every answer moves the socket's deadline.
	deadlineStep = 500 * time.Millisecond
)

// timeFor is how long n bytes may take beyond answerTime.
func timeFor(n int) time.Duration { return time.Duration(n) * time.Second / answerRate }

// started is what times in a connection are counted from: by the monotonic clock, in eight bytes.
var started = time.Now()

// sinceStart is now, in nanoseconds; never 0.
func sinceStart() int64 { return int64(time.Since(started)) }

// connection is a client's. What it does is noted without a lock.
type connection struct {
	net.Conn
	of   *connections
	peer netip.Prefix // the client's address; of IPv6 the network's part, for a host has all the rest

	idle     atomic.Int64 // since when; 0: at work
	answered atomic.Int64 // since when the last answer is on its way
	atWork   atomic.Int32 // requests without an answer
	deadline atomic.Int64 // for writing, as it was set; 0: none
	due      atomic.Int64 // when the client has taken all that was written, at answerRate
	armed    atomic.Int64 // the deadline that the socket has

	known atomic.Bool   // it has shown a credential, or none is wanted
	shown chan struct{} // closed when known
	turns chan struct{} // holds one for each stream of HTTP/2 that is served without a credential
	lined atomic.Int32  // streams that wait for one of those to end

	leaving   bool          // owned by connections.mu; it was closed to make room
	spare     bool          // never changed once it is open: it is beyond the limit, and for health checks
	place     *list.Element // owned by connections.mu; in the list of strangers or of spare ones
	peerPlace *list.Element // owned by connections.mu
}

// strangersStreams is how many requests a connection of HTTP/2 may have under way before it has shown a credential.
// As many wait for one of those to end. Beyond that, or when they have waited for turnWait, the connection is closed.
const (
	strangersStreams = 8
	turnWait         = time.Second
)

func newConnection(inner net.Conn, of *connections) *connection {
	c := &connection{Conn: inner, of: of, peer: peerOf(inner.RemoteAddr()), shown: make(chan struct{}), turns: make(chan struct{}, strangersStreams)}
	c.idle.Store(sinceStart())
	c.known.Store(of.keys == nil)
	return c
}

// peerOf is whose connection it is.
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
	prefix, _ := ip.Prefix(bits) // an address that is none has the zero prefix
	return prefix
}

// idleSince is since when there is nothing to do; 0: there is.
func (c *connection) idleSince() int64 { return c.idle.Load() }

// identify looks whether the request shows the connection's first credential that is good.
func (c *connection) identify(r *http.Request) {
	if _, err := identify(c.of.keys.Ring(), r); err == nil {
		c.of.authenticated(c)
	}
}

// untakenSince is since when all requests are answered and the client takes no answer; 0: it does, or a request is at work.
func (c *connection) untakenSince() int64 {
	if c.idle.Load() != 0 || c.atWork.Load() > 0 {
		return 0
	}
	if at := c.answered.Load(); sinceStart()-at > int64(untaken) {
		return at
	}
	return 0
}

// SetDeadline implements net.Conn.
func (c *connection) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. Unlike there, it counts from the next Write on: nobody
// here ends a Write in this way.
func (c *connection) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.deadline.Store(0)
		return nil
	}
	c.deadline.Store(int64(t.Sub(started)))
	return nil
}

// Write implements net.Conn. A client that does not take what it is sent in time loses the connection: it has
// answerTime and what the bytes that are under way take at answerRate, and never more than the
// deadline that was set. A client without a credential has no large answers: earlier bytes give it no time.
func (c *connection) Write(p []byte) (int, error) {
	now := sinceStart()
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
		_ = c.Conn.Close() // of HTTP/2, too, where others wait for their turn to write
	}
	return n, err
}

// arm sees to it that the socket's deadline is between two times.
func (c *connection) arm(until, latest int64) error {
	if armed := c.armed.Load(); until <= armed && armed <= latest {
		return nil
	}
	c.armed.Store(latest)
	return c.Conn.SetWriteDeadline(started.Add(time.Duration(latest)))
}

// answerBy is when the client must have taken n bytes of an answer that begins now.
func (c *connection) answerBy(n int) time.Time {
	due := sinceStart()
	if c.known.Load() {
		due = max(due, c.due.Load())
	}
	return started.Add(time.Duration(due) + answerTime + timeFor(n))
}

// connKey is the context key of a request's connection.
type connKey struct{}

// connectionOf is the connection of a request's context; nil where [Serve] is not the server.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connKey{}).(*connection)
	return c
}

// withConnection is a ConnContext hook.
func withConnection(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, ours(nc))
}

// letIn notes that a request is let in without a credential.
func letIn(r *http.Request) {
	if c := connectionOf(r.Context()); c != nil && !c.known.Load() {
		c.of.authenticated(c)
	}
}

// refusing says that the request is answered with a problem now. Without a credential that ends the connection; of
// HTTP/2 it takes no new requests. In HTTP/1.1 nothing was sent before that the client may still have to read, unless it does not
// wait for its answers.
func (c *connection) refusing(w http.ResponseWriter, r *http.Request) {
	if !c.known.Load() {
		w.Header()["Connection"] = closes
	}
	if r.ProtoMajor == 1 {
		c.deadline.Store(sinceStart() + int64(answerTime))
	}
}

// answering says that the request is answered with n bytes now, and gives the client time for them. Call written
// when they are; the connection is nil where [Serve] is not the server.
func answering(w http.ResponseWriter, r *http.Request, n int) *connection {
	c := connectionOf(r.Context())
	if c == nil {
		return nil
	}
	if r.ProtoMajor == 2 { // in HTTP/1.1 the connection's own deadline does
		_ = http.NewResponseController(w).SetWriteDeadline(c.answerBy(n)) // a broken connection tells when it is written to
	}
	c.answered.Store(sinceStart())
	c.atWork.Add(-1)
	return c
}

// written ends what answering began.
func (c *connection) written() {
	if c != nil {
		c.atWork.Add(1)
	}
}

// served has the requests of a server's connections counted, and gives each answer its time. health says
// which paths are answered on a spare connection; refuse answers the others there.
func served(next http.Handler, health func(path string) bool, refuse http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionOf(r.Context())
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		if c.spare {
			w.Header()["Connection"] = closes // the place is another's
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

// serve has a request counted.
func (c *connection) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	c.atWork.Add(1)
	if r.ProtoMajor == 1 {
		c.idle.Store(0) // net/http tells nothing of a request that came with the one before
	}
	defer func() {
		c.answered.Store(sinceStart())
		c.atWork.Add(-1)
	}()
	next.ServeHTTP(w, r)
}

// turn waits until a stream of a connection without a credential may be served, and keeps that turn until the client has taken
// the answer. Where the client takes no answers, the connection is closed, and the request is not served. What is answered without a
// credential is made at once: a stream that takes longer waits for its client.
func (c *connection) turn(ctx context.Context) {
	select {
	case c.turns <- struct{}{}:
	default:
		defer c.lined.Add(-1)
		if c.lined.Add(1) > strangersStreams {
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
	began := sinceStart()
	context.AfterFunc(ctx, func() {
		<-c.turns
		if sinceStart()-began >= int64(answerTime) && !c.known.Load() {
			c.cutUnread() // the stream was reset at its deadline
		}
	})
}

// cutUnread closes the connection of a client that does not take its answers.
func (c *connection) cutUnread() {
	c.of.unread.Add(1)
	_ = c.Conn.Close()
}
