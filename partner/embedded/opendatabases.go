package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// openDatabases opens what is in the server's folder, and in a folder that is not for empty
// servers the database that a pair begins with in any case.
func (i *instance) openDatabases() error {
	files, err := filepath.Glob(filepath.Join(i.pair.folder.home(i.name), "*.db"))
	if err != nil {
		return fmt.Errorf("look for the databases of partner %s: %w", i.name, err)
	}
	first := i.pair.folder.first(i.name)
	if !i.pair.folder.empty && !slices.Contains(files, first) {
		files = append(files, first)
	}
	for _, path := range files {
		if path == i.pair.folder.database(i.name, masterName) {
			continue
		}
		about := firstDatabase(i.pair.folder.title)
		if path != first || i.pair.folder.empty {
			about = aboutDatabase{recovery: recoveryFull} // it says itself what it is
		}
		d, err := i.openDatabase(path, about)
		if err != nil {
			return err
		}
		if d.title == "" { // CREATE DATABASE had come no further
			if err := errors.Join(d.store.shut(), d.removeFiles()); err != nil {
				return err
			}
			continue
		}
		d.adopt()
	}
	if i.pair.folder.empty || slices.Contains(files, i.pair.folder.database(i.name, masterName)) {
		_, err = i.openMaster()
	}
	return err
}

// openMaster has the server have a file for master: where the logins are kept, and what belongs to
// no database is computed. A server needs none while it has but the one that a pair begins with. The caller holds verbs, or
// nobody else is there yet.
func (i *instance) openMaster() (*database, error) {
	if m := i.master.Load(); m != nil {
		return m, nil
	}
	m, err := i.openDatabase(i.pair.folder.database(i.name, masterName), aboutDatabase{title: masterName, id: 1, created: noDate, recovery: recoverySimple})
	if err != nil {
		return nil, err
	}
	i.pair.tendFiles(m)
	i.master.Store(m)
	return m, nil
}

// openDatabase opens the file, or makes one that about describes. Nobody knows of it yet.
func (i *instance) openDatabase(path string, about aboutDatabase) (*database, error) {
	s, err := openStore(path, about)
	if err != nil {
		return nil, fmt.Errorf("partner %s: %w", i.name, err)
	}
	d := &database{instance: i, title: s.about.Load().title, store: s, long: make(chan struct{}, 1)}
	d.mirroring = i.pair.session(d.title)
	d.state.Store(&mirroring{})
	return d, nil
}
