package tds

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net"
	"testing"
)

// item is the size of an ordinary session.
var item = bytes.Repeat([]byte{7}, 1000)

func answerItem(_ context.Context, _ *Call, w *Response) error {
	w.ReturnValue("@item", VarBinary(7000), item)
	w.ReturnValue("@locked", Bit, false)
	w.ReturnValue("@cookie", Int, 1)
	return nil
}

// BenchmarkRPC measures a procedure call with three output parameters through go-mssqldb.
func BenchmarkRPC(b *testing.B) {
	for _, options := range []string{"encrypt=disable", "encrypt=true&trustservercertificate=true"} {
		b.Run(options[:12], func(b *testing.B) {
			db := open(b, start(b, &Server{Handler: &fake{call: answerItem}, TLS: testTLS(b)}), options)
			conn, err := db.Conn(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			var out []byte
			var locked bool
			var cookie int64
			b.ReportAllocs()
			for b.Loop() {
				_, err := conn.ExecContext(context.Background(), "dbo.TempGetStateItem3", sql.Named("id", "0123456789abcdef0123456789abcdef"),
					sql.Named("item", sql.Out{Dest: &out}), sql.Named("locked", sql.Out{Dest: &locked}), sql.Named("cookie", sql.Out{Dest: &cookie}))
				if err != nil || len(out) != len(item) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkServerSide measures the same call as bytes over TCP, without a driver: the cost of the server alone.
func BenchmarkServerSide(b *testing.B) {
	c, err := net.Dial("tcp", start(b, &Server{Handler: &fake{call: answerItem}}))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, p := range [][]byte{preloginPacket(encryptNotSupported), loginPacket(0x74000004)} {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := readMessage(c); err != nil {
			b.Fatal(err)
		}
	}
	body := append([]byte(allHeaders), rpcCall("dbo.TempGetStateItem3", []Param{
		{Name: "@id", Type: NVarChar(88), Value: "0123456789abcdef0123456789abcdef"}, {Name: "@item", Type: VarBinary(7000), Output: true},
		{Name: "@locked", Type: Bit, Output: true}, {Name: "@cookie", Type: Int, Output: true},
	})...)
	request := packet(packetRPC, statusFinal, body)
	if _, err := c.Write(request); err != nil {
		b.Fatal(err)
	}
	first, err := readMessage(c)
	if err != nil {
		b.Fatal(err)
	}
	reply := make([]byte, len(first)+headerSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, reply); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRow encodes a row of a result set and discards it.
func BenchmarkRow(b *testing.B) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	c := newConn(b.Context(), &Server{}, server)
	c.w.start(b.Context(), false)
	c.w.Columns(Column{"SessionId", NVarChar(88)}, Column{"LockCookie", Int}, Column{"SessionItemShort", VarBinary(7000)})
	b.ReportAllocs()
	for b.Loop() {
		c.out.tokens = c.out.tokens[:headerSize]
		if err := c.w.Row("0123456789abcdef0123456789abcdef3e8a1b2c", 7, item); err != nil {
			b.Fatal(err)
		}
	}
}
