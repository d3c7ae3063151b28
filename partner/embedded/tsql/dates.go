package tsql

import (
	"database/sql/driver"
	"math"
	"regexp"
	"time"
)

// dateParts maps every name and abbreviation of a date part to its full name.
var dateParts = map[string]string{
	"year": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "qq": "quarter", "q": "quarter",
	"month": "month", "mm": "month", "m": "month", "dayofyear": "dayofyear", "dy": "dayofyear", "y": "dayofyear",
	"day": "day", "dd": "day", "d": "day", "week": "week", "wk": "week", "ww": "week",
	"weekday": "weekday", "dw": "weekday", "w": "weekday", "hour": "hour", "hh": "hour",
	"minute": "minute", "mi": "minute", "n": "minute", "second": "second", "ss": "second", "s": "second",
	"millisecond": "millisecond", "ms": "millisecond", "microsecond": "microsecond", "mcs": "microsecond",
	"nanosecond": "nanosecond", "ns": "nanosecond",
	"iso_week": "iso_week", "isowk": "iso_week", "isoww": "iso_week",
}

// units are the date parts of constant length.
var units = map[string]time.Duration{
	"week": 7 * 24 * time.Hour, "day": 24 * time.Hour, "dayofyear": 24 * time.Hour, "weekday": 24 * time.Hour,
	"hour": time.Hour, "minute": time.Minute, "second": time.Second,
	"millisecond": time.Millisecond, "microsecond": time.Microsecond, "nanosecond": time.Nanosecond,
}

// storedForm matches the stored forms of dates in SQLite.
var storedForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.(\d{3}|\d{7})$`)

// base is day 0 of datetime.
var base = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

// dateOf converts a value to a date; a number counts days. precise reports whether it has more decimals
// than a datetime can have.
func dateOf(v driver.Value) (t time.Time, precise bool, err *Error) {
	switch v := v.(type) {
	case string:
		if t, ok := parseStored(v); ok {
			return t, len(v) == len(dateTime2Layout), nil
		}
		t, perr := ParseDateTime(v)
		if perr != nil {
			return t, false, failure(241, 16, "Conversion failed when converting date and/or time from character string.")
		}
		return t, len(v) == len(dateTime2Layout) && storedForm.MatchString(v), nil
	case int64:
		return dateOf(float64(v))
	case float64:
		if v < -53690 || v > 2958464 { // 1753-01-01 to 9999-12-31
			return t, false, failure(8115, 16, "Arithmetic overflow error converting expression to data type datetime.")
		}
		day := math.Floor(v)
		return base.AddDate(0, 0, int(day)).Add(durationOfDay(v - day)), false, nil
	}
	return t, false, failure(206, 16, "Operand type clash: varbinary is incompatible with datetime.")
}

// dateText returns the stored form of a computed date, if it is in range.
func dateText(t time.Time, precise bool) (driver.Value, *Error) {
	if precise && t.Year() >= 1 && t.Year() <= 9999 {
		return FormatDateTime2(t), nil
	}
	if r := RoundDateTime(t); !precise && r.Year() >= 1753 && r.Year() <= 9999 {
		return FormatDateTime(t), nil
	}
	return nil, failure(517, 16, "Adding a value to a 'datetime' column caused an overflow.")
}

// precise converts a datetime to a datetime2: the last digit of its milliseconds stands for a third of
// 10 ms.
func precise(args []driver.Value) (driver.Value, *Error) {
	text, ok := args[0].(string)
	if !ok || len(text) != len(dateTimeLayout) {
		return args[0], nil
	}
	switch text[len(text)-1] {
	case '3':
		return text + "3333", nil
	case '7':
		return text + "6667", nil
	}
	return text + "0000", nil
}

// dateAdd implements DATEADD(part, number, date).
func dateAdd(args []driver.Value) (driver.Value, *Error) {
	part, _ := args[0].(string)
	x, err := number(args[1])
	if err != nil {
		return nil, err
	}
	if math.Abs(x) > math.MaxInt32 {
		return nil, failure(8115, 16, "Arithmetic overflow error converting expression to data type int.")
	}
	t, precise, err := dateOf(args[2])
	if err != nil {
		return nil, err
	}
	offset := 0
	local, hasOffset := withOffset(args[2])
	if hasOffset { // months are added in the offset of the value
		_, offset = local.Zone()
		t, precise = t.Add(time.Duration(offset)*time.Second), true
	}
	n := int(x)
	switch part {
	case "year":
		t = addMonths(t, 12*n)
	case "quarter":
		t = addMonths(t, 3*n)
	case "month":
		t = addMonths(t, n)
	default:
		// In two steps, because the product may exceed a Duration.
		unit := units[part]
		if perSecond := int(time.Second / unit); perSecond > 0 {
			t = t.Add(time.Duration(n) * unit)
		} else {
			t = time.Unix(t.Unix()+int64(n)*int64(unit/time.Second), int64(t.Nanosecond())).UTC()
		}
	}
	if !hasOffset {
		return dateText(t, precise)
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return nil, failure(517, 16, "Adding a value to a 'datetimeoffset' column caused an overflow.")
	}
	return FormatDateTimeOffset(t.Add(-time.Duration(offset) * time.Second).In(local.Location())), nil
}

// addMonths adds months and limits the day to the length of the month: January 31st plus one month is
// the last day of February.
func addMonths(t time.Time, n int) time.Time {
	months := t.Year()*12 + int(t.Month()) - 1 + n
	year, month := floorDivide(int64(months), 12), time.Month(months-12*int(floorDivide(int64(months), 12))+1)
	last := time.Date(int(year), month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(int(year), month, min(t.Day(), last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// floorDivide rounds down, also for negative numbers.
func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// dateDiff implements DATEDIFF(part, a, b): the number of boundaries between the dates.
func dateDiff(args []driver.Value) (driver.Value, *Error) {
	v, err := dateDiffBig(args)
	if n, ok := v.(int64); ok && (n > math.MaxInt32 || n < math.MinInt32) {
		return nil, diffOverflow()
	}
	return v, err
}

func diffOverflow() *Error {
	return failure(535, 16, "The datediff function resulted in an overflow. The number of dateparts separating two "+
		"date/time instances is too large. Try to use datediff with a less precise datepart.")
}

// dateDiffBig implements DATEDIFF_BIG.
func dateDiffBig(args []driver.Value) (driver.Value, *Error) {
	part, _ := args[0].(string)
	a, _, err := dateOf(args[1])
	if err != nil {
		return nil, err
	}
	b, _, err := dateOf(args[2])
	if err != nil {
		return nil, err
	}
	if unit := units[part]; unit > 0 && unit < time.Second {
		perSecond := int64(time.Second / unit)
		seconds := b.Unix() - a.Unix()
		if n := seconds * perSecond; n/perSecond == seconds {
			return n + (int64(b.Nanosecond())/int64(unit) - int64(a.Nanosecond())/int64(unit)), nil
		}
		return nil, diffOverflow()
	}
	return boundaries64(part, b) - boundaries64(part, a), nil
}

// boundaries64 returns the number of boundaries of the part from a fixed time to t.
func boundaries64(part string, t time.Time) int64 {
	switch part {
	case "year":
		return int64(t.Year())
	case "quarter":
		return int64(t.Year())*4 + int64(t.Month()-1)/3
	case "month":
		return int64(t.Year())*12 + int64(t.Month())
	case "week": // weeks begin on Sunday, whatever the DATEFIRST setting; 1970-01-01 was a Thursday
		return floorDivide(floorDivide(t.Unix(), 86400)+4, 7)
	}
	return floorDivide(t.Unix(), int64(units[part]/time.Second))
}

// datePart implements DATEPART(part, date), with weeks that begin on Sunday (DATEFIRST 7).
func datePart(args []driver.Value) (driver.Value, *Error) {
	part, _ := args[0].(string)
	t, _, err := dateOf(args[1])
	if err != nil {
		return nil, err
	}
	if local, ok := withOffset(args[1]); ok {
		t = local
	}
	values := map[string]int{
		"year": t.Year(), "quarter": (int(t.Month())-1)/3 + 1, "month": int(t.Month()), "day": t.Day(),
		"dayofyear": t.YearDay(), "weekday": int(t.Weekday()) + 1, "hour": t.Hour(), "minute": t.Minute(), "second": t.Second(),
		"week":        (t.YearDay()-1+int(time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC).Weekday()))/7 + 1,
		"millisecond": t.Nanosecond() / 1e6, "microsecond": t.Nanosecond() / 1e3, "nanosecond": t.Nanosecond(),
	}
	if part == "iso_week" {
		return isoWeek(t), nil
	}
	return int64(values[part]), nil
}

// asSample converts a date string to the form of a sample; it returns a string that is not a date
// unchanged.
func asSample(args []driver.Value) (driver.Value, *Error) {
	sample, _ := args[0].(string)
	text, _ := args[1].(string)
	if !storedForm.MatchString(sample) {
		return args[1], nil
	}
	t, err := ParseDateTime(text)
	if err != nil {
		return args[1], nil
	}
	if len(sample) == len(dateTime2Layout) {
		return FormatDateTime2(t), nil
	}
	return FormatDateTime(t), nil
}

// durationOfDay returns a fraction of a day.
func durationOfDay(fraction float64) time.Duration {
	return time.Duration(fraction * float64(24*time.Hour))
}
