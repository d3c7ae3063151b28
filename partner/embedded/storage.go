package embedded

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// readers is how many connections of a partner read beside its writer.
const readerCount = 4

// record is what one commit changes: the unit that is mirrored.
type record struct {
	lsn     int64
	changes []change
	schema  []string // statements of SQLite that change the schema: before the changes
	// trim: both partners have every commit up to this one, so that nobody will ask
	// for their changes again.
	trim int64
}

// store is the SQLite database of one partner. Readers run beside the writer, on
// what is committed. Whoever writes holds mu.
type store struct {
	path string

	mu        sync.Mutex
	main      *writer // of the groups of procedure calls, and of what the principal ships
	exclusive *writer // of ad-hoc statements and explicit transactions
	ships     int     // commits since the list of changes was last trimmed
	unmoved   int     // rows written since tendJournal was last woken

	readers chan *reader
	adhoc   chan *reader // idle ones, of ad-hoc queries

	full chan struct{} // wakes tendJournal

	lsn      atomic.Int64 // the last commit
	startLSN atomic.Int64 // the list of changes has all commits after this one
	objects  atomic.Pointer[snapshot]
	version  atomic.Int64 // of the schema, for the prepared statements of connections
	about    atomic.Pointer[aboutDatabase]

	retired atomic.Bool    // its files are going away: nobody may begin to read
	asking  sync.WaitGroup // ad-hoc queries under way; under askingMu with retired
	askMu   sync.Mutex
}

// openStore opens a database's file, or makes the one that about describes.
func openStore(path string, about aboutDatabase) (s *store, err error) {
	s = &store{path: path, readers: make(chan *reader, readerCount), adhoc: make(chan *reader, readerCount), full: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			_ = s.close() // the first error is the one to tell
		}
	}()
	s.about.Store(&about)
	return s, s.open()
}

// open opens the connections.
func (s *store) open() error {
	c, err := openConn(s.path)
	if err != nil {
		return err
	}
	if err := prepareFile(c, s.about.Load()); err != nil {
		_ = c.close()
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if s.main, err = newWriter(c, &s.version); err != nil {
		return err
	}
	if s.exclusive, err = openWriter(s.path, &s.version); err != nil {
		return err
	}
	for range readerCount {
		s.readers <- nil // opened when it is first needed
	}
	about, err := loadAbout(s.main.conn)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.about.Store(about)
	return s.refresh()
}

// prepareFile sets the journal and makes the tables of a new database.
func prepareFile(c *conn, about *aboutDatabase) error {
	if err := c.script("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	switch version {
	case formatVersion:
		return nil
	case 0:
		text := schemaText + about.text()
		return c.script(fmt.Sprintf("BEGIN; %s PRAGMA user_version = %d; COMMIT", text, formatVersion))
	}
	made := "a later"
	if version < formatVersion {
		made = "an earlier"
	}
	return fmt.Errorf("data of format %d, made by %s version of mirrorstate; this one reads format %d only. Take another folder, which begins empty, or run that version on this one until its sessions have ended",
		version, made, formatVersion)
}

// number reads one number.
func (c *conn) number(query string) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	v := make([]driver.Value, 1)
	_, err = s.row(v)
	n, _ := v[0].(int64)
	return n, errors.Join(err, s.close())
}

// openReader opens a connection that reads.
func openReader(path string, version *atomic.Int64) (*reader, error) {
	c, err := openConn(path)
	if err != nil {
		return nil, err
	}
	r, err := newReader(c, version)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	r.shown = map[string][]driver.Value{}
	return r, nil
}

// close closes every connection. Nobody may be using the store.
func (s *store) close() error {
	var errs []error
	for len(s.readers) > 0 {
		if r := <-s.readers; r != nil {
			errs = append(errs, r.close())
		}
	}
	for len(s.adhoc) > 0 {
		errs = append(errs, (<-s.adhoc).close())
	}
	for _, w := range []*writer{s.exclusive, s.main} {
		if w != nil {
			errs = append(errs, w.close())
		}
	}
	s.exclusive, s.main = nil, nil
	return errors.Join(errs...)
}

// read lends f a reader. It waits for one; f must not keep it, and must be short
// or the readers run out.
func (s *store) read(f func(r *reader) error) (err error) {
	r := <-s.readers
	if s.retired.Load() {
		s.readers <- r
		return errRetired
	}
	defer func() { s.readers <- r }()
	if r == nil {
		if r, err = openReader(s.path, &s.version); err != nil {
			return fmt.Errorf("open a reader: %w", err)
		}
	}
	return f(r)
}

// refresh reads again what is kept in memory: after opening, and after rows were
// written past putGroup.
func (s *store) refresh() error {
	lsn, start, err := s.main.logPosition()
	if err != nil {
		return fmt.Errorf("read the log position of %s: %w", s.path, err)
	}
	s.lsn.Store(lsn)
	s.startLSN.Store(start)
	return s.refreshObjects()
}

// published brings what is kept in memory up to a record that was committed. The caller holds mu, or the turn.
func (s *store) published(rec *record) error {
	s.lsn.Store(rec.lsn)
	s.wrote(len(rec.changes))
	if len(rec.schema) > 0 {
		s.version.Add(1)
	}
	if slices.ContainsFunc(rec.changes, func(c change) bool { return c.table == objectsTable }) {
		return s.refreshObjects()
	}
	return nil
}

// trimEvery is after how many commits the list of changes is trimmed: often
// enough to stay small, seldom enough to cost nothing.
const trimEvery = 256

// write makes the record's changes in the open transaction of w.
func (s *store) write(w *writer, rec *record) error {
	for _, text := range rec.schema {
		if err := w.script(text); err != nil {
			return fmt.Errorf("change the schema: %w", err)
		}
	}
	if len(rec.schema) > 0 {
		w.schemaChanged()
	}
	for _, c := range rec.changes {
		if err := w.put(c); err != nil {
			return err
		}
	}
	return s.note(w, rec)
}

// note makes the record's entry in the log, in the open transaction of w.
func (s *store) note(w *writer, rec *record) error {
	if err := w.note(rec); err != nil {
		return err
	}
	if s.ships++; s.ships >= trimEvery && rec.trim > s.startLSN.Load() {
		s.ships = 0
		if err := w.trim(rec.trim); err != nil {
			return fmt.Errorf("trim changes: %w", err)
		}
		s.startLSN.Store(rec.trim) // if the commit fails, more is kept than is told: harmless
	}
	return nil
}

// shut closes the files of a partner that goes down. The caller holds the turn, and
// nobody reads.
func (s *store) shut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

// errShut: the files of the database are closed, because its server is down.
var errShut = errors.New("the database is shut")

// errRetired: the database was dropped a moment ago.
var errRetired = errors.New("the database is gone")

// retire closes the files for good, once everybody who reads has ended. The caller holds the turn.
func (s *store) retire() error {
	s.askMu.Lock()
	s.retired.Store(true)
	s.askMu.Unlock()
	s.asking.Wait()
	var idle []*reader
	for range readerCount {
		idle = append(idle, <-s.readers)
	}
	for _, r := range idle {
		s.readers <- r
	}
	return s.shut()
}

// asks counts an ad-hoc query; false: the store is retired.
func (s *store) asks() bool {
	s.askMu.Lock()
	defer s.askMu.Unlock()
	if s.retired.Load() {
		return false
	}
	s.asking.Add(1)
	return true
}

// reopen is shut undone.
func (s *store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return errors.Join(err, s.close())
	}
	return nil
}

// apply makes a record of the principal durable here: what a mirror does. The caller
// holds mu.
func (s *store) apply(rec *record) error {
	err := s.main.inTransaction(func() error { return s.write(s.main, rec) })
	if err == nil {
		err = s.published(rec)
	}
	return err
}
