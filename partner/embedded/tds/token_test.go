package tds

import (
	"strings"
	"testing"
	"time"
)

// Bytes captured from a real server.
func TestTokens(t *testing.T) {
	value := func(typ Type, v any) string {
		b, err := appendReturnValue(nil, 1, "@x", typ, v)
		if err != nil {
			t.Errorf("%v: %v", typ, err)
		}
		return string(b)
	}
	utf16 := func(s string) string { return string(appendUTF16(nil, s)) }
	tests := []struct{ name, got, want string }{
		{"prelogin", string(appendPrelogin(nil, 2, false)), "\x00\x00\x0B\x00\x06\x01\x00\x11\x00\x01\xFF\x0F\x00\x07\xD0\x00\x00\x02"},
		{"prelogin with MARS", string(appendPrelogin(nil, 1, true)), "\x00\x00\x10\x00\x06\x01\x00\x16\x00\x01\x04\x00\x17\x00\x01\xFF\x0F\x00\x07\xD0\x00\x00\x01\x00"},
		{"error", string(appendMessage(nil, tokenError, &Error{Number: 954, State: 1, Class: 14, Message: "m", Proc: "p"}, "s", 0x74000004)),
			"\xAA\x14\x00\xBA\x03\x00\x00\x01\x0E\x01\x00m\x00\x01s\x00\x01p\x00\x01\x00\x00\x00"},
		{"error before 7.2", string(appendMessage(nil, tokenError, &Error{Number: 954, State: 1, Class: 14, Message: "m"}, "", 0x71000001)),
			"\xAA\x0E\x00\xBA\x03\x00\x00\x01\x0E\x01\x00m\x00\x00\x00\x01\x00"},
		{"info", string(appendMessage(nil, tokenInfo, &Error{Number: 5701, State: 2, Message: ""}, "", 0x74000004)),
			"\xAB\x0E\x00\x45\x16\x00\x00\x02\x00\x00\x00\x00\x00\x01\x00\x00\x00"},
		{"database", string(appendEnvText(nil, envDatabase, "b", "a")), "\xE3\x07\x00\x01\x01b\x00\x01a\x00"},
		{"reset", string(appendEnvBytes(nil, envReset, nil, nil)), "\xE3\x03\x00\x12\x00\x00"},
		{"login ack", string(appendLoginAck(nil, 0x74000004)),
			"\xAD\x32\x00\x01\x74\x00\x00\x04\x14" + utf16("Microsoft SQL Server") + "\x0F\x00\x07\xD0"},
		{"done", string(appendDone(nil, tokenDone, doneCount|doneMore, uint16(CommandSelect), 3, 0x74000004)), "\xFD\x11\x00\xC1\x00\x03\x00\x00\x00\x00\x00\x00\x00"},
		{"done before 7.2", string(appendDone(nil, tokenDone, doneError, 0, 0, 0x71000001)), "\xFD\x02\x00\x00\x00\x00\x00\x00\x00"},
		{"columns", string(appendColumns(nil, []Column{{"a", Int}, {"b", Image}, {"", NVarChar(88)}})),
			"\x81\x03\x00" + "\x00\x00\x00\x00\x09\x00\x26\x04\x01a\x00" + "\x00\x00\x00\x00\x09\x00\x22\xFF\xFF\xFF\x7F\x00\x01b\x00" +
				"\x00\x00\x00\x00\x09\x00\xE7\xB0\x00\x09\x04\xD0\x00\x34\x00"},
		{"bit value", value(Bit, true), "\xAC\x01\x00\x02@\x00x\x00\x01\x00\x00\x00\x00\x09\x00\x68\x01\x01\x01"},
		{"null bit", value(Bit, nil), "\xAC\x01\x00\x02@\x00x\x00\x01\x00\x00\x00\x00\x09\x00\x68\x01\x00"},
		{"null varbinary", value(VarBinary(7000), nil), "\xAC\x01\x00\x02@\x00x\x00\x01\x00\x00\x00\x00\x09\x00\xA5\x58\x1B\xFF\xFF"},
		{"image becomes max", value(Image, []byte{7}),
			"\xAC\x01\x00\x02@\x00x\x00\x01\x00\x00\x00\x00\x09\x00\xA5\xFF\xFF\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x00"},
		{"empty max", value(VarBinaryMax, []byte{}),
			"\xAC\x01\x00\x02@\x00x\x00\x01\x00\x00\x00\x00\x09\x00\xA5\xFF\xFF\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s:\n got % x\nwant % x", tt.name, tt.got, tt.want)
		}
	}
}

func TestTokens_LongTextsAreTruncatedBetweenCharacters(t *testing.T) {
	b := appendBVarChar(nil, strings.Repeat("𝄞", 200))
	if b[0] != 254 || len(b) != 1+2*254 {
		t.Errorf("%d units in %d bytes", b[0], len(b))
	}
	long := &Error{Number: 1, Class: 16, Message: strings.Repeat("é", 100_000)}
	b = appendMessage(nil, tokenError, long, strings.Repeat("s", 300), 0x74000004)
	if n := int(b[1]) | int(b[2])<<8; n != len(b)-3 {
		t.Errorf("the token announces %d bytes and has %d", n, len(b)-3)
	}
}

func TestPrelogin_Answers(t *testing.T) {
	tests := []struct {
		client  byte
		haveTLS bool
		want    byte
	}{
		{encryptOff, true, encryptOff}, {encryptOn, true, encryptOn}, {encryptRequired, true, encryptOn}, {encryptNotSupported, true, encryptNotSupported},
		{encryptOff, false, encryptNotSupported}, {encryptOn, false, encryptNotSupported}, {encryptNotSupported, false, encryptNotSupported},
	}
	for _, tt := range tests {
		if got := answerEncryption(tt.client, tt.haveTLS); got != tt.want {
			t.Errorf("client %d, TLS %v: %d, want %d", tt.client, tt.haveTLS, got, tt.want)
		}
	}
}

func TestPrelogin_Malformed(t *testing.T) {
	for _, b := range []string{"", "\x00", "\x01\x00\x06\x00\x01", "\x01\xFF\xFF\x00\x01\xFF", "\x01\x00\x06\xFF\xFF\xFF\x00"} {
		if _, err := parsePrelogin([]byte(b)); err == nil {
			t.Errorf("% x: accepted", b)
		}
	}
}

func TestLogin7_Malformed(t *testing.T) {
	whole := loginPacket(0x74000004)[headerSize:]
	if _, _, err := parseLogin7(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, _, err := parseLogin7(whole[:n]); err == nil {
			t.Errorf("accepted with its first %d of %d bytes", n, len(whole))
		}
	}
	for _, at := range []int{0, atHostName, atUserName, atPassword, atDatabase, atLanguage} {
		b := append([]byte(nil), whole...)
		b[at], b[at+1], b[at+2] = 0xFF, 0xFF, 0xFF
		if _, _, err := parseLogin7(b); err == nil {
			t.Errorf("accepted with an invalid value at %d", at)
		}
	}
}

func TestType_Names(t *testing.T) {
	for typ, want := range map[Type]string{
		Int: "int", NVarChar(88): "nvarchar(88)", NVarCharMax: "nvarchar(max)", VarBinary(9000): "varbinary(max)", Binary(9000): "binary(8000)",
		Numeric(38, 4): "numeric(38,4)", DateTime2(7): "datetime2(7)", {}: "null", Image: "image", UniqueIdentifier: "uniqueidentifier",
	} {
		if got := typ.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for k := KindNull; k <= KindXML; k++ {
		if strings.HasPrefix(k.String(), "kind(") {
			t.Errorf("kind %d has no name", k)
		}
	}
}

func TestTemporal_Rounding(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tests := []struct {
		typ        Type
		send, want string
	}{
		{DateTime, "2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00Z"},
		{DateTime, "2026-01-01T00:00:00.002Z", "2026-01-01T00:00:00.003Z"},
		{DateTime, "2026-01-01T00:00:00.005Z", "2026-01-01T00:00:00.007Z"},
		{DateTime, "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"},
		{DateTime, "1753-01-01T00:00:00Z", "1753-01-01T00:00:00Z"},
		{DateTime, "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"},
		{SmallDateTime, "2026-01-01T00:00:29Z", "2026-01-01T00:00:00Z"},
		{SmallDateTime, "2026-01-01T23:59:30Z", "2026-01-02T00:00:00Z"},
		{DateTime2(7), "0001-01-01T00:00:00.0000001Z", "0001-01-01T00:00:00.0000001Z"},
		{DateTime2(0), "2026-01-01T23:59:59.5Z", "2026-01-02T00:00:00Z"},
		{DateTime2(7), "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"},
	}
	for _, tt := range tests {
		b, err := appendValue(nil, tt.typ, at(tt.send), false)
		if err != nil {
			t.Errorf("%v %s: %v", tt.typ, tt.send, err)
			continue
		}
		d := decoder{b: b}
		if got := d.value(wireType{Type: tt.typ}); d.err != nil || !got.(time.Time).Equal(at(tt.want)) {
			t.Errorf("%v %s: got %v, want %s", tt.typ, tt.send, got, tt.want)
		}
	}
	for typ, when := range map[Type]string{
		DateTime: "1752-12-31T23:59:59Z", SmallDateTime: "2079-06-07T00:00:00Z", Type{kind: KindSmallDateTime, scale: 0, size: 0, precision: 0}: "1899-12-31T00:00:00Z",
	} {
		if _, err := appendValue(nil, typ, at(when), false); err == nil {
			t.Errorf("%v accepted %s", typ, when)
		}
	}
}

func TestDecimal(t *testing.T) {
	for s, want := range map[string]string{
		"1": "1.00", "-0.005": "-0.01", "0.004": "0.00", "999.995": "1000.00", "+12.3": "12.30", ".5": "0.50", "-1.": "-1.00",
	} {
		b, err := appendValue(nil, Numeric(9, 2), s, false)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		d := decoder{b: b}
		if got := d.value(wireType{Type: Numeric(9, 2)}); got != want {
			t.Errorf("%q: got %v, want %s", s, got, want)
		}
	}
	for _, s := range []string{"", ".", "-", "1e3", "10000000", "1.2.3", "0x1", "１"} {
		if _, err := appendValue(nil, Numeric(9, 2), s, false); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}
