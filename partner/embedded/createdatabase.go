package embedded

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// firstDatabaseID is that of the first database that is not the system's.
const firstDatabaseID = 5

// maxName is the longest name of a database: sysname.
const maxName = 128

// createDatabase makes an empty database, which is not mirrored: CREATE DATABASE. 1801: there is
// one of that name; 103: the name is too long.
func (i *instance) createDatabase(ctx context.Context, name string) (d *database, err error) {
	err = i.pair.verb(ctx, func(context.Context) error {
		switch {
		case name == "" || len([]rune(name)) > maxName:
			return message(103, 15, "The identifier that starts with '%.128s' is too long. Maximum length is %d.", name, maxName)
		case i.known(name):
			return message(1801, 16, "Database '%s' already exists. Choose a different database name.", name)
		}
		if _, err := i.openMaster(); err != nil {
			return err
		}
		id := int64(firstDatabaseID)
		for _, other := range i.sorted() {
			id = max(id, other.store.about.Load().id+1)
		}
		about := aboutDatabase{title: name, id: id, created: utcNow(), recovery: recoveryFull}
		if d, err = i.openDatabase(i.pair.folder.database(i.name, name), about); err != nil {
			return err
		}
		d.adopt()
		i.pair.tendFiles(d)
		i.log.Info("database created", "database", name)
		i.pair.events.tell("state", i.name, "database "+name+" created")
		return nil
	})
	return d, err
}

// dropDatabase removes a database and its files: DROP DATABASE. 3701: there is none; 3702: it is in
// use; 3743: it is mirrored. except is the session that asks.
func (i *instance) dropDatabase(ctx context.Context, name string, except *presence) error {
	return i.pair.verb(ctx, func(ctx context.Context) error {
		d := i.find(name)
		switch {
		case d == nil:
			return message(3701, 11, "Cannot drop the database '%s', because it does not exist or you do not have permission.", name)
		case d.isMirrored():
			return message(3743, 16, "The database '%s' is enabled for database mirroring. Database mirroring must be removed before you drop the database.", d.title)
		case i.sessions.inside(d, except):
			return message(3702, 16, `Cannot drop database "%s" because it is currently in use.`, d.title)
		}
		if _, err := i.openMaster(); err != nil {
			return err
		}
		return d.alone(ctx, true, func() error {
			d.gone.Store(true)
			d.term.Add(1)
			d.forget()
			return d.remove()
		})
	})
}

// adopt makes the database one of the server's. The caller holds verbs, or nobody else is there yet.
func (d *database) adopt() {
	all := userDatabases{}
	for key, other := range *d.instance.databases.Load() {
		all[key] = other
	}
	all[strings.ToLower(d.title)] = d
	d.mirroring.put(d.instance, d)
	d.instance.databases.Store(&all)
}

// forget undoes adopt.
func (d *database) forget() {
	all := userDatabases{}
	for key, other := range *d.instance.databases.Load() {
		if other != d {
			all[key] = other
		}
	}
	d.instance.databases.Store(&all)
	d.mirroring.put(d.instance, nil)
}

// remove closes the files for good and deletes them. The caller holds the turn.
func (d *database) remove() error {
	if d.stopJournal != nil {
		d.stopJournal()
		<-d.journal
	}
	if err := d.store.retire(); err != nil {
		return err
	}
	return d.removeFiles()
}

// removeFiles deletes the files of a database that is closed.
func (d *database) removeFiles() error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(d.store.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
