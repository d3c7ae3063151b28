package tsql

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// toText converts to the string types.
func toText(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	text, err := r.text(v)
	if err != nil {
		return nil, err
	}
	fixed := r.to.Name == "char" || r.to.Name == "nchar"
	units := utf16.Encode([]rune(text))
	switch limit := r.to.Length; {
	case limit <= 0 || len(units) == limit:
		return text, nil
	case len(units) > limit && r.store:
		if strings.TrimRight(fromCharacters(units[limit:]), " ") != "" {
			return nil, truncated()
		}
		return strings.TrimRight(fromCharacters(units[:limit]), " "), nil
	case len(units) > limit:
		if number := (TypeSpec{Name: r.from}); number.isMoney() {
			return nil, failure(234, 16, "There is insufficient result space to convert a money value to %s.", r.to.Name)
		} else if number.Name == "decimal" || number.isFloat() {
			return nil, failure(8115, 16, "Arithmetic overflow error converting %s to data type %s.", strings.Replace(r.from, "decimal", "numeric", 1), r.to.Name)
		}
		if _, ok := v.(int64); ok { // a number is never truncated
			if strings.HasPrefix(r.to.Name, "n") {
				return nil, overflow(r.to.Name)
			}
			return "*", nil
		}
		return fromCharacters(units[:limit]), nil
	case fixed && r.store:
		return strings.TrimRight(text, " "), nil
	case fixed:
		return text + strings.Repeat(" ", limit-len(units)), nil
	}
	return text, nil
}

// truncated returns the error for a value that is too long for its column.
func truncated() *Error {
	return failure(8152, 16, "String or binary data would be truncated.")
}

// text returns the value as text, not truncated.
func (r conversionRequest) text(v driver.Value) (string, *Error) {
	from := TypeSpec{Name: r.from}
	switch v := v.(type) {
	case int64, float64:
		d, ok := decimalOf(v)
		switch {
		case from.isFloat():
			x, _ := number(v)
			return floatText(x), nil
		case ok && from.Name == "decimal":
			return d.at(r.scale, false).text(), nil
		case ok && from.isMoney():
			return moneyText(d, r.style), nil
		}
	case []byte:
		return r.textOfBytes(v), nil
	case string:
		if local, ok := withOffset(v); ok && from.Name == "datetimeoffset" && r.style < 0 {
			return local.Format(offsetLayout), nil
		} else if ok && from.Name == "datetimeoffset" {
			return "", failure(unsupportedNumber, 16, "CONVERT of a datetimeoffset with a style is not supported by the embedded partner.")
		}
		if r.isDate(v) {
			t, precise, err := dateOf(v)
			if err != nil {
				return "", err
			}
			return styledDate(t, r.style, precise)
		}
	}
	return textOf(v), nil
}

// moneyText returns money as text: with two decimals, in style 1 also with commas, in style 2 with four decimals.
func moneyText(d decimal, style int) string {
	digits := 2
	if style == 2 || style == 126 {
		digits = moneyScale
	}
	text := d.at(digits, false).text()
	if style != 1 {
		return text
	}
	sign, whole := "", text[:len(text)-3]
	if whole[0] == '-' {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	return sign + whole + text[len(text)-3:]
}

// floatText returns a float as SQL Server shows it: six digits, and an exponent of three digits.
func floatText(x float64) string {
	text := strconv.FormatFloat(x, 'g', 6, 64)
	mantissa, exponent, ok := strings.Cut(text, "e")
	if !ok {
		return text
	}
	n, _ := strconv.Atoi(exponent) // written by FormatFloat
	return fmt.Sprintf("%se%+04d", mantissa, n)
}

// textOfBytes converts bytes to characters, or to hexadecimal text (style 1 with 0x in front, style 2 without).
func (r conversionRequest) textOfBytes(b []byte) string {
	switch {
	case r.style == 1:
		return "0x" + strings.ToUpper(hex.EncodeToString(b))
	case r.style == 2:
		return strings.ToUpper(hex.EncodeToString(b))
	case strings.HasPrefix(r.to.Name, "n"):
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
		}
		return fromCharacters(units)
	}
	return fromLatin1(b)
}

// fromLatin1 converts each byte to a character.
func fromLatin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, x := range b {
		runes[i] = rune(x)
	}
	return string(runes)
}

// dateStyles are the date styles of CONVERT, as layouts; .000 becomes the fraction, with seven digits for datetime2.
var dateStyles = map[int]string{
	0: "Jan _2 2006 _3:04PM", 100: "Jan _2 2006 _3:04PM", 1: "01/02/06", 101: "01/02/2006", 2: "06.01.02", 102: "2006.01.02",
	3: "02/01/06", 103: "02/01/2006", 4: "02.01.06", 104: "02.01.2006", 5: "02-01-06", 105: "02-01-2006",
	6: "02 Jan 06", 106: "02 Jan 2006", 7: "Jan 02, 06", 107: "Jan 02, 2006", 8: "15:04:05", 24: "15:04:05", 108: "15:04:05",
	10: "01-02-06", 110: "01-02-2006", 11: "06/01/02", 111: "2006/01/02", 12: "060102", 112: "20060102",
	9: "Jan _2 2006 _3:04:05:000PM", 109: "Jan _2 2006 _3:04:05:000PM",
	13: "02 Jan 2006 15:04:05:000", 113: "02 Jan 2006 15:04:05:000", 14: "15:04:05:000", 114: "15:04:05:000",
	20: "2006-01-02 15:04:05", 120: "2006-01-02 15:04:05", 21: "2006-01-02 15:04:05.000", 25: "2006-01-02 15:04:05.000",
	121: "2006-01-02 15:04:05.000", 23: "2006-01-02", 126: "2006-01-02T15:04:05.000", 127: "2006-01-02T15:04:05.000Z",
}

// styledDate formats a date in a style. The default is 0 for a datetime and 121 for a datetime2.
func styledDate(t time.Time, style int, precise bool) (string, *Error) {
	switch {
	case style < 0 && precise:
		style = 121
	case style < 0:
		style = 0
	}
	layout, ok := dateStyles[style]
	if !ok {
		return "", failure(281, 16, "%d is not a valid style number when converting from datetime to a character string.", style)
	}
	switch style { // the hour is two characters wide, padded with a blank, for which Go has no layout
	case 0, 100:
		return t.Format("Jan _2 2006 ") + fmt.Sprintf("%2s", t.Format("3")) + t.Format(":04PM"), nil
	case 9, 109:
		return t.Format("Jan _2 2006 ") + fmt.Sprintf("%2s", t.Format("3")) + t.Format(":04:05:") + fractionOf(t, precise) + t.Format("PM"), nil
	}
	head, tail, fraction := strings.Cut(layout, "000")
	text := t.Format(head)
	if !fraction {
		return text, nil
	}
	digits := fractionOf(t, precise)
	if (style == 126 || style == 127) && strings.Trim(digits, "0") == "" { // ISO 8601 omits a zero fraction
		return strings.TrimSuffix(text, ".") + tail, nil
	}
	return text + digits + tail, nil
}

// fractionOf returns the fraction of the second: three digits, or seven for a datetime2.
func fractionOf(t time.Time, precise bool) string {
	if precise {
		return fmt.Sprintf("%07d", t.Nanosecond()/100)
	}
	return fmt.Sprintf("%03d", RoundDateTime(t).Nanosecond()/1e6)
}
