package tds

import (
	"encoding/binary"
	"errors"
	"time"
)

const (
	days1900   = 693595  // from 0001-01-01 to 1900-01-01
	daysLast   = 3652058 // to 9999-12-31
	days1753   = 639905  // to 1753-01-01, the first day of datetime
	unixYear1  = 62135596800
	daySeconds = 86400
	dayNanos   = daySeconds * int64(time.Second)
	dayTicks   = daySeconds * 300 // datetime counts 1/300 s
)

var errDateRange = errors.New("date out of the type's range")

// split returns t in UTC as days since 0001-01-01 and nanoseconds in the day.
func split(t time.Time) (days, nanos int64) {
	s := t.Unix() + unixYear1
	days, s = s/daySeconds, s%daySeconds
	if s < 0 {
		days, s = days-1, s+daySeconds
	}
	return days, s*int64(time.Second) + int64(t.Nanosecond())
}

// join is the inverse of split.
func join(days, nanos int64) time.Time {
	return time.Unix(days*daySeconds-unixYear1, nanos).UTC()
}

// appendDateTime appends a datetime: days since 1900 4 | ticks of 1/300 s 4.
func appendDateTime(b []byte, t time.Time) ([]byte, error) {
	days, nanos := split(t)
	ticks := (nanos*3 + 5e6) / 1e7
	if ticks == dayTicks {
		days, ticks = days+1, 0
	}
	if days < days1753 || days > daysLast {
		return b, errDateRange
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(int32(days-days1900)))
	return binary.LittleEndian.AppendUint32(b, uint32(ticks)), nil
}

// dateTime reads a datetime, to the milliseconds that SQL Server shows (.003, .007, .010).
func dateTime(b []byte) (time.Time, error) {
	days := int64(int32(binary.LittleEndian.Uint32(b))) + days1900
	ticks := int64(binary.LittleEndian.Uint32(b[4:]))
	if days < 0 || days > daysLast || ticks >= dayTicks {
		return time.Time{}, errDateRange
	}
	return join(days, (ticks*10+1)/3*int64(time.Millisecond)), nil
}

// appendSmallDateTime appends a smalldatetime: days since 1900 2 | minutes 2.
func appendSmallDateTime(b []byte, t time.Time) ([]byte, error) {
	days, nanos := split(t.Add(30 * time.Second))
	days -= days1900
	if days < 0 || days > 0xFFFF {
		return b, errDateRange
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(days))
	return binary.LittleEndian.AppendUint16(b, uint16(nanos/int64(time.Minute))), nil
}

func smallDateTime(b []byte) (time.Time, error) {
	days := int64(binary.LittleEndian.Uint16(b)) + days1900
	minutes := int64(binary.LittleEndian.Uint16(b[2:]))
	if minutes >= 24*60 {
		return time.Time{}, errDateRange
	}
	return join(days, minutes*int64(time.Minute)), nil
}

// clockBytes returns the size of a time of that scale.
func clockBytes(scale uint8) int {
	switch {
	case scale <= 2:
		return 3
	case scale <= 4:
		return 4
	}
	return 5
}

// clockUnit returns the nanoseconds of the last decimal of that scale.
func clockUnit(scale uint8) int64 {
	unit := int64(time.Second)
	for range scale {
		unit /= 10
	}
	return unit
}

func appendLittle(b []byte, v int64, n int) []byte {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func little(b []byte) (v int64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | int64(b[i])
	}
	return v
}

// appendModern appends a date, time, datetime2 or datetimeoffset, depending on the kind:
//
//	[time 3 to 5] [days since 0001-01-01 3] [offset in minutes 2]
func appendModern(b []byte, t Type, v time.Time) ([]byte, error) {
	if t.kind == KindDate {
		v = v.UTC()
	}
	days, nanos := split(v)
	if t.kind != KindDate {
		unit := clockUnit(t.scale)
		nanos = (nanos + unit/2) / unit * unit
		if nanos == dayNanos {
			days, nanos = days+1, 0
		}
		b = appendLittle(b, nanos/unit, clockBytes(t.scale))
	}
	if t.kind == KindTime {
		return b, nil
	}
	if days < 0 || days > daysLast {
		return b, errDateRange
	}
	b = appendLittle(b, days, 3)
	if t.kind == KindDateTimeOffset {
		_, offset := v.Zone()
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(offset/60)))
	}
	return b, nil
}

// modernBytes returns the size of a value of such a type.
func modernBytes(t Type) int {
	switch t.kind {
	case KindDate:
		return 3
	case KindTime:
		return clockBytes(t.scale)
	case KindDateTime2:
		return clockBytes(t.scale) + 3
	}
	return clockBytes(t.scale) + 5
}

// modern reads what appendModern writes; b has modernBytes.
func modern(t Type, b []byte) (time.Time, error) {
	var days, nanos int64
	if t.kind != KindDate {
		n := clockBytes(t.scale)
		nanos, b = little(b[:n])*clockUnit(t.scale), b[n:]
		if nanos >= dayNanos || nanos < 0 {
			return time.Time{}, errDateRange
		}
	}
	if t.kind != KindTime {
		days, b = little(b[:3]), b[3:]
		if days > daysLast {
			return time.Time{}, errDateRange
		}
	}
	v := join(days, nanos)
	if t.kind == KindDateTimeOffset {
		minutes := int(int16(binary.LittleEndian.Uint16(b)))
		if minutes < -14*60 || minutes > 14*60 {
			return time.Time{}, errDateRange
		}
		v = v.In(time.FixedZone("", minutes*60))
	}
	return v, nil
}
