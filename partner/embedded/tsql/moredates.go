package tsql

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dateName implements DATENAME(part, date), in English.
func dateName(args []driver.Value) (driver.Value, *Error) {
	t, _, err := dateOf(args[1])
	if err != nil {
		return nil, err
	}
	switch textOf(args[0]) {
	case "month":
		return t.Month().String(), nil
	case "weekday":
		return t.Weekday().String(), nil
	}
	n, err := datePart(args)
	return textOf(n), err
}

// endOfMonth implements EOMONTH(date [, months]).
func endOfMonth(args []driver.Value) (driver.Value, *Error) {
	if args[0] == nil {
		return nil, nil
	}
	t, _, err := dateOf(args[0])
	if err != nil {
		return nil, err
	}
	months := int64(0)
	if len(args) > 1 && args[1] != nil {
		if months, err = count(args[1]); err != nil {
			return nil, err
		}
	}
	t = addMonths(t, int(months))
	last := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	if last.Year() < 1 || last.Year() > 9999 {
		return nil, failure(517, 16, "Adding a value to a 'date' column caused an overflow.")
	}
	return last.Format("2006-01-02"), nil
}

// fromParts returns a function of the parts of a date: year, month, day, hour, minute, second and fraction, as far as
// the type has them. The result is NULL if an argument is NULL.
func fromParts(typ string) func(args []driver.Value) (driver.Value, *Error) {
	return func(args []driver.Value) (driver.Value, *Error) {
		parts := make([]int, 8)
		for i, a := range args {
			if a == nil {
				return nil, nil
			}
			n, err := count(a)
			if err != nil {
				return nil, err
			}
			at := i
			if typ == "time" {
				at += 3
			}
			parts[at] = int(n)
		}
		year, month, day := parts[0], parts[1], parts[2]
		if typ == "time" {
			year, month, day = 1900, 1, 1
		}
		nanosecond, ok := fraction(typ, parts[6], parts[7])
		t := time.Date(year, time.Month(month), day, parts[3], parts[4], parts[5], nanosecond, time.UTC)
		if !ok || t.Year() != year || int(t.Month()) != month || t.Day() != day || t.Hour() != parts[3] || t.Minute() != parts[4] || t.Second() != parts[5] || t.Year() < 1 || t.Year() > 9999 {
			return nil, failure(289, 16, "Cannot construct data type %s, some of the arguments have values which are not valid.", typ)
		}
		return toDate(conversionRequest{to: TypeSpec{Name: typ, Scale: parts[7]}}, t.Format(dateTime2Layout))
	}
}

// fraction returns the fraction of a second in nanoseconds: n is in milliseconds for a datetime, otherwise in units of
// the precision.
func fraction(typ string, n, precision int) (int, bool) {
	if typ == "datetime" {
		return n * int(time.Millisecond), 0 <= n && n < 1000
	}
	if precision < 0 || precision > 7 || n < 0 {
		return 0, false
	}
	unit := int(time.Second)
	for range precision {
		unit /= 10
	}
	return n * unit, n == 0 || n < int(time.Second)/unit
}

// isDateText implements ISDATE(x): 1 if x can be converted to a datetime.
func isDateText(args []driver.Value) (driver.Value, *Error) {
	text, ok := args[0].(string)
	if !ok {
		return int64(0), nil
	}
	if _, err := toDate(conversionRequest{to: datetimeType}, text); err != nil {
		return int64(0), nil
	}
	return int64(1), nil
}

// fromPartsType returns the type of DATETIME2FROMPARTS and TIMEFROMPARTS, whose last argument is the precision.
func fromPartsType(typ TypeSpec, args []fragment) TypeSpec {
	if len(args) > 0 && (typ.Name == "datetime2" || typ.Name == "time") {
		n, _ := args[len(args)-1].constant.(int64)
		typ.Scale = int(n)
	}
	return typ
}

// timeParts are the date parts that the type date does not have.
var timeParts = map[string]bool{"hour": true, "minute": true, "second": true, "millisecond": true, "microsecond": true, "nanosecond": true}

// checkPart refuses a date part that the function does not support, or that the type of its date does not have.
func (p *parser) checkPart(word token, part, function string, args []fragment) {
	function = strings.ToLower(function)
	var typ TypeSpec
	if len(args) > 0 && function != "datediff" && function != "datediff_big" { // these compare dates of any types
		typ = p.typed(args[len(args)-1]).typ
	}
	if part == "iso_week" && function != "datepart" && function != "datename" {
		p.fail(&Error{Number: 9806, State: 1, Class: 16, Line: int(word.line),
			Message: fmt.Sprintf("The datepart %s is not supported by date function %s.", word.text, function)})
	}
	if typ.Name == "date" && timeParts[part] || typ.Name == "time" && part != "" && !timeParts[part] {
		p.fail(&Error{Number: 9810, State: 1, Class: 16, Line: int(word.line),
			Message: fmt.Sprintf("The datepart %s is not supported by date function %s for data type %s.", word.text, function, typ.Name)})
	}
}

// isoWeek returns the week number of ISO 8601.
func isoWeek(t time.Time) int64 {
	_, week := t.ISOWeek()
	return int64(week)
}

// roundTo rounds the decimal text of x away from zero: 123.9995 to three decimals is 124, although the float is less.
func roundTo(x float64, decimals int) float64 {
	text := strconv.FormatFloat(x, 'f', -1, 64)
	rounded, ok := roundDigits(text, decimals, false)
	if !ok {
		return x
	}
	y, err := strconv.ParseFloat(rounded, 64)
	if err != nil {
		return x
	}
	return y
}

// roundDigits rounds, or truncates, a decimal number to that many decimals; below 0: to the left of the decimal point.
// ok is false if text is not a number.
func roundDigits(text string, decimals int, cut bool) (rounded string, ok bool) {
	sign := ""
	if text != "" && text[0] == '-' {
		sign, text = "-", text[1:]
	}
	point := len(text)
	digits := make([]byte, 0, len(text)+1)
	digits = append(digits, '0')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.' && point == len(text):
			point = i
		case c < '0' || c > '9':
			return "", false
		default:
			digits = append(digits, c)
		}
	}
	point++ // for the leading zero
	keep := point + decimals
	switch {
	case keep >= len(digits):
		return sign + fmt.Sprintf("%s.%s", digits[:point], digits[point:]), true
	case keep < 0 || keep == 0 && (cut || digits[0] < '5'):
		return "0", true
	}
	up := !cut && digits[keep] >= '5'
	for i := keep; i < len(digits); i++ {
		digits[i] = '0'
	}
	for i := keep - 1; up && i >= 0; i-- {
		if digits[i]++; digits[i] <= '9' {
			up = false
		} else {
			digits[i] = '0'
		}
	}
	return sign + fmt.Sprintf("%s.%s", digits[:point], digits[point:]), true
}
