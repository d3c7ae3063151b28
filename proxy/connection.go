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

	"github.com/mirrorstate/mirrorstate/shares"
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

// monotonic is now, in nanoseconds; never 0.
func monotonic() int64 { return int64(time.Since(started)) }

// connection is a client's. What it does is noted without a lock.
type connection struct {
	net.Conn
	of   *connections
	peer netip.Prefix // the client's address; of IPv6 the network's part, for a host has all the rest

	idle     atomic.Int64 // since when; 0: at work
	answered atomic.Int64 // since when the last answer is on its way
	doing    atomic.Int64 // an activity
	ended    atomic.Bool  // the last answer is written, and net/http gives the client time to take it before it closes
	deadline atomic.Int64 // for writing, as it was set; 0: none
	due      atomic.Int64 // when the client has taken all that was written, at answerRate
	armed    atomic.Int64 // the deadline that the socket has

	known atomic.Bool   // it has shown a credential, or none is wanted
	shown chan struct{} // closed when known
	turns chan struct{} // holds one for each stream of HTTP/2 that is served without a credential
	lined atomic.Int32  // streams that wait for one of those to end

	leaving   bool                     // owned by connections.mu; it was closed to make room
	part      shares.Part[*connection] // guarded by connections.mu; of its caller's, once that is known, and until it leaves
	spare     bool                     // never changed once it is open: it is beyond the limit, and for health checks
	place     *list.Element            // owned by connections.mu; in the list of strangers or of spare ones
	peerPlace *list.Element            // owned by connections.mu
}

// activity is what the requests of a connection do, in one number: so that nobody closes a connection to make room while one
// of them is at the store, and none goes to the store when that is decided.
type activity int64

// What an activity is made of.
const (
	aRequest activity = 1       // without an answer
	aBody    activity = 1 << 24 // one of those waits for its client to send more of it
	chosen   activity = 1 << 48 // the connection makes room, and ends
)

// waits reports whether the client alone can go on: none of the requests is at work.
func (a activity) waits() bool {
	requests, bodies := a&(aBody-1), a&(chosen-1)/aBody
	return requests == bodies
}

// does adds to what the requests do, and reports whether the connection stays.
func (c *connection) does(more activity) bool { return activity(c.doing.Add(int64(more)))&chosen == 0 }

// choose has the connection make room, unless a request is at work. It is to be closed then.
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

// unauthenticatedStreams is how many requests a connection of HTTP/2 may have under way before it has shown a credential.
// As many wait for one of those to end. Beyond that, or when they have waited for turnWait, the connection is closed.
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
	if caller, err := identify(c.of.keys.Ring(), r); err == nil {
		c.of.authenticated(c, caller.Name)
	}
}

// waitsSince is since when all there is to do is the client's, though it is not idle; 0: it is, or a request is at work. It has to
// have been so for unreadLimit where answers are not taken, and for least where more of a request is to come.
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

// endedSince is since when there is nothing left but to close the connection; 0: there is.
func (c *connection) endedSince() int64 {
	if !c.ended.Load() || !activity(c.doing.Load()).waits() {
		return 0
	}
	return c.answered.Load()
}

// CloseWrite has the client know that the last answer has come. net/http calls it before it waits for a client whose request it
// has not read.
func (c *connection) CloseWrite() error {
	c.ended.Store(true)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// comingBody is the body of a request, whose connection makes room for others while it waits for more of it.
type comingBody struct {
	io.ReadCloser
	c *connection
}

var errMadeRoom = errors.New("its connection was closed, to make room for others")

// Read implements io.Reader.
func (b comingBody) Read(p []byte) (int, error) {
	b.c.does(aBody)
	n, err := b.ReadCloser.Read(p)
	if !b.c.does(-aBody) {
		return 0, errMadeRoom // whatever came: nobody gets the answer
	}
	return n, err
}

// bodyOf is a request's body, to be read in its place.
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
	due := monotonic()
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

// admitWithoutCredential notes that a request is let in without a credential.
func admitWithoutCredential(r *http.Request) {
	if c := connectionOf(r.Context()); c != nil && !c.known.Load() {
		c.of.authenticated(c, "")
		if !c.does(0) {
			panic(http.ErrAbortHandler) // it makes room for others already
		}
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
		c.deadline.Store(monotonic() + int64(answerTime))
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

// serve has a request counted. On a connection that makes room nothing is done for it.
func (c *connection) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !c.does(aRequest) {
		panic(http.ErrAbortHandler)
	}
	if r.ProtoMajor == 1 {
		c.idle.Store(0) // net/http tells nothing of a request that came with the one before
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

// turn waits until a stream of a connection without a credential may be served, and keeps that turn until the client has taken
// the answer. Where the client takes no answers, the connection is closed, and the request is not served. What is answered without a
// credential is made at once: a stream that takes longer waits for its client.
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

// cutUnread closes the connection of a client that does not take its answers.
func (c *connection) cutUnread() {
	c.of.unread.Add(1)
	_ = c.Conn.Close()
}
