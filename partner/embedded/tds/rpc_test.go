package tds

import (
	"context"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// rpcCall returns one call of an RPC message, with its parameters as a client may send them.
func rpcCall(name string, params []Param) []byte {
	b := appendUSVarChar(nil, name, 1000)
	b = append(b, 0, 0)
	for _, p := range params {
		b = appendBVarChar(b, p.Name)
		status := byte(0)
		if p.Output {
			status |= paramOutput
		}
		if p.Default {
			status |= paramDefault
		}
		b = appendTypeInfo(append(b, status), p.Type)
		var err error
		switch {
		case p.Value == nil && (p.Type == Image || p.Type == Text || p.Type == NText):
			b = append(b, 0xFF, 0xFF, 0xFF, 0xFF) // an RPC has no text pointer, as captured from a real client
		default:
			b, err = appendValue(b, p.Type, p.Value, false)
		}
		if err != nil {
			panic(err)
		}
	}
	return b
}

// Every type is encoded and decoded to an equal value.
func TestRPC_EveryType(t *testing.T) {
	day := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	at := time.Date(2026, 12, 31, 23, 59, 59, 123456700, time.UTC)
	params := []Param{
		{Type: TinyInt, Value: int64(255)}, {Type: SmallInt, Value: int64(-32768)}, {Type: Int, Value: int64(-2147483648)},
		{Type: BigInt, Value: int64(-9223372036854775808)}, {Type: Bit, Value: true}, {Type: Real, Value: 0.25}, {Type: Float, Value: -1e300},
		{Type: Money, Value: "-922337203685477.5808"}, {Type: Type{kind: KindSmallMoney}, Value: "214748.3647"},
		{Type: Numeric(38, 10), Value: "-1234567890123456789012345678.0123456789"}, {Type: Numeric(5, 0), Value: "99999"},
		{Type: SmallDateTime, Value: day.Add(time.Minute)}, {Type: DateTime, Value: at.Truncate(time.Second).Add(997 * time.Millisecond)},
		{Type: Date, Value: day}, {Type: Time(7), Value: time.Date(1, 1, 1, 23, 59, 59, 999999900, time.UTC)},
		{Type: DateTime2(7), Value: at}, {Type: DateTime2(0), Value: at.Truncate(time.Second)}, {Type: DateTime2(3), Value: at.Truncate(time.Millisecond)},
		{Type: DateTimeOffset(7), Value: at.In(time.FixedZone("", -5*3600))},
		{Type: UniqueIdentifier, Value: []byte("0123456789abcdef")},
		{Type: Char(3), Value: "a€ "}, {Type: VarChar(10), Value: "ä€"}, {Type: VarCharMax, Value: ""}, {Type: Text, Value: "tëxt"},
		{Type: NChar(3), Value: "日本 "}, {Type: NVarChar(2), Value: "𝄞"}, {Type: NVarCharMax, Value: strings.Repeat("é", 9000)}, {Type: NText, Value: "ñ"},
		{Type: Binary(2), Value: []byte{1, 0}}, {Type: VarBinary(7000), Value: []byte{}}, {Type: VarBinaryMax, Value: make([]byte, 70_000)},
		{Type: Image, Value: []byte{9, 8}}, {Type: Type{kind: KindXML}, Value: "<a/>"},
	}
	for i := range params {
		params[i].Name = fmt.Sprintf("@p%d", i)
		params[i].Output = i%2 == 0
		params = append(params, Param{Name: params[i].Name + "n", Type: params[i].Type})
	}
	d := &decoder{b: append([]byte(allHeaders), rpcCall("p", params)...)}
	calls, err := parseRPC(d)
	if err != nil || len(calls) != 1 || len(calls[0].Params) != len(params) {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	for i, got := range calls[0].Params {
		if when, ok := params[i].Value.(time.Time); ok && got.Value.(time.Time).Equal(when) {
			_, want := when.Zone()
			if _, offset := got.Value.(time.Time).Zone(); offset == want {
				got.Value = when
			}
		}
		if !reflect.DeepEqual(got, params[i]) {
			t.Errorf("got %+v, want %+v", got, params[i])
		}
	}
}

// Parameters as captured from real clients.
func TestRPC_CapturedParameters(t *testing.T) {
	tests := []struct {
		name, bytes string
		typ         Type
		want        any
	}{
		{"nvarchar of SqlClient", "\xE7\xB0\x00\x09\x04\xD0\x00\x34\x04\x00a\x00b\x00", NVarChar(88), "ab"},
		{"nvarchar of go", "\xE7\x04\x00\x00\x00\x00\x00\x00\x04\x00a\x00b\x00", NVarChar(2), "ab"},
		{"null nvarchar", "\xE7\xB0\x00\x09\x04\xD0\x00\x34\xFF\xFF", NVarChar(88), nil},
		{"max of known length", "\xA5\xFF\xFF\x03\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00ab\x01\x00\x00\x00c\x00\x00\x00\x00", VarBinaryMax, []byte("abc")},
		{"max of unknown length", "\xA5\xFF\xFF\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02\x00\x00\x00ab\x01\x00\x00\x00c\x00\x00\x00\x00", VarBinaryMax, []byte("abc")},
		{"empty max", "\xA5\xFF\xFF\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00", VarBinaryMax, []byte{}},
		{"null max", "\xA5\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", VarBinaryMax, nil},
		{"varbinary", "\xA5\x58\x1B\x02\x00ab", VarBinary(7000), []byte("ab")},
		{"image", "\x22\x00\x10\x00\x00\x02\x00\x00\x00ab", Image, []byte("ab")},
		{"null image", "\x22\x00\x10\x00\x00\xFF\xFF\xFF\xFF", Image, nil},
		{"int", "\x26\x04\x04\xFE\xFF\xFF\xFF", Int, int64(-2)},
		{"null int", "\x26\x04\x00", Int, nil},
		{"fixed int", "\x38\xFE\xFF\xFF\xFF", Int, int64(-2)},
		{"fixed bit", "\x32\x01", Bit, true},
		{"bit", "\x68\x01\x01\x00", Bit, false},
		{"datetime", "\x6F\x08\x08\x00\x00\x00\x00\x2C\x01\x00\x00", DateTime, time.Date(1900, 1, 1, 0, 0, 1, 0, time.UTC)},
		{"fixed datetime", "\x3D\xFF\xFF\xFF\xFF\x01\x00\x00\x00", DateTime, time.Date(1899, 12, 31, 0, 0, 0, 3e6, time.UTC)},
		{"null without a type", "\x1F", Type{}, nil},
		{"utf-8 varchar", "\xA7\x05\x00\x09\x04\xD0\x04\x34\x02\x00\xC3\xA4", VarChar(5), "ä"},
		{"narrow numeric, as FreeTDS sends it", "\x6C\x11\x03\x02\x03\x01" + "\x96\x00", Numeric(3, 2), "1.50"},
		{"wide numeric", "\x6C\x11\x05\x02\x11\x00" + "\x39\x30" + strings.Repeat("\x00", 14), Numeric(5, 2), "-123.45"},
	}
	for _, tt := range tests {
		body := allHeaders + "\x01\x00p\x00\x00\x00" + "\x02@\x00x\x00\x01" + tt.bytes + "\x00\x00\x26\x01\x01\x07"
		for _, alias := range []bool{false, true} {
			calls, err := parseRPC(&decoder{b: []byte(body), alias: alias})
			if err != nil || len(calls) != 1 || len(calls[0].Params) != 2 {
				t.Errorf("%s: %v, %v", tt.name, calls, err)
				continue
			}
			got := calls[0].Params[0]
			if want := (Param{Name: "@x", Type: tt.typ, Value: tt.want, Output: true}); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
			}
			if next := calls[0].Params[1]; next.Value != int64(7) {
				t.Errorf("%s: the next parameter is %+v", tt.name, next)
			}
		}
	}
}

func TestRPC_SeveralInOneMessage(t *testing.T) {
	for _, separator := range []byte{rpcSeparator, rpcSeparatorOld} {
		f := &fake{}
		var ran []string
		f.call = func(_ context.Context, c *Call, w *Response) error {
			ran = append(ran, c.Name)
			switch c.Name {
			case "fails":
				return &Error{Number: 2627, Class: 14, Message: "m"}
			case "counts":
				w.Done(3)
				w.ReturnStatus(5)
			}
			return nil
		}
		client, _ := dial(t, &Server{Handler: f})
		body := append([]byte(allHeaders), rpcCall("fails", []Param{{Name: "@x", Type: Int, Value: 1}})...)
		body = append(append(body, separator), rpcCall("counts", nil)...)
		body = append(append(body, separator), rpcCall("last", nil)...)
		reply := string(ask(t, client, packet(packetRPC, statusFinal, body)))
		want := string(appendMessage(nil, tokenError, &Error{Number: 2627, Class: 14, Message: "m"}, "PARTNERA", 0x74000004)) +
			done(tokenDoneProc, doneError|doneMore|doneRPCInBatch, uint16(CommandExecute), 0) +
			done(tokenDoneInProc, doneCount|doneMore, 0, 3) + "\x79\x05\x00\x00\x00" + done(tokenDoneProc, doneMore|doneRPCInBatch, uint16(CommandExecute), 0) +
			"\x79\x00\x00\x00\x00" + done(tokenDoneProc, 0, uint16(CommandExecute), 0)
		if reply != want || !slices.Equal(ran, []string{"fails", "counts", "last"}) {
			t.Errorf("ran %v, reply % x\n want % x", ran, reply, want)
		}
	}
}

func TestRPC_FatalErrorEndsTheMessage(t *testing.T) {
	n := 0
	f := &fake{call: func(context.Context, *Call, *Response) error {
		n++
		return &Error{Number: 596, Class: 21, Message: "m"}
	}}
	client, ended := dial(t, &Server{Handler: f})
	body := append(append(append([]byte(allHeaders), rpcCall("a", nil)...), rpcSeparator), rpcCall("b", nil)...)
	reply := ask(t, client, packet(packetRPC, statusFinal, body))
	if tail := string(reply[len(reply)-13:]); n != 1 || tail != done(tokenDoneProc, doneError|doneServerError, uint16(CommandExecute), 0) {
		t.Errorf("%d calls ran, reply ends % x", n, tail)
	}
	receive(t, ended, "end of the connection")
}

func TestReset_KeepingTheTransaction(t *testing.T) {
	f := &fake{}
	client, _ := dial(t, &Server{Handler: f})
	begin := packet(packetTransaction, statusFinal, []byte(allHeaders+"\x05\x00\x02\x00"))
	keep := packet(packetBatch, statusFinal|statusResetKeep, batchBody("x"))
	resetAck := "\xE3\x03\x00\x12\x00\x00"
	if reply := ask(t, client, keep); string(reply) != resetAck+done(tokenDone, 0, 0, 0) {
		t.Errorf("without a transaction: % x", reply)
	}
	if reply := ask(t, client, begin); string(reply) != "\xE3\x0B\x00\x08\x08\x08\x07\x06\x05\x04\x03\x02\x01\x00"+done(tokenDone, 0, 0, 0) {
		t.Errorf("begin: % x", reply)
	}
	if reply := ask(t, client, keep); reply[0] != tokenError || binary.LittleEndian.Uint32(reply[3:]) != 40510 {
		t.Errorf("with a transaction: % x", reply)
	}
	reset := packet(packetBatch, statusFinal|statusReset, batchBody("x"))
	rolledBack := "\xE3\x0B\x00\x0A\x00\x08\x08\x07\x06\x05\x04\x03\x02\x01"
	if reply := ask(t, client, reset); string(reply) != rolledBack+resetAck+done(tokenDone, 0, 0, 0) {
		t.Errorf("reset: % x", reply)
	}
	if got := f.seen(); !slices.Equal(got, []string{"reset", "begin", "reset"}) {
		t.Errorf("events %v", got)
	}
}

func TestTransaction_CommitAndBeginAgain(t *testing.T) {
	f := &fake{}
	client, _ := dial(t, &Server{Handler: f})
	ask(t, client, packet(packetTransaction, statusFinal, []byte(allHeaders+"\x05\x00\x02\x00")))
	reply := ask(t, client, packet(packetTransaction, statusFinal, []byte(allHeaders+"\x07\x00\x00\x01\x02\x00")))
	want := "\xE3\x0B\x00\x09\x00\x08\x08\x07\x06\x05\x04\x03\x02\x01" + "\xE3\x0B\x00\x08\x08\x08\x07\x06\x05\x04\x03\x02\x01\x00" + done(tokenDone, 0, 0, 0)
	if string(reply) != want || !slices.Equal(f.seen(), []string{"begin", "commit", "begin"}) {
		t.Errorf("events %v, reply % x", f.seen(), reply)
	}
}

// Transactions with names, as SqlClient and tedious send them: the length of a name is in bytes.
func TestTransaction_Named(t *testing.T) {
	const (
		began  = "\xE3\x0B\x00\x08\x08\x08\x07\x06\x05\x04\x03\x02\x01\x00"
		commit = "\xE3\x0B\x00\x09\x00\x08\x08\x07\x06\x05\x04\x03\x02\x01"
		undone = "\xE3\x0B\x00\x0A\x00\x08\x08\x07\x06\x05\x04\x03\x02\x01"
	)
	long := strings.Repeat("n\x00", 32) // the longest name that SQL Server accepts
	f := &fake{}
	client, _ := dial(t, &Server{Handler: f})
	for _, step := range []struct{ name, body, want string }{
		{"begin", "\x05\x00\x02\x02x\x00", began},
		{"commit by name", "\x07\x00\x02x\x00\x00", commit},
		{"begin with a long name", "\x05\x00\x02\x40" + long, began},
		{"commit and begin again", "\x07\x00\x40" + long + "\x01\x02\x04a\x00\xE4\x00", commit + began},
		{"roll back by name", "\x08\x00\x04a\x00\xE4\x00\x00", undone},
		{"begin without a name", "\x05\x00\x02\x00", began},
		{"roll back and begin again", "\x08\x00\x00\x01\x02\x04=\xD8\x00\xDE", undone + began}, // a surrogate pair
	} {
		reply := string(ask(t, client, packet(packetTransaction, statusFinal, []byte(allHeaders+step.body))))
		if want := step.want + done(tokenDone, 0, 0, 0); reply != want {
			t.Fatalf("%s: % x, want % x", step.name, reply, want)
		}
	}
	if want := []string{"x", strings.Repeat("n", 32), "a\u00e4", "", "\U0001F600"}; !slices.Equal(f.names, want) {
		t.Errorf("names %q, want %q", f.names, want)
	}
}

// A name that is longer than its message is malformed, whatever follows.
func TestTransaction_TruncatedName(t *testing.T) {
	for _, body := range []string{"\x05\x00\x02\x03x\x00", "\x07\x00\x02x", "\x08\x00\x00\x01\x02\x02x", "\x05\x00\x02"} {
		if r, err := parseTransaction([]byte(allHeaders + body)); err == nil {
			t.Errorf("% x: read as %+v", body, r)
		}
	}
}
