package storage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// ReadAdhoc lends f a reader of those for ad-hoc queries, which may take their
// time: procedure calls have readers of their own.
func (s *Store) ReadAdhoc(f func(r *Reader) error) error {
	if !s.beginAdhoc() {
		return errRetired
	}
	defer s.asking.Done()
	var r *Reader
	select {
	case r = <-s.adhoc:
	default:
		var err error
		if r, err = openReader(s.Path, &s.version); err != nil {
			return fmt.Errorf("open a reader: %w", err)
		}
	}
	defer func() {
		r.trim()
		select {
		case s.adhoc <- r:
		default: // enough are waiting for work
			_ = r.Close()
		}
	}()
	return f(r)
}

// readers is how many connections of a partner read beside its writer.
const readerCount = 4

// Record is what one commit changes: the unit that is mirrored.
type Record struct {
	LSN     int64
	Changes []Change
	Schema  []string // statements of SQLite that change the schema: before the changes
	// trim: both partners have every commit up to this one, so that nobody will ask
	// for their changes again.
	Trim int64
}

// Store is the SQLite database of one partner. Readers run beside the writer, on
// what is committed. Whoever writes holds mu.
type Store struct {
	Path string

	Mu        sync.Mutex
	Main      *Writer // of the groups of procedure calls, and of what the principal ships
	Exclusive *Writer // of ad-hoc statements and explicit transactions
	long      *Writer // of calls that take long; nil: there was none yet
	ships     int     // commits since the list of changes was last trimmed
	unmoved   int     // rows written since tendJournal was last woken

	readers chan *Reader
	adhoc   chan *Reader // idle ones, of ad-hoc queries

	full chan struct{} // wakes tendJournal

	LSN      atomic.Int64 // the last commit
	StartLSN atomic.Int64 // the list of changes has all commits after this one
	Objects  atomic.Pointer[Snapshot]
	version  atomic.Int64 // of the schema, for the prepared statements of connections
	About    atomic.Pointer[Description]

	retired atomic.Bool    // its files are going away: nobody may begin to read
	asking  sync.WaitGroup // ad-hoc queries under way; under askingMu with retired
	askMu   sync.Mutex
}

// OpenStore opens a database's file, or makes the one that about describes.
func OpenStore(path string, about Description) (s *Store, err error) {
	s = &Store{Path: path, readers: make(chan *Reader, readerCount), adhoc: make(chan *Reader, readerCount), full: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			_ = s.close() // the first error is the one to tell
		}
	}()
	s.About.Store(&about)
	return s, s.open()
}

// open opens the connections.
func (s *Store) open() error {
	c, err := OpenConn(s.Path)
	if err != nil {
		return err
	}
	if err := prepareFile(c, s.About.Load()); err != nil {
		_ = c.Close()
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	if s.Main, err = newWriter(c, &s.version); err != nil {
		return err
	}
	if s.Exclusive, err = openWriter(s.Path, &s.version); err != nil {
		return err
	}
	for range readerCount {
		s.readers <- nil // opened when it is first needed
	}
	about, err := loadAbout(s.Main.Conn)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	s.About.Store(about)
	return s.Refresh()
}

// prepareFile sets the journal and makes the tables of a new database.
func prepareFile(c *Conn, about *Description) error {
	if err := c.Script("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	version, err := c.Number("PRAGMA user_version")
	if err != nil {
		return err
	}
	switch version {
	case formatVersion:
		return nil
	case 0:
		text := schemaText + about.Text()
		return c.Script(fmt.Sprintf("BEGIN; %s PRAGMA user_version = %d; COMMIT", text, formatVersion))
	}
	made := "a later"
	if version < formatVersion {
		made = "an earlier"
	}
	return fmt.Errorf("data of format %d, made by %s version of mirrorstate; this one reads format %d only. Take another folder, which begins empty, or run that version on this one until its sessions have ended",
		version, made, formatVersion)
}

// Number reads one number.
func (c *Conn) Number(query string) (int64, error) {
	s, err := c.Prepare(query)
	if err != nil {
		return 0, err
	}
	v := make([]driver.Value, 1)
	_, err = s.Row(v)
	n, _ := v[0].(int64)
	return n, errors.Join(err, s.Close())
}

// Long is the connection of calls that take long, whose temporary tables stay there while others write. The caller holds the turn.
func (s *Store) Long() (*Writer, error) {
	if s.long == nil {
		w, err := openWriter(s.Path, &s.version)
		if err != nil {
			return nil, err
		}
		s.long = w
	}
	return s.long, nil
}

// openReader opens a connection that reads.
func openReader(path string, version *atomic.Int64) (*Reader, error) {
	c, err := OpenConn(path)
	if err != nil {
		return nil, err
	}
	r, err := newReader(c, version)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	r.Shown = map[string][]driver.Value{}
	return r, nil
}

// close closes every connection. Nobody may be using the store.
func (s *Store) close() error {
	var errs []error
	for len(s.readers) > 0 {
		if r := <-s.readers; r != nil {
			errs = append(errs, r.Close())
		}
	}
	for len(s.adhoc) > 0 {
		errs = append(errs, (<-s.adhoc).Close())
	}
	for _, w := range []*Writer{s.long, s.Exclusive, s.Main} {
		if w != nil {
			errs = append(errs, w.Close())
		}
	}
	s.long, s.Exclusive, s.Main = nil, nil, nil
	return errors.Join(errs...)
}

// Read lends f a reader. It waits for one; f must not keep it, and must be short
// or the readers run out.
func (s *Store) Read(f func(r *Reader) error) (err error) {
	r := <-s.readers
	if s.retired.Load() {
		s.readers <- r
		return errRetired
	}
	defer func() { s.readers <- r }()
	if r == nil {
		if r, err = openReader(s.Path, &s.version); err != nil {
			return fmt.Errorf("open a reader: %w", err)
		}
	}
	return f(r)
}

// Refresh reads again what is kept in memory: after opening, and after rows were
// written past putGroup.
func (s *Store) Refresh() error {
	lsn, start, err := s.Main.logPosition()
	if err != nil {
		return fmt.Errorf("read the log position of %s: %w", s.Path, err)
	}
	s.LSN.Store(lsn)
	s.StartLSN.Store(start)
	return s.refreshObjects()
}

// Published brings what is kept in memory up to a record that was committed. The caller holds mu, or the turn.
func (s *Store) Published(rec *Record) error {
	s.LSN.Store(rec.LSN)
	s.countRows(len(rec.Changes))
	if len(rec.Schema) > 0 {
		s.version.Add(1)
	}
	if slices.ContainsFunc(rec.Changes, func(c Change) bool { return c.Table == objectsTable }) {
		return s.refreshObjects()
	}
	return nil
}

// trimEvery is after how many commits the list of changes is trimmed: often
// enough to stay small, seldom enough to cost nothing.
const trimEvery = 256

// write makes the record's changes in the open transaction of w.
func (s *Store) write(w *Writer, rec *Record) error {
	for _, text := range rec.Schema {
		if err := w.Script(text); err != nil {
			return fmt.Errorf("change the schema: %w", err)
		}
	}
	if len(rec.Schema) > 0 {
		w.schemaChanged()
	}
	for _, c := range rec.Changes {
		if err := w.put(c); err != nil {
			return err
		}
	}
	return s.WriteLog(w, rec)
}

// Note makes the record's entry in the log, in the open transaction of w.
func (s *Store) WriteLog(w *Writer, rec *Record) error {
	if err := w.note(rec); err != nil {
		return err
	}
	if s.ships++; s.ships >= trimEvery && rec.Trim > s.StartLSN.Load() {
		s.ships = 0
		if err := w.trim(rec.Trim); err != nil {
			return fmt.Errorf("trim changes: %w", err)
		}
		s.StartLSN.Store(rec.Trim) // if the commit fails, more is kept than is told: harmless
	}
	return nil
}

// Shut closes the files of a partner that goes down. The caller holds the turn, and
// nobody reads.
func (s *Store) Shut() error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.close()
}

// errShut: the files of the database are closed, because its server is down.
var errShut = errors.New("the database is shut")

// errRetired: the database was dropped a moment ago.
var errRetired = errors.New("the database is gone")

// Retire closes the files for good, once everybody who reads has ended. The caller holds the turn.
func (s *Store) Retire() error {
	s.askMu.Lock()
	s.retired.Store(true)
	s.askMu.Unlock()
	s.asking.Wait()
	var idle []*Reader
	for range readerCount {
		idle = append(idle, <-s.readers)
	}
	for _, r := range idle {
		s.readers <- r
	}
	return s.Shut()
}

// asks counts an ad-hoc query; false: the store is retired.
func (s *Store) beginAdhoc() bool {
	s.askMu.Lock()
	defer s.askMu.Unlock()
	if s.retired.Load() {
		return false
	}
	s.asking.Add(1)
	return true
}

// Reopen is shut undone.
func (s *Store) Reopen() error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if err := s.open(); err != nil {
		return errors.Join(err, s.close())
	}
	return nil
}

// Apply makes a record of the principal durable here: what a mirror does. The caller
// holds mu.
func (s *Store) Apply(rec *Record) error {
	err := s.Main.InTransaction(func() error { return s.write(s.Main, rec) })
	if err == nil {
		err = s.Published(rec)
	}
	return err
}
