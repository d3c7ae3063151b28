package embedded

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// The recovery models, as sys.databases names them. A mirrored database is FULL.
const (
	recoveryFull       = "FULL"
	recoverySimple     = "SIMPLE"
	recoveryBulkLogged = "BULK_LOGGED"
)

// aboutDatabase is what a database knows of itself, durably, beside its rows. It is
// replaced as a whole, never changed.
type aboutDatabase struct {
	title    string
	id       int64    // database_id on this server
	created  datetime // noDate: not known
	recovery string
	// restoring: RESTORING and not mirrored, as after RESTORE … WITH NORECOVERY or when mirroring was
	// removed from a mirror.
	restoring bool
}

// firstDatabase is the database that a pair begins with.
func firstDatabase(title string) aboutDatabase {
	return aboutDatabase{title: title, id: firstDatabaseID, created: noDate, recovery: recoveryFull}
}

// text writes it into the file of a database, in an open transaction.
func (a *aboutDatabase) text() string {
	return fmt.Sprintf("DELETE FROM partner_database; INSERT INTO partner_database VALUES (1, %s, %d, %s, %s, %d);",
		literal(a.title), a.id, literal(dateValue(a.created)), literal(a.recovery), boolInt(a.restoring))
}

// loadAbout reads it.
func loadAbout(c *conn) (a *aboutDatabase, err error) {
	one, err := c.prepare(`SELECT title, database_id, +created, recovery, restoring FROM partner_database`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.close()) }()
	v := make([]driver.Value, 5)
	found, err := one.row(v)
	if err == nil && !found {
		err = errors.New("the database's name is not in it")
	}
	if err != nil {
		return nil, err
	}
	s := scanner{v: v}
	a = &aboutDatabase{title: s.text(), id: s.int64(), created: s.date(), recovery: s.text(), restoring: s.int64() != 0}
	return a, s.err
}

// saveAbout makes it durable. The caller holds the turn.
func (s *store) saveAbout(a aboutDatabase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.main == nil {
		return errShut
	}
	if err := s.main.inTransaction(func() error { return s.main.script(a.text()) }); err != nil {
		return fmt.Errorf("save what %s is: %w", s.path, err)
	}
	s.about.Store(&a)
	return nil
}

// createdAt is when a database was created, as the catalogue shows it.
func (a *aboutDatabase) createdAt() string {
	if a.created.null() {
		return time.Unix(1546300800, 0).UTC().Format("2006-01-02 15:04:05.000")
	}
	return a.created.text()
}
