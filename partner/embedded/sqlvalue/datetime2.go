package sqlvalue

import (
	"math"
	"time"
)

// datetime2 is SQL Server's datetime2(7): 100 nanoseconds since 1970-01-01 UTC.
type datetime2 int64

// noDate2 is NULL. It compares as less than every date: check for it first.
const (
	noDate2         datetime2 = math.MinInt64
	units2PerSecond           = 10_000_000
	Text2Length               = len("2006-01-02 15:04:05.0000000")
)

// Datetime2Of returns t without the fractions below 100 ns.
func Datetime2Of(t time.Time) datetime2 {
	return datetime2(t.Unix()*units2PerSecond + int64(t.Nanosecond())/100)
}

func (d datetime2) time() time.Time {
	second, rest := divide(int64(d), units2PerSecond)
	return time.Unix(second, rest*100).UTC()
}

// Text returns the form stored in SQLite, "2006-01-02 15:04:05.0000000".
func (d datetime2) Text() string {
	b := d.digits()
	return string(b[:])
}

// IsText reports whether s is the text of d.
func (d datetime2) IsText(s string) bool {
	b := d.digits()
	return string(b[:]) == s
}

func (d datetime2) digits() (b [Text2Length]byte) {
	t := d.time()
	clockText(b[:20], t)
	digits(b[20:27], t.Nanosecond()/100)
	return b
}

// ParseDatetime2 parses the form of [datetime2.Text], or one with fewer decimals.
func ParseDatetime2(s string) (d datetime2, ok bool) {
	t, ok := parseClock(s)
	if !ok {
		return noDate2, false
	}
	return Datetime2Of(t), true
}
