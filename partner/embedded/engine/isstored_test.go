package engine

import (
	"reflect"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// A value counts as stored if and only if a conversion does not change it.
func TestIsStored_AsConvert(t *testing.T) {
	types := []tds.Type{
		tds.Int, tds.BigInt, tds.Bit, tds.DateTime, tds.DateTime2(7), tds.DateTime2(3), tds.NVarChar(3), tds.NVarCharMax, tds.VarChar(3), tds.Char(3), tds.NChar(3),
		tds.Binary(2), tds.VarBinary(2), tds.VarBinaryMax, tds.Image, tds.Float, tds.Numeric(9, 2), tds.Date, tds.UniqueIdentifier, tds.SmallInt,
	}
	kept := 0
	for _, value := range []any{
		nil, int64(0), int64(1), int64(2), int64(-1), int64(1 << 31), int64(-1 << 31), 1.5, "", "abc", "abcd", "äö", "äöüß", "😀a", "12", []byte{}, []byte(nil), []byte{1}, []byte{1, 2}, []byte{1, 2, 3},
		"2026-11-30 10:00:00.003", "2026-11-30 10:00:00.001", "2026-02-31 10:00:00.003", "1752-12-31 00:00:00.000", "2026-11-30T10:00:00.003", "2026-11-30 10:00:00.0000000", "2026-11-30 10:00:00.1234567", "2026-11-30",
		"9999-12-31 23:59:59.997", "9999-12-31 23:59:59.999", "0001-01-01 00:00:00.0000000",
	} {
		for _, typ := range types {
			if !isStored(value, typ) {
				continue
			}
			kept++
			if a, err := sqlvalue.Convert(value, "", typ); err != nil || !reflect.DeepEqual(a.Stored(typ), value) {
				t.Errorf("%#v as %v: counts as stored, but a conversion makes it %#v, %v", value, typ, a.Stored(typ), err)
			}
		}
	}
	if kept < 60 {
		t.Errorf("only %d values were kept", kept)
	}
}
