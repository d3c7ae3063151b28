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

	// messageStall is the longest time between two parts of one message.
	messageStall = 30 * time.Second
	// writeStall is the longest time that a write waits for a client that does not read.
	writeStall = 30 * time.Second
	// keepBuffer is the largest size of a connection's buffer that is kept for the next request.
	keepBuffer = 64 << 10
)

// errFraming is the error for an invalid packet header.
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

// message is one complete message of the client.
type message struct {
	kind     byte
	reset    byte   // the reset bits of its first packet
	ignored  bool   // the client marked the message as to be ignored before it was complete
	tooLarge bool   // larger than the limit: body is empty
	body     []byte // in the buffer passed to next, or in one grown from it
}

// packetReader reads packets. It belongs to the goroutine that is the leader of the connection.
type packetReader struct {
	src net.Conn
	buf []byte // buf[r:w] is read and not used yet
	r,
	w int
	// stall limits the time between two parts of a message. 0 sets no deadlines (the login has one
	// deadline for all its messages).
	stall time.Duration
	armed bool // a deadline of more is set
}

func newPacketReader(src net.Conn) *packetReader {
	return &packetReader{src: src, buf: make([]byte, readBufferSize)}
}

// Read returns buffered bytes, and reads the connection if there are none.
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
	for range 8 { // a reader may return 0, nil; one that repeats it is faulty
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

// more is fill within a message, with a deadline.
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

// clearDeadline removes a deadline of more: between messages a client may be idle without limit.
func (p *packetReader) clearDeadline() {
	if p.armed {
		p.armed = false
		_ = p.src.SetReadDeadline(time.Time{})
	}
}

// header reads the next packet's header. first means that it starts a message: then it may take
// any time, and io.EOF means that the client has disconnected.
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

// next reads one message, its body into buf. It allocates at most about twice the size of what has
// arrived, and keeps nothing of a message above limit.
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
		if h.kind == packetAttention { // the client cancelled the message before it was complete
			m = message{kind: packetAttention, body: buf[:0]}
		}
		if h.kind != m.kind {
			return message{}, fmt.Errorf("%w: type %d inside a message of type %d", errFraming, h.kind, m.kind)
		}
	}
}

// body copies n bytes of a packet into the message.
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

// packetWriter collects the tokens of one message and sends them in packets. It belongs to the
// goroutine that runs the request.
type packetWriter struct {
	dst  net.Conn
	size int // of a packet, with header
	spid uint16

	tokens []byte // headerSize free bytes, then the bytes not sent yet
	wire   []byte // packets being built
	number byte   // of the last packet sent for this message
	err    error  // the first error; nothing is sent after it
	until  time.Time
}

func newPacketWriter(dst net.Conn, spid uint16) *packetWriter {
	return &packetWriter{dst: dst, size: defaultPacketSize, spid: spid, tokens: make([]byte, headerSize, 2<<10)}
}

// sendFull sends all full packets and keeps the rest: at least one byte, so that the last packet
// is never empty.
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

// finish sends the rest and ends the message.
func (p *packetWriter) finish() error {
	if len(p.tokens) <= p.size { // the common case: one packet, built in place
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

// packets sends b in packets. The last has the given status and the others 0, because go-mssqldb
// takes any other status as the end of the message.
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

// write sends b under a deadline. It extends the deadline only every few seconds, because that
// costs as much as the rest of the write's own work.
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
