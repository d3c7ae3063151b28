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
func (p *instance) createDatabase(ctx context.Context, name string) (d *database, err error) {
	err = p.pair.verb(ctx, func(context.Context) error {
		switch {
		case name == "" || len([]rune(name)) > maxName:
			return message(103, 15, "The identifier that starts with '%.128s' is too long. Maximum length is %d.", name, maxName)
		case p.known(name):
			return message(1801, 16, "Database '%s' already exists. Choose a different database name.", name)
		}
		if _, err := p.openMaster(); err != nil {
			return err
		}
		id := int64(firstDatabaseID)
		for _, other := range p.sorted() {
			id = max(id, other.store.about.Load().id+1)
		}
		about := aboutDatabase{title: name, id: id, created: utcNow(), recovery: recoveryFull}
		if d, err = p.openDatabase(p.pair.folder.database(p.name, name), about); err != nil {
			return err
		}
		d.adopt()
		p.pair.tendFiles(d)
		p.log.Info("database created", "database", name)
		p.pair.events.tell("state", p.name, "database "+name+" created")
		return nil
	})
	return d, err
}

// dropDatabase removes a database and its files: DROP DATABASE. 3701: there is none; 3702: it is in
// use; 3743: it is mirrored. except is the session that asks.
func (p *instance) dropDatabase(ctx context.Context, name string, except *presence) error {
	return p.pair.verb(ctx, func(ctx context.Context) error {
		d := p.find(name)
		switch {
		case d == nil:
			return message(3701, 11, "Cannot drop the database '%s', because it does not exist or you do not have permission.", name)
		case d.isMirrored():
			return message(3743, 16, "The database '%s' is enabled for database mirroring. Database mirroring must be removed before you drop the database.", d.title)
		case p.sessions.inside(d, except):
			return message(3702, 16, `Cannot drop database "%s" because it is currently in use.`, d.title)
		}
		if _, err := p.openMaster(); err != nil {
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
func (p *database) adopt() {
	all := userDatabases{}
	for key, other := range *p.databases.Load() {
		all[key] = other
	}
	all[strings.ToLower(p.title)] = p
	p.pair.put(p.instance, p)
	p.databases.Store(&all)
}

// forget undoes adopt.
func (p *database) forget() {
	all := userDatabases{}
	for key, other := range *p.databases.Load() {
		if other != p {
			all[key] = other
		}
	}
	p.databases.Store(&all)
	p.pair.put(p.instance, nil)
}

// remove closes the files for good and deletes them. The caller holds the turn.
func (p *database) remove() error {
	if p.stopJournal != nil {
		p.stopJournal()
		<-p.journal
	}
	if err := p.store.retire(); err != nil {
		return err
	}
	return p.removeFiles()
}

// removeFiles deletes the files of a database that is closed.
func (p *database) removeFiles() error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(p.store.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
