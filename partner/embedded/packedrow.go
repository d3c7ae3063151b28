package embedded

import (
	"database/sql/driver"
	"strconv"
	"strings"
)

// The driver takes its time over every column of a result. A session is read in
// five columns instead of 28: the numbers and dates as one text with bars between
// them, the seven operation ids as one binary, and what may be long by itself.
const readPacked = `SELECT SessionId,
	Created || '|' || Expires || '|' || LockDate || '|' || LockDateLocal || '|' ||
	LockCookie || '|' || Timeout || '|' || Locked || '|' || Flags || '|' ||
	ifnull(LockOperationCookie, '') || '|' || ifnull(LockActionFlags, '') || '|' ||
	ifnull(OperationDate1, '') || '|' || ifnull(OperationDate2, '') || '|' || ifnull(OperationDate3, '') || '|' ||
	ifnull(OperationDate4, '') || '|' || ifnull(OperationsForgotten, '') || '|' || ifnull(Settled, '') || '|' ||
	ifnull(TimeoutSeconds, '') || '|' || ifnull(TimeoutDate, '') || '|' ||
	((LockOperationId IS NULL) + 2 * (OperationId1 IS NULL) + 4 * (OperationId2 IS NULL) + 8 * (OperationId3 IS NULL) + 16 * (OperationId4 IS NULL) +
	 32 * (LockCallId IS NULL) + 64 * (MadeOperationId IS NULL)),
	CAST(ifnull(LockOperationId, '') || ifnull(OperationId1, '') || ifnull(OperationId2, '') || ifnull(OperationId3, '') || ifnull(OperationId4, '') || ifnull(LockCallId, '') || ifnull(MadeOperationId, '') AS BLOB),
	SessionItemShort, SessionItemLong
	FROM ASPStateTempSessions WHERE SessionId = ?1`

const packedWidth = 5

// scanPacked makes a row of the columns above; false if an ad-hoc statement has put
// something into the row that does not fit this form.
func scanPacked(v []driver.Value) (*sessionRow, bool) {
	s := scanner{v: v}
	r := &sessionRow{id: s.text()}
	f := fields{rest: s.text(), ok: true}
	ids := s.bytes()
	r.short, r.long = s.bytes(), s.bytes()
	for _, d := range [...]*datetime{&r.created, &r.expires, &r.lockDate, &r.lockDateLocal} {
		*d = f.date()
	}
	r.lockCookie, r.timeout, r.locked, r.flags = f.int().n, f.int().n, f.int().n != 0, f.int().n
	r.lockOpCookie, r.lockActionFlags = f.int(), f.int()
	for i := range r.opDates {
		r.opDates[i] = f.date2()
	}
	r.forgotten, r.settled = f.date2(), f.date2()
	r.timeoutSeconds, r.timeoutDate = f.int(), f.date2()
	nulls := f.int().n
	for i, op := range [...]*operation{&r.lockOp, &r.ops[0], &r.ops[1], &r.ops[2], &r.ops[3], &r.lockCall, &r.madeBy} {
		if nulls&(1<<i) != 0 {
			continue
		}
		if len(ids) < len(zeroOperation) {
			return nil, false
		}
		*op = operation(ids[:len(zeroOperation)])
		ids = ids[len(zeroOperation):]
	}
	return r, s.err == nil && f.ok && f.rest == "" && len(ids) == 0
}

// fields cuts a packed text at its bars.
type fields struct {
	rest string
	ok   bool
}

func (f *fields) next() string {
	field, rest, _ := strings.Cut(f.rest, "|")
	f.rest = rest
	return field
}

func (f *fields) int() nullInt {
	field := f.next()
	if field == "" {
		return nullInt{}
	}
	n, err := strconv.ParseInt(field, 10, 32)
	f.ok = f.ok && err == nil
	return nullInt{int32(n), true}
}

func (f *fields) date() datetime {
	d, ok := parseDatetime(f.next())
	f.ok = f.ok && ok
	return d
}

func (f *fields) date2() datetime2 {
	field := f.next()
	if field == "" {
		return noDate2
	}
	d, ok := parseDatetime2(field)
	f.ok = f.ok && ok
	return d
}
