package storage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// The recovery models, as sys.databases names them. A mirrored database is FULL.
const (
	RecoveryFull       = "FULL"
	RecoverySimple     = "SIMPLE"
	RecoveryBulkLogged = "BULK_LOGGED"
)

// AboutDatabase is what a database knows of itself, durably, beside its rows. It is
// replaced as a whole, never changed.
type Description struct {
	Title    string
	ID       int64             // database_id on this server
	Created  sqlvalue.Datetime // noDate: not known
	Recovery string
	// restoring: RESTORING and not mirrored, as after RESTORE … WITH NORECOVERY or when mirroring was
	// removed from a mirror.
	Restoring bool
}

// FirstDatabase is the database that a pair begins with.
func FirstDatabase(title string) Description {
	return Description{Title: title, ID: FirstDatabaseID, Created: sqlvalue.NoDate, Recovery: RecoveryFull}
}

// Text writes it into the file of a database, in an open transaction.
func (a *Description) Text() string {
	return fmt.Sprintf("DELETE FROM partner_database; INSERT INTO partner_database VALUES (1, %s, %d, %s, %s, %d);",
		sqlvalue.Literal(a.Title), a.ID, sqlvalue.Literal(DateValue(a.Created)), sqlvalue.Literal(a.Recovery), sqlvalue.BoolInt(a.Restoring))
}

// loadAbout reads it.
func loadAbout(c *Conn) (a *Description, err error) {
	one, err := c.Prepare(`SELECT title, database_id, +created, recovery, restoring FROM partner_database`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	v := make([]driver.Value, 5)
	found, err := one.Row(v)
	if err == nil && !found {
		err = errors.New("the database's name is not in it")
	}
	if err != nil {
		return nil, err
	}
	s := Scanner{V: v}
	a = &Description{Title: s.Text(), ID: s.Int64(), Created: s.date(), Recovery: s.Text(), Restoring: s.Int64() != 0}
	return a, s.Err
}

// SaveAbout makes it durable. The caller holds the turn.
func (s *Store) SaveAbout(a Description) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if s.Main == nil {
		return errShut
	}
	if err := s.Main.InTransaction(func() error { return s.Main.Script(a.Text()) }); err != nil {
		return fmt.Errorf("save what %s is: %w", s.Path, err)
	}
	s.About.Store(&a)
	return nil
}

// CreatedAt is when a database was created, as the catalogue shows it.
func (a *Description) CreatedAt() string {
	if a.Created.Null() {
		return time.Unix(1546300800, 0).UTC().Format("2006-01-02 15:04:05.000")
	}
	return a.Created.Text()
}

// FirstDatabaseID is that of the first database that is not the system's.
const FirstDatabaseID = 5
