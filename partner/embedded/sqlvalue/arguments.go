package sqlvalue

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// back returns an argument as a value of its type.
func (a Argument) back(t tds.Type) any {
	if !a.Ok {
		return nil
	}
	switch t.Kind() {
	case tds.KindInt, tds.KindBigInt:
		return a.N
	case tds.KindBit:
		return a.N != 0
	case tds.KindDateTime:
		return a.date().Time()
	case tds.KindDateTime2:
		return a.date2().time()
	case tds.KindVarBinary, tds.KindImage:
		return a.blob()
	case tds.KindBinary:
		return []byte(a.S)
	}
	return a.S
}

// Stored returns the argument as the tables store it: a date has the type's precision, even at a whole millisecond.
func (a Argument) Stored(t tds.Type) any {
	switch {
	case !a.Ok:
		return nil
	case a.Raw != nil:
		return a.Raw
	case t.Kind() == tds.KindDateTime2:
		return a.date2().Text()
	case t.Kind() == tds.KindDateTime:
		return a.date().Text()
	}
	return Stored(a.back(t))
}

// Argument is the value of a parameter, converted to the parameter's type: N for whole numbers, bits and dates, S for
// text, B for binary, Raw, as SQLite stores it, for all other types. Ok is false for NULL.
type Argument struct {
	Raw any
	Ok  bool
	N   int64
	S   string
	B   []byte
}

func (a Argument) date() Datetime   { return Datetime(a.N) }
func (a Argument) date2() datetime2 { return datetime2(a.N) }

// blob returns a binary argument; nil only for NULL.
func (a Argument) blob() []byte {
	if a.Ok && a.B == nil {
		return []byte{}
	}
	return a.B
}

// Arguments are the arguments of one call, in the order of the declaration.
type Arguments []Argument

// Convert converts v, a value of type from, to the value of a parameter of type to. It truncates texts and binary
// values to the declared length without an error, as SQL Server does for parameters.
func Convert(v any, from string, to tds.Type) (Argument, error) {
	if v == nil {
		return Argument{}, nil
	}
	var a Argument
	if !ParameterKind(to.Kind()) {
		raw, err := tsql.ToVariable(Stored(v), "", SpecOf(to))
		return Argument{Ok: raw != nil, Raw: raw}, sqlerror.AsWireError(err)
	}
	ok := false
	switch to.Kind() {
	case tds.KindNVarChar, tds.KindVarChar, tds.KindChar, tds.KindNChar:
		a.S, ok = TextOf(v)
		a.S = CutText(a.S, to.Size())
	case tds.KindInt:
		a.N, ok = IntegerOf(v, math.MinInt32, math.MaxInt32)
	case tds.KindBigInt:
		a.N, ok = IntegerOf(v, math.MinInt64, math.MaxInt64)
	case tds.KindBit:
		a.N, ok = bitOf(v)
	case tds.KindDateTime:
		var t time.Time
		if t, ok = TimeOf(v); ok {
			d := DatetimeOf(t)
			a.N, ok = int64(d), d.InRange()
		}
	case tds.KindDateTime2:
		var t time.Time
		t, ok = TimeOf(v)
		a.N = int64(Datetime2Of(t))
	case tds.KindBinary, tds.KindVarBinary, tds.KindImage:
		a.B, ok = v.([]byte)
		if n := to.Size(); ok && n > 0 && len(a.B) > n {
			a.B = a.B[:n]
		}
		if ok && to.Kind() == tds.KindBinary {
			a.S, a.B = padBinary(a.B, to.Size()), nil
		}
	}
	if !ok {
		return a, &tds.Error{Number: 8114, Class: 16, State: 5,
			Message: fmt.Sprintf("Error converting data type %s to %s.", from, to.Kind())}
	}
	a.Ok = true
	return a, nil
}

// padBinary returns a binary(n) value as a string, so that values compare with ==.
func padBinary(b []byte, n int) string {
	if len(b) < n {
		b = append(append(make([]byte, 0, n), b...), make([]byte, n-len(b))...)
	}
	return string(b)
}

// CutText returns the first n characters as SQL Server counts them, in UTF-16 units.
func CutText(s string, n int) string {
	if n <= 0 || len(s) <= n {
		return s
	}
	units := 0
	for i, r := range s {
		if units += utf16.RuneLen(r); units > n {
			return s[:i]
		}
	}
	return s
}

// TextOf returns a value as text; false: it is NULL, or has no text.
func TextOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatInt(BoolInt(v), 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', 6, 64), true
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.0000000"), true
	}
	return "", false
}

// IntegerOf returns a value as an integer of that range; false: it is not one.
func IntegerOf(v any, least, most int64) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		n, ok = v, true
	case int32:
		n, ok = int64(v), true
	case bool:
		return BoolInt(v), true
	case float64:
		ok = v > -1e18 && v < 1e18
		n = int64(v)
	case string:
		var err error
		if n, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
			// numeric and money values are decimal text; their decimals are dropped.
			f, notDecimal := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if !strings.Contains(v, ".") || notDecimal != nil {
				return 0, strings.TrimSpace(v) == "" // T-SQL converts blanks to zero
			}
			n = int64(f)
		}
		ok = true
	}
	return n, ok && n >= least && n <= most
}

// BoolInt returns 1 for true and 0 for false.
func BoolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func bitOf(v any) (int64, bool) {
	if s, ok := v.(string); ok {
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true":
			return 1, true
		case "false":
			return 0, true
		}
	}
	n, ok := IntegerOf(v, math.MinInt64, math.MaxInt64)
	return BoolInt(n != 0), ok
}

// TimeOf returns a value as a date. A datetimeoffset loses its offset and keeps its clock time, as in an assignment to
// datetime.
func TimeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		_, offset := v.Zone()
		return v.Add(time.Duration(offset) * time.Second).UTC(), v.Year() >= 1 && v.Year() <= 9999
	case string:
		s := strings.TrimSuffix(strings.TrimSpace(v), "Z")
		if len(s) == len("2006-01-02") {
			s += " 00:00:00"
		}
		return parseClock(s)
	}
	return time.Time{}, false
}
