package embedded

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// table is one of the mirrored tables.
type table uint8

const (
	tableSessions table = iota + 1
	tableApplications
	tableEpoch
	tableTombstones
	tableSweep
	tableObjects
	tableSettled
)

var tables = [...]table{tableSessions, tableApplications, tableEpoch, tableTombstones, tableSweep, tableObjects, tableSettled}

// String is the table's name in the database.
func (t table) String() string {
	return [...]string{"", "ASPStateTempSessions", "ASPStateTempApplications", "MirrorStateEpoch", "MirrorStateTombstones", "MirrorStateSweep",
		"partner_objects", "MirrorStateSettled"}[t]
}

// keyColumn is what identifies a row, as an expression over one of its columns'
// prefix p ("new.", "old.", ""). The same row has the same key on both partners.
func (t table) keyColumn(p string) string {
	switch t {
	case tableSessions:
		return "lower(" + p + "SessionId)"
	case tableApplications:
		return "CAST(" + p + "AppId AS TEXT)"
	case tableEpoch, tableSweep:
		return "CAST(" + p + "Id AS TEXT)"
	case tableObjects:
		return p + "kind || ' ' || lower(" + p + "name)"
	case tableSettled:
		return "lower(hex(" + p + "OperationId)) || ' ' || lower(hex(" + p + "CallId))"
	}
	return "lower(" + p + "SessionId) || ' ' || lower(hex(" + p + "OperationId))"
}

// row is a row of one of the tables. Rows are never changed once others can see
// them: to change one, put a changed copy.
type row interface {
	table() table
	// key is what [table.keyColumn] says of the row.
	key() string
}

// change is a row that was written, or removed where row is nil.
type change struct {
	table table
	key   string
	row   row
}

// nullInt is an int that may be NULL.
type nullInt struct {
	n  int32
	ok bool
}

func (n nullInt) value() any {
	if !n.ok {
		return nil
	}
	return n.n
}

// operation is an operation id, a binary(16); "" is NULL.
type operation string

// zeroOperation is what ISNULL(id, 0x00) makes of a NULL.
const zeroOperation operation = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// orZero is ISNULL(o, 0x00).
func (o operation) orZero() operation {
	if o == "" {
		return zeroOperation
	}
	return o
}

// is is o = other, which a NULL never is.
func (o operation) is(other operation) bool { return o != "" && o == other }

func (o operation) value() any {
	if o == "" {
		return nil
	}
	return []byte(o)
}

// sessionRow is a row of ASPStateTempSessions.
type sessionRow struct {
	id                                        string
	created, expires, lockDate, lockDateLocal datetime
	lockCookie, timeout                       int32
	locked                                    bool
	short, long                               []byte // nil is NULL
	flags                                     int32

	lockOp          operation
	lockOpCookie    nullInt
	lockActionFlags nullInt
	ops             [4]operation // the ring, newest first
	opDates         [4]datetime2
	forgotten       datetime2
	lockCall        operation // the call that may give the lock back
	settled         datetime2
	madeBy          operation // the operation that made the session
	timeoutSeconds  nullInt   // the timeout where it was given in seconds
	timeoutDate     datetime2 // when a call last set it
}

func (r *sessionRow) table() table { return tableSessions }
func (r *sessionRow) key() string  { return foldKey(r.id) }

// item is COALESCE(long, short).
func (r *sessionRow) item() []byte {
	if r.long != nil {
		return r.long
	}
	return r.short
}

// foldKey is a session id as a key: SessionId ignores case, as in the usual
// collation. Like SQLite's NOCASE it folds ASCII only; more than ASCII a collation compares by tables that are not here,
// and mirrorstate lets no such id in.
func foldKey(id string) string { return tsql.FoldCase(id) }

// applicationRow is a row of ASPStateTempApplications. The name is without the
// blanks that pad a char(280).
type applicationRow struct {
	id   int32
	name string
}

func (r *applicationRow) table() table { return tableApplications }
func (r *applicationRow) key() string  { return strconv.Itoa(int(r.id)) }

// epochRow is a row of MirrorStateEpoch; the one that counts has id 1.
type epochRow struct {
	id     int32
	epoch  int64
	server string
	secret []byte
}

func (r *epochRow) table() table { return tableEpoch }
func (r *epochRow) key() string  { return strconv.Itoa(int(r.id)) }

const epochKey = "1"

// sweepRow is a row of MirrorStateSweep; the one that counts has id 1.
type sweepRow struct {
	id              int32
	owner           operation
	leased, lastRun datetime2
	deleted         int64
}

func (r *sweepRow) table() table { return tableSweep }
func (r *sweepRow) key() string  { return strconv.Itoa(int(r.id)) }

const sweepKey = "1"

// tombstoneRow is a row of MirrorStateTombstones.
type tombstoneRow struct {
	id      string
	op      operation // of the removal
	removed datetime2
	ops     [4]operation // the ring of the session that was removed
	// forgotten is that session's OperationsForgotten.
	forgotten datetime2
	created   datetime // that session's
}

// remembers tells whether the removed session remembered the operation.
func (r *tombstoneRow) remembers(op argument) bool {
	return op.ok && slices.Contains(r.ops[:], op.op())
}

func (r *tombstoneRow) table() table { return tableTombstones }
func (r *tombstoneRow) key() string  { return tombstoneKey(r.id, r.op) }

// settledRow is a row of MirrorStateSettled.
type settledRow struct {
	op, call operation
	settled  datetime2
	result   int32
}

func (r *settledRow) table() table { return tableSettled }
func (r *settledRow) key() string  { return settledKey(r.op, r.call) }

func settledKey(op, call operation) string {
	return hex.EncodeToString([]byte(op)) + " " + hex.EncodeToString([]byte(call))
}

func tombstoneKey(id string, op operation) string {
	return foldKey(id) + " " + hex.EncodeToString([]byte(op))
}

// The columns as rows are read and written. A unary plus hides the declared type
// of a date: the driver would parse it, and slowly.
const (
	tombstoneColumns = `SessionId, OperationId, +Removed, OperationId1, OperationId2, OperationId3, OperationId4, +OperationsForgotten, +Created`
	tombstoneWidth   = 9

	settledColumns = `OperationId, CallId, +Settled, Result`
	settledWidth   = 4

	sweepColumns = `Id, Owner, +LeasedUntil, +LastRun, Deleted`
	sweepWidth   = 5

	sessionColumns = `SessionId, +Created, +Expires, +LockDate, +LockDateLocal, LockCookie, Timeout, Locked,
		SessionItemShort, SessionItemLong, Flags, LockOperationId, LockOperationCookie, LockActionFlags,
		OperationId1, OperationId2, OperationId3, OperationId4,
		OperationDate1, OperationDate2, OperationDate3, OperationDate4, OperationsForgotten, LockCallId, Settled, MadeOperationId,
		TimeoutSeconds, +TimeoutDate`
	sessionWidth = 28
)

// scanSession makes a row of the columns above.
func scanSession(v []driver.Value) (*sessionRow, error) {
	s := scanner{v: v}
	r := &sessionRow{
		id: s.text(), created: s.date(), expires: s.date(), lockDate: s.date(), lockDateLocal: s.date(),
		lockCookie: s.int32(), timeout: s.int32(), locked: s.int32() != 0,
		short: s.bytes(), long: s.bytes(), flags: s.int32(),
		lockOp: s.operation(), lockOpCookie: s.nullInt(), lockActionFlags: s.nullInt(),
	}
	for i := range r.ops {
		r.ops[i] = s.operation()
	}
	for i := range r.opDates {
		r.opDates[i] = s.date2()
	}
	r.forgotten, r.lockCall, r.settled, r.madeBy = s.date2(), s.operation(), s.date2(), s.operation()
	r.timeoutSeconds, r.timeoutDate = s.nullInt(), s.date2()
	return r, s.err
}

// values are the columns of the row, in the order of sessionColumns.
func (r *sessionRow) values(dst []driver.Value) []driver.Value {
	dst = append(dst, r.id, dateValue(r.created), dateValue(r.expires), dateValue(r.lockDate), dateValue(r.lockDateLocal),
		int64(r.lockCookie), int64(r.timeout), bitValue(r.locked), blobValue(r.short), blobValue(r.long), int64(r.flags),
		opValue(r.lockOp), intValue(r.lockOpCookie), intValue(r.lockActionFlags))
	for _, op := range r.ops {
		dst = append(dst, opValue(op))
	}
	for _, d := range r.opDates {
		dst = append(dst, date2Value(d))
	}
	return append(dst, date2Value(r.forgotten), opValue(r.lockCall), date2Value(r.settled), opValue(r.madeBy),
		intValue(r.timeoutSeconds), date2Value(r.timeoutDate))
}

func dateValue(d datetime) driver.Value {
	if d.null() {
		return nil
	}
	return d.text()
}

func date2Value(d datetime2) driver.Value {
	if d.null() {
		return nil
	}
	return d.text()
}

func bitValue(b bool) driver.Value {
	if b {
		return int64(1)
	}
	return int64(0)
}

func blobValue(b []byte) driver.Value {
	if b == nil {
		return nil
	}
	return b
}

func opValue(o operation) driver.Value {
	if o == "" {
		return nil
	}
	return []byte(o)
}

func intValue(n nullInt) driver.Value {
	if !n.ok {
		return nil
	}
	return int64(n.n)
}

// scanner reads the columns of one row in order. What an ad-hoc statement put
// into a column may not be what the column was made for: the first such value is err.
type scanner struct {
	v   []driver.Value
	err error
}

func (s *scanner) next() driver.Value {
	v := s.v[0]
	s.v = s.v[1:]
	return v
}

func (s *scanner) wrong(v driver.Value, want string) {
	if s.err == nil {
		s.err = fmt.Errorf("a column holds %T where %s belongs", v, want)
	}
}

func (s *scanner) text() string {
	switch v := s.next().(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		s.wrong(v, "text")
		return ""
	}
}

func (s *scanner) bytes() []byte {
	switch v := s.next().(type) {
	case []byte:
		if v == nil {
			return []byte{} // the driver's way to say: a blob, and empty
		}
		return v
	case string:
		return []byte(v)
	case nil:
		return nil
	default:
		s.wrong(v, "binary")
		return nil
	}
}

func (s *scanner) operation() operation {
	b := s.bytes()
	if b == nil {
		return ""
	}
	return operationOf(b)
}

// operationOf pads or cuts b to a binary(16), as an assignment does.
func operationOf(b []byte) operation {
	if len(b) == len(zeroOperation) {
		return operation(b)
	}
	var full [len(zeroOperation)]byte
	copy(full[:], b)
	return operation(full[:])
}

func (s *scanner) nullInt() nullInt {
	switch v := s.next().(type) {
	case int64:
		return nullInt{int32(v), true}
	case nil:
	default:
		s.wrong(v, "int")
	}
	return nullInt{}
}

func (s *scanner) int32() int32 { return s.nullInt().n }

func (s *scanner) int64() int64 {
	v := s.next()
	n, ok := v.(int64)
	if !ok && v != nil {
		s.wrong(v, "bigint")
	}
	return n
}

func (s *scanner) date() datetime {
	v := s.next()
	if v == nil {
		return noDate
	}
	text, _ := v.(string)
	d, ok := parseDatetime(text)
	if !ok {
		s.wrong(v, "datetime")
	}
	return d
}

func (s *scanner) date2() datetime2 {
	v := s.next()
	if v == nil {
		return noDate2
	}
	text, _ := v.(string)
	d, ok := parseDatetime2(text)
	if !ok {
		s.wrong(v, "datetime2")
	}
	return d
}

// trimBlanks drops the blanks that pad a char.
func trimBlanks(s string) string { return strings.TrimRight(s, " ") }
