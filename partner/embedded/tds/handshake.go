package tds

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// alpnTDS8 is the protocol name of TDS 8 in a TLS handshake.
const alpnTDS8 = "tds/8.0"

// handshakePayload is the number of TLS bytes in one PRELOGIN packet.
const handshakePayload = 4000

// handshakeConn carries TLS records inside PRELOGIN packets while raw is false, and without packets
// afterwards. Only one goroutine uses it until raw is set.
type handshakeConn struct {
	net.Conn
	in   *packetReader
	spid uint16
	left int // bytes of the current packet not yet read
	raw  bool
}

// Read reads the TLS bytes of the client.
func (h *handshakeConn) Read(b []byte) (int, error) {
	if h.raw {
		return h.in.Read(b)
	}
	for h.left == 0 {
		head, err := h.in.header(true)
		if err != nil {
			return 0, err
		}
		if head.kind != packetPrelogin {
			return 0, fmt.Errorf("%w: type %d in a TLS handshake", errFraming, head.kind)
		}
		h.left = head.body
	}
	n, err := h.in.Read(b[:min(len(b), h.left)])
	h.left -= n
	return n, err
}

// Write sends TLS bytes as one message.
func (h *handshakeConn) Write(b []byte) (int, error) {
	if h.raw {
		return h.Conn.Write(b)
	}
	var wire []byte
	for rest, number := b, byte(1); len(rest) > 0; number++ {
		part := rest[:min(handshakePayload, len(rest))]
		rest = rest[len(part):]
		status := byte(0)
		if len(rest) == 0 {
			status = statusFinal
		}
		wire = appendHeader(wire, packetPrelogin, status, headerSize+len(part), h.spid, number)
		wire = append(wire, part...)
	}
	if _, err := h.Conn.Write(wire); err != nil {
		return 0, err
	}
	return len(b), nil
}

// insideTDS7 returns the configuration for a handshake inside packets. It excludes TLS 1.3, because of
// the tested clients only go-mssqldb completes such a handshake there. It excludes session tickets,
// because a resumed handshake ends with a message of the client, which the same clients do not expect.
func insideTDS7(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MaxVersion = tls.VersionTLS12
	c.MinVersion = min(max(c.MinVersion, tls.VersionTLS12), tls.VersionTLS12)
	c.SessionTicketsDisabled = true
	c.NextProtos = nil
	c.DynamicRecordSizingDisabled = true
	return c
}

// outsideTDS8 returns the configuration for a connection that begins with TLS.
func outsideTDS8(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.NextProtos = []string{alpnTDS8}
	c.DynamicRecordSizingDisabled = true
	return c
}

// handshake switches the connection to TLS. During the handshake the records are inside PRELOGIN
// packets.
func (c *conn) handshake(ctx context.Context) error {
	h := &handshakeConn{Conn: c.raw, in: c.in, spid: c.spid}
	t := tls.Server(h, c.srv.tls7)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tds: TLS handshake: %w", err)
	}
	h.raw = true
	c.use(t)
	return nil
}

// strict performs a TDS 8 handshake, which precedes everything else.
func (c *conn) strict(ctx context.Context) error {
	t := tls.Server(&handshakeConn{Conn: c.raw, in: c.in, raw: true}, c.srv.tls8)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tds: TLS handshake: %w", err)
	}
	c.use(t)
	return nil
}

// use makes the connection read from and write to t.
func (c *conn) use(t net.Conn) {
	c.in = newPacketReader(t)
	c.out.dst = t
}
