package sqlvalue

import (
	"math"
	"time"
)

// Datetime is SQL Server's datetime: 1/300 seconds since 1900-01-01 UTC.
// Arithmetic on it is exact, and so are comparisons.
type Datetime int64

const (
	TicksPerSecond = 300
	ticksPerMinute = 60 * TicksPerSecond
	ticksPerDay    = 86400 * TicksPerSecond

	// NoDate is NULL. It compares as less than every date: check [Datetime.Null] first.
	NoDate Datetime = math.MinInt64
	// lastDate is the last moment of the year 9999, the end of the type.
	lastDate Datetime = 2958464*ticksPerDay - 1
	// firstDate is the first moment of the year 1753, the beginning of the type.
	firstDate Datetime = -53690 * ticksPerDay

	unixEpochDays = 25567 // 1900-01-01 to 1970-01-01
	TextLength    = len("2006-01-02 15:04:05.000")
)

// DatetimeOf rounds t to the nearest 1/300 second, as SQL Server does.
func DatetimeOf(t time.Time) Datetime {
	s := t.Unix() + unixEpochDays*86400
	return Datetime(s*TicksPerSecond + (int64(t.Nanosecond())*TicksPerSecond+500_000_000)/1_000_000_000)
}

// UtcNow returns GETUTCDATE().
func UtcNow() Datetime { return DatetimeOf(time.Now()) }

// Null reports whether d is NULL.
func (d Datetime) Null() bool { return d == NoDate }

// InRange reports whether the type can hold d.
func (d Datetime) InRange() bool { return d >= firstDate && d <= lastDate }

// Time returns d as a time.Time in UTC, with the milliseconds that SQL Server shows (.000,
// .003, .007).
func (d Datetime) Time() time.Time {
	day, tick := divide(int64(d), ticksPerDay)
	second, fraction := tick/TicksPerSecond, tick%TicksPerSecond
	millis := (fraction*10 + 1) / 3
	return time.Unix((day-unixEpochDays)*86400+second, millis*1_000_000).UTC()
}

// Text returns the form stored in SQLite, "2006-01-02 15:04:05.000". The texts sort like the
// dates.
func (d Datetime) Text() string {
	b := d.digits()
	return string(b[:])
}

// IsText reports whether s is the text of d.
func (d Datetime) IsText(s string) bool {
	b := d.digits()
	return string(b[:]) == s
}

func (d Datetime) digits() (b [TextLength]byte) {
	t := d.Time()
	clockText(b[:20], t)
	digits(b[20:23], t.Nanosecond()/1_000_000)
	return b
}

// clockText writes t up to the decimal point after its seconds, 20 bytes.
func clockText(b []byte, t time.Time) {
	year, month, day := t.Date()
	digits(b[0:4], year)
	b[4] = '-'
	digits(b[5:7], int(month))
	b[7] = '-'
	digits(b[8:10], day)
	b[10] = ' '
	hour, minute, second := t.Clock()
	digits(b[11:13], hour)
	b[13] = ':'
	digits(b[14:16], minute)
	b[16] = ':'
	digits(b[17:19], second)
	b[19] = '.'
}

func digits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// ParseDatetime parses the form of [Datetime.Text]. ok is false for any other form. It is also false for the last
// moments of the year 9999, which would be rounded up beyond the end of the type.
func ParseDatetime(s string) (d Datetime, ok bool) {
	t, ok := parseClock(s)
	if !ok || t.Year() < 1753 {
		return NoDate, false
	}
	if d = DatetimeOf(t); d.Time().Year() > 9999 {
		return NoDate, false
	}
	return d, true
}

// parseClock parses "2006-01-02 15:04:05" with up to nine decimals.
func parseClock(s string) (t time.Time, ok bool) {
	const form = "0000-00-00 00:00:00"
	if len(s) < len(form) || len(s) > len(form)+10 {
		return t, false
	}
	for _, i := range [...]int{4, 7, 10, 13, 16} {
		if s[i] != form[i] && (i != 10 || s[i] != 'T') {
			return t, false
		}
	}
	year, month, day := number(s[0:4]), number(s[5:7]), number(s[8:10])
	hour, minute, second := number(s[11:13]), number(s[14:16]), number(s[17:19])
	if year < 1 || month < 1 || month > 12 || day < 1 ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return t, false
	}
	nanos := 0
	if decimals := len(s) - len(form) - 1; decimals >= 0 {
		if nanos = number(s[len(form)+1:]); s[len(form)] != '.' || decimals == 0 || nanos < 0 {
			return t, false
		}
		for range 9 - decimals {
			nanos *= 10
		}
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	return t, t.Day() == day // 31 February does not exist
}

// number returns the decimal number s, or -1 if s is not one.
func number(s string) int {
	n := 0
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return -1
		}
		n = n*10 + int(c)
	}
	return n
}

// divide rounds down; its remainder is never negative.
func divide(a, b int64) (quotient, remainder int64) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		return quotient - 1, remainder + b
	}
	return quotient, remainder
}

// SecondsUntil returns DATEDIFF(second, d, to): the number of second boundaries between the
// two. So a lock 5 ms old may have the age of one second.
func (d Datetime) SecondsUntil(to Datetime) int64 {
	from, _ := divide(int64(d), TicksPerSecond)
	until, _ := divide(int64(to), TicksPerSecond)
	return until - from
}
