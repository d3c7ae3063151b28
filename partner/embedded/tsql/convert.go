package tsql

import (
	"database/sql/driver"
	"math"
	"strconv"
	"strings"
	"time"
)

// conversionRequest is what a value is to become.
type conversionRequest struct {
	to    TypeSpec // Length 0: no limit
	style int      // -1: none given
	from  string   // the value's own type, "" if unknown
	store bool     // for a column: cutting off is an error, and so is text for bytes
}

// families says which conversion makes which type.
var families = map[string]func(conversionRequest, driver.Value) (driver.Value, *Error){
	"bit": toInteger, "tinyint": toInteger, "smallint": toInteger, "int": toInteger, "bigint": toInteger,
	"float": toReal, "real": toReal, "decimal": toReal, "money": toReal, "smallmoney": toReal,
	"char": toText, "varchar": toText, "text": toText, "nchar": toText, "nvarchar": toText, "ntext": toText, "xml": toText,
	"binary": toBinary, "varbinary": toBinary, "image": toBinary, "timestamp": toBinary,
	"datetime": toDate, "smalldatetime": toDate, "datetime2": toDate, "date": toDate, "time": toDate, "datetimeoffset": toDate,
	"uniqueidentifier": toGUID, "sql_variant": unchanged,
}

// convertible says whether there is a conversion to the type.
func convertible(typ string) bool {
	_, ok := families[typ]
	return ok
}

func unchanged(_ conversionRequest, v driver.Value) (driver.Value, *Error) { return v, nil }

// convertFunction is CONVERT and CAST: type, length, scale, style, own type, value.
func convertFunction(args []driver.Value) (driver.Value, *Error) {
	r, convert := request(args)
	if convert == nil {
		return nil, failure(243, 16, "Type %s is not a defined system type.", textOf(args[0]))
	}
	return convert(r, args[5])
}

// tryConvert is TRY_CONVERT: NULL where CONVERT fails.
func tryConvert(args []driver.Value) (driver.Value, *Error) {
	value, err := convertFunction(args)
	if err != nil {
		return nil, nil
	}
	return value, nil
}

// store converts what is written to a column.
func store(args []driver.Value) (driver.Value, *Error) {
	r, convert := request(args)
	if convert == nil {
		return args[5], nil
	}
	r.store = true
	return convert(r, args[5])
}

// request reads the arguments of a conversion.
func request(args []driver.Value) (conversionRequest, func(conversionRequest, driver.Value) (driver.Value, *Error)) {
	length, _ := args[1].(int64)
	scale, _ := args[2].(int64)
	style, _ := args[3].(int64)
	r := conversionRequest{style: int(style), from: textOf(args[4])}
	r.to = TypeSpec{Name: textOf(args[0]), Length: int(length), Scale: int(scale)}
	return r, families[r.to.Name]
}

// limits are the integer types' ranges.
var limits = map[string][2]int64{
	"bit": {0, 1}, "tinyint": {0, math.MaxUint8}, "smallint": {math.MinInt16, math.MaxInt16},
	"int": {math.MinInt32, math.MaxInt32}, "bigint": {math.MinInt64, math.MaxInt64},
}

// toInteger makes whole numbers: of a fraction what stands before the point,
// of bytes the last ones, of a date the nearest day.
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
		if r.to.Name == "tinyint" || r.to.Name == "smallint" {
			return nil, failure(220, 16, "Arithmetic overflow error for data type %s, value = %d.", r.to.Name, n)
		}
		return nil, overflow(r.to.Name)
	}
	return n, nil
}

// integerOfText reads a whole number, TRUE and FALSE for bit, or a date.
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
	if err != nil {
		return 0, failure(245, 16, "Conversion failed when converting the %s value '%s' to data type %s.", r.fromName(), clip(text, 100), r.to.Name)
	}
	return n, nil
}

// fromBigEndian reads the last bytes as a number of the type's size.
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

// fromName is the value's type for a message.
func (r conversionRequest) fromName() string {
	if r.from == "" {
		return "nvarchar"
	}
	return r.from
}

// isDate says whether text is a date in its stored form, and not a string that looks like one.
func (r conversionRequest) isDate(text string) bool {
	from := TypeSpec{Name: r.from}
	return (r.from == "" || from.isDateTime() || r.from == "sql_variant") && storedForm.MatchString(text)
}

// toReal makes numbers with fractions.
func toReal(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	var x float64
	switch v := v.(type) {
	case int64:
		x = float64(v)
	case float64:
		x = v
	case string:
		if r.isDate(v) {
			t, _, err := dateOf(v)
			if err != nil {
				return nil, err
			}
			x = t.Sub(base).Hours() / 24
			break
		}
		parsed, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil || math.IsNaN(parsed) || math.IsInf(parsed, 0) {
			return nil, failure(8114, 16, "Error converting data type %s to %s.", r.fromName(), r.to.Name)
		}
		x = parsed
	default:
		return nil, failure(8114, 16, "Error converting data type varbinary to %s.", r.to.Name)
	}
	scale := r.to.Scale
	switch r.to.Name {
	case "money", "smallmoney":
		scale = 4
	case "real":
		return float64(float32(x)), nil
	case "float":
		return x, nil
	}
	if r.to.Name == "decimal" && math.Abs(x) >= math.Pow10(r.to.Length-scale) {
		return nil, overflow("numeric")
	}
	factor := math.Pow10(scale)
	if rounded := math.Round(x*factor) / factor; !math.IsInf(rounded, 0) && !math.IsNaN(rounded) {
		x = rounded
	}
	return x, nil
}

// toDate makes the types of date and time.
func toDate(r conversionRequest, v driver.Value) (driver.Value, *Error) {
	if _, ok := v.([]byte); ok {
		return nil, failure(529, 16, "Explicit conversion from data type varbinary to %s is not allowed.", r.to.Name)
	}
	t, _, err := dateOf(v)
	if err != nil {
		return nil, err
	}
	step := time.Second / time.Duration(math.Pow10(min(max(r.to.Scale, 0), 7)))
	switch r.to.Name {
	case "datetime", "smalldatetime":
		return dateTimeText(t, r.to.Name)
	case "date":
		return t.Format("2006-01-02"), nil
	case "time":
		return t.Round(step).Format(withDecimals("15:04:05", r.to.Scale)), nil
	case "datetimeoffset":
		return t.Round(step).Format(withDecimals("2006-01-02 15:04:05", r.to.Scale)) + " +00:00", nil
	}
	return FormatDateTime2(t.Round(step)), nil
}

// dateTimeText is the stored form as datetime or smalldatetime (whole minutes), within their ranges.
func dateTimeText(t time.Time, typ string) (driver.Value, *Error) {
	if typ == "smalldatetime" {
		t = t.Round(time.Minute)
	}
	if r := RoundDateTime(t); r.Year() < 1753 || r.Year() > 9999 || typ == "smalldatetime" && (r.Year() < 1900 || r.Year() > 2079) {
		return nil, failure(242, 16, "The conversion of a nvarchar data type to a %s data type resulted in an out-of-range value.", typ)
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

// toDateTime is the stored form of a date string, for a column of the type.
func toDateTime(text string, typ TypeSpec) (string, *Error) {
	v, err := toDate(conversionRequest{to: typ}, text)
	s, _ := v.(string)
	return s, err
}
