package embedded

import (
	"math"
	"time"
)

// datetime2 is SQL Server's datetime2(7): 100 nanoseconds since 1970-01-01 UTC.
type datetime2 int64

// noDate2 is NULL. It compares as less than every date: ask [datetime2.null] first.
const (
	noDate2         datetime2 = math.MinInt64
	units2PerSecond           = 10_000_000
	text2Length               = len("2006-01-02 15:04:05.0000000")
)

// datetime2Of drops what is below 100 ns.
func datetime2Of(t time.Time) datetime2 {
	return datetime2(t.Unix()*units2PerSecond + int64(t.Nanosecond())/100)
}

// clockNow is SYSUTCDATETIME().
func clockNow() datetime2 { return datetime2Of(time.Now()) }

func (d datetime2) null() bool { return d == noDate2 }

func (d datetime2) time() time.Time {
	second, rest := divide(int64(d), units2PerSecond)
	return time.Unix(second, rest*100).UTC()
}

// value is the date as a column's value.
func (d datetime2) value() any {
	if d.null() {
		return nil
	}
	return d.time()
}

func (d datetime2) addMinutes(n int64) datetime2 { return d.addSeconds(n * 60) }

func (d datetime2) addSeconds(n int64) datetime2 { return d + datetime2(n*units2PerSecond) }

// secondsUntil is DATEDIFF(second, d, to), which counts boundaries; nil if d is NULL.
func (d datetime2) secondsUntil(to datetime2) any {
	if d.null() {
		return nil
	}
	from, _ := divide(int64(d), units2PerSecond)
	until, _ := divide(int64(to), units2PerSecond)
	return until - from
}

// text is the form kept in SQLite, "2006-01-02 15:04:05.0000000".
func (d datetime2) text() string {
	t := d.time()
	var b [text2Length]byte
	clockText(b[:20], t)
	digits(b[20:27], t.Nanosecond()/100)
	return string(b[:])
}

// parseDatetime2 reads the form of [datetime2.text], or one with fewer decimals.
func parseDatetime2(s string) (d datetime2, ok bool) {
	t, ok := parseClock(s)
	if !ok {
		return noDate2, false
	}
	return datetime2Of(t), true
}
