package embedded

import (
	"math"
	"time"
)

// datetime is SQL Server's datetime: 1/300 seconds since 1900-01-01 UTC.
// Arithmetic on it is exact, and so are comparisons.
type datetime int64

const (
	ticksPerSecond = 300
	ticksPerMinute = 60 * ticksPerSecond
	ticksPerDay    = 86400 * ticksPerSecond

	// noDate is NULL. It compares as less than every date: ask [datetime.null] first.
	noDate datetime = math.MinInt64
	// lastDate is the last moment of the year 9999, the end of the type.
	lastDate datetime = 2958464*ticksPerDay - 1
	// firstDate is the first moment of the year 1753, its beginning.
	firstDate datetime = -53690 * ticksPerDay

	unixEpochDays = 25567 // 1900-01-01 to 1970-01-01
	textLength    = len("2006-01-02 15:04:05.000")
)

// datetimeOf rounds t to the nearest 1/300 second, as SQL Server does.
func datetimeOf(t time.Time) datetime {
	s := t.Unix() + unixEpochDays*86400
	return datetime(s*ticksPerSecond + (int64(t.Nanosecond())*ticksPerSecond+500_000_000)/1_000_000_000)
}

// utcNow is GETUTCDATE().
func utcNow() datetime { return datetimeOf(time.Now()) }

func (d datetime) null() bool { return d == noDate }

// inRange tells whether the type can hold d.
func (d datetime) inRange() bool { return d >= firstDate && d <= lastDate }

// time is d as Go knows it, in UTC, with the milliseconds SQL Server shows
// (.000, .003, .007).
func (d datetime) time() time.Time {
	day, tick := divide(int64(d), ticksPerDay)
	second, fraction := tick/ticksPerSecond, tick%ticksPerSecond
	millis := (fraction*10 + 1) / 3
	return time.Unix((day-unixEpochDays)*86400+second, millis*1_000_000).UTC()
}

// text is the form kept in SQLite, "2006-01-02 15:04:05.000": it sorts as the
// dates do.
func (d datetime) text() string {
	t := d.time()
	var b [textLength]byte
	clockText(b[:20], t)
	digits(b[20:23], t.Nanosecond()/1_000_000)
	return string(b[:])
}

// clockText writes t down to the point behind its seconds, 20 bytes.
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

// parseDatetime reads the form of [datetime.text]; ok is false for any other, and for the last
// moments of the year 9999, which are rounded up to what there is no datetime for.
func parseDatetime(s string) (d datetime, ok bool) {
	t, ok := parseClock(s)
	if !ok || t.Year() < 1753 {
		return noDate, false
	}
	if d = datetimeOf(t); d.time().Year() > 9999 {
		return noDate, false
	}
	return d, true
}

// parseClock reads "2006-01-02 15:04:05" with up to nine decimals.
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
	return t, t.Day() == day // 31 February is none
}

// number is the decimal number s, or -1.
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

// divide rounds down, and its remainder is never negative.
func divide(a, b int64) (quotient, remainder int64) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		return quotient - 1, remainder + b
	}
	return quotient, remainder
}

// secondsUntil is DATEDIFF(second, d, to): the second boundaries between the
// two, so that a lock 5 ms old may be one second old.
func (d datetime) secondsUntil(to datetime) int64 {
	from, _ := divide(int64(d), ticksPerSecond)
	until, _ := divide(int64(to), ticksPerSecond)
	return until - from
}
