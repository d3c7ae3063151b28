package storage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// ReadAdhoc runs f with a reader for ad-hoc queries, which may take long; procedure calls have other readers.
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
		default: // enough idle readers are kept
			_ = r.Close()
		}
	}()
	return f(r)
}

// readerCount is the number of connections of a partner that read in parallel with its writer.
const readerCount = 4

// Record is the changes of one commit: the unit that is mirrored.
type Record struct {
	LSN     int64
	Changes []Change
	Schema  []string // SQLite statements that change the schema, to run before the changes
	// Trim is a commit: both partners have it and all commits before it, so their lists of changes no longer need
	// these.
	Trim int64
}

// Store is the SQLite database of one partner. Readers read the committed state in parallel with the writer. A writer
// holds Mu.
type Store struct {
	Path string

	Mu        sync.Mutex
	Main      *Writer // for the groups of procedure calls, and for records of the principal
	Exclusive *Writer // for ad-hoc statements and explicit transactions
	long      *Writer // for long calls; nil: not opened yet
	ships     int     // commits since the list of changes was last trimmed
	unmoved   int     // rows written since CheckpointLoop was last woken

	readers chan *Reader
	adhoc   chan *Reader // idle readers for ad-hoc queries

	full chan struct{} // wakes CheckpointLoop

	LSN      atomic.Int64 // the last commit
	StartLSN atomic.Int64 // the list of changes has all commits after this one
	Objects  atomic.Pointer[Snapshot]
	version  atomic.Int64 // version of the schema, for the prepared statements of connections
	About    atomic.Pointer[Description]

	retired atomic.Bool    // the files will be closed: no reader may begin
	asking  sync.WaitGroup // running ad-hoc queries; guarded by askMu, with retired
	askMu   sync.Mutex
}

// OpenStore opens a database's file, or creates the one that about describes.
func OpenStore(path string, about Description) (s *Store, err error) {
	s = &Store{Path: path, readers: make(chan *Reader, readerCount), adhoc: make(chan *Reader, readerCount), full: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			_ = s.close() // return the first error
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
		s.readers <- nil // opened when first needed
	}
	about, err := loadAbout(s.Main.Conn)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	s.About.Store(about)
	return s.Refresh()
}

// prepareFile sets the journal mode and creates the tables of a new database.
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
	return fmt.Errorf("the data has format %d, written by %s version of mirrorstate; this version reads format %d only. Use another folder, which will be empty, or run that version on this folder until its sessions have ended",
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

// Long returns the connection for long calls. Its temporary tables stay while others write. The caller holds the turn.
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

// openReader opens a connection for reading.
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

// close closes every connection. No goroutine may be using the store.
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

// Read runs f with a reader, and waits for a free one. f must not keep the reader, and must be short, because the
// number of readers is fixed.
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

// Refresh reads the cached values again: after opening, and after rows were written without put.
func (s *Store) Refresh() error {
	lsn, start, err := s.Main.logPosition()
	if err != nil {
		return fmt.Errorf("read the log position of %s: %w", s.Path, err)
	}
	s.LSN.Store(lsn)
	s.StartLSN.Store(start)
	return s.refreshObjects()
}

// Published updates the cached values to a committed record. The caller holds Mu, or the turn.
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

// trimEvery is the number of commits between two trims of the list of changes: small enough to keep the list short,
// large enough to cost little.
const trimEvery = 256

// write writes the record's changes in the open transaction of w.
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

// WriteLog writes the record's log entry in the open transaction of w.
func (s *Store) WriteLog(w *Writer, rec *Record) error {
	if err := w.note(rec); err != nil {
		return err
	}
	if s.ships++; s.ships >= trimEvery && rec.Trim > s.StartLSN.Load() {
		s.ships = 0
		if err := w.trim(rec.Trim); err != nil {
			return fmt.Errorf("trim changes: %w", err)
		}
		s.StartLSN.Store(rec.Trim) // if the commit fails, the list has more commits than StartLSN says, which is harmless
	}
	return nil
}

// Shut closes the files of a partner that goes down. The caller holds the turn, and no reader is active.
func (s *Store) Shut() error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.close()
}

// errShut means that the server is down, so that the database's files are closed.
var errShut = errors.New("the database is closed")

// errRetired means that the database was dropped a moment ago.
var errRetired = errors.New("the database was dropped")

// Retire waits until all readers have ended and closes the files for good. The caller holds the turn.
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

// beginAdhoc counts an ad-hoc query; false: the store is retired.
func (s *Store) beginAdhoc() bool {
	s.askMu.Lock()
	defer s.askMu.Unlock()
	if s.retired.Load() {
		return false
	}
	s.asking.Add(1)
	return true
}

// Reopen opens the files again after Shut.
func (s *Store) Reopen() error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if err := s.open(); err != nil {
		return errors.Join(err, s.close())
	}
	return nil
}

// Apply writes a record of the principal durably into a mirror. The caller holds Mu.
func (s *Store) Apply(rec *Record) error {
	err := s.Main.InTransaction(func() error { return s.write(s.Main, rec) })
	if err == nil {
		err = s.Published(rec)
	}
	return err
}
