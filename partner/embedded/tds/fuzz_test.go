package tds

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
	"unicode/utf8"
)

// allocated returns the number of bytes that f allocates, including allocations of the rest of the
// process.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// slack is the number of bytes that may be allocated for a message of any length.
const slack = 1 << 20

func FuzzPrelogin(f *testing.F) {
	f.Add(appendPrelogin(nil, encryptOn, true))
	f.Add([]byte("\x01\x00\x06\x00\x01\xFF\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePrelogin(b)
		if err != nil {
			return
		}
		again, err := parsePrelogin(appendPrelogin(nil, p.encryption, p.mars))
		if err != nil || again.encryption != p.encryption {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

func FuzzLogin7(f *testing.F) {
	f.Add(loginPacket(0x74000004)[headerSize:])
	f.Add(loginPacket(0x71000001)[headerSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _, err := parseLogin7(b)
		if err != nil {
			return
		}
		for _, s := range []string{l.User, l.Password, l.Database, l.AppName, l.HostName, l.ServerName, l.Library, l.Language} {
			if len(s) > 3*len(b) || !utf8.ValidString(s) {
				t.Errorf("a string of %d bytes from a message of %d", len(s), len(b))
			}
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add(batchBody("select 'ä𝄞'"))
	f.Add([]byte("\x04\x00\x00\x00a\x00"))
	f.Add([]byte("\xFF\xFF\xFF\xFF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := batchText(b)
		if err == nil && (len(text) > 2*len(b) || !utf8.ValidString(text)) {
			t.Errorf("a text of %d bytes from a message of %d", len(text), len(b))
		}
		_, _ = parseTransaction(b)
	})
}

func FuzzRPC(f *testing.F) {
	f.Add([]byte(allHeaders + "\xFF\xFF\x0A\x00\x00\x00\x00\x00\x1F\xFF\x01\x00p\x00\x00\x00"))
	f.Add([]byte(allHeaders + "\x01\x00p\x00\x00\x00\x00\x00\xA5\xFF\xFF\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00\x00\x00a\x01\x00\x00\x00b\x00\x00\x00\x00"))
	f.Add(append([]byte(allHeaders), rpcCall("dbo.X", []Param{
		{Name: "@a", Type: NVarChar(88), Value: "abc"}, {Name: "@b", Type: Image, Value: []byte{1}}, {Name: "@c", Type: DateTime, Value: time.Unix(0, 0)},
		{Name: "@d", Type: Numeric(10, 2), Value: "1.5"}, {Name: "@e", Type: DateTimeOffset(3), Value: time.Unix(0, 0)}, {Name: "@f", Type: Type{kind: KindXML}, Value: "<a/>"},
	})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var calls []*Call
		var err error
		grown := allocated(func() { calls, err = parseRPC(&decoder{b: bytes.Clone(b)}) })
		if most := uint64(100*len(b) + slack); grown > most { // a parameter of 4 bytes becomes a Param of 72
			t.Errorf("%d bytes allocated for a message of %d", grown, len(b))
		}
		if err != nil {
			return
		}
		for _, c := range calls {
			for _, p := range c.Params {
				encodeAgain(t, p)
			}
		}
	})
}

// encodeAgain checks that a decoded value can be encoded, and decodes to an equal value.
func encodeAgain(t *testing.T, p Param) {
	t.Helper()
	if p.Value == nil || p.Type.kind == KindNull {
		return
	}
	b, err := appendValue(nil, p.Type, p.Value, false)
	if err != nil { // longer than declared, before 1753, more digits than the precision …
		return
	}
	d := decoder{b: b}
	again := d.value(wireType{Type: p.Type})
	if d.err != nil || len(d.b) != 0 {
		t.Fatalf("%v: %#v was sent as % x, which is read with %v", p.Type, p.Value, b, d.err)
	}
	twice, err := appendValue(nil, p.Type, again, false)
	if err != nil || !bytes.Equal(b, twice) {
		t.Errorf("%v: % x became % x, %v", p.Type, b, twice, err)
	}
}

// FuzzConnection sends arbitrary bytes on a whole connection. The server must end the connection,
// close its session if it has one, and allocate in proportion to the received bytes.
func FuzzConnection(f *testing.F) {
	hello := append(preloginPacket(encryptNotSupported), loginPacket(0x74000004)...)
	f.Add(hello)
	f.Add(append(bytes.Clone(hello), packet(packetBatch, statusFinal|statusReset, batchBody("select 1"))...))
	f.Add(append(bytes.Clone(hello), packet(packetRPC, statusFinal, append([]byte(allHeaders), rpcCall("p", []Param{{Name: "@x", Type: Int, Value: 1}})...))...))
	f.Add(append(bytes.Clone(hello), packet(packetAttention, statusFinal, nil)...))
	f.Add(append(bytes.Clone(hello), packet(packetTransaction, statusFinal, []byte(allHeaders+"\x05\x00\x02\x00"))...))
	f.Add(loginPacket(0x70000000))
	f.Fuzz(func(t *testing.T, b []byte) {
		echo := &fake{
			batch: func(_ context.Context, text string, w *Response) error {
				w.Columns(Column{"c", NVarCharMax})
				return w.Row(text)
			},
			call: func(_ context.Context, c *Call, w *Response) error {
				for _, p := range c.Params {
					w.ReturnValue(p.Name, p.Type, p.Value)
				}
				return nil
			},
		}
		client, server := net.Pipe()
		go func() {
			_, _ = client.Write(b)
			_ = client.Close()
		}()
		var reply bytes.Buffer
		read := make(chan struct{})
		go func() {
			_, _ = io.Copy(&reply, io.LimitReader(client, 64<<20))
			close(read)
		}()
		grown := allocated(func() { _ = (&Server{Handler: echo, LoginTimeout: time.Second}).ServeConn(t.Context(), server) })
		<-read
		if most := uint64(200*len(b) + 2*slack); grown > most {
			t.Errorf("%d bytes allocated for %d received", grown, len(b))
		}
		if closed := len(echo.seen()) > 0 && echo.seen()[len(echo.seen())-1] == "close"; len(echo.logins) > 0 && !closed {
			t.Errorf("session not closed: %v", echo.seen())
		}
	})
}
