package tsql

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"math"
	"regexp"
	"strings"
)

// toBinary converts to the binary types. Numbers are padded and truncated on
// the left, all other values on the right.
func toBinary(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	b, numeric, err := r.bytes(v)
	if err != nil {
		return nil, err
	}
	limit := r.to.Length
	if r.to.Name == "timestamp" {
		limit = 8
	}
	if limit <= 0 || len(b) == limit {
		return b, nil
	}
	switch fill := limit - len(b); {
	case fill < 0 && r.store:
		return nil, truncated()
	case fill < 0 && numeric:
		return b[-fill:], nil
	case fill < 0:
		return b[:limit], nil
	case r.to.Name == "varbinary":
		return b, nil
	case numeric:
		return append(make([]byte, fill, limit), b...), nil
	default:
		return append(b[:len(b):len(b)], make([]byte, fill)...), nil
	}
}

// bytes returns the value as bytes, with its own length; numeric determines the
// side for padding and truncation.
func (r conversionRequest) bytes(v driver.Value) (b []byte, numeric bool, err *Error) {
	switch v := v.(type) {
	case []byte:
		return v, false, nil
	case int64:
		return integerBytes(v, r.from), true, nil
	case float64:
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)), true, nil
	}
	text := textOf(v)
	switch {
	case r.from == "uniqueidentifier":
		b, err = guidBytes(text)
		return b, false, err
	case r.store:
		return nil, false, failure(257, 16, "Implicit conversion from data type %s to %s is not allowed. "+
			"Use the CONVERT function to run this query.", r.fromName(), r.to.Name)
	case r.style == 1 || r.style == 2:
		b, err = r.hexBytes(text)
		return b, false, err
	case r.from == "varchar" || r.from == "char" || r.from == "text":
		return toLatin1(text), false, nil
	}
	for _, u := range characters(text) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b, false, nil
}

// integerBytes returns a number in the size of its type, big-endian.
func integerBytes(n int64, typ string) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(n))
	switch {
	case typ == "bit" || typ == "tinyint":
		return b[7:]
	case typ == "smallint":
		return b[6:]
	case typ == "bigint" || n != int64(int32(n)):
		return b
	}
	return b[4:]
}

// hexBytes decodes hexadecimal text: style 1 with 0x in front, style 2 without.
func (r conversionRequest) hexBytes(text string) ([]byte, *Error) {
	digits := text
	if r.style == 1 {
		if len(text) < 2 || text[0] != '0' || text[1]|0x20 != 'x' {
			return nil, failure(8114, 16, "Error converting data type %s to %s.", r.fromName(), r.to.Name)
		}
		digits = text[2:]
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, failure(8114, 16, "Error converting data type %s to %s.", r.fromName(), r.to.Name)
	}
	return b, nil
}

// toLatin1 converts each character to a byte, and characters outside of Latin-1
// to a question mark.
func toLatin1(text string) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xFF {
			r = '?'
		}
		b = append(b, byte(r))
	}
	return b
}

// guidForm matches the text of a uniqueidentifier.
var guidForm = regexp.MustCompile(`(?i)^\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?`)

// guidOrder is the index of each byte of a uniqueidentifier in its text: the
// first three groups are little-endian.
var guidOrder = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

// guidBytes returns the binary form of a uniqueidentifier.
func guidBytes(text string) ([]byte, *Error) {
	m := guidForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return nil, failure(8169, 16, "Conversion failed when converting from a character string to uniqueidentifier.")
	}
	digits, err := hex.DecodeString(strings.ReplaceAll(m[1], "-", ""))
	if err != nil {
		return nil, failure(8169, 16, "Conversion failed when converting from a character string to uniqueidentifier.")
	}
	b := make([]byte, 16)
	for i, from := range guidOrder {
		b[i] = digits[from]
	}
	return b, nil
}

// toGUID converts text or 16 bytes to a uniqueidentifier.
func toGUID(_ conversionRequest, v driver.Value) (driver.Value, *Error) {
	switch v := v.(type) {
	case string:
		b, err := guidBytes(v)
		if err != nil {
			return nil, err
		}
		return guidText(b), nil
	case []byte:
		var b [16]byte
		copy(b[:], v)
		return guidText(b[:]), nil
	}
	return nil, failure(206, 16, "Operand type clash: int is incompatible with uniqueidentifier.")
}

// guidText writes the binary form as text, in upper case.
func guidText(b []byte) string {
	var digits [16]byte
	for i, from := range guidOrder {
		digits[from] = b[i]
	}
	text := strings.ToUpper(hex.EncodeToString(digits[:]))
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
