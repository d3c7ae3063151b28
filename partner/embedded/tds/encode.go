package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

var (
	errRange   = errors.New("number out of the type's range")
	errTooLong = errors.New("value longer than the type")
)

// appendValue appends v as a value of type t, in a row (row) or as an output parameter.
// After an error the caller must discard what was appended.
func appendValue(b []byte, t Type, v any, row bool) ([]byte, error) {
	if raw, ok := v.([]byte); ok && raw == nil {
		v = nil
	}
	if v == nil {
		return appendNull(b, t), nil
	}
	switch t.kind {
	case KindNull, KindTinyInt, KindSmallInt, KindInt, KindBigInt, KindBit, KindReal, KindFloat:
		return appendNumber(b, t, v)
	case KindNumeric, KindMoney, KindSmallMoney:
		return appendExact(b, t, v)
	case KindSmallDateTime, KindDateTime, KindDate, KindTime, KindDateTime2, KindDateTimeOffset:
		return appendTime(b, t, v)
	case KindUniqueIdentifier:
		id, ok := v.([]byte)
		if !ok {
			return b, mismatch(v)
		}
		if len(id) != 16 {
			return b, errTooLong
		}
		return append(append(b, 16), id...), nil
	case KindVariant:
		return appendVariant(b, v)
	}
	return appendLong(b, t, v, row)
}

func mismatch(v any) error { return fmt.Errorf("can't hold a %T", v) }

// appendNull appends the NULL of a type.
func appendNull(b []byte, t Type) []byte {
	switch t.kind {
	case KindChar, KindVarChar, KindNChar, KindNVarChar, KindBinary, KindVarBinary:
		if t.size != sizeMax {
			return append(b, 0xFF, 0xFF)
		}
		return binary.LittleEndian.AppendUint64(b, plpNull)
	case KindXML:
		return binary.LittleEndian.AppendUint64(b, plpNull)
	case KindVariant:
		return append(b, 0, 0, 0, 0)
	}
	return append(b, 0)
}

// integer returns v as an integer.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case int32:
		return int64(v), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int16:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	}
	return 0, false
}

// appendNumber appends a value of an integer, bit or floating type.
func appendNumber(b []byte, t Type, v any) ([]byte, error) {
	if t.kind == KindFloat || t.kind == KindReal {
		return appendFloat(b, t, v)
	}
	n, ok := integer(v)
	if !ok {
		return b, mismatch(v)
	}
	size, lo, hi := 4, int64(math.MinInt32), int64(math.MaxInt32)
	switch t.kind {
	case KindTinyInt:
		size, lo, hi = 1, 0, math.MaxUint8
	case KindSmallInt:
		size, lo, hi = 2, math.MinInt16, math.MaxInt16
	case KindBigInt:
		size, lo, hi = 8, math.MinInt64, math.MaxInt64
	case KindBit:
		size, lo, hi = 1, 0, 1
	}
	if n < lo || n > hi {
		return b, errRange
	}
	return appendLittle(append(b, byte(size)), n, size), nil
}

func appendFloat(b []byte, t Type, v any) ([]byte, error) {
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case float32:
		f = float64(v)
	default:
		n, ok := integer(v)
		if !ok {
			return b, mismatch(v)
		}
		f = float64(n)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) || t.kind == KindReal && math.Abs(f) > math.MaxFloat32 {
		return b, errRange
	}
	if t.kind == KindReal {
		return binary.LittleEndian.AppendUint32(append(b, 4), math.Float32bits(float32(f))), nil
	}
	return binary.LittleEndian.AppendUint64(append(b, 8), math.Float64bits(f)), nil
}

// appendExact appends a value of a numeric or money type.
func appendExact(b []byte, t Type, v any) ([]byte, error) {
	s, ok := v.(string)
	if !ok {
		n, isInt := integer(v)
		if !isInt {
			return b, mismatch(v)
		}
		s = strconv.FormatInt(n, 10)
	}
	switch t.kind {
	case KindMoney:
		return appendMoney(append(b, 8), t.kind, s)
	case KindSmallMoney:
		return appendMoney(append(b, 4), t.kind, s)
	}
	return appendNumeric(append(b, byte(1+decimalBytes(t.precision))), t, s)
}

// appendTime appends a value of a date or time type.
func appendTime(b []byte, t Type, v any) ([]byte, error) {
	at, ok := v.(time.Time)
	if !ok {
		return b, mismatch(v)
	}
	switch t.kind {
	case KindSmallDateTime:
		return appendSmallDateTime(append(b, 4), at)
	case KindDateTime:
		return appendDateTime(append(b, 8), at)
	}
	return appendModern(append(b, byte(modernBytes(t))), t, at)
}

// appendLong appends a value of a character or binary type: its length, in the form of
// the type, then its bytes.
func appendLong(b []byte, t Type, v any, row bool) ([]byte, error) {
	start := len(b)
	switch {
	case t.kind == KindImage || t.kind == KindText || t.kind == KindNText:
		if row { // a text pointer 16 and a timestamp 8, which clients skip
			b = append(append(b, 16), "mirrorstate text"+"\x00\x00\x00\x00\x00\x00\x00\x00"...)
		}
		b = append(b, 0, 0, 0, 0)
	case t.kind == KindXML || t.size == sizeMax:
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // total 8, first chunk 4
	default:
		b = append(b, 0, 0)
	}
	data := len(b)
	b, err := appendData(b, t, v)
	if err != nil {
		return b, err
	}
	n := len(b) - data
	switch data - start {
	case 2:
		return finishSized(b, t, data)
	case 12:
		binary.LittleEndian.PutUint64(b[start:], uint64(n))
		if n == 0 { // an empty first chunk is also the end of the chunks
			return b, nil
		}
		binary.LittleEndian.PutUint32(b[start+8:], uint32(n))
		return append(b, 0, 0, 0, 0), nil
	}
	binary.LittleEndian.PutUint32(b[data-4:], uint32(n))
	return b, nil
}

// appendData appends the bytes of a value of a character or binary type.
func appendData(b []byte, t Type, v any) ([]byte, error) {
	switch t.kind {
	case KindBinary, KindVarBinary, KindImage:
		if raw, ok := v.([]byte); ok {
			return append(b, raw...), nil
		}
		return b, mismatch(v)
	}
	s, ok := v.(string)
	if !ok {
		return b, mismatch(v)
	}
	switch t.kind {
	case KindChar, KindVarChar, KindText:
		return append1252(b, s), nil
	}
	return appendUTF16(b, s), nil
}

// finishSized checks the length of a value that ends b, pads it if its type has a fixed
// length, and writes its length into the two bytes before it.
func finishSized(b []byte, t Type, data int) ([]byte, error) {
	most := int(t.size)
	if t.kind == KindNChar || t.kind == KindNVarChar {
		most *= 2
	}
	if len(b)-data > most {
		return b, errTooLong
	}
	for len(b)-data < most {
		switch t.kind {
		case KindBinary:
			b = append(b, 0)
		case KindChar:
			b = append(b, ' ')
		case KindNChar:
			b = append(b, ' ', 0)
		default:
			most = 0 // variable length
		}
	}
	binary.LittleEndian.PutUint16(b[data-2:], uint16(len(b)-data))
	return b, nil
}
