package embedded

import (
	"database/sql/driver"
	"sync/atomic"
)

// reader reads rows through one connection. One goroutine at a time.
type reader struct {
	*conn
	version               *atomic.Int64 // of the schema
	seen                  int64         // that the statements below were prepared for
	log, changes, objects *statement

	buffer [8]driver.Value
	tables map[string]*tableStatements
	adhoc  map[string]*statement     // prepared ad-hoc queries, of a bounded number and size
	size   int                       // bytes of their texts
	shown  map[string][]driver.Value // what the system views were last filled with; nil: it has transactions, and a rollback empties them
}

// The statements of a reader.
const (
	readObjects = `SELECT kind, name, detail, id FROM partner_objects`
	readLog     = `SELECT lsn, start_lsn FROM partner_log`
	readChanges = `SELECT lsn, n, tbl, row FROM partner_changes WHERE (lsn, n) > (?1, ?2) AND lsn <= ?3 ORDER BY lsn, n LIMIT ?4`
)

func newReader(c *conn, version *atomic.Int64) (*reader, error) {
	r := &reader{conn: c, version: version, seen: version.Load(), adhoc: map[string]*statement{}, tables: map[string]*tableStatements{}}
	return r, c.prepareAll(map[**statement]string{&r.log: readLog, &r.changes: readChanges, &r.objects: readObjects})
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
			changed[rowKey{s.text(), s.int64()}] = true
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
	r.follow()
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

// follow forgets what was prepared for an earlier schema.
func (r *reader) follow() {
	if now := r.version.Load(); now != r.seen {
		r.seen = now
		r.schemaChanged()
	}
}

// schemaChanged forgets what depends on the schema. None of it may be running.
func (r *reader) schemaChanged() {
	r.forget()
	for _, t := range r.tables {
		t.close()
	}
	clear(r.tables)
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
