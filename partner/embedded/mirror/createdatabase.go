package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// maxName is the longest name of a database in characters: sysname.
const maxName = 128

// CreateDatabase creates an empty database, which is not mirrored: CREATE DATABASE. 1801: a database
// of that name exists; 103: the name is too long.
func (i *Instance) CreateDatabase(ctx context.Context, name string) (d *Database, err error) {
	err = i.Pair.Verb(ctx, func(context.Context) error {
		switch {
		case name == "" || len([]rune(name)) > maxName:
			return sqlerror.New(103, 15, "The identifier that starts with '%.128s' is too long. Maximum length is %d.", name, maxName)
		case i.Known(name):
			return sqlerror.New(1801, 16, "Database '%s' already exists. Choose a different database name.", name)
		}
		if _, err := i.OpenMaster(); err != nil {
			return err
		}
		id := int64(storage.FirstDatabaseID)
		for _, other := range i.Sorted() {
			id = max(id, other.Store.About.Load().ID+1)
		}
		about := storage.Description{Title: name, ID: id, Created: sqlvalue.UtcNow(), Recovery: storage.RecoveryFull}
		if d, err = i.OpenDatabase(i.Pair.Folder.Database(i.Letter, name), about); err != nil {
			return err
		}
		d.Register()
		i.Pair.StartCheckpoints(d)
		i.Log.Info("database created", "database", name)
		i.Pair.events.publish("state", i.Letter, "database "+name+" created")
		return nil
	})
	return d, err
}

// DropDatabase removes a database and its files: DROP DATABASE. 3701: it does not exist; 3702: it is
// in use; 3743: it is mirrored. except is the session that runs the statement.
func (i *Instance) DropDatabase(ctx context.Context, name string, except *ClientSession) error {
	return i.Pair.Verb(ctx, func(ctx context.Context) error {
		d := i.Find(name)
		switch {
		case d == nil:
			return sqlerror.New(3701, 11, "Cannot drop the database '%s', because it does not exist or you do not have permission.", name)
		case d.IsMirrored():
			return sqlerror.New(3743, 16, "The database '%s' is enabled for database mirroring. Database mirroring must be removed before you drop the database.", d.Title)
		case i.Sessions.Inside(d, except):
			return sqlerror.New(3702, 16, `Cannot drop database "%s" because it is currently in use.`, d.Title)
		}
		if _, err := i.OpenMaster(); err != nil {
			return err
		}
		return d.Alone(ctx, true, func() error {
			d.Gone.Store(true)
			d.Term.Add(1)
			d.Unregister()
			return d.Remove()
		})
	})
}

// Register adds the database to the server's databases. The caller holds verbs, or nobody else uses
// the pair yet.
func (d *Database) Register() {
	all := userDatabases{}
	for key, other := range *d.Instance.databases.Load() {
		all[key] = other
	}
	all[strings.ToLower(d.Title)] = d
	d.Mirroring.setCopy(d.Instance, d)
	d.Instance.databases.Store(&all)
}

// Unregister undoes Register.
func (d *Database) Unregister() {
	all := userDatabases{}
	for key, other := range *d.Instance.databases.Load() {
		if other != d {
			all[key] = other
		}
	}
	d.Instance.databases.Store(&all)
	d.Mirroring.setCopy(d.Instance, nil)
}

// Remove closes the database's files for good and deletes them. The caller holds the turn.
func (d *Database) Remove() error {
	if d.stopJournal != nil {
		d.stopJournal()
		<-d.journal
	}
	if err := d.Store.Retire(); err != nil {
		return err
	}
	return d.removeFiles()
}

// removeFiles deletes the files of a closed database.
func (d *Database) removeFiles() error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(d.Store.Path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// NextID returns the database_id of the next new database.
func (i *Instance) NextID() int64 {
	id := int64(storage.FirstDatabaseID)
	for _, other := range i.Sorted() {
		id = max(id, other.Store.About.Load().ID+1)
	}
	return id
}
