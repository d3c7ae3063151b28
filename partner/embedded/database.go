package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// database is one server's copy of a database: its file, its queue of writers, and its
// part in the mirroring session, if it is mirrored.
type database struct {
	*Partner                   // the server
	pair     *mirroringSession // the database as both servers have it
	title    string            // its name, as it was created
	store    *store

	// state is the durable state of mirroring, replaced by the holder of the turn. Its role is
	// roleNone in a database that is not mirrored.
	state atomic.Pointer[mirroring]
	// term counts how often the database was closed to its sessions here. One that
	// began in an earlier term is dead.
	term atomic.Int64

	turns turns

	// Owned by the holder of the turn.
	group        group
	mirror       *database     // ships here before each commit; nil: exposed, asynchronous, or not mirrored
	lease        *lease        // the explicit transaction that has the turn; also under leases
	beforeCommit func(*record) // for tests: the mirror has it, we have not

	acked atomic.Int64 // the last commit that the mirror has for sure

	// closed: a principal that must not open its database, whatever its role.
	closed atomic.Bool
	// gone: it was dropped.
	gone atomic.Bool

	leases   sync.Mutex
	changing int // role changes under way: no explicit transaction may begin; under leases

	stopJournal context.CancelFunc // nil: its journal is not tended
	journal     chan struct{}      // closed when tending has ended
}

// mirroringSession is a database as both servers have it, mirrored or not.
type mirroringSession struct {
	*Pair
	title   string
	copies  atomic.Pointer[[2]*database] // in the order of partners; nil where there is none
	link    sessionLink
	witness witness
}

// both are the copies on the two servers; nil where there is none.
func (p *mirroringSession) both() [2]*database {
	if c := p.copies.Load(); c != nil {
		return *c
	}
	return [2]*database{}
}

// put makes d the copy on the server; nil: there is none. The caller holds verbs.
func (p *mirroringSession) put(on *Partner, d *database) {
	both := p.both()
	both[on.index()] = d
	p.copies.Store(&both)
}

// mirrored tells whether the two copies are a principal and its mirror.
func (p *mirroringSession) mirrored() bool {
	both := p.both()
	return both[0].isMirrored() && both[1].isMirrored() && both[0].state.Load().guid == both[1].state.Load().guid
}

// isMirrored tells whether there is the database, and it has a role.
func (p *database) isMirrored() bool { return p != nil && p.state.Load().role != roleNone }

// other is the copy on the other server; nil if there is none.
func (p *database) other() *database { return p.pair.both()[1-p.index()] }

// serving is nil while the database is open here, and otherwise the refusal.
func (p *database) serving() error {
	switch m := p.state.Load(); {
	case p.gone.Load():
		return errNoDatabase(p.title)
	case m.role == roleMirror:
		switch face := p.planted.face(); face {
		case nil:
			return errMirror(p.title)
		case ReadableSecondary:
			return nil
		default:
			return face
		}
	case p.store.about.Load().restoring:
		return message(927, 14, "Database '%s' cannot be opened. It is in the middle of a restore.", p.title)
	case p.closed.Load():
		return errNoQuorum(p.title)
	}
	return nil
}

// userDatabases are the databases of a server, by name in lower case. It is never changed.
type userDatabases map[string]*database

// find is the server's database of that name; nil if there is none.
func (p *Partner) find(name string) *database {
	all := *p.databases.Load()
	if d := all[name]; d != nil {
		return d
	}
	return all[strings.ToLower(name)]
}

// sorted are the server's databases in the order of their ids.
func (p *Partner) sorted() []*database {
	var list []*database
	for _, d := range *p.databases.Load() {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *database) int { return int(a.store.about.Load().id - b.store.about.Load().id) })
	return list
}

// main is the database that Pair and Partner speak of where they name none: ASPState, or
// else the first mirrored one, or the first; nil if there is none.
func (p *Partner) main() *database {
	if d := p.find(DatabaseName); d != nil {
		return d
	}
	all := p.sorted()
	if i := slices.IndexFunc(all, (*database).isMirrored); i >= 0 {
		return all[i]
	}
	if len(all) > 0 {
		return all[0]
	}
	return nil
}

// main is the session of the database that Pair speaks of where it names none; nil if there is none.
func (p *Pair) main() *mirroringSession {
	for _, q := range p.partners {
		if q != nil {
			if d := q.main(); d != nil {
				return d.pair
			}
		}
	}
	return nil
}

// sessions are the databases of both servers.
func (p *Pair) sessions() []*mirroringSession {
	var all []*mirroringSession
	for _, q := range p.partners {
		for _, d := range q.sorted() {
			if !slices.Contains(all, d.pair) {
				all = append(all, d.pair)
			}
		}
	}
	return all
}

// firstDatabaseID is that of the first database that is not the system's.
const firstDatabaseID = 5

// maxName is the longest name of a database: sysname.
const maxName = 128

// createDatabase makes an empty database, which is not mirrored: CREATE DATABASE. 1801: there is
// one of that name; 103: the name is too long.
func (p *Partner) createDatabase(ctx context.Context, name string) (d *database, err error) {
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
func (p *Partner) dropDatabase(ctx context.Context, name string, except *session) error {
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
	for key, d := range *p.databases.Load() {
		all[key] = d
	}
	all[strings.ToLower(p.title)] = p
	p.pair.put(p.Partner, p)
	p.databases.Store(&all)
}

// forget undoes adopt.
func (p *database) forget() {
	all := userDatabases{}
	for key, d := range *p.databases.Load() {
		if d != p {
			all[key] = d
		}
	}
	p.databases.Store(&all)
	p.pair.put(p.Partner, nil)
}

// all are the server's databases, master among them if it is there.
func (p *Partner) all() []*database {
	list := p.sorted()
	if m := p.master.Load(); m != nil {
		list = append(list, m)
	}
	return list
}

// home is where what is of no database is asked, and computed.
func (p *Partner) home() *store {
	if m := p.master.Load(); m != nil {
		return m.store
	}
	return p.main().store
}

// openMaster has the server have a file for master: where the logins are kept, and what belongs to
// no database is computed. A server needs none while it has but ASPState. The caller holds verbs, or
// nobody else is there yet.
func (p *Partner) openMaster() (*database, error) {
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
func (p *Partner) openDatabase(path string, about aboutDatabase) (*database, error) {
	s, err := openStore(path, about)
	if err != nil {
		return nil, fmt.Errorf("partner %s: %w", p.name, err)
	}
	d := &database{Partner: p, title: s.about.Load().title, store: s}
	d.pair = p.pair.session(d.title)
	d.state.Store(&mirroring{})
	return d, nil
}

// session is the database of that name as both servers have it.
func (p *Pair) session(name string) *mirroringSession {
	for _, q := range p.partners {
		if q == nil {
			continue
		}
		if d := q.find(name); d != nil {
			return d.pair
		}
	}
	s := &mirroringSession{Pair: p, title: name}
	s.link.state.Store(int32(stateDisconnected))
	return s
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
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(p.store.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// openDatabases opens what is in the server's folder, and in a folder that is not for empty
// servers ASPState in any case.
func (p *Partner) openDatabases() error {
	files, err := filepath.Glob(filepath.Join(p.pair.folder.home(p.name), "*.db"))
	if err != nil {
		return fmt.Errorf("look for the databases of partner %s: %w", p.name, err)
	}
	standard := p.pair.folder.database(p.name, DatabaseName)
	if !p.pair.folder.empty && !slices.Contains(files, standard) {
		files = append(files, standard)
	}
	for _, path := range files {
		if path == p.pair.folder.database(p.name, masterName) {
			continue
		}
		d, err := p.openDatabase(path, standardDatabase())
		if err != nil {
			return err
		}
		d.adopt()
	}
	if p.pair.folder.empty || slices.Contains(files, p.pair.folder.database(p.name, masterName)) {
		_, err = p.openMaster()
	}
	return err
}

// journals tends the journals of databases while Run runs.
type journals struct {
	mu      sync.Mutex
	ctx     context.Context // nil before Run, and after
	running sync.WaitGroup
	one     sync.Mutex // held by the one that moves
}

// tendFiles has the database's journal moved from now on; before Run it does nothing, which
// does it for every database there is.
func (p *Pair) tendFiles(d *database) {
	p.journals.mu.Lock()
	defer p.journals.mu.Unlock()
	if p.journals.ctx == nil {
		return
	}
	var ctx context.Context
	ctx, d.stopJournal = context.WithCancel(p.journals.ctx)
	d.journal = make(chan struct{})
	p.journals.running.Go(func() {
		defer close(d.journal)
		if err := d.store.tendJournal(ctx, &p.journals.one, d.log); err != nil {
			d.log.Warn("write-ahead log not tended", "file", d.store.path, "error", err)
		}
	})
}

// tendAllFiles begins for all databases; end stops and waits.
func (p *Pair) tendAllFiles(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	p.journals.mu.Lock()
	p.journals.ctx = ctx
	p.journals.mu.Unlock()
	for _, q := range p.partners {
		for _, d := range q.all() {
			p.tendFiles(d)
		}
	}
	return func() {
		p.journals.mu.Lock()
		p.journals.ctx = nil
		p.journals.mu.Unlock()
		stop()
		p.journals.running.Wait()
	}
}

// createdAt is when a database was created, as the catalogue shows it.
func (a *aboutDatabase) createdAt() string {
	if a.created.null() {
		return time.Unix(1546300800, 0).UTC().Format("2006-01-02 15:04:05.000")
	}
	return a.created.text()
}
