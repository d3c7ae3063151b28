package chaos

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// The kinds of disturbances of a relay. All but the last three end the connection of the exchange.
const (
	wireLate    = "late"    // the proxy's connection is reset; the server gets the request later
	wireCut     = "cut"     // the server gets the request; the proxy's connection is reset before the answer
	wireHalf    = "half"    // the proxy's connection is reset in the middle of the answer
	wireDeaf    = "deaf"    // the server gets the request after the proxy has given up
	wireMute    = "mute"    // the proxy never gets the answer
	wireDelay   = "delay"   // the request is held back for a time
	wireReorder = "reorder" // the request is held back until others have passed on other connections
	wireAnswer  = "answer"  // the answer is held back; only for aims
)

// giveUp bounds the waits of a relay: for the answer to a request whose proxy has given up, and for requests of other
// connections.
const giveUp = 10 * time.Second

// overtaken is the number of requests that pass before a reordered one, and overtakenIn how long it waits for them.
const (
	overtaken   = 3
	overtakenIn = time.Second
)

// relay is the network between one proxy and one partner: a port on loopback that forwards connections to the partner.
// It reads whole TDS messages, so that a disturbance applies to a whole request. Logins pass without a change.
type relay struct {
	to    string // the partner's address
	ln    *net.TCPListener
	tally *tally
	ctx   context.Context // ends with the relay
	stop  context.CancelFunc

	running sync.WaitGroup

	mu     sync.Mutex
	aims   []*aim // not applied yet
	random *rand.Rand
	now    *disturbance  // applies to requests without an aim; nil: none
	passed chan struct{} // closed and replaced when a request has passed
}

// disturbance is what a relay does to some of the requests, until it ends.
type disturbance struct {
	kind        string
	proxy       int           // only the relays of this proxy do it; -1: all
	oneIn       int           // on average, one request in this many is disturbed
	least, most time.Duration // how long late and delay hold a request back
}

// aim is a disturbance of one exchange: the next request that calls the procedure.
type aim struct {
	kind      string
	procedure string        // a prefix of its name; empty: any
	after     time.Duration // how long the request is held back, without release
	release   chan struct{} // the request is held back until this is closed; nil: for the time after
	caught    chan struct{} // closed when the aim has applied to a request
	held      chan struct{} // with wireAnswer: closed when the answer has arrived and is held back
	over      chan struct{} // closed when the exchange is over: the server has answered, or can't any more
	delivered bool          // the server got the request and finished its answer; read it only after over is closed
}

func newAim(kind, procedure string) *aim {
	return &aim{kind: kind, procedure: procedure, caught: make(chan struct{}), held: make(chan struct{}), over: make(chan struct{})}
}

// hold waits until the request or the answer may pass.
func (a *aim) hold(ctx context.Context) {
	if a.release == nil {
		pause(ctx, a.after)
		return
	}
	select {
	case <-a.release:
	case <-ctx.Done():
	}
}

// startRelay starts a relay. seed decides which requests are disturbed.
func startRelay(t *testing.T, to string, seed uint64, actor int, tl *tally) *relay {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{to: to, ln: ln, tally: tl, random: random(seed, actor), passed: make(chan struct{})}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.running.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

// close closes the relay and all its connections.
func (r *relay) close() {
	r.stop()
	_ = r.ln.Close()
	r.running.Wait()
}

// port returns the port of the relay.
func (r *relay) port() uint64 { return uint64(r.ln.Addr().(*net.TCPAddr).Port) }

// aimAt applies the aim to the next request that matches it.
func (r *relay) aimAt(a *aim) *aim {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aims = append(r.aims, a)
	return a
}

// disturb starts a disturbance; nil ends the present one.
func (r *relay) disturb(d *disturbance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = d
}

func (r *relay) accept() {
	for {
		near, err := r.ln.AcceptTCP()
		if err != nil {
			return
		}
		r.running.Go(func() { r.connect(near) })
	}
}

// connect forwards one connection to the partner, and returns when it is closed.
func (r *relay) connect(near *net.TCPConn) {
	dialer := net.Dialer{Timeout: giveUp}
	far, err := dialer.DialContext(r.ctx, "tcp", r.to)
	if err != nil {
		reset(near)
		return
	}
	w := &wire{relay: r, near: near, far: far.(*net.TCPConn), ended: make(chan struct{}, 1), over: make(chan struct{})}
	defer context.AfterFunc(r.ctx, func() {
		reset(w.near)
		reset(w.far)
	})()
	r.running.Go(w.down)
	w.up()
	_ = w.far.Close()
	<-w.over
}

// meets returns the disturbance of a request; nil for none.
func (r *relay) meets(m message) *aim {
	procedure := m.procedure()
	if procedure == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, a := range r.aims {
		if strings.HasPrefix(procedure, a.procedure) {
			r.aims = append(r.aims[:i:i], r.aims[i+1:]...)
			close(a.caught)
			return a
		}
	}
	d := r.now
	if d == nil || r.random.IntN(d.oneIn) != 0 {
		return nil
	}
	a := newAim(d.kind, procedure)
	a.after = between(r.random, d.least, d.most)
	r.tally.disturbed(d.kind)
	return a
}

// pass records that a request passes to the server.
func (r *relay) pass() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.passed)
	r.passed = make(chan struct{})
}

// letPass waits until other requests have passed.
func (r *relay) letPass() {
	ctx, cancel := context.WithTimeout(r.ctx, overtakenIn)
	defer cancel()
	for range overtaken {
		r.mu.Lock()
		passed := r.passed
		r.mu.Unlock()
		select {
		case <-passed:
		case <-ctx.Done():
			return
		}
	}
}

// wire is one connection through a relay.
type wire struct {
	*relay
	near, far *net.TCPConn  // the proxy's connection, and the partner's
	ended     chan struct{} // gets a token when the partner has finished an answer
	over      chan struct{} // closed when the partner's connection is closed

	mu     sync.Mutex
	answer *aim // applies to the next answer
	alone  bool // the proxy's connection is closed, or gets nothing any more
}

// up forwards the proxy's messages until one connection is closed.
func (w *wire) up() {
	in := bufio.NewReader(w.near)
	for {
		m, err := readMessage(in)
		if err != nil {
			return
		}
		a := w.meets(m)
		if a == nil {
			a = newAim("", "")
		}
		if !w.send(m, a, in) {
			return
		}
	}
}

// send forwards or disturbs a request. It returns false if the connection is over.
func (w *wire) send(m message, a *aim, in io.Reader) bool {
	switch a.kind {
	case wireLate:
		w.leaveAlone()
		a.hold(w.ctx)
		w.sendLate(m, a)
		return false
	case wireDeaf:
		more, _ := io.ReadAll(io.LimitReader(in, 1<<20)) // until the proxy has given up
		w.leaveAlone()
		w.sendLate(append(m, more...), a)
		return false
	case wireDelay:
		a.hold(w.ctx)
	case wireReorder:
		w.letPass()
	case wireCut, wireHalf, wireMute, wireAnswer:
		w.mu.Lock()
		w.answer = a
		w.mu.Unlock()
	}
	_, err := w.far.Write(m)
	w.pass()
	return err == nil
}

// sendLate forwards a request whose proxy has given up, and waits until it is answered.
func (w *wire) sendLate(m message, a *aim) {
	defer close(a.over)
	select {
	case <-w.ended: // the token of an earlier exchange
	default:
	}
	if _, err := w.far.Write(m); err != nil {
		return
	}
	limit := time.NewTimer(giveUp)
	defer limit.Stop()
	select {
	case <-w.ended:
		a.delivered = true
	case <-w.over:
		a.delivered = len(w.ended) > 0 // the server answered and closed the connection
	case <-limit.C:
	}
	if a.delivered {
		w.tally.late(m.procedure())
	}
}

// leaveAlone resets the proxy's connection. Later answers of the server are discarded.
func (w *wire) leaveAlone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alone = true
	reset(w.near)
}

// down forwards the server's messages until its connection is closed.
func (w *wire) down() {
	defer close(w.over)
	in := bufio.NewReader(w.far)
	for {
		p, err := readPacket(in)
		if errors.Is(err, io.EOF) {
			_ = w.near.Close()
			return
		}
		if err != nil {
			reset(w.near)
			return
		}
		w.forward(p)
		if p.last() {
			select {
			case w.ended <- struct{}{}:
			default:
			}
		}
	}
}

// forward forwards or disturbs a part of an answer. An error of the proxy's connection ends the other direction too.
func (w *wire) forward(p message) {
	w.mu.Lock()
	a, alone := w.answer, w.alone
	if p.last() {
		w.answer = nil
	}
	w.mu.Unlock()
	switch {
	case a == nil && !alone:
		_, _ = w.near.Write(p)
	case a == nil:
	case a.kind == wireAnswer:
		select {
		case <-a.held: // an earlier packet is held already
		default:
			close(a.held)
		}
		a.hold(w.ctx)
		_, _ = w.near.Write(p)
	case alone:
	case a.kind == wireMute: // the proxy's connection stays open and gets nothing
		w.mu.Lock()
		w.alone = true
		w.mu.Unlock()
	case a.kind == wireHalf:
		_, _ = w.near.Write(p[:len(p)/2])
		w.leaveAlone()
	default:
		w.leaveAlone()
	}
	if a != nil && p.last() {
		a.delivered = true
		close(a.over)
	}
}

// reset closes a connection with a TCP reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// message is one or more TDS packets: a whole request, or one packet of an answer. Each packet has a header of eight
// bytes: type, status (1: last packet of the message), length in two bytes. Source: facts, tds-mirroring-wire.
type message []byte

const (
	tdsHeader = 8
	tdsRPC    = 3
)

// last reports whether a packet is the last one of its message.
func (m message) last() bool { return m[1]&1 != 0 }

// procedure returns the name of the procedure that a request calls, without its schema; "" if it calls none by name.
func (m message) procedure() string {
	if m[0] != tdsRPC || len(m) < tdsHeader+4 {
		return ""
	}
	headers := int(binary.LittleEndian.Uint32(m[tdsHeader:]))
	at := tdsHeader + headers
	if headers < 0 || len(m) < at+2 {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(m[at:]))
	if n == 0xffff || len(m) < at+2+2*n {
		return "" // called by number, as the driver prepares statements
	}
	name := make([]uint16, n)
	for i := range name {
		name[i] = binary.LittleEndian.Uint16(m[at+2+2*i:])
	}
	return strings.TrimPrefix(string(utf16.Decode(name)), "dbo.")
}

// readPacket reads one packet.
func readPacket(r io.Reader) (message, error) {
	header := make(message, tdsHeader, 512)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	rest := int(binary.BigEndian.Uint16(header[2:])) - tdsHeader
	if rest < 0 {
		return nil, errors.New("that is no TDS")
	}
	p := append(header, make([]byte, rest)...)
	_, err := io.ReadFull(r, p[tdsHeader:])
	return p, err
}

// readMessage reads packets up to the one that ends the message.
func readMessage(r io.Reader) (message, error) {
	var m message
	for {
		p, err := readPacket(r)
		if err != nil {
			return nil, err
		}
		if m = append(m, p...); p.last() {
			return m, nil
		}
	}
}
