package tsql

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// The two text forms of date and time in SQLite.
const (
	dateTimeLayout  = "2006-01-02 15:04:05.000"
	dateTime2Layout = "2006-01-02 15:04:05.0000000"
)

// RoundDateTime rounds t to what a datetime can hold: ticks of 1/300 s, counted
// from midnight and shown as .000, .003 or .007. The location is kept.
func RoundDateTime(t time.Time) time.Time {
	ns := int64(t.Nanosecond())
	ticks := (ns*300 + 500_000_000) / 1_000_000_000
	millis := (ticks*10 + 1) / 3 // 0, 3, 7 and so on: 10/3 ms a tick, rounded half up
	return t.Add(time.Duration(millis*int64(time.Millisecond) - ns))
}

// FormatDateTime is the text of t as a datetime, rounded: in UTC,
// 'YYYY-MM-DD HH:MM:SS.mmm'.
func FormatDateTime(t time.Time) string {
	return clockText(RoundDateTime(t.UTC()), 3)
}

// clockText is the text of t in one of the two forms: with so many decimals.
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

// putDigits writes n in decimal, with zeros before it.
func putDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// parseStored reads the two forms in which dates stand in SQLite; ok is false for any other text.
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
	return t, t.Day() == day // 31 February is none
}

// FormatDateTime2 is the text of t as a datetime2(7): in UTC, with seven
// decimals, the rest cut off.
func FormatDateTime2(t time.Time) string {
	return clockText(t.UTC(), 7)
}

// ClockValue gives the value for those SystemCalls that ask for the time:
// GETUTCDATE, GETDATE, SYSUTCDATETIME and SYSDATETIME. The local ones
// are the wall clock of now's location. ok is false for any other name.
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

// dateTimeLayouts are the ways of writing a date that SQL Server takes in any
// language setting, and the two of us_english that people type.
var dateTimeLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02",
	"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05 -07:00", "20060102", "20060102 15:04:05", "20060102 15:04", "1/2/2006", "1/2/2006 15:04:05", "1/2/2006 15:04",
	"15:04:05",
}

// ParseDateTime reads a date and time as kept in SQLite, and also the forms
// that SQL Server converts from strings: ISO 8601, yyyymmdd and mm/dd/yyyy,
// each with or without time and fraction, and a time alone (of 1900-01-01). The result is in UTC and not rounded.
func ParseDateTime(text string) (time.Time, error) {
	t, err := ParseDateTimeOffset(text)
	return t.UTC(), err
}

// ParseDateTimeOffset is ParseDateTime that keeps the offset which the text has, as a datetimeoffset does.
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
	return time.Time{}, fmt.Errorf("%q is no date and time", text)
}

// offsetLayout is the stored form of a datetimeoffset.
const offsetLayout = "2006-01-02 15:04:05.0000000 -07:00"

// FormatDateTimeOffset is the text of t as a datetimeoffset(7), with its offset.
func FormatDateTimeOffset(t time.Time) string { return t.Format(offsetLayout) }

// withOffset reads a datetimeoffset in its stored form.
func withOffset(v driver.Value) (t time.Time, ok bool) {
	text, isText := v.(string)
	if !isText || len(text) != len(offsetLayout) {
		return t, false
	}
	t, err := time.Parse(offsetLayout, text)
	return t, err == nil
}

// instant is the moment of a date, as datetimeoffsets are compared: in UTC. A date without an offset is in UTC.
func instant(args []driver.Value) (driver.Value, *Error) {
	t, _, err := dateOf(args[0])
	if err != nil {
		return nil, err
	}
	return FormatDateTime2(t), nil
}
