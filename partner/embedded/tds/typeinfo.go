package tds

import (
	"encoding/binary"
	"fmt"
)

// Type bytes of TYPE_INFO.
const (
	wireNull           = 0x1F
	wireImage          = 0x22
	wireText           = 0x23
	wireGUID           = 0x24
	wireIntN           = 0x26
	wireDate           = 0x28
	wireTime           = 0x29
	wireDateTime2      = 0x2A
	wireDateTimeOffset = 0x2B
	wireTinyInt        = 0x30
	wireBit            = 0x32
	wireSmallInt       = 0x34
	wireDecimal        = 0x37
	wireInt            = 0x38
	wireSmallDateTime  = 0x3A
	wireReal           = 0x3B
	wireMoney          = 0x3C
	wireDateTime       = 0x3D
	wireFloat          = 0x3E
	wireNumeric        = 0x3F
	wireVariant        = 0x62
	wireNText          = 0x63
	wireBitN           = 0x68
	wireDecimalN       = 0x6A
	wireNumericN       = 0x6C
	wireFloatN         = 0x6D
	wireMoneyN         = 0x6E
	wireDateTimeN      = 0x6F
	wireSmallMoney     = 0x7A
	wireBigInt         = 0x7F
	wireVarBinary      = 0xA5
	wireVarChar        = 0xA7
	wireBinary         = 0xAD
	wireChar           = 0xAF
	wireNVarChar       = 0xE7
	wireNChar          = 0xEF
	wireXML            = 0xF1
)

// collation is SQL_Latin1_General_CP1_CI_AS: locale 0x0409, flags, sort id 52. It is
// the collation in the login reply and of all char columns.
const collation = "\x09\x04\xD0\x00\x34"

// collationUTF8 is the flag of a collation whose char values are UTF-8.
const collationUTF8 = 0x04

// wireType is a parsed TYPE_INFO.
type wireType struct {
	Type
	fixed int  // bytes of a value without a length; 0: a value has a length
	utf8  bool // char values are UTF-8, not code page 1252
}

// fixedTypes are the types whose values have no length.
var fixedTypes = map[byte]wireType{
	wireTinyInt:       {Type: TinyInt, fixed: 1},
	wireBit:           {Type: Bit, fixed: 1},
	wireSmallInt:      {Type: SmallInt, fixed: 2},
	wireInt:           {Type: Int, fixed: 4},
	wireBigInt:        {Type: BigInt, fixed: 8},
	wireReal:          {Type: Real, fixed: 4},
	wireFloat:         {Type: Float, fixed: 8},
	wireSmallMoney:    {Type: Type{kind: KindSmallMoney}, fixed: 4},
	wireMoney:         {Type: Money, fixed: 8},
	wireSmallDateTime: {Type: SmallDateTime, fixed: 4},
	wireDateTime:      {Type: DateTime, fixed: 8},
}

// badType is the error for an unknown TYPE_INFO. The rest of the message cannot be
// parsed.
type badType struct{ code byte }

func (e badType) Error() string { return fmt.Sprintf("tds: data type 0x%02X", e.code) }

// typeInfo reads a TYPE_INFO.
func (d *decoder) typeInfo() wireType {
	code := d.u8()
	switch code {
	case wireNull:
		return wireType{}
	case wireIntN, wireFloatN, wireMoneyN, wireDateTimeN, wireGUID, wireBitN:
		return d.byteSized(code)
	case wireDecimal, wireNumeric, wireDecimalN, wireNumericN:
		d.u8() // the precision determines the size
		p, s := d.u8(), d.u8()
		if d.err == nil && (p < 1 || p > 38 || s > p) {
			d.fail(badType{code})
		}
		return wireType{Type: Numeric(int(p), int(s))}
	case wireDate:
		return wireType{Type: Date}
	case wireTime, wireDateTime2, wireDateTimeOffset:
		s := d.u8()
		if s > 7 {
			d.fail(badType{code})
		}
		kind := KindTime + Kind(code-wireTime)
		return wireType{Type: scaled(kind, int(s))}
	case wireVarBinary, wireBinary, wireVarChar, wireChar, wireNVarChar, wireNChar:
		return d.shortSized(code)
	case wireImage:
		d.u32()
		return wireType{Type: Image}
	case wireText, wireNText:
		d.u32()
		t := wireType{Type: Text, utf8: d.collation()}
		if code == wireNText {
			t.Type = NText
		}
		return t
	case wireXML:
		if d.u8() != 0 { // followed by the names of a schema
			d.take(2 * int(d.u8()))
			d.take(2 * int(d.u8()))
			d.take(2 * int(d.u16()))
		}
		return wireType{Type: Type{kind: KindXML}}
	}
	t, ok := fixedTypes[code]
	if !ok && d.err == nil {
		d.fail(badType{code})
	}
	return t
}

// byteSized reads the rest of a type whose size takes one byte.
func (d *decoder) byteSized(code byte) wireType {
	size := d.u8()
	t, ok := Type{}, true
	switch uint16(code)<<8 | uint16(size) {
	case wireIntN<<8 | 1:
		t = TinyInt
	case wireIntN<<8 | 2:
		t = SmallInt
	case wireIntN<<8 | 4:
		t = Int
	case wireIntN<<8 | 8:
		t = BigInt
	case wireBitN<<8 | 1:
		t = Bit
	case wireFloatN<<8 | 4:
		t = Real
	case wireFloatN<<8 | 8:
		t = Float
	case wireMoneyN<<8 | 4:
		t = Type{kind: KindSmallMoney}
	case wireMoneyN<<8 | 8:
		t = Money
	case wireDateTimeN<<8 | 4:
		t = SmallDateTime
	case wireDateTimeN<<8 | 8:
		t = DateTime
	case wireGUID<<8 | 16:
		t = UniqueIdentifier
	default:
		ok = false
	}
	if !ok && d.err == nil {
		d.fail(badType{code})
	}
	return wireType{Type: t}
}

// shortSized reads the rest of a type whose size takes two bytes.
func (d *decoder) shortSized(code byte) wireType {
	size := int(d.u16())
	if size == 0xFFFF {
		size = 1 << 16 // more than any declaration: (max)
	}
	switch code {
	case wireVarBinary:
		return wireType{Type: VarBinary(size)}
	case wireBinary:
		return wireType{Type: Binary(size)}
	case wireVarChar:
		return wireType{Type: VarChar(size), utf8: d.collation()}
	case wireChar:
		return wireType{Type: Char(size), utf8: d.collation()}
	case wireNVarChar:
		d.collation()
		return wireType{Type: NVarChar(size / 2)}
	}
	d.collation()
	return wireType{Type: NChar(size / 2)}
}

// collation reads a collation and reports whether its char values are UTF-8.
func (d *decoder) collation() (utf8 bool) {
	b := d.take(len(collation))
	return b != nil && b[3]&collationUTF8 != 0
}

// appendTypeInfo appends the TYPE_INFO of a type, in its nullable form. The null type
// is sent as int, as for SELECT NULL.
func appendTypeInfo(b []byte, t Type) []byte {
	switch t.kind {
	case KindTinyInt:
		return append(b, wireIntN, 1)
	case KindSmallInt:
		return append(b, wireIntN, 2)
	case KindBigInt:
		return append(b, wireIntN, 8)
	case KindBit:
		return append(b, wireBitN, 1)
	case KindReal:
		return append(b, wireFloatN, 4)
	case KindFloat:
		return append(b, wireFloatN, 8)
	case KindSmallMoney:
		return append(b, wireMoneyN, 4)
	case KindMoney:
		return append(b, wireMoneyN, 8)
	case KindNumeric:
		return append(b, wireNumericN, byte(1+decimalBytes(t.precision)), t.precision, t.scale)
	case KindSmallDateTime:
		return append(b, wireDateTimeN, 4)
	case KindDateTime:
		return append(b, wireDateTimeN, 8)
	case KindDate:
		return append(b, wireDate)
	case KindTime, KindDateTime2, KindDateTimeOffset:
		return append(b, wireTime+byte(t.kind-KindTime), t.scale)
	case KindUniqueIdentifier:
		return append(b, wireGUID, 16)
	case KindChar, KindVarChar, KindNChar, KindNVarChar, KindBinary, KindVarBinary:
		return appendSizedInfo(b, t)
	case KindImage:
		return append(b, wireImage, 0xFF, 0xFF, 0xFF, 0x7F)
	case KindText:
		return append(append(b, wireText, 0xFF, 0xFF, 0xFF, 0x7F), collation...)
	case KindNText:
		return append(append(b, wireNText, 0xFE, 0xFF, 0xFF, 0x7F), collation...)
	case KindXML:
		return append(b, wireXML, 0)
	case KindVariant:
		return binary.LittleEndian.AppendUint32(append(b, wireVariant), maxVariant)
	}
	return append(b, wireIntN, 4)
}

// appendSizedInfo appends the TYPE_INFO of a type with a declared length.
func appendSizedInfo(b []byte, t Type) []byte {
	code, text, width := byte(0), true, int32(1)
	switch t.kind {
	case KindChar:
		code = wireChar
	case KindVarChar:
		code = wireVarChar
	case KindNChar:
		code, width = wireNChar, 2
	case KindNVarChar:
		code, width = wireNVarChar, 2
	case KindBinary:
		code, text = wireBinary, false
	case KindVarBinary:
		code, text = wireVarBinary, false
	}
	size := uint16(t.size * width)
	if t.size == sizeMax {
		size = 0xFFFF
	}
	b = binary.LittleEndian.AppendUint16(append(b, code), size)
	if text {
		b = append(b, collation...)
	}
	return b
}
