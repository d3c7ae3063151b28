package storage

import (
	"database/sql/driver"
	"sync/atomic"
)

// Reader reads rows through one connection. One goroutine at a time may use it.
type Reader struct {
	*Conn
	version               *atomic.Int64 // of the schema
	seen                  int64         // the schema version for which the statements below were prepared
	log, changes, objects *statement

	below *Reader // for functions that run within a statement of this reader; nil: none has run

	Buffer [8]driver.Value
	tables map[string]*tableStatements
	adhoc  map[string]*statement     // prepared ad-hoc queries, bounded in number and size
	Size   int                       // bytes of their texts
	Shown  map[string][]driver.Value // rows that were last written into the system views; nil: the connection has transactions, and a rollback empties the views
}

// The statements of a reader.
const (
	readObjects = `SELECT kind, name, detail, id FROM partner_objects`
	readLog     = `SELECT lsn, start_lsn FROM partner_log`
	readChanges = `SELECT lsn, n, tbl, row FROM partner_changes WHERE (lsn, n) > (?1, ?2) AND lsn <= ?3 ORDER BY lsn, n LIMIT ?4`
)

func newReader(c *Conn, version *atomic.Int64) (*Reader, error) {
	r := &Reader{Conn: c, version: version, seen: version.Load(), adhoc: map[string]*statement{}, tables: map[string]*tableStatements{}}
	return r, c.prepareAll(map[**statement]string{&r.log: readLog, &r.changes: readChanges, &r.objects: readObjects})
}

func collect[R any](r *Reader, s *statement, width int, scan func([]driver.Value) (R, error), args ...driver.Value) (found []R, err error) {
	v := r.Buffer[:width]
	var wrong error
	err = s.Rows(v, func() bool {
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

// logPosition reads the number of the last commit, and the number of the commit after which the list of changes
// begins.
func (r *Reader) logPosition() (lsn, start int64, err error) {
	v := r.Buffer[:2]
	if _, err = r.log.Row(v); err != nil {
		return 0, 0, err
	}
	s := Scanner{V: v}
	lsn, start = s.Int64(), s.Int64()
	return lsn, start, s.Err
}

// changedAfter reads which rows the commits after from, up to to, changed.
func (r *Reader) changedAfter(from, to int64) (map[RowKey]bool, error) {
	const chunk = 4096
	changed := map[RowKey]bool{}
	lsn, n := from, int64(1)<<62
	for {
		rows := 0
		v := r.Buffer[:4]
		err := r.changes.Rows(v, func() bool {
			s := Scanner{V: v}
			lsn, n = s.Int64(), s.Int64()
			changed[RowKey{s.Text(), s.Int64()}] = true
			rows++
			return true
		}, lsn, n, to, int64(chunk))
		if err != nil || rows < chunk {
			return changed, err
		}
	}
}

// The limits of the prepared ad-hoc queries of a connection, in number and bytes. A single query may be larger, until
// the next query or trim closes it.
const (
	maxAdhoc      = 64
	MaxAdhocBytes = 256 << 10
)

// Query returns the prepared ad-hoc query, and prepares it if necessary.
func (r *Reader) Query(text string) (*statement, error) {
	r.follow()
	if s := r.adhoc[text]; s != nil {
		return s, nil
	}
	if len(r.adhoc) >= maxAdhoc || r.Size+len(text) > MaxAdhocBytes {
		r.forget()
	}
	s, err := r.Prepare(text)
	if err == nil {
		r.adhoc[text] = s
		r.Size += len(text)
	}
	return s, err
}

// HasTemporary reports whether the connection has a temporary table of that name.
func (r *Reader) HasTemporary(name string) (bool, error) {
	st, err := r.Query("SELECT 1 FROM temp.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE")
	if err != nil {
		return false, err
	}
	return st.Row(make([]driver.Value, 1), name)
}

// follow closes the statements that were prepared for an earlier schema.
func (r *Reader) follow() {
	if now := r.version.Load(); now != r.seen {
		r.seen = now
		r.schemaChanged()
	}
}

// schemaChanged closes the statements that depend on the schema. None of them may be running.
func (r *Reader) schemaChanged() {
	r.forget()
	for _, t := range r.tables {
		t.close()
	}
	clear(r.tables)
}

// forget closes the prepared ad-hoc queries. None may be running.
func (r *Reader) forget() {
	for _, s := range r.adhoc {
		_ = s.Close() // a statement that can't be closed is closed with its connection
	}
	clear(r.adhoc)
	r.Size = 0
	if r.below != nil {
		r.below.forget()
	}
}

// Nested returns a reader on the same connection whose statements may run within a statement of this reader.
func (r *Reader) Nested() *Reader {
	if r.below == nil {
		r.below = &Reader{Conn: r.Conn, version: r.version, seen: r.version.Load(), adhoc: map[string]*statement{}, tables: map[string]*tableStatements{}}
	}
	return r.below
}

// trim closes the ad-hoc queries if they are too large to keep on an idle connection.
func (r *Reader) trim() {
	if r.Size > MaxAdhocBytes {
		r.forget()
	}
}

// Change runs a statement and keeps it prepared.
func (r *Reader) Change(text string, args ...driver.Value) error {
	st, err := r.Query(text)
	if err != nil {
		return err
	}
	_, err = st.Exec(args...)
	return err
}
