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

// The kinds of disturbances of a relay. All but the last two end the connection of the exchange
// that they meet.
const (
	wireLate    = "late"    // the proxy's side is reset; the server gets the request later
	wireCut     = "cut"     // the server gets the request, and the proxy's side is reset before the answer
	wireHalf    = "half"    // the proxy's side is reset in the middle of the answer
	wireDeaf    = "deaf"    // what the proxy sends comes to the server when the proxy has given up
	wireMute    = "mute"    // what the server answers never comes
	wireDelay   = "delay"   // the request is held back for a time
	wireReorder = "reorder" // the request is held back until others have passed on other connections
	wireAnswer  = "answer"  // the answer is held back; only for aims
)

// giveUp bounds what a relay waits for: an answer to a request that nobody waits for any more, or
// other connections' requests.
const giveUp = 10 * time.Second

// overtaken is how many other requests pass before one that is reordered, and overtakenIn how long
// it waits for them.
const (
	overtaken   = 3
	overtakenIn = time.Second
)

// relay is the network between one proxy and one partner: a port on loopback whose connections lead
// to the partner. It reads whole messages of TDS, so that what is done to a request is done to all
// of it. Logins pass as they are.
type relay struct {
	to    string // the partner's address
	ln    *net.TCPListener
	tally *tally
	ctx   context.Context // ends with the relay
	stop  context.CancelFunc

	running sync.WaitGroup

	mu     sync.Mutex
	aims   []*aim // met by nothing yet
	random *rand.Rand
	now    *disturbance  // what befalls requests that no aim is for; nil: nothing
	passed chan struct{} // closed, and made anew, when a request has passed
}

// disturbance is what a relay does to some of the requests, until it is lifted.
type disturbance struct {
	kind        string
	proxy       int           // the one proxy whose relays do it; -1: all
	oneIn       int           // of so many requests one meets it, on average
	least, most time.Duration // how long late and delay hold a request back
}

// aim is one disturbance of one exchange: of the next request that calls the procedure.
type aim struct {
	kind      string
	procedure string        // the name begins so; empty: any
	after     time.Duration // how long the request is held back; not with release
	release   chan struct{} // held back until it is closed; nil: for the time
	caught    chan struct{} // closed when a request has met it
	held      chan struct{} // of answer: closed when the answer has come, and is held back
	over      chan struct{} // closed when the exchange is over: the server has answered, or can't
	delivered bool          // the server got the request and ended its answer; read it once over is closed
}

func newAim(kind, procedure string) *aim {
	return &aim{kind: kind, procedure: procedure, caught: make(chan struct{}), held: make(chan struct{}), over: make(chan struct{})}
}

// hold waits until the request, or the answer, may go on.
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

// startRelay begins a relay. seed decides which requests a disturbance meets.
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

// close ends the relay and all its connections.
func (r *relay) close() {
	r.stop()
	_ = r.ln.Close()
	r.running.Wait()
}

// port is where the relay listens.
func (r *relay) port() uint64 { return uint64(r.ln.Addr().(*net.TCPAddr).Port) }

// aimAt has the next request for it meet the aim.
func (r *relay) aimAt(a *aim) *aim {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aims = append(r.aims, a)
	return a
}

// disturb puts a disturbance in force; nil lifts the one there is.
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

// connect leads one connection to the partner, and returns when it is over.
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

// meets is what befalls the request; nil: nothing.
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

// pass notes that a request goes on to the server.
func (r *relay) pass() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.passed)
	r.passed = make(chan struct{})
}

// letPass waits until others have passed.
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
	near, far *net.TCPConn  // the proxy's side, and the partner's
	ended     chan struct{} // a token when the partner has ended an answer
	over      chan struct{} // closed when the partner's side is

	mu     sync.Mutex
	answer *aim // what befalls the answer that comes next
	alone  bool // the proxy's side is gone, or gets nothing any more
}

// up carries what the proxy sends, until either side ends.
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

// send sends a request on, or does to it what befalls it; false if the connection is over.
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

// sendLate sends a request that nobody waits for any more, and waits until it is answered.
func (w *wire) sendLate(m message, a *aim) {
	defer close(a.over)
	select {
	case <-w.ended: // of an exchange before
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
		a.delivered = len(w.ended) > 0 // it answered, and left
	case <-limit.C:
	}
	if a.delivered {
		w.tally.late(m.procedure())
	}
}

// leaveAlone resets the proxy's side; what the server says from now on goes nowhere.
func (w *wire) leaveAlone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alone = true
	reset(w.near)
}

// down carries what the server sends, until its side ends.
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

// forward sends a part of an answer on, or does to it what befalls it. An error of the proxy's side
// ends the other direction.
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
		case <-a.held: // by a packet before
		default:
			close(a.held)
		}
		a.hold(w.ctx)
		_, _ = w.near.Write(p)
	case alone:
	case a.kind == wireMute: // the proxy's side stays, and hears nothing
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

// reset ends a connection as a network does that has lost its state.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// message is packets of TDS: a request whole, an answer packet by packet. Each packet has a header of
// eight bytes: type, status (1: the message's last), length in two bytes. Source: facts, tds-mirroring-wire.
type message []byte

const (
	tdsHeader = 8
	tdsRPC    = 3
)

// last tells of one packet whether it ends its message.
func (m message) last() bool { return m[1]&1 != 0 }

// procedure is the name of the procedure that a request calls, without its schema; empty if it calls none by name.
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
		return "" // by number: those that the driver prepares statements with
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
