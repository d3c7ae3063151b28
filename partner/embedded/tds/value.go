package tds

import (
	"encoding/binary"
	"errors"
	"math"
)

var errValue = errors.New("tds: value does not fit its type")

// value reads a value of type t.
func (d *decoder) value(t wireType) any {
	switch t.kind {
	case KindNull:
		return nil
	case KindChar, KindVarChar, KindNChar, KindNVarChar, KindBinary, KindVarBinary:
		if t.size == sizeMax {
			return d.chunked(t)
		}
		n := d.u16()
		if n == 0xFFFF {
			return nil
		}
		return d.bytesOf(t, d.take(int(n)), false)
	case KindXML:
		return d.chunked(t)
	case KindImage, KindText, KindNText:
		n := d.u32()
		if n == 0xFFFFFFFF {
			return nil
		}
		return d.bytesOf(t, d.take(int(n)), false)
	}
	n := t.fixed
	if n == 0 {
		if n = int(d.u8()); n == 0 {
			return nil
		}
	}
	if b := d.take(n); d.err == nil {
		return d.short(t, b)
	}
	return nil
}

func (d *decoder) chunked(t wireType) any {
	b, own, null := d.plp()
	if null || d.err != nil {
		return nil
	}
	return d.bytesOf(t, b, own)
}

// bytesOf returns a value of a character or binary type; own means that b may
// be kept.
func (d *decoder) bytesOf(t wireType, b []byte, own bool) any {
	if d.err != nil {
		return nil
	}
	switch t.kind {
	case KindNChar, KindNVarChar, KindNText:
		return utf16String(b)
	case KindXML:
		if len(b) >= 2 && b[0] == 0xFF && b[1] == 0xFE { // byte order mark
			b = b[2:]
		}
		return utf16String(b)
	case KindChar, KindVarChar, KindText:
		if t.utf8 {
			return string(b)
		}
		return text1252(b)
	}
	if own {
		return b
	}
	return d.keepable(b)
}

// short returns a value of a type of at most 17 bytes; b is not empty.
func (d *decoder) short(t wireType, b []byte) any {
	if !fits(t, len(b)) {
		d.fail(errValue)
		return nil
	}
	var v any
	var err error
	switch t.kind {
	case KindTinyInt:
		return int64(b[0])
	case KindSmallInt, KindInt, KindBigInt:
		return signed(b)
	case KindBit:
		return b[0] != 0
	case KindReal:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case KindFloat:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case KindSmallMoney, KindMoney:
		return money(b)
	case KindNumeric:
		return numeric(b, t.scale)
	case KindUniqueIdentifier:
		return d.keepable(b)
	case KindSmallDateTime:
		v, err = smallDateTime(b)
	case KindDateTime:
		v, err = dateTime(b)
	default:
		v, err = modern(t.Type, b)
	}
	if err != nil {
		d.fail(err)
		return nil
	}
	return v
}

// fits reports whether a value of n bytes can be one of the type.
func fits(t wireType, n int) bool {
	switch t.kind {
	case KindTinyInt, KindBit:
		return n == 1
	case KindSmallInt:
		return n == 2
	case KindInt, KindReal, KindSmallMoney, KindSmallDateTime:
		return n == 4
	case KindBigInt, KindFloat, KindMoney, KindDateTime:
		return n == 8
	case KindUniqueIdentifier:
		return n == 16
	case KindNumeric: // a sign and the digits: some clients always send 17 bytes, FreeTDS only as many as the digits need
		return n >= 2 && n <= 17
	}
	return n == modernBytes(t.Type)
}

// signed returns a little-endian integer of 2, 4 or 8 bytes.
func signed(b []byte) int64 {
	unused := 64 - 8*len(b)
	return little(b) << unused >> unused
}
