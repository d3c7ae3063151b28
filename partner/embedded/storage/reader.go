package storage

import (
	"database/sql/driver"
	"sync/atomic"
)

// Reader reads rows through one connection. One goroutine at a time.
type Reader struct {
	*Conn
	version               *atomic.Int64 // of the schema
	seen                  int64         // that the statements below were prepared for
	log, changes, objects *statement

	below *Reader // for functions within this one's statements; nil: none has run

	Buffer [8]driver.Value
	tables map[string]*tableStatements
	adhoc  map[string]*statement     // prepared ad-hoc queries, of a bounded number and size
	Size   int                       // bytes of their texts
	Shown  map[string][]driver.Value // what the system views were last filled with; nil: it has transactions, and a rollback empties them
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

// logPosition reads the number of the last commit, and after which one the list
// of changes begins.
func (r *Reader) logPosition() (lsn, start int64, err error) {
	v := r.Buffer[:2]
	if _, err = r.log.Row(v); err != nil {
		return 0, 0, err
	}
	s := Scanner{V: v}
	lsn, start = s.Int64(), s.Int64()
	return lsn, start, s.Err
}

// changedAfter reads which rows the commits after lsn from, up to lsn to, changed.
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

// What ad-hoc queries a connection keeps prepared: so many, and of so many bytes. One alone may be larger, until it is
// forgotten with the next one or by trim.
const (
	maxAdhoc      = 64
	MaxAdhocBytes = 256 << 10
)

// Query prepares an ad-hoc query, or finds it prepared.
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

// follow forgets what was prepared for an earlier schema.
func (r *Reader) follow() {
	if now := r.version.Load(); now != r.seen {
		r.seen = now
		r.schemaChanged()
	}
}

// schemaChanged forgets what depends on the schema. None of it may be running.
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

// Beneath is a reader on the same connection whose statements may run within one of this reader's.
func (r *Reader) Nested() *Reader {
	if r.below == nil {
		r.below = &Reader{Conn: r.Conn, version: r.version, seen: r.version.Load(), adhoc: map[string]*statement{}, tables: map[string]*tableStatements{}}
	}
	return r.below
}

// trim forgets them if they are too large to be kept by a connection that waits for work.
func (r *Reader) trim() {
	if r.Size > MaxAdhocBytes {
		r.forget()
	}
}

// Change runs a statement that is kept prepared.
func (r *Reader) Change(text string, args ...driver.Value) error {
	st, err := r.Query(text)
	if err != nil {
		return err
	}
	_, err = st.Exec(args...)
	return err
}
