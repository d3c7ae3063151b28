package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"modernc.org/sqlite"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// Conn is one SQLite connection, used by one goroutine at a time. It uses the driver directly, because database/sql
// would cost more than the statements do.
type Conn struct {
	c driver.Conn
}

// OpenConn opens the file with the settings that every connection needs.
func OpenConn(path string) (*Conn, error) {
	// A connector opens connections with the functions that package tsql has registered.
	connector, err := sqlite.NewConnector(fmt.Sprintf("file:%s?_pragma=busy_timeout(10000)&_pragma=synchronous(1)&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(%d)",
		uriPath(path), journalBackstop))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Conn{c: c}, nil
}

// uriPath escapes the characters with a meaning in a file: URI.
func uriPath(path string) string {
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		switch c := path[i]; c {
		case '%', '?', '#':
			out = fmt.Appendf(out, "%%%02X", c)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// Close closes the connection.
func (c *Conn) Close() error { return c.c.Close() }

// Script runs statements without parameters.
func (c *Conn) Script(text string) error {
	_, err := c.c.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// Prepare prepares a statement that stays open as long as the connection.
func (c *Conn) Prepare(text string) (*statement, error) {
	written, order := positional(text)
	s, err := c.c.Prepare(written)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, err)
	}
	return &statement{s: s, e: s.(driver.StmtExecContext), q: s.(driver.StmtQueryContext), order: order}, nil
}

// prepareAll prepares each text and stores the statement at its key.
func (c *Conn) prepareAll(texts map[**statement]string) error {
	for place, text := range texts {
		s, err := c.Prepare(text)
		if err != nil {
			return err
		}
		*place = s
	}
	return nil
}

// statement is a prepared statement. Its argument slice is reused.
type statement struct {
	s       driver.Stmt
	e       driver.StmtExecContext
	q       driver.StmtQueryContext
	order   []int // the argument of each parameter; nil: in the order of the text
	args    []driver.NamedValue
	scanned []driver.Value // a row of [statement.Each]; reused
	names   []string       // the names of its columns, after [statement.Each] has run it
}

// Close closes the statement.
func (s *statement) Close() error { return s.s.Close() }

func (s *statement) bind(args []driver.Value) []driver.NamedValue {
	s.args = s.args[:0]
	if s.order != nil {
		for i, at := range s.order[:s.given(len(args))] {
			s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: args[at]})
		}
		return s.args
	}
	for i, a := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s.args
}

// arranged returns the arguments in the order in which the statement takes them.
func (s *statement) arranged(args []driver.NamedValue) []driver.NamedValue {
	if s.order == nil {
		return args
	}
	s.args = s.args[:0]
	for i, at := range s.order[:s.given(len(args))] {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: args[at].Value})
	}
	return s.args
}

// given returns the number of parameters before the first one without an argument, if there are args arguments. The
// driver does not run a statement with a missing argument.
func (s *statement) given(args int) int {
	for i, at := range s.order {
		if at >= args {
			return i
		}
	}
	return len(s.order)
}

// Run runs the statement, without reading rows.
func (s *statement) Run(args []driver.NamedValue) (driver.Result, error) {
	r, err := s.e.ExecContext(context.Background(), s.arranged(args))
	clear(s.args)
	return r, err
}

// Ask runs a query.
func (s *statement) Ask(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	r, err := s.q.QueryContext(ctx, s.arranged(args))
	clear(s.args)
	return r, err
}

// Exec runs the statement and returns the number of rows that it changed.
func (s *statement) Exec(args ...driver.Value) (int64, error) {
	r, err := s.e.ExecContext(context.Background(), s.bind(args))
	clear(s.args) // so that the statement does not keep an item in memory
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Row reads the first row into dst; found is false if there is no row.
func (s *statement) Row(dst []driver.Value, args ...driver.Value) (found bool, err error) {
	err = s.Rows(dst, func() bool { found = true; return false }, args...)
	return found, err
}

// Rows reads each row into dst and calls each, until each returns false.
func (s *statement) Rows(dst []driver.Value, each func() bool, args ...driver.Value) (err error) {
	r, err := s.q.QueryContext(context.Background(), s.bind(args))
	clear(s.args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }() // also if each panics
	for {
		if err = r.Next(dst); err != nil {
			break
		}
		if !each() {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// All runs a query and returns its rows, each in its own slice.
func (s *statement) All(args []driver.NamedValue) (rows [][]driver.Value, err error) {
	var block []driver.Value
	err = s.Each(args, func(row []driver.Value) error {
		if len(block) < len(row) {
			block = make([]driver.Value, len(row)*max(1, min(len(rows), 64)))
		}
		rows = append(rows, block[:len(row):len(row)])
		copy(block, row)
		block = block[len(row):]
		return nil
	})
	return rows, err
}

// Each runs a query and calls take with each row, until take fails. The row is valid until take returns, and take must
// not use the statement.
func (s *statement) Each(args []driver.NamedValue, take func(row []driver.Value) error) (err error) {
	r, err := s.Ask(context.Background(), args)
	if err != nil {
		return err
	}
	if s.scanned == nil {
		s.names = r.Columns()
		s.scanned = make([]driver.Value, len(s.names))
	}
	row := s.scanned
	defer func() { // also if take panics: an open statement would keep the connection's transaction open
		clear(row)
		if closed := r.Close(); closed != nil {
			err = errors.Join(err, closed)
		}
	}()
	for {
		if err = r.Next(row); err != nil {
			break
		}
		KeepEmpty(row)
		for i, v := range row {
			if t, ok := v.(time.Time); ok {
				row[i] = sqlvalue.Stored(t)
			}
		}
		if err = take(row); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// Names returns the names of the columns, after [statement.Each] has run the statement.
func (s *statement) Names() []string { return s.names }
