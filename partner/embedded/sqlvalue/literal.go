package sqlvalue

import (
	"fmt"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// Hexadecimal is a binary value in a view's row, two digits per byte.
type Hexadecimal string

// SpecOf returns a TDS type as T-SQL declares it.
func SpecOf(t tds.Type) tsql.TypeSpec {
	s := tsql.TypeSpec{Name: t.Kind().String(), Length: t.Size(), Scale: t.Scale()}
	switch {
	case t.Size() < 0:
		s.Length, s.Max = 0, true
	case t.Kind() == tds.KindNumeric:
		s.Name, s.Length = "decimal", t.Precision()
	}
	return s
}

// Literal returns a value as a literal of SQLite.
func Literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case bool:
		return fmt.Sprint(BoolInt(v))
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	}
	return fmt.Sprint(v)
}

// ParameterKind reports whether [Convert] supports the type.
func ParameterKind(k tds.Kind) bool {
	switch k {
	case tds.KindNVarChar, tds.KindVarChar, tds.KindChar, tds.KindNChar, tds.KindInt, tds.KindBigInt, tds.KindBit, tds.KindDateTime,
		tds.KindDateTime2, tds.KindBinary, tds.KindVarBinary, tds.KindImage:
		return true
	}
	return false
}

// NameOfValue returns the name of the type that a value of SQLite has by
// itself.
func NameOfValue(v any) string {
	switch v.(type) {
	case int64:
		return "int"
	case float64:
		return "float"
	case []byte:
		return "varbinary"
	}
	return "nvarchar"
}

// Stored returns a value of a procedure or a client as SQLite stores it.
func Stored(v any) any {
	switch v := v.(type) {
	case bool:
		return BoolInt(v)
	case int32:
		return int64(v)
	case time.Time:
		if v.Nanosecond()%1_000_000 == 0 {
			return DatetimeOf(v).Text()
		}
		return Datetime2Of(v).Text()
	}
	return v
}
