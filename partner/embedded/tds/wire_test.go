package tds

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func containsBytes(b []byte, want string) bool { return bytes.Contains(b, []byte(want)) }

// packet returns one final packet.
func packet(kind, status byte, body []byte) []byte {
	return append(appendHeader(nil, kind, status, headerSize+len(body), 0, 1), body...)
}

func preloginPacket(encryption byte) []byte {
	return packet(packetPrelogin, statusFinal, appendPrelogin(nil, encryption, false))
}

// loginPacket returns a LOGIN7 with user "sa", password "p" and database "db".
func loginPacket(version uint32) []byte {
	b := make([]byte, login7Fixed)
	put := func(at int, raw []byte) {
		binary.LittleEndian.PutUint16(b[at:], uint16(len(b)))
		binary.LittleEndian.PutUint16(b[at+2:], uint16(len(raw)/2))
		b = append(b, raw...)
	}
	put(atUserName, appendUTF16(nil, "sa"))
	password := appendUTF16(nil, "p")
	for i, c := range password {
		password[i] = (c<<4 | c>>4) ^ 0xA5
	}
	put(atPassword, password)
	put(atDatabase, appendUTF16(nil, "db"))
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[atVersion:], version)
	binary.LittleEndian.PutUint32(b[atPacketSize:], defaultPacketSize)
	return packet(packetLogin, statusFinal, b)
}

// allHeaders is an ALL_HEADERS with a transaction descriptor.
const allHeaders = "\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"

func batchBody(text string) []byte { return appendUTF16([]byte(allHeaders), text) }

// readMessage returns the body of the next message of the server.
func readMessage(r io.Reader) ([]byte, error) {
	var body []byte
	for {
		var h [headerSize]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return body, err
		}
		part := make([]byte, int(binary.BigEndian.Uint16(h[2:]))-headerSize)
		if _, err := io.ReadFull(r, part); err != nil {
			return body, err
		}
		body = append(body, part...)
		if h[0] != packetReply {
			return body, fmt.Errorf("packet of type %d", h[0])
		}
		switch h[1] { // go-mssqldb allows no other status
		case 0:
		case statusFinal:
			return body, nil
		default:
			return body, fmt.Errorf("status %x", h[1])
		}
	}
}

// dial returns a raw client of s over a pipe, logged in. The connection ends with the test.
func dial(t *testing.T, s *Server) (client net.Conn, done chan error) {
	t.Helper()
	client, server := net.Pipe()
	done = make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan struct{})
	go func() {
		done <- s.ServeConn(ctx, server)
		close(finished)
	}()
	t.Cleanup(func() {
		client.Close()
		cancel()
		<-finished
	})
	_ = client.SetDeadline(time.Now().Add(5 * time.Second))
	for _, p := range [][]byte{preloginPacket(encryptNotSupported), loginPacket(0x74000004)} {
		if _, err := client.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := readMessage(client); err != nil {
			t.Fatal(err)
		}
	}
	return client, done
}

// ask sends bytes and reads one message.
func ask(t *testing.T, c net.Conn, b []byte) []byte {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	reply, err := readMessage(c)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// done returns the expected bytes of a DONE of any kind.
func done(token byte, status, command uint16, count uint64) string {
	return string(appendDone(nil, token, status, command, count, 0x74000004))
}

func TestWire_AnyPieces(t *testing.T) {
	f := &fake{batch: func(_ context.Context, text string, w *Response) error {
		w.Columns(Column{"c", NVarCharMax})
		return w.Row(text)
	}}
	text := strings.Repeat("select 'ä'; ", 30)
	body := batchBody(text)
	var whole []byte
	for number, rest := byte(1), body; len(rest) > 0; number++ { // in packets that split characters
		part := rest[:min(101, len(rest))]
		rest = rest[len(part):]
		status := byte(0)
		if len(rest) == 0 {
			status = statusFinal
		}
		whole = append(appendHeader(whole, packetBatch, status, headerSize+len(part), 0, number), part...)
	}
	client, _ := dial(t, &Server{Handler: f})
	for _, step := range []int{1, 2, 7, 8, 9, 100, 1000} {
		for rest := whole; len(rest) > 0; {
			n := min(step, len(rest))
			if _, err := client.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		reply, err := readMessage(client)
		if err != nil || !containsBytes(reply, string(appendUTF16(nil, text))) {
			t.Fatalf("pieces of %d bytes: %v, reply % x", step, err, reply)
		}
	}
}

func TestWire_ManyPacketAnswer(t *testing.T) {
	const rows = 5000
	value := strings.Repeat("x", 100)
	f := &fake{batch: func(_ context.Context, _ string, w *Response) error {
		w.Columns(Column{"c", VarChar(100)})
		for range rows {
			if err := w.Row(value); err != nil {
				return err
			}
		}
		w.Done(rows)
		return nil
	}}
	client, _ := dial(t, &Server{Handler: f})
	for range 2 { // the second time with the buffers of the first
		reply := ask(t, client, packet(packetBatch, statusFinal, batchBody("x")))
		if got := bytes.Count(reply, []byte(value)); got != rows {
			t.Fatalf("%d rows, want %d", got, rows)
		}
		if !strings.HasSuffix(string(reply), done(tokenDone, doneCount, uint16(CommandSelect), rows)) {
			t.Fatalf("ends % x", reply[len(reply)-13:])
		}
	}
}

func TestWire_RequestTooLarge(t *testing.T) {
	var ran int
	f := &fake{batch: func(context.Context, string, *Response) error { ran++; return nil }}
	client, _ := dial(t, &Server{Handler: f, MaxRequest: 1 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	big := appendHeader(nil, packetBatch, 0, 4096, 0, 1)
	big = append(big, make([]byte, 4088)...)
	for range 4096 { // 16 MiB
		if _, err := client.Write(big); err != nil {
			t.Fatal(err)
		}
	}
	reply := ask(t, client, packet(packetBatch, statusFinal, nil))
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes allocated for a request that is refused", grown)
	}
	if reply[0] != tokenError || binary.LittleEndian.Uint32(reply[3:]) != 50000 || ran != 0 {
		t.Errorf("reply % x, ran %d times", reply, ran)
	}
	reply = ask(t, client, packet(packetBatch, statusFinal, batchBody("select 1")))
	if string(reply) != done(tokenDone, 0, 0, 0) || ran != 1 {
		t.Errorf("the next request: % x, ran %d times", reply, ran)
	}
}

func TestWire_IgnoredRequest(t *testing.T) {
	ran := false
	f := &fake{batch: func(context.Context, string, *Response) error { ran = true; return nil }}
	client, _ := dial(t, &Server{Handler: f})
	reply := ask(t, client, packet(packetBatch, statusFinal|statusIgnore, batchBody("delete everything")))
	if ran || string(reply) != done(tokenDone, doneError, 0, 0) {
		t.Errorf("ran %v, reply % x", ran, reply)
	}
	// Cancelled halfway by an attention: no response except the acknowledgement.
	half := packet(packetBatch, 0, batchBody("delete"))
	reply = ask(t, client, append(half, packet(packetAttention, statusFinal, nil)...))
	if ran || string(reply) != done(tokenDone, doneAttention, 0, 0) {
		t.Errorf("ran %v, reply % x", ran, reply)
	}
}

func TestWire_HostileBytes(t *testing.T) {
	rpc := func(b string) []byte { return packet(packetRPC, statusFinal, []byte(allHeaders+b)) }
	tests := []struct {
		name   string
		send   []byte
		number uint32
	}{
		{"packet shorter than its header", []byte{packetBatch, 1, 0, 7, 0, 0, 1, 0}, 17836},
		{"packet longer than any", []byte{packetBatch, 1, 0xFF, 0xFF, 0, 0, 1, 0}, 17836},
		{"message of two types", append(packet(packetBatch, 0, nil), packet(packetRPC, 1, nil)...), 17836},
		{"unknown message type", packet(99, statusFinal, nil), 17836},
		{"no headers", packet(packetBatch, statusFinal, nil), 17836},
		{"headers longer than the message", packet(packetBatch, statusFinal, []byte("\xFF\xFF\xFF\x7F")), 17836},
		{"RPC without a name", rpc(""), 17836},
		{"RPC with a truncated name", rpc("\x05\x00a\x00"), 17836},
		{"value longer than the message", rpc("\x01\x00p\x00\x00\x00\x00\x00\x22\xFF\xFF\xFF\x7F\xFF\xFF\xFF\x7Fxx"), 17836},
		{"chunk longer than the message", rpc("\x01\x00p\x00\x00\x00\x00\x00\xA5\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\xFF\xFF\xFF\x7Fxx"), 17836},
		{"table parameter", rpc("\x01\x00p\x00\x00\x00\x00\x00\xF3"), 40510},
		{"unknown data type", rpc("\x01\x00p\x00\x00\x00\x00\x00\x01"), 8009},
		{"bulk load", packet(packetBulk, statusFinal, nil), 40510},
		{"savepoint", packet(packetTransaction, statusFinal, []byte(allHeaders+"\x09\x00\x00")), 40510},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, done := dial(t, &Server{Handler: &fake{}})
			reply := ask(t, client, tt.send)
			number := binary.LittleEndian.Uint32(reply[3:])
			if reply[0] != tokenError || number != tt.number {
				t.Fatalf("reply % x, want error %d", reply, tt.number)
			}
			if number != 17836 { // such a message does not end the connection
				ask(t, client, packet(packetBatch, statusFinal, batchBody("x")))
				return
			}
			select {
			case <-done:
			case <-time.After(5 * time.Second):
				t.Error("connection was not closed")
			}
		})
	}
}

func TestWire_ServerStops(t *testing.T) {
	f := &fake{batch: func(ctx context.Context, _ string, _ *Response) error { <-ctx.Done(); return ctx.Err() }}
	ctx, cancel := context.WithCancel(t.Context())
	client, server := net.Pipe()
	defer client.Close()
	finished := make(chan error, 1)
	go func() { finished <- (&Server{Handler: f}).ServeConn(ctx, server) }()
	ask2 := func(b []byte) {
		if _, err := client.Write(b); err != nil {
			t.Error(err)
		}
	}
	ask2(preloginPacket(encryptNotSupported))
	_, _ = readMessage(client)
	ask2(loginPacket(0x74000004))
	_, _ = readMessage(client)
	ask2(packet(packetBatch, statusFinal, batchBody("waits")))
	cancel()
	select {
	case err := <-finished:
		if err != nil {
			t.Errorf("stopped by its context, got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still serving")
	}
	if got := f.seen(); len(got) != 1 || got[0] != "close" {
		t.Errorf("events %v, want one close", got)
	}
}

// slowToClose is a connection whose first Close takes effect only later.
type slowToClose struct {
	net.Conn
	closed atomic.Bool
}

func (c *slowToClose) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		return nil
	}
	return c.Conn.Close()
}

// A statement fails while the server is stopped. Its error cannot be sent any more, and then nothing must be
// sent, because the end of the response would mean success.
func TestWire_ServerStopsWhileAStatementFails(t *testing.T) {
	stop := make(chan struct{})
	f := &fake{call: func(ctx context.Context, _ *Call, w *Response) error {
		close(stop)
		<-ctx.Done()
		w.Error(&Error{Number: 2627, Class: 14, State: 1, Message: "Violation of PRIMARY KEY constraint."})
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	client, server := net.Pipe()
	defer client.Close()
	finished := make(chan error, 1)
	go func() { finished <- (&Server{Handler: f}).ServeConn(ctx, &slowToClose{Conn: server}) }()
	go func() { <-stop; cancel() }()
	for _, b := range [][]byte{preloginPacket(encryptNotSupported), loginPacket(0x74000004)} {
		if _, err := client.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := readMessage(client); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Write(packet(packetRPC, statusFinal, []byte(allHeaders+"\x01\x00p\x00\x00\x00"))); err != nil {
		t.Fatal(err)
	}
	if answer, err := readMessage(client); err == nil {
		t.Errorf("answered % x", answer)
	}
	client.Close()
	<-finished
}
