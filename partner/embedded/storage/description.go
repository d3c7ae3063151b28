package storage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
)

// The recovery models, as named by sys.databases. A mirrored database is FULL.
const (
	RecoveryFull       = "FULL"
	RecoverySimple     = "SIMPLE"
	RecoveryBulkLogged = "BULK_LOGGED"
)

// Description is the durable description of a database, stored beside its rows. It is replaced as a
// whole, never changed.
type Description struct {
	Title    string
	ID       int64             // database_id on this server
	Created  sqlvalue.Datetime // sqlvalue.NoDate: unknown
	Recovery string
	// Restoring is true if the database is RESTORING and not mirrored, for example after RESTORE … WITH NORECOVERY, or
	// after mirroring was removed from a mirror.
	Restoring bool
}

// FirstDatabase returns the description of a pair's first database.
func FirstDatabase(title string) Description {
	return Description{Title: title, ID: FirstDatabaseID, Created: sqlvalue.NoDate, Recovery: RecoveryFull}
}

// Text returns the SQLite statements that write the description into the file of the database, in an
// open transaction.
func (a *Description) Text() string {
	return fmt.Sprintf("DELETE FROM partner_database; INSERT INTO partner_database VALUES (1, %s, %d, %s, %s, %d);",
		sqlvalue.Literal(a.Title), a.ID, sqlvalue.Literal(DateValue(a.Created)), sqlvalue.Literal(a.Recovery), sqlvalue.BoolInt(a.Restoring))
}

// loadAbout reads the description.
func loadAbout(c *Conn) (a *Description, err error) {
	one, err := c.Prepare(`SELECT title, database_id, +created, recovery, restoring FROM partner_database`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	v := make([]driver.Value, 5)
	found, err := one.Row(v)
	if err == nil && !found {
		err = errors.New("the file has no database description")
	}
	if err != nil {
		return nil, err
	}
	s := Scanner{V: v}
	a = &Description{Title: s.Text(), ID: s.Int64(), Created: s.date(), Recovery: s.Text(), Restoring: s.Int64() != 0}
	return a, s.Err
}

// SaveAbout stores the description durably. The caller holds the turn.
func (s *Store) SaveAbout(a Description) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if s.Main == nil {
		return errShut
	}
	if err := s.Main.InTransaction(func() error { return s.Main.Script(a.Text()) }); err != nil {
		return fmt.Errorf("save the description of %s: %w", s.Path, err)
	}
	s.About.Store(&a)
	return nil
}

// CreatedAt returns when the database was created, as the catalogue shows it.
func (a *Description) CreatedAt() string {
	if a.Created.Null() {
		return time.Unix(1546300800, 0).UTC().Format("2006-01-02 15:04:05.000")
	}
	return a.Created.Text()
}

// FirstDatabaseID is the database_id of the first user database.
const FirstDatabaseID = 5
