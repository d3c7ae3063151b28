package mirror

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlvalue"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
)

// openDatabases opens the databases in the server's folder. It always opens the pair's first database, unless the
// folder is for servers without databases.
func (i *Instance) openDatabases() error {
	files, err := filepath.Glob(filepath.Join(i.Pair.Folder.Home(i.Letter), "*.db"))
	if err != nil {
		return fmt.Errorf("list the databases of partner %s: %w", i.Letter, err)
	}
	first := i.Pair.Folder.first(i.Letter)
	if !i.Pair.Folder.empty && !slices.Contains(files, first) {
		files = append(files, first)
	}
	for _, path := range files {
		if path == i.Pair.Folder.Database(i.Letter, MasterName) {
			continue
		}
		about := storage.FirstDatabase(i.Pair.Folder.title)
		if path != first || i.Pair.Folder.empty {
			about = storage.Description{Recovery: storage.RecoveryFull} // the file holds its own description
		}
		d, err := i.OpenDatabase(path, about)
		if err != nil {
			return err
		}
		if d.Title == "" { // CREATE DATABASE was interrupted at this point
			if err := errors.Join(d.Store.Shut(), d.removeFiles()); err != nil {
				return err
			}
			continue
		}
		d.Register()
	}
	if i.Pair.Folder.empty || slices.Contains(files, i.Pair.Folder.Database(i.Letter, MasterName)) {
		_, err = i.OpenMaster()
	}
	return err
}

// OpenMaster opens the file of master, and creates it if necessary. The file stores the logins, and expressions without
// a database are computed in it. A server with only the pair's first database needs no file. The caller holds verbs, or
// nobody else uses the pair yet.
func (i *Instance) OpenMaster() (*Database, error) {
	if m := i.Master.Load(); m != nil {
		return m, nil
	}
	m, err := i.OpenDatabase(i.Pair.Folder.Database(i.Letter, MasterName), storage.Description{Title: MasterName, ID: 1, Created: sqlvalue.NoDate, Recovery: storage.RecoverySimple})
	if err != nil {
		return nil, err
	}
	i.Pair.StartCheckpoints(m)
	i.Master.Store(m)
	return m, nil
}

// OpenDatabase opens the file, or creates the one that about describes. The database is not registered yet.
func (i *Instance) OpenDatabase(path string, about storage.Description) (*Database, error) {
	s, err := storage.OpenStore(path, about)
	if err != nil {
		return nil, fmt.Errorf("partner %s: %w", i.Letter, err)
	}
	d := &Database{Instance: i, Title: s.About.Load().Title, Store: s, long: make(chan struct{}, 1)}
	d.Mirroring = i.Pair.session(d.Title)
	d.State.Store(&storage.Mirroring{})
	return d, nil
}
