package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Packet types.
const (
	packetBatch       = 1
	packetRPC         = 3
	packetReply       = 4
	packetAttention   = 6
	packetBulk        = 7
	packetTransaction = 14
	packetLogin       = 16
	packetSSPI        = 17
	packetPrelogin    = 18
)

// Status bits of a packet.
const (
	statusFinal     = 0x01
	statusIgnore    = 0x02
	statusReset     = 0x08
	statusResetKeep = 0x10
)

const (
	headerSize        = 8
	readBufferSize    = 8 << 10
	defaultPacketSize = 4096
	minPacketSize     = 512
	maxPacketSize     = 32767

	// messageStall is how long a client may take between two parts of one message.
	messageStall = 30 * time.Second
	// writeStall is how long a write may wait for a client that does not read.
	writeStall = 30 * time.Second
	// keepBuffer is the size up to which a connection's buffers are kept for the next request.
	keepBuffer = 64 << 10
)

// errFraming is a packet header that can't be.
var errFraming = errors.New("tds: malformed packet header")

// header is the first eight bytes of a packet.
//
//	type 1 | status 1 | length 2 BE, with header | SPID 2 BE | number 1 | window 1
type header struct {
	kind, status byte
	body         int
}

func appendHeader(b []byte, kind, status byte, length int, spid uint16, number byte) []byte {
	b = append(b, kind, status)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = binary.BigEndian.AppendUint16(b, spid)
	return append(b, number, 0)
}

// message is one whole message of the client.
type message struct {
	kind     byte
	reset    byte   // the reset bits of its first packet
	ignored  bool   // the client took it back before it was complete
	tooLarge bool   // longer than the limit: body is empty
	body     []byte // in the buffer that was given to next, or one grown from it
}

// packetReader reads packets. It belongs to the goroutine that leads the connection.
type packetReader struct {
	src net.Conn
	buf []byte // buf[r:w] is read and not yet used
	r,
	w int
	// stall bounds the time between two parts of a message; 0 leaves deadlines alone (during
	// the login there is one for the whole).
	stall time.Duration
	armed bool // a deadline of ours is set
}

func newPacketReader(src net.Conn) *packetReader {
	return &packetReader{src: src, buf: make([]byte, readBufferSize)}
}

// Read takes what is buffered, and reads the connection itself when nothing is.
func (p *packetReader) Read(b []byte) (int, error) {
	if p.r == p.w {
		return p.src.Read(b)
	}
	n := copy(b, p.buf[p.r:p.w])
	p.r += n
	return n, nil
}

// fill reads at least one more byte.
func (p *packetReader) fill() error {
	if p.r > 0 {
		p.w = copy(p.buf, p.buf[p.r:p.w])
		p.r = 0
	}
	for range 8 { // a reader may return 0, nil; one that goes on so is broken
		n, err := p.src.Read(p.buf[p.w:])
		p.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// more is fill in the middle of a message.
func (p *packetReader) more() error {
	if p.stall > 0 {
		p.armed = true
		_ = p.src.SetReadDeadline(time.Now().Add(p.stall)) // fails only on a closed connection
	}
	err := p.fill()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// calm takes a deadline of more away: between messages a client may be idle for ever.
func (p *packetReader) clearDeadline() {
	if p.armed {
		p.armed = false
		_ = p.src.SetReadDeadline(time.Time{})
	}
}

// header reads the next packet's header. first: it starts a message, so it may take
// any time, and io.EOF means that the client left.
func (p *packetReader) header(first bool) (header, error) {
	for p.w-p.r < headerSize {
		read := p.more
		if first && p.w == p.r {
			read = p.fill
		}
		if err := read(); err != nil {
			return header{}, err
		}
	}
	b := p.buf[p.r : p.r+headerSize]
	h := header{kind: b[0], status: b[1], body: int(binary.BigEndian.Uint16(b[2:])) - headerSize}
	if h.body < 0 || h.body > maxPacketSize {
		return header{}, fmt.Errorf("%w: type %d, length %d", errFraming, h.kind, h.body+headerSize)
	}
	p.r += headerSize
	return h, nil
}

// next reads one message, its body into buf. It allocates no more than about twice
// what has arrived, and keeps nothing of a message above limit.
func (p *packetReader) next(buf []byte, limit int) (message, error) {
	h, err := p.header(true)
	if err != nil {
		return message{}, err
	}
	defer p.clearDeadline()
	m := message{kind: h.kind, reset: h.status & (statusReset | statusResetKeep), body: buf[:0]}
	for {
		if err := p.body(&m, h.body, limit); err != nil {
			return message{}, err
		}
		if h.status&statusFinal != 0 {
			m.ignored = h.status&statusIgnore != 0
			return m, nil
		}
		if h, err = p.header(false); err != nil {
			return message{}, err
		}
		if h.kind == packetAttention { // the client gave the message up half-way
			m = message{kind: packetAttention, body: buf[:0]}
		}
		if h.kind != m.kind {
			return message{}, fmt.Errorf("%w: type %d inside a message of type %d", errFraming, h.kind, m.kind)
		}
	}
}

// body moves n bytes of a packet into the message.
func (p *packetReader) body(m *message, n, limit int) error {
	for n > 0 {
		if p.r == p.w {
			if err := p.more(); err != nil {
				return err
			}
		}
		part := p.buf[p.r:min(p.w, p.r+n)]
		p.r += len(part)
		n -= len(part)
		if m.tooLarge || len(m.body)+len(part) > limit {
			m.tooLarge, m.body = true, nil
			continue
		}
		m.body = append(m.body, part...)
	}
	return nil
}

// packetWriter gathers the tokens of one message and sends them in packets. It
// belongs to the goroutine that runs the request.
type packetWriter struct {
	dst  net.Conn
	size int // of a packet, with header
	spid uint16

	tokens []byte // headerSize bytes kept free, then what is not yet sent
	wire   []byte // packets being made
	number byte   // of the last packet sent in this message
	err    error  // the first failure; nothing is sent after it
	until  time.Time
}

func newPacketWriter(dst net.Conn, spid uint16) *packetWriter {
	return &packetWriter{dst: dst, size: defaultPacketSize, spid: spid, tokens: make([]byte, headerSize, 2<<10)}
}

// sendFull sends what fills packets and keeps the rest: at least one byte, so that the last
// packet is never empty.
func (p *packetWriter) sendFull() {
	room := p.size - headerSize
	full := (len(p.tokens) - headerSize - 1) / room * room
	if full <= 0 {
		return
	}
	p.packets(p.tokens[headerSize:headerSize+full], 0)
	rest := copy(p.tokens[headerSize:], p.tokens[headerSize+full:])
	p.tokens = p.tokens[:headerSize+rest]
}

// finish sends the rest as the end of the message.
func (p *packetWriter) finish() error {
	if len(p.tokens) <= p.size { // the common case: one packet, made in place
		p.number++
		appendHeader(p.tokens[:0], packetReply, statusFinal, len(p.tokens), p.spid, p.number)
		p.write(p.tokens)
	} else {
		p.packets(p.tokens[headerSize:], statusFinal)
	}
	p.number = 0
	p.tokens = p.tokens[:headerSize]
	if cap(p.tokens) > keepBuffer {
		p.tokens = make([]byte, headerSize, 2<<10)
	}
	return p.err
}

// packets sends b in packets, of which the last has the given status and the others 0:
// go-mssqldb takes any other status for the end of the message.
func (p *packetWriter) packets(b []byte, last byte) {
	room := p.size - headerSize
	for len(b) > 0 {
		part := b[:min(room, len(b))]
		b = b[len(part):]
		status := last
		if len(b) > 0 {
			status = 0
		}
		p.number++
		p.wire = appendHeader(p.wire, packetReply, status, headerSize+len(part), p.spid, p.number)
		p.wire = append(p.wire, part...)
		if len(p.wire) >= keepBuffer-maxPacketSize || len(b) == 0 {
			p.write(p.wire)
			p.wire = p.wire[:0]
		}
	}
}

// write sends b under a deadline, which is moved only every few seconds because moving it costs as
// much as the write's own bookkeeping.
func (p *packetWriter) write(b []byte) {
	if p.err != nil {
		return
	}
	if now := time.Now(); p.until.Sub(now) < writeStall-5*time.Second {
		p.until = now.Add(writeStall)
		if p.err = p.dst.SetWriteDeadline(p.until); p.err != nil {
			return
		}
	}
	_, p.err = p.dst.Write(b)
}
