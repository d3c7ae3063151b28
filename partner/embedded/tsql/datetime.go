package tsql

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// The two stored forms of date and time in SQLite.
const (
	dateTimeLayout  = "2006-01-02 15:04:05.000"
	dateTime2Layout = "2006-01-02 15:04:05.0000000"
)

// RoundDateTime rounds t to a value of datetime: ticks of 1/300 s, counted from midnight and shown as .000, .003
// or .007. It keeps the location.
func RoundDateTime(t time.Time) time.Time {
	ns := int64(t.Nanosecond())
	ticks := (ns*300 + 500_000_000) / 1_000_000_000
	millis := (ticks*10 + 1) / 3 // 0, 3, 7 and so on: 10/3 ms per tick, rounded half up
	return t.Add(time.Duration(millis*int64(time.Millisecond) - ns))
}

// FormatDateTime returns the text of t as a datetime, rounded, in UTC: 'YYYY-MM-DD HH:MM:SS.mmm'.
func FormatDateTime(t time.Time) string {
	return clockText(RoundDateTime(t.UTC()), 3)
}

// clockText returns the text of t with that many decimals.
func clockText(t time.Time, decimals int) string {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.Format(dateTime2Layout[:len("2006-01-02 15:04:05.")+decimals])
	}
	var room [len(dateTime2Layout)]byte
	b := room[:len("2006-01-02 15:04:05.")+decimals]
	copy(b, "0000-00-00 00:00:00.")
	hour, minute, second := t.Clock()
	putDigits(b[0:4], year)
	putDigits(b[5:7], int(month))
	putDigits(b[8:10], day)
	putDigits(b[11:13], hour)
	putDigits(b[14:16], minute)
	putDigits(b[17:19], second)
	nanos := t.Nanosecond()
	for range 9 - decimals {
		nanos /= 10
	}
	putDigits(b[20:], nanos)
	return string(b)
}

// putDigits writes n in decimal, with leading zeros.
func putDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// parseStored parses the two stored forms of dates in SQLite; ok is false for any other text.
func parseStored(text string) (t time.Time, ok bool) {
	if len(text) != len(dateTimeLayout) && len(text) != len(dateTime2Layout) {
		return t, false
	}
	var parts [7]int
	part := 0
	for i := range len(text) {
		switch c, form := text[i], dateTime2Layout[i]; {
		case isDigit(form):
			if !isDigit(c) {
				return t, false
			}
			parts[part] = parts[part]*10 + int(c-'0')
		case c != form:
			return t, false
		default:
			part++
		}
	}
	year, month, day, hour, minute, second, nanos := parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]
	if year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return t, false
	}
	for range 9 - (len(text) - len("2006-01-02 15:04:05.")) {
		nanos *= 10
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	return t, t.Day() == day // 31 February does not exist
}

// FormatDateTime2 returns the text of t as a datetime2(7), in UTC, with seven decimals and the rest truncated.
func FormatDateTime2(t time.Time) string {
	return clockText(t.UTC(), 7)
}

// ClockValue returns the value of the SystemCalls for the current time: GETUTCDATE, GETDATE, SYSUTCDATETIME and
// SYSDATETIME. The local ones use now's location. ok is false for any other name.
func ClockValue(name string, now time.Time) (value string, ok bool) {
	switch name {
	case "GETUTCDATE":
		return FormatDateTime(now), true
	case "SYSUTCDATETIME":
		return FormatDateTime2(now), true
	case "GETDATE":
		return clockText(RoundDateTime(now), 3), true
	case "SYSDATETIME":
		return clockText(now, 7), true
	}
	return "", false
}

// dateTimeLayouts are the date formats that SQL Server accepts in any language setting, and the two common
// formats of us_english.
var dateTimeLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02",
	"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05 -07:00", "20060102", "20060102 15:04:05", "20060102 15:04", "1/2/2006", "1/2/2006 15:04:05", "1/2/2006 15:04",
	"15:04:05",
}

// ParseDateTime parses the stored form of a date and time, and the formats that SQL Server converts from strings:
// ISO 8601, yyyymmdd and mm/dd/yyyy, each with or without time and fraction, and a time alone (of 1900-01-01).
// The result is in UTC and not rounded.
func ParseDateTime(text string) (time.Time, error) {
	t, err := ParseDateTimeOffset(text)
	return t.UTC(), err
}

// ParseDateTimeOffset is ParseDateTime, but keeps the offset in the text, as a datetimeoffset does.
func ParseDateTimeOffset(text string) (time.Time, error) {
	if t, ok := parseStored(text); ok {
		return t, nil
	}
	for _, layout := range dateTimeLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if t.Year() == 0 {
			t = t.AddDate(1900, 0, 0)
		}
		_, offset := t.Zone()
		return t.In(time.FixedZone("", offset)), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a date and time", text)
}

// offsetLayout is the stored form of a datetimeoffset.
const offsetLayout = "2006-01-02 15:04:05.0000000 -07:00"

// FormatDateTimeOffset returns the text of t as a datetimeoffset(7), with its offset.
func FormatDateTimeOffset(t time.Time) string { return t.Format(offsetLayout) }

// withOffset parses the stored form of a datetimeoffset.
func withOffset(v driver.Value) (t time.Time, ok bool) {
	text, isText := v.(string)
	if !isText || len(text) != len(offsetLayout) {
		return t, false
	}
	t, err := time.Parse(offsetLayout, text)
	return t, err == nil
}

// instant returns the moment of a date in UTC, by which datetimeoffsets are compared. A date without an offset is
// in UTC.
func instant(args []driver.Value) (driver.Value, *Error) {
	t, _, err := dateOf(args[0])
	if err != nil {
		return nil, err
	}
	return FormatDateTime2(t), nil
}
