package sqlvalue

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// plainTypes are the types without a length, by name.
var plainTypes = map[string]tds.Type{
	"tinyint": tds.TinyInt, "smallint": tds.SmallInt, "int": tds.Int, "bigint": tds.BigInt, "bit": tds.Bit,
	"real": tds.Real, "float": tds.Float, "money": tds.Money, "smallmoney": tds.SmallMoney, "smalldatetime": tds.SmallDateTime,
	"datetime": tds.DateTime, "date": tds.Date, "uniqueidentifier": tds.UniqueIdentifier,
	"text": tds.Text, "ntext": tds.NText, "image": tds.Image, "sql_variant": tds.Variant, "xml": tds.XML, "sysname": tds.NVarChar(128),
	// ASPState's user-defined types, as aspnet_regsql creates them.
	"tsessionid": tds.NVarChar(88), "tappname": tds.VarChar(280), "tsessionitemshort": tds.VarBinary(7000), "tsessionitemlong": tds.Image,
}

// TypeOf returns the TDS type of a declared type; false for an unknown one.
func TypeOf(t tsql.TypeSpec) (tds.Type, bool) {
	if plain, ok := plainTypes[strings.ToLower(t.Name)]; ok {
		return plain, true
	}
	n := t.Length
	if t.Max {
		n = math.MaxInt32
	}
	switch strings.ToLower(t.Name) {
	case "nvarchar":
		return tds.NVarChar(n), true
	case "nchar":
		return tds.NChar(n), true
	case "varchar":
		return tds.VarChar(n), true
	case "char":
		return tds.Char(n), true
	case "varbinary":
		return tds.VarBinary(n), true
	case "binary":
		return tds.Binary(n), true
	case "datetime2":
		return tds.DateTime2(t.Scale), true
	case "datetimeoffset":
		return tds.DateTimeOffset(t.Scale), true
	case "time":
		return tds.Time(t.Scale), true
	case "decimal", "numeric":
		return tds.Numeric(max(n, 1), t.Scale), true
	}
	return tds.Type{}, false
}

// DeclaredType returns the TDS type of a column's declaration in SQLite, for example "NVARCHAR(88)".
func DeclaredType(declared string) (tds.Type, bool) { return TypeOf(DeclaredSpec(declared)) }

// DeclaredSpec returns the T-SQL type of such a declaration.
func DeclaredSpec(declared string) tsql.TypeSpec {
	name, rest, _ := strings.Cut(strings.Trim(strings.ToLower(declared), `"`), "(")
	t := tsql.TypeSpec{Name: strings.TrimSpace(name)}
	first, second, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
	t.Max = first == "max"
	t.Length, _ = strconv.Atoi(first)
	t.Scale, _ = strconv.Atoi(second)
	switch t.Name {
	case "numeric":
		t.Name = "decimal"
	case "datetime2", "time", "datetimeoffset":
		t.Scale, t.Length = t.Length, 0
	}
	return t
}

// TypeOfValue returns the type of a value whose declared type is unknown.
func TypeOfValue(v any) tds.Type {
	switch v := v.(type) {
	case nil:
		return tds.Int // as for SELECT NULL
	case int64:
		if v == int64(int32(v)) {
			return tds.Int
		}
		return tds.BigInt
	case float64:
		return tds.Float
	case []byte:
		return tds.VarBinaryMax
	case time.Time:
		return tds.DateTime
	}
	return tds.NVarCharMax
}

// ClientValue converts a value of SQLite to a value of a TDS type.
func ClientValue(t tds.Type, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch t.Kind() {
	case tds.KindBit:
		if n, ok := bitOf(v); ok {
			return n != 0, nil
		}
	case tds.KindDateTime, tds.KindDateTime2, tds.KindSmallDateTime, tds.KindDate, tds.KindTime, tds.KindDateTimeOffset:
		return clientTime(v, t.Kind() == tds.KindDateTimeOffset)
	case tds.KindUniqueIdentifier:
		if s, ok := v.(string); ok {
			return guidBytes(s)
		}
	case tds.KindNumeric, tds.KindMoney, tds.KindSmallMoney:
		if f, ok := v.(float64); ok { // with all its digits: the TDS type rounds them
			return strconv.FormatFloat(f, 'f', -1, 64), nil
		}
	case tds.KindNVarChar, tds.KindVarChar, tds.KindChar, tds.KindNChar, tds.KindText, tds.KindNText, tds.KindXML:
		if _, ok := v.(string); ok {
			return v, nil
		}
		if s, ok := TextOf(v); ok {
			return s, nil
		}
		if b, ok := v.([]byte); ok {
			return string(b), nil
		}
	case tds.KindBinary, tds.KindVarBinary, tds.KindImage:
		switch b := v.(type) {
		case []byte:
			if b == nil {
				return []byte{}, nil // the driver needs a non-nil slice for an empty binary value
			}
			return v, nil
		case string:
			return []byte(b), nil
		}
	case tds.KindInt, tds.KindBigInt, tds.KindSmallInt, tds.KindTinyInt:
		return clientInteger(t.Kind(), v)
	}
	return v, nil
}

// integerRanges are the ranges of the integer types.
var integerRanges = map[tds.Kind][2]int64{tds.KindTinyInt: {0, math.MaxUint8}, tds.KindSmallInt: {math.MinInt16, math.MaxInt16},
	tds.KindInt: {math.MinInt32, math.MaxInt32}, tds.KindBigInt: {math.MinInt64, math.MaxInt64}}

// clientInteger returns an integer within the range of its type; error 8115 for a larger one that SQLite
// computed.
func clientInteger(k tds.Kind, v any) (any, error) {
	n, ok := v.(int64)
	whole := ok
	if f, isFloat := v.(float64); isFloat {
		n, ok = int64(f), math.Abs(f) < 1<<63
	} else if !ok {
		return v, nil
	}
	if limit := integerRanges[k]; !ok || n < limit[0] || n > limit[1] {
		return nil, sqlerror.New(8115, 16, "Arithmetic overflow error converting expression to data type %s.", k)
	}
	if whole {
		return v, nil
	}
	return n, nil
}

// clientTime returns a date as package tds expects it; only a datetimeoffset keeps its offset.
func clientTime(v any, offset bool) (any, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		t, err := tsql.ParseDateTimeOffset(v)
		if _, seconds := t.Zone(); !offset { // drop the offset and keep the clock time
			t = t.Add(time.Duration(seconds) * time.Second).UTC()
		}
		if err != nil {
			return nil, sqlerror.New(241, 16, "Conversion failed when converting date and/or time from character string.")
		}
		return t, nil
	}
	return nil, sqlerror.New(8114, 16, "Error converting data type %s to datetime.", NameOfValue(v))
}

// guidBytes returns a uniqueidentifier as TDS encodes it: its first three groups are little-endian.
func guidBytes(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(s, "{}"), "-", ""))
	if err != nil || len(b) != 16 {
		return nil, sqlerror.New(8169, 16, "Conversion failed when converting from a character string to uniqueidentifier.")
	}
	swapGUID(b)
	return b, nil
}

// GuidText returns the text of a uniqueidentifier from its 16 bytes in TDS.
func GuidText(wire []byte) string {
	b := append([]byte(nil), wire...)
	swapGUID(b)
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]))
}

func swapGUID(b []byte) {
	binary.BigEndian.PutUint32(b, binary.LittleEndian.Uint32(b))
	binary.BigEndian.PutUint16(b[4:], binary.LittleEndian.Uint16(b[4:]))
	binary.BigEndian.PutUint16(b[6:], binary.LittleEndian.Uint16(b[6:]))
}
