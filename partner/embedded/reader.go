package embedded

import (
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// reader reads rows through one connection. One goroutine at a time.
type reader struct {
	*conn
	packed, session, application, applicationName, epoch *statement
	tombstone, tombstonesOf, oldTombstones               *statement
	settled, settledOf, oldSettled                       *statement
	expired, due, sweep, log, changes, object, objects   *statement

	buffer [sessionWidth]driver.Value
	adhoc  map[string]*statement     // prepared ad-hoc queries, of a bounded number and size
	size   int                       // bytes of their texts
	shown  map[string][]driver.Value // what the system views were last filled with; nil: it has transactions, and a rollback empties them
}

func newReader(c *conn) (*reader, error) {
	r := &reader{conn: c, adhoc: map[string]*statement{}}
	return r, c.prepareAll(map[**statement]string{
		&r.packed: readPacked, &r.session: readSession, &r.application: readApplication, &r.applicationName: readApplicationName,
		&r.epoch: readEpoch, &r.tombstone: readTombstone, &r.tombstonesOf: readTombstonesOf,
		&r.oldTombstones: readOldTombstones, &r.expired: readExpired, &r.due: readDue, &r.sweep: readSweep, &r.log: readLog, &r.changes: readChanges,
		&r.settled: readSettled, &r.settledOf: readSettledOf, &r.oldSettled: readOldSettled,
		&r.object: readObject, &r.objects: readObjects,
	})
}

// row reads the row of that key; nil if there is none.
func (r *reader) row(t table, key string) (row, error) {
	switch t {
	case tableSessions:
		s, err := r.sessionRow(key)
		if s == nil {
			return nil, err
		}
		return s, err
	case tableApplications:
		return rowOf(r, r.application, 2, scanApplication, key)
	case tableEpoch:
		return rowOf(r, r.epoch, 4, scanEpoch, key)
	case tableSweep:
		return rowOf(r, r.sweep, sweepWidth, scanSweep, key)
	case tableObjects:
		kind, name := splitObjectKey(key)
		return rowOf(r, r.object, objectWidth, scanObject, kind, name)
	case tableSettled:
		op, call, err := splitSettledKey(key)
		if err != nil {
			return nil, err
		}
		return rowOf(r, r.settled, settledWidth, scanSettled, []byte(op), []byte(call))
	}
	id, op, err := splitTombstoneKey(key)
	if err != nil {
		return nil, err
	}
	return rowOf(r, r.tombstone, tombstoneWidth, scanTombstone, id, []byte(op))
}

func (r *reader) sessionRow(id string) (*sessionRow, error) {
	v := r.buffer[:packedWidth]
	found, err := r.packed.row(v, id)
	if err != nil || !found {
		return nil, err
	}
	if s, ok := scanPacked(v); ok {
		return s, nil
	}
	v = r.buffer[:sessionWidth]
	if found, err = r.session.row(v, id); err != nil || !found {
		return nil, err
	}
	return scanSession(v)
}

// rowOf runs a statement that finds at most one row. Integer columns match a
// key in decimal, as SQLite compares them by the column's type.
func rowOf[R row](r *reader, s *statement, width int, scan func([]driver.Value) (R, error), args ...driver.Value) (row, error) {
	v := r.buffer[:width]
	found, err := s.row(v, args...)
	if err != nil || !found {
		return nil, err
	}
	return scan(v)
}

func scanApplication(v []driver.Value) (*applicationRow, error) {
	s := scanner{v: v}
	r := &applicationRow{id: s.int32(), name: trimBlanks(s.text())}
	return r, s.err
}

func scanEpoch(v []driver.Value) (*epochRow, error) {
	s := scanner{v: v}
	r := &epochRow{id: s.int32(), epoch: s.int64(), server: s.text(), secret: s.bytes()}
	return r, s.err
}

func scanSweep(v []driver.Value) (*sweepRow, error) {
	s := scanner{v: v}
	r := &sweepRow{id: s.int32(), owner: s.operation(), leased: s.date2(), lastRun: s.date2(), deleted: s.int64()}
	return r, s.err
}

func scanTombstone(v []driver.Value) (*tombstoneRow, error) {
	s := scanner{v: v}
	r := &tombstoneRow{id: s.text(), op: s.operation(), removed: s.date2()}
	for i := range r.ops {
		r.ops[i] = s.operation()
	}
	r.forgotten, r.created = s.date2(), s.date()
	return r, s.err
}

func scanSettled(v []driver.Value) (*settledRow, error) {
	s := scanner{v: v}
	r := &settledRow{op: s.operation(), call: s.operation(), settled: s.date2(), result: s.int32()}
	return r, s.err
}

// splitSettledKey takes apart what settledKey made.
func splitSettledKey(key string) (op, call operation, err error) {
	first, second, _ := strings.Cut(key, " ")
	a, err := hex.DecodeString(first)
	b, err2 := hex.DecodeString(second)
	if err = errors.Join(err, err2); err != nil {
		return "", "", fmt.Errorf("key %q of a settled operation: %w", key, err)
	}
	return operation(a), operation(b), nil
}

// settledOfOperation reads what calls of the operation were answered.
func (r *reader) settledOfOperation(op operation) ([]*settledRow, error) {
	return collect(r, r.settledOf, settledWidth, scanSettled, []byte(op))
}

// settledBefore reads at most n entries that are older, oldest first.
func (r *reader) settledBefore(before datetime2, n int) ([]*settledRow, error) {
	return collect(r, r.oldSettled, settledWidth, scanSettled, before.text(), int64(n))
}

// splitTombstoneKey takes apart what tombstoneKey made. The id may contain blanks.
func splitTombstoneKey(key string) (id string, op operation, err error) {
	at := strings.LastIndexByte(key, ' ')
	if at < 0 {
		return "", "", fmt.Errorf("tombstone key %q has no operation", key)
	}
	b := make([]byte, 0, 16)
	for rest := key[at+1:]; len(rest) >= 2; rest = rest[2:] {
		n, err := strconv.ParseUint(rest[:2], 16, 8)
		if err != nil {
			return "", "", fmt.Errorf("tombstone key %q: %w", key, err)
		}
		b = append(b, byte(n))
	}
	return key[:at], operation(b), nil
}

// applicationsNamed reads the applications of that name.
func (r *reader) applicationsNamed(name string) (found []*applicationRow, err error) {
	return collect(r, r.applicationName, 2, scanApplication, name)
}

// tombstonesOfSession reads the session's tombstones.
func (r *reader) tombstonesOfSession(id string) ([]*tombstoneRow, error) {
	return collect(r, r.tombstonesOf, tombstoneWidth, scanTombstone, id)
}

// tombstonesBefore reads at most n tombstones that are older, oldest first.
func (r *reader) tombstonesBefore(before datetime2, n int) ([]*tombstoneRow, error) {
	return collect(r, r.oldTombstones, tombstoneWidth, scanTombstone, before.text(), int64(n))
}

func collect[R any](r *reader, s *statement, width int, scan func([]driver.Value) (R, error), args ...driver.Value) (found []R, err error) {
	v := r.buffer[:width]
	var wrong error
	err = s.rows(v, func() bool {
		var one R
		if one, wrong = scan(v); wrong == nil {
			found = append(found, one)
		}
		return wrong == nil
	}, args...)
	if err == nil {
		err = wrong
	}
	return found, err
}

// expiredBefore reads at most n ids of sessions that expired before d.
func (r *reader) expiredBefore(d datetime, n int) (ids []string, err error) {
	return collect(r, r.expired, 1, func(v []driver.Value) (string, error) {
		s := scanner{v: v}
		id := s.text()
		return id, s.err
	}, d.text(), int64(n))
}

// dueSession is what the sweep looks at.
type dueSession struct {
	id      string
	expires datetime
	locked  bool
}

// dueBy reads at most n sessions that have expired by now, and whose lock, if they
// have one, is of the time before or older; the oldest first.
func (r *reader) dueBy(now, before datetime, n int) ([]dueSession, error) {
	return collect(r, r.due, 3, func(v []driver.Value) (dueSession, error) {
		s := scanner{v: v}
		d := dueSession{id: s.text(), expires: s.date(), locked: s.int32() != 0}
		return d, s.err
	}, now.text(), before.text(), int64(n))
}

// logPosition reads the number of the last commit, and after which one the list
// of changes begins.
func (r *reader) logPosition() (lsn, start int64, err error) {
	v := r.buffer[:2]
	if _, err = r.log.row(v); err != nil {
		return 0, 0, err
	}
	s := scanner{v: v}
	lsn, start = s.int64(), s.int64()
	return lsn, start, s.err
}

// rowKey names a row of a table.
type rowKey struct {
	table table
	key   string
}

// changedAfter reads which rows the commits after lsn from, up to lsn to, changed.
func (r *reader) changedAfter(from, to int64) (map[rowKey]bool, error) {
	const chunk = 4096
	changed := map[rowKey]bool{}
	lsn, n := from, int64(1)<<62
	for {
		rows := 0
		v := r.buffer[:4]
		err := r.changes.rows(v, func() bool {
			s := scanner{v: v}
			lsn, n = s.int64(), s.int64()
			changed[rowKey{table(s.int64()), s.text()}] = true
			rows++
			return true
		}, lsn, n, to, int64(chunk))
		if err != nil || rows < chunk {
			return changed, err
		}
	}
}

// What ad-hoc queries a connection keeps prepared: so many, and of so many bytes. One alone may be larger, until it is
// forgotten with the next one or by trim.
const (
	maxAdhoc      = 64
	maxAdhocBytes = 256 << 10
)

// query prepares an ad-hoc query, or finds it prepared.
func (r *reader) query(text string) (*statement, error) {
	if s := r.adhoc[text]; s != nil {
		return s, nil
	}
	if len(r.adhoc) >= maxAdhoc || r.size+len(text) > maxAdhocBytes {
		r.forget()
	}
	s, err := r.prepare(text)
	if err == nil {
		r.adhoc[text] = s
		r.size += len(text)
	}
	return s, err
}

// forget closes the prepared ad-hoc queries. None may be running.
func (r *reader) forget() {
	for _, s := range r.adhoc {
		_ = s.close() // a statement that can't be closed is closed with its connection
	}
	clear(r.adhoc)
	r.size = 0
}

// trim forgets them if they are too large to be kept by a connection that waits for work.
func (r *reader) trim() {
	if r.size > maxAdhocBytes {
		r.forget()
	}
}
