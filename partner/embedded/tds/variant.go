package tds

import (
	"encoding/binary"
	"math"
	"time"
)

// maxVariant is the declared size of a column of sql_variant.
const maxVariant = 8009

// appendVariant appends a value of sql_variant as the type that corresponds to its Go type: bit, int, bigint, float,
// nvarchar, varbinary or datetime.
//
//	length 4 | base type 1 | length of the properties 1 | properties | value
//
// The properties of nvarchar are its collation 5 and its size 2, those of varbinary its size 2.
func appendVariant(b []byte, v any) ([]byte, error) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	var err error
	switch v := v.(type) {
	case bool:
		n, _ := integer(v)
		b = append(b, wireBit, 0, byte(n))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return b, errRange
		}
		b = binary.LittleEndian.AppendUint64(append(b, wireFloat, 0), math.Float64bits(v))
	case string:
		b = append(append(b, wireNVarChar, byte(len(collation)+2)), collation...)
		b = appendUTF16(binary.LittleEndian.AppendUint16(b, 8000), v)
		if len(b)-at > maxVariant {
			return b, errTooLong
		}
	case []byte:
		if len(v) > 8000 {
			return b, errTooLong
		}
		b = append(binary.LittleEndian.AppendUint16(append(b, wireVarBinary, 2), 8000), v...)
	case time.Time:
		b, err = appendDateTime(append(b, wireDateTime, 0), v)
	default:
		n, ok := integer(v)
		switch {
		case !ok:
			return b, mismatch(v)
		case n == int64(int32(n)):
			b = appendLittle(append(b, wireInt, 0), n, 4)
		default:
			b = appendLittle(append(b, wireBigInt, 0), n, 8)
		}
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b, err
}
