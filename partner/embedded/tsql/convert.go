package tsql

import (
	"database/sql/driver"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// conversionRequest describes the conversion of a value.
type conversionRequest struct {
	to    TypeSpec // Length 0: no limit
	style int      // -1: none given
	from  string   // the value's own type, "" if unknown
	scale int      // of from, where it is decimal
	store bool     // for a column: truncation is an error, and so is text for a binary type
}

// families has the conversion function of each type.
var families = map[string]func(conversionRequest, driver.Value) (driver.Value, *Error){
	"bit": toInteger, "tinyint": toInteger, "smallint": toInteger, "int": toInteger, "bigint": toInteger,
	"float": toReal, "real": toReal, "decimal": toDecimal, "money": toDecimal, "smallmoney": toDecimal,
	"char": toText, "varchar": toText, "text": toText, "nchar": toText, "nvarchar": toText, "ntext": toText, "xml": toText,
	"binary": toBinary, "varbinary": toBinary, "image": toBinary, "timestamp": toBinary,
	"datetime": toDate, "smalldatetime": toDate, "datetime2": toDate, "date": toDate, "time": toDate, "datetimeoffset": toDate,
	"uniqueidentifier": toGUID, "sql_variant": unchanged,
}

// convertible reports whether there is a conversion to the type.
func convertible(typ string) bool {
	_, ok := families[typ]
	return ok
}

func unchanged(_ conversionRequest, v driver.Value) (driver.Value, *Error) { return v, nil }

// convertFunction implements CONVERT and CAST: type, length, scale, style, own type, value.
func convertFunction(args []driver.Value) (driver.Value, *Error) {
	r, convert := request(args)
	if convert == nil {
		return nil, failure(243, 16, "Type %s is not a defined system type.", textOf(args[0]))
	}
	return convert(r, args[5])
}

// tryConvert implements TRY_CONVERT: NULL if CONVERT fails.
func tryConvert(args []driver.Value) (driver.Value, *Error) {
	value, err := convertFunction(args)
	if err != nil {
		return nil, nil
	}
	return value, nil
}

// store converts a value that is written to a column.
func store(args []driver.Value) (driver.Value, *Error) {
	r, convert := request(args)
	if convert == nil {
		return args[5], nil
	}
	r.store = true
	return convert(r, args[5])
}

// request returns the conversion that the arguments describe.
func request(args []driver.Value) (conversionRequest, func(conversionRequest, driver.Value) (driver.Value, *Error)) {
	length, _ := args[1].(int64)
	scale, _ := args[2].(int64)
	style, _ := args[3].(int64)
	from, fraction, _ := strings.Cut(textOf(args[4]), ":")
	r := conversionRequest{style: int(style), from: from}
	r.scale, _ = strconv.Atoi(fraction)
	r.to = TypeSpec{Name: textOf(args[0]), Length: int(length), Scale: int(scale)}
	return r, families[r.to.Name]
}

// limits are the integer types' ranges.
var limits = map[string][2]int64{
	"bit": {0, 1}, "tinyint": {0, math.MaxUint8}, "smallint": {math.MinInt16, math.MaxInt16},
	"int": {math.MinInt32, math.MaxInt32}, "bigint": {math.MinInt64, math.MaxInt64},
}

// toInteger converts to the integer types: a fraction is truncated, binary values use the last bytes, a date
// becomes the nearest day.
func toInteger(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	var n int64
	switch v := v.(type) {
	case int64:
		n = v
	case float64:
		if math.IsNaN(v) || math.Abs(v) >= 1<<63 {
			return nil, overflow(r.to.Name)
		}
		n = int64(v)
	case []byte:
		n = fromBigEndian(v, r.to.Name)
	case string:
		var err *Error
		if n, err = r.integerOfText(v); err != nil {
			return nil, err
		}
	}
	if r.to.Name == "bit" && n != 0 {
		n = 1
	}
	limit := limits[r.to.Name]
	if n < limit[0] || n > limit[1] {
		return nil, r.integerOverflow(v, n)
	}
	return n, nil
}

// integerOverflow returns the error for a number that is too large for the type; it depends on the kind of the
// source.
func (r conversionRequest) integerOverflow(v driver.Value, n int64) *Error {
	_, isText := v.(string)
	x, isReal := v.(float64)
	from := TypeSpec{Name: r.from}
	switch {
	case isText && r.to.Name == "int":
		return failure(248, 16, "The conversion of the %s value '%s' overflowed an int column.", r.fromName(), clip(textOf(v), 100))
	case isText:
		return failure(244, 16, "The conversion of the %s value '%s' overflowed an INT%d column. Use a larger integer column.", r.fromName(), clip(textOf(v), 100),
			map[string]int{"tinyint": 1, "smallint": 2}[r.to.Name])
	case isReal && from.isFloat():
		return failure(232, 16, "Arithmetic overflow error for type %s, value = %f.", r.to.Name, x)
	case from.Name == "decimal":
		return failure(8115, 16, "Arithmetic overflow error converting numeric to data type %s.", r.to.Name)
	case r.to.Name == "tinyint" || r.to.Name == "smallint":
		return failure(220, 16, "Arithmetic overflow error for data type %s, value = %d.", r.to.Name, n)
	}
	return overflow(r.to.Name)
}

// integerOfText parses an integer, TRUE and FALSE for bit, or a date.
func (r conversionRequest) integerOfText(text string) (int64, *Error) {
	trimmed := strings.TrimSpace(text)
	switch lower := strings.ToLower(trimmed); {
	case trimmed == "":
		return 0, nil
	case r.to.Name == "bit" && lower == "true":
		return 1, nil
	case r.to.Name == "bit" && lower == "false":
		return 0, nil
	}
	if r.isDate(text) {
		t, _, err := dateOf(text)
		return int64(math.Floor(t.Sub(base).Hours()/24 + 0.5)), err
	}
	n, err := strconv.ParseInt(trimmed, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && r.to.Name == "int":
		return 0, r.integerOverflow(text, 0)
	case err != nil && r.to.Name == "bigint":
		return 0, failure(8114, 16, "Error converting data type %s to bigint.", r.fromName())
	case err != nil:
		return 0, failure(245, 16, "Conversion failed when converting the %s value '%s' to data type %s.", r.fromName(), clip(text, 100), r.to.Name)
	}
	return n, nil
}

// fromBigEndian returns the last bytes as a number of the type's size.
func fromBigEndian(b []byte, typ string) int64 {
	sizes := map[string]int{"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
	b = b[max(0, len(b)-sizes[typ]):]
	var u uint64
	for _, x := range b {
		u = u<<8 | uint64(x)
	}
	switch typ {
	case "smallint":
		return int64(int16(u))
	case "int":
		return int64(int32(u))
	}
	return int64(u)
}

// fromName returns the name of the value's type for a message.
func (r conversionRequest) fromName() string {
	if r.from == "" {
		return "nvarchar"
	}
	return r.from
}

// isDate reports whether text is a date in its stored form, and not a string that looks like one.
func (r conversionRequest) isDate(text string) bool {
	from := TypeSpec{Name: r.from}
	return (r.from == "" || from.isDateTime() || r.from == "sql_variant") && storedForm.MatchString(text)
}

// toReal converts to float and real.
func toReal(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	var x float64
	switch v := v.(type) {
	case int64:
		x = float64(v)
	case float64:
		x = v
	case string:
		if r.isDate(v) {
			days, err := daysOf(v)
			if err != nil {
				return nil, err
			}
			x = days
			break
		}
		parsed, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if strings.TrimSpace(v) == "" {
			err = nil
		}
		if err != nil || math.IsNaN(parsed) || math.IsInf(parsed, 0) {
			return nil, failure(8114, 16, "Error converting data type %s to %s.", r.fromName(), r.to.Name)
		}
		x = parsed
	default:
		return nil, failure(8114, 16, "Error converting data type varbinary to %s.", r.to.Name)
	}
	if r.to.Name == "real" {
		if math.Abs(x) > math.MaxFloat32 {
			return nil, failure(232, 16, "Arithmetic overflow error for type real, value = %f.", x)
		}
		return float64(float32(x)), nil
	}
	return x, nil
}

// daysOf returns a date as the number of days since 1900.
func daysOf(text string) (float64, *Error) {
	t, _, err := dateOf(text)
	return t.Sub(base).Hours() / 24, err
}

// toDecimal converts to decimal, money and smallmoney.
func toDecimal(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	scale, name := r.to.Scale, "numeric"
	if r.to.isMoney() {
		scale, name = moneyScale, r.to.Name
	}
	from := "expression"
	switch x := v.(type) {
	case []byte:
		return nil, failure(8114, 16, "Error converting data type varbinary to %s.", name)
	case string:
		from = r.fromName()
		if r.isDate(x) {
			days, err := daysOf(x)
			if err != nil {
				return nil, err
			}
			v = days
		} else if r.to.isMoney() {
			v = moneyDigits(x)
		}
	default:
		if r.from != "" {
			from = strings.Replace(r.from, "decimal", "numeric", 1)
		}
	}
	d, ok := decimalOf(v)
	switch {
	case ok:
		return d.at(scale, false).within(r.to, from)
	case !r.to.isMoney():
		return nil, failure(8114, 16, "Error converting data type %s to numeric.", from)
	}
	return nil, failure(235, 16, "Cannot convert a char value to money. The char value has incorrect syntax.")
}

// moneyDigits returns the digits of a money text, without currency sign and commas. The empty text is zero.
func moneyDigits(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), ",", "")
	for _, sign := range []string{"$", "£", "€", "¥"} {
		text = strings.Replace(text, sign, "", 1)
	}
	if text == "" || text == "-" {
		return "0"
	}
	return text
}

// toDate converts to the date and time types.
func toDate(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	if _, ok := v.([]byte); ok {
		return nil, failure(529, 16, "Explicit conversion from data type varbinary to %s is not allowed.", r.to.Name)
	}
	if r.from == "datetime" {
		v, _ = precise([]driver.Value{v})
	}
	t, _, err := dateOf(v)
	if err != nil {
		return nil, r.wrongDate(v, err)
	}
	if local, ok := withOffset(v); ok && (r.from == "datetimeoffset" || r.from == "") { // drop the offset and keep the clock time
		_, offset := local.Zone()
		t = t.Add(time.Duration(offset) * time.Second)
	}
	step := time.Second / time.Duration(math.Pow10(min(max(r.to.Scale, 0), 7)))
	switch r.to.Name {
	case "datetime", "smalldatetime":
		return r.dateTimeText(t)
	case "date":
		return t.Format("2006-01-02"), nil
	case "time":
		return t.Round(step).Format(withDecimals("15:04:05", r.to.Scale)), nil
	case "datetimeoffset":
		return r.offsetText(v, step)
	}
	return FormatDateTime2(t.Round(step)), nil
}

// offsetText returns the stored form of a datetimeoffset: with the offset of the value, or without one.
func (r conversionRequest) offsetText(v driver.Value, step time.Duration) (driver.Value, *Error) {
	text, ok := v.(string)
	if !ok {
		return nil, failure(529, 16, "Explicit conversion from data type %s to datetimeoffset is not allowed.", r.fromName())
	}
	t, err := ParseDateTimeOffset(text)
	if err != nil {
		return nil, failure(241, 16, "Conversion failed when converting date and/or time from character string.")
	}
	return FormatDateTimeOffset(t.Round(step)), nil
}

// dateShape matches texts in a date format, even if their numbers are not a valid date.
var dateShape = regexp.MustCompile(`^(\d{4}-\d{1,2}-\d{1,2}|\d{8}|\d{1,2}/\d{1,2}/\d{4})([ T]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,3})?)?)?$`)

// wrongDate returns the error for a string that is not a date: 242 if it has a date format with invalid numbers.
func (r conversionRequest) wrongDate(v driver.Value, err *Error) *Error {
	text, _ := v.(string)
	if err.Number != 241 || r.to.Name != "datetime" && r.to.Name != "smalldatetime" || !dateShape.MatchString(strings.TrimSpace(text)) {
		return err
	}
	return r.outOfRange()
}

// outOfRange returns error 242.
func (r conversionRequest) outOfRange() *Error {
	from := r.fromName()
	if r.from == "" {
		from = "varchar"
	}
	return failure(242, 16, "The conversion of a %s data type to a %s data type resulted in an out-of-range value.", from, r.to.Name)
}

// dateTimeText returns the stored form of a datetime or smalldatetime (whole minutes), within their ranges.
func (r conversionRequest) dateTimeText(t time.Time) (driver.Value, *Error) {
	small := r.to.Name == "smalldatetime"
	if small {
		t = t.Round(time.Minute)
	}
	if rounded := RoundDateTime(t); rounded.Year() < 1753 || rounded.Year() > 9999 || small && (rounded.Year() < 1900 || rounded.Year() > 2079) {
		return nil, r.outOfRange()
	}
	return FormatDateTime(t), nil
}

// withDecimals adds a fraction to a layout.
func withDecimals(layout string, n int) string {
	if n <= 0 {
		return layout
	}
	return layout + "." + strings.Repeat("0", min(n, 7))
}

// toDateTime returns the stored form of a date string for a column of the type.
func toDateTime(text string, typ TypeSpec) (string, *Error) {
	v, err := toDate(conversionRequest{to: typ}, text)
	s, _ := v.(string)
	return s, err
}
