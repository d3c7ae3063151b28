package tds

import (
	"fmt"
	"strconv"
)

// Kind is the family of a [Type]: its name in T-SQL without length.
type Kind uint8

// The kinds. KindNull is the null type (0x1F), which clients send for an untyped
// NULL.
const (
	KindNull Kind = iota
	KindTinyInt
	KindSmallInt
	KindInt
	KindBigInt
	KindBit
	KindReal
	KindFloat
	KindSmallMoney
	KindMoney
	KindNumeric
	KindSmallDateTime
	KindDateTime
	KindDate
	KindTime
	KindDateTime2
	KindDateTimeOffset
	KindUniqueIdentifier
	KindChar
	KindVarChar
	KindText
	KindNChar
	KindNVarChar
	KindNText
	KindBinary
	KindVarBinary
	KindImage
	KindXML
	KindVariant
)

var kindNames = [...]string{
	"null", "tinyint", "smallint", "int", "bigint", "bit", "real", "float", "smallmoney", "money", "numeric",
	"smalldatetime", "datetime", "date", "time", "datetime2", "datetimeoffset", "uniqueidentifier",
	"char", "varchar", "text", "nchar", "nvarchar", "ntext", "binary", "varbinary", "image", "xml", "sql_variant",
}

// String returns the T-SQL name, for example "nvarchar".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Type is a SQL type with its length or precision. Types can be compared with ==.
// Every type is nullable. The zero Type is the null type.
type Type struct {
	kind      Kind
	size      int32 // characters for n-types, else bytes; sizeMax for (max)
	precision uint8
	scale     uint8
}

const sizeMax = -1

// Types without length.
var (
	TinyInt          = Type{kind: KindTinyInt}
	SmallInt         = Type{kind: KindSmallInt}
	Int              = Type{kind: KindInt}
	BigInt           = Type{kind: KindBigInt}
	Bit              = Type{kind: KindBit}
	Real             = Type{kind: KindReal}
	Float            = Type{kind: KindFloat}
	Money            = Type{kind: KindMoney}
	SmallMoney       = Type{kind: KindSmallMoney}
	SmallDateTime    = Type{kind: KindSmallDateTime}
	DateTime         = Type{kind: KindDateTime}
	Date             = Type{kind: KindDate}
	UniqueIdentifier = Type{kind: KindUniqueIdentifier}
	Image            = Type{kind: KindImage}
	Text             = Type{kind: KindText}
	NText            = Type{kind: KindNText}
	XML              = Type{kind: KindXML}
	Variant          = Type{kind: KindVariant} // sql_variant, only in result sets
	NVarCharMax      = Type{kind: KindNVarChar, size: sizeMax}
	VarCharMax       = Type{kind: KindVarChar, size: sizeMax}
	VarBinaryMax     = Type{kind: KindVarBinary, size: sizeMax}
)

// NVarChar returns nvarchar(n), n characters (UTF-16 units), 1 to 4000; a larger n is
// (max).
func NVarChar(n int) Type { return sized(KindNVarChar, n, 4000) }

// NChar returns nchar(n), 1 to 4000; shorter values are padded with spaces.
func NChar(n int) Type { return sized(KindNChar, n, 4000) }

// VarChar returns varchar(n), n bytes of code page 1252, 1 to 8000; a larger n is
// (max).
func VarChar(n int) Type { return sized(KindVarChar, n, 8000) }

// Char returns char(n), 1 to 8000 bytes; shorter values are padded with spaces.
func Char(n int) Type { return sized(KindChar, n, 8000) }

// VarBinary returns varbinary(n), 1 to 8000 bytes; a larger n is (max).
func VarBinary(n int) Type { return sized(KindVarBinary, n, 8000) }

// Binary returns binary(n), 1 to 8000 bytes; shorter values are padded with zeros.
func Binary(n int) Type { return sized(KindBinary, n, 8000) }

// DateTime2 returns datetime2(scale), 0 to 7 decimals of a second.
func DateTime2(scale int) Type { return scaled(KindDateTime2, scale) }

// DateTimeOffset returns datetimeoffset(scale), 0 to 7 decimals of a second.
func DateTimeOffset(scale int) Type { return scaled(KindDateTimeOffset, scale) }

// Time returns time(scale), 0 to 7 decimals of a second.
func Time(scale int) Type { return scaled(KindTime, scale) }

// Numeric returns numeric(p, s), p from 1 to 38, s from 0 to p. Its values are
// decimal numbers in strings.
func Numeric(p, s int) Type {
	p = min(max(p, 1), 38)
	return Type{kind: KindNumeric, precision: uint8(p), scale: uint8(min(max(s, 0), p))}
}

// sized limits n to the lengths that can be declared. Above them the var-kinds become
// (max), the only declaration for more than 8000 bytes.
func sized(k Kind, n, most int) Type {
	if n > most {
		if k == KindNVarChar || k == KindVarChar || k == KindVarBinary {
			return Type{kind: k, size: sizeMax}
		}
		n = most
	}
	return Type{kind: k, size: int32(max(n, 1))}
}

func scaled(k Kind, scale int) Type { return Type{kind: k, scale: uint8(min(max(scale, 0), 7))} }

// Kind returns the family of the type.
func (t Type) Kind() Kind { return t.kind }

// Size returns the declared length: characters for nchar and nvarchar, bytes for the
// other types with a length, -1 for (max), 0 for types without a length.
func (t Type) Size() int { return int(t.size) }

// Precision returns the number of digits of a numeric, and 0 for other types.
func (t Type) Precision() int { return int(t.precision) }

// Scale returns the number of decimals of a numeric or of a type's seconds, and 0 for
// other types.
func (t Type) Scale() int { return int(t.scale) }

// String returns the type in T-SQL, for example "nvarchar(88)".
func (t Type) String() string {
	switch t.kind {
	case KindNumeric:
		return fmt.Sprintf("numeric(%d,%d)", t.precision, t.scale)
	case KindTime, KindDateTime2, KindDateTimeOffset:
		return fmt.Sprintf("%s(%d)", t.kind, t.scale)
	case KindChar, KindVarChar, KindNChar, KindNVarChar, KindBinary, KindVarBinary:
		if t.size == sizeMax {
			return t.kind.String() + "(max)"
		}
		return fmt.Sprintf("%s(%d)", t.kind, t.size)
	}
	return t.kind.String()
}

// Column is one column of a result set.
type Column struct {
	Name string // at most 128 characters; "" is a column without a name
	Type Type
}
