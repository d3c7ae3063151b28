package tds

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// errShort is the error for a message that ends before the length that it announces.
var errShort = errors.New("tds: message ends too early")

// decoder parses a client's message. Nothing it returns before err is set is longer than the
// message; after an error it returns zeros.
type decoder struct {
	b   []byte
	err error
	// alias: []byte values may share the message's memory, because it is not reused.
	alias bool
	// names caches strings that this connection has sent before, by their bytes.
	names map[string]string
}

// Limits of decoder.names, because a client determines its contents.
const (
	maxNames      = 512
	maxNameLength = 256 // bytes
)

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

// take returns the next n bytes, or nil after an error.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail(errShort)
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if b := d.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// name reads a string of chars characters that probably recurs.
func (d *decoder) name(chars int) string {
	b := d.take(2 * chars)
	if len(b) == 0 {
		return ""
	}
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	s := utf16String(b)
	if d.names != nil && len(d.names) < maxNames && len(b) <= maxNameLength {
		d.names[string(b)] = s
	}
	return s
}

// keepable returns b as a value that a session may keep.
func (d *decoder) keepable(b []byte) []byte {
	if d.alias {
		return b
	}
	return append(make([]byte, 0, len(b)), b...)
}

const (
	plpNull    = 0xFFFFFFFFFFFFFFFF
	plpUnknown = 0xFFFFFFFFFFFFFFFE
)

// plp reads a value of a (max) type. own means that b may be kept. The announced length is
// only a hint and often unknown, so plp does not rely on it.
//
//	total 8 | { length 4 | bytes }… | 0 4        total: …FF NULL, …FE unknown
func (d *decoder) plp() (b []byte, own, null bool) {
	total := d.u64()
	if total == plpNull {
		return nil, false, true
	}
	n := int(d.u32())
	first := d.take(n)
	if n == 0 {
		d.checkTotal(total, 0)
		return []byte{}, true, false
	}
	n = int(d.u32())
	if n == 0 { // one chunk needs no copy
		d.checkTotal(total, len(first))
		return first, false, false
	}
	all := append(make([]byte, 0, min(total, uint64(len(first)+len(d.b)))), first...)
	for n != 0 && d.err == nil {
		all = append(all, d.take(n)...)
		n = int(d.u32())
	}
	d.checkTotal(total, len(all))
	return all, true, false
}

func (d *decoder) checkTotal(total uint64, n int) {
	if total != plpUnknown && total != uint64(n) {
		d.fail(errors.New("tds: chunks and length of a value differ"))
	}
}

// utf16String decodes UTF-16LE; unpaired surrogates become U+FFFD, and an odd last byte is
// dropped.
func utf16String(b []byte) string {
	ascii := true
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] >= utf8.RuneSelf || b[i+1] != 0 {
			ascii = false
			break
		}
	}
	out := make([]byte, 0, len(b)/2)
	if ascii {
		for i := 0; i+1 < len(b); i += 2 {
			out = append(out, b[i])
		}
		return string(out)
	}
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if i+3 < len(b) {
				pair = utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b[i+2:])))
			}
			if r = pair; r != utf8.RuneError {
				i += 2
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// appendUTF16 appends s in UTF-16LE; bytes that are not UTF-8 become U+FFFD.
func appendUTF16(b []byte, s string) []byte {
	for _, r := range s {
		if r < 0x10000 {
			b = append(b, byte(r), byte(r>>8))
			continue
		}
		hi, lo := utf16.EncodeRune(r)
		b = append(b, byte(hi), byte(hi>>8), byte(lo), byte(lo>>8))
	}
	return b
}

// high1252 are the characters 0x80 to 0x9F of code page 1252; 0 is an undefined one. All
// other characters are those of Unicode.
var high1252 = [32]rune{
	0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
	0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
}

// text1252 decodes code page 1252.
func text1252(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 && c < 0xA0 && high1252[c-0x80] != 0 {
			r = high1252[c-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// append1252 appends s in code page 1252, with "?" for a character that the code page does
// not have.
func append1252(b []byte, s string) []byte {
	for _, r := range s {
		b = append(b, byte1252(r))
	}
	return b
}

func byte1252(r rune) byte {
	if r < 0x80 || r >= 0xA0 && r < 0x100 {
		return byte(r)
	}
	for i, c := range high1252 {
		if c == r || c == 0 && r == rune(0x80+i) {
			return byte(0x80 + i)
		}
	}
	return '?'
}
