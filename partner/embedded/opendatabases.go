package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// openDatabases opens what is in the server's folder, and in a folder that is not for empty
// servers the database that a pair begins with in any case.
func (p *instance) openDatabases() error {
	files, err := filepath.Glob(filepath.Join(p.pair.folder.home(p.name), "*.db"))
	if err != nil {
		return fmt.Errorf("look for the databases of partner %s: %w", p.name, err)
	}
	first := p.pair.folder.first(p.name)
	if !p.pair.folder.empty && !slices.Contains(files, first) {
		files = append(files, first)
	}
	for _, path := range files {
		if path == p.pair.folder.database(p.name, masterName) {
			continue
		}
		about := firstDatabase(p.pair.folder.title)
		if path != first || p.pair.folder.empty {
			about = aboutDatabase{recovery: recoveryFull} // it says itself what it is
		}
		d, err := p.openDatabase(path, about)
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
	if p.pair.folder.empty || slices.Contains(files, p.pair.folder.database(p.name, masterName)) {
		_, err = p.openMaster()
	}
	return err
}

// openMaster has the server have a file for master: where the logins are kept, and what belongs to
// no database is computed. A server needs none while it has but the one that a pair begins with. The caller holds verbs, or
// nobody else is there yet.
func (p *instance) openMaster() (*database, error) {
	if m := p.master.Load(); m != nil {
		return m, nil
	}
	m, err := p.openDatabase(p.pair.folder.database(p.name, masterName), aboutDatabase{title: masterName, id: 1, created: noDate, recovery: recoverySimple})
	if err != nil {
		return nil, err
	}
	p.pair.tendFiles(m)
	p.master.Store(m)
	return m, nil
}

// openDatabase opens the file, or makes one that about describes. Nobody knows of it yet.
func (p *instance) openDatabase(path string, about aboutDatabase) (*database, error) {
	s, err := openStore(path, about)
	if err != nil {
		return nil, fmt.Errorf("partner %s: %w", p.name, err)
	}
	d := &database{instance: p, title: s.about.Load().title, store: s, long: make(chan struct{}, 1)}
	d.pair = p.pair.session(d.title)
	d.state.Store(&mirroring{})
	return d, nil
}
