package tsql

import (
	"crypto/rand"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// maxResult limits the result of REPLACE, in characters.
const maxResult = 8 << 20

// textOf converts a value to text, as T-SQL does for an argument of a string function.
func textOf(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []byte:
		return fromLatin1(v)
	}
	return ""
}

// characters returns the characters as SQL Server counts them: UTF-16 units.
func characters(v driver.Value) []uint16 { return utf16.Encode([]rune(textOf(v))) }

// fromCharacters converts UTF-16 units to text.
func fromCharacters(units []uint16) string { return string(utf16.Decode(units)) }

// folded returns the text in one case. Each character stays one character, so that positions do not
// change.
func folded(units []uint16) []uint16 {
	out := make([]uint16, len(units))
	for i, u := range units {
		out[i] = u
		if lower := unicode.ToLower(rune(u)); lower < 0x10000 && !utf16.IsSurrogate(rune(u)) {
			out[i] = uint16(lower)
		}
	}
	return out
}

// length implements LEN: without trailing blanks; all bytes of a binary value.
func length(args []driver.Value) (driver.Value, *Error) {
	if b, ok := args[0].([]byte); ok {
		return int64(len(b)), nil
	}
	return int64(len(characters(strings.TrimRight(textOf(args[0]), " ")))), nil
}

// trimmed returns text without trailing blanks, which do not count in comparisons, and other values
// unchanged.
func trimmed(args []driver.Value) (driver.Value, *Error) {
	if text, ok := args[0].(string); ok {
		return strings.TrimRight(text, " "), nil
	}
	return args[0], nil
}

func lower(args []driver.Value) (driver.Value, *Error) { return strings.ToLower(textOf(args[0])), nil }

func upper(args []driver.Value) (driver.Value, *Error) { return strings.ToUpper(textOf(args[0])), nil }

// count converts an argument that is a number of characters.
func count(v driver.Value) (int64, *Error) {
	x, err := number(v)
	if err != nil {
		return 0, err
	}
	return int64(max(min(x, 1<<31), -1<<31)), nil
}

// slice returns the characters, or bytes, from from (counted from 0) to end, within the value.
func slice(v driver.Value, from, end int64) driver.Value {
	if b, ok := v.([]byte); ok {
		n := int64(len(b))
		from = max(0, min(from, n))
		return b[from:max(from, min(end, n))]
	}
	units := characters(v)
	n := int64(len(units))
	from = max(0, min(from, n))
	return fromCharacters(units[from:max(from, min(end, n))])
}

// invalidLength returns the error for a negative length: 537 of LEFT and SUBSTRING, 536 of RIGHT.
func invalidLength(function string) *Error {
	if function == "RIGHT" {
		return failure(536, 16, "Invalid length parameter passed to the right function.")
	}
	return failure(537, 16, "Invalid length parameter passed to the LEFT or SUBSTRING function.")
}

func left(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[1])
	if err == nil && n < 0 {
		err = invalidLength("LEFT")
	}
	if err != nil {
		return nil, err
	}
	return slice(args[0], 0, n), nil
}

func right(args []driver.Value) (driver.Value, *Error) {
	n, err := count(args[1])
	if err == nil && n < 0 {
		err = invalidLength("RIGHT")
	}
	if err != nil {
		return nil, err
	}
	size := int64(len(characters(args[0])))
	if b, ok := args[0].([]byte); ok {
		size = int64(len(b))
	}
	return slice(args[0], size-n, size), nil
}

// substring implements SUBSTRING(x, start, length), with start counted from 1; positions before the
// beginning count, and are empty.
func substring(args []driver.Value) (driver.Value, *Error) {
	start, err := count(args[1])
	if err != nil {
		return nil, err
	}
	n, err := count(args[2])
	if err == nil && n < 0 {
		err = invalidLength("SUBSTRING")
	}
	if err != nil {
		return nil, err
	}
	return slice(args[0], start-1, start-1+n), nil
}

// index returns the position of needle in text, from from on; -1 if it does not occur.
func index(text, needle []uint16, from int) int {
	for i := max(from, 0); i+len(needle) <= len(text); i++ {
		match := true
		for j := 0; match && j < len(needle); j++ {
			match = text[i+j] == needle[j]
		}
		if match {
			return i
		}
	}
	return -1
}

// charIndex implements CHARINDEX(find, in [, start]), from 1; 0 if not found.
func charIndex(args []driver.Value) (driver.Value, *Error) {
	from := int64(1)
	if len(args) > 2 {
		n, err := count(args[2])
		if err != nil {
			return nil, err
		}
		from = n
	}
	needle := folded(characters(args[0]))
	if len(needle) == 0 {
		return int64(0), nil
	}
	return int64(index(folded(characters(args[1])), needle, int(from-1)) + 1), nil
}

// replace implements REPLACE(in, find, with), without regard to case.
func replace(args []driver.Value) (driver.Value, *Error) {
	text, needle, with := characters(args[0]), folded(characters(args[1])), characters(args[2])
	if len(needle) == 0 {
		return textOf(args[0]), nil
	}
	search := folded(text)
	var out []uint16
	done := 0
	for {
		at := index(search, needle, done)
		if at < 0 {
			return fromCharacters(append(out, text[done:]...)), nil
		}
		out = append(append(out, text[done:at]...), with...)
		if done = at + len(needle); len(out) > maxResult {
			return nil, failure(8152, 16, "String or binary data would be truncated.")
		}
	}
}

// concat implements CONCAT: NULL is the empty string.
func concat(args []driver.Value) (driver.Value, *Error) {
	var b strings.Builder
	for _, a := range args {
		b.WriteString(textOf(a))
	}
	return b.String(), nil
}

// newID implements NEWID(): a random uniqueidentifier.
func newID([]driver.Value) (driver.Value, *Error) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0F | 0x40
	id[8] = id[8]&0x3F | 0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), nil
}

// dataLength implements DATALENGTH(x): the number of bytes that SQL Server would store, by the type if
// it is known, otherwise by the value (text is nvarchar).
func dataLength(args []driver.Value) (driver.Value, *Error) {
	typ, _ := args[1].(string)
	sizes := map[string]int64{"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "real": 4, "smalldatetime": 4,
		"date": 3, "uniqueidentifier": 16, "datetime": 8, "datetime2": 8, "float": 8, "money": 8,
		"smallmoney": 4, "time": 5, "datetimeoffset": 10, "decimal5": 5, "decimal9": 9, "decimal13": 13, "decimal17": 17}
	if size := sizes[typ]; size > 0 {
		return size, nil
	}
	switch v := args[0].(type) {
	case []byte:
		return int64(len(v)), nil
	case string:
		switch {
		case typ == "varchar" || typ == "char" || typ == "text":
			return int64(len(characters(v))), nil
		case typ == "" && isDate(v):
			return int64(8), nil
		}
		return int64(2 * len(characters(v))), nil
	case int64:
		if v == int64(int32(v)) {
			return int64(4), nil
		}
	}
	return int64(8), nil
}
