package embedded

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// database is one server's copy of a database: its file, its queue of writers, and its
// part in the mirroring session, if it is mirrored.
type database struct {
	instance  *instance         // the server
	mirroring *mirroringSession // the database as both servers have it
	title     string            // its name, as it was created
	store     *store

	// state is the durable state of mirroring, replaced by the holder of the turn. Its role is
	// roleNone in a database that is not mirrored.
	state atomic.Pointer[mirroring]
	// term counts how often the database was closed to its sessions here. One that
	// began in an earlier term is dead.
	term atomic.Int64

	turns turns
	long  chan struct{} // held by the call that takes long

	// Owned by the holder of the turn.
	mirror       *database     // ships here before each commit; nil: exposed, asynchronous, or not mirrored
	lease        *lease        // the explicit transaction that has the turn; also under leases
	beforeCommit func(*record) // for tests: the mirror has it, we have not
	tight        bool          // the last record found no room
	owesReign    bool          // the next commit begins a reign of its own

	acked atomic.Int64 // the last commit that the mirror has for sure

	// closed: a principal that must not open its database, whatever its role.
	closed atomic.Bool
	// closing is why it was closed to its sessions last; nil: it was not.
	closing atomic.Pointer[tds.Error]
	// gone: it was dropped.
	gone atomic.Bool

	leases   sync.Mutex
	changing int // role changes under way: no explicit transaction may begin; under leases

	stopJournal context.CancelFunc // nil: its journal is not tended
	journal     chan struct{}      // closed when tending has ended
}

// mirroringSession is a database as both servers have it, mirrored or not.
type mirroringSession struct {
	pair    *pair
	title   string
	copies  atomic.Pointer[[2]*database] // in the order of partners; nil where there is none
	link    sessionLink
	witness witness
}

// both are the copies on the two servers; nil where there is none.
func (s *mirroringSession) both() [2]*database {
	if c := s.copies.Load(); c != nil {
		return *c
	}
	return [2]*database{}
}

// put makes d the copy on the server; nil: there is none. The caller holds verbs.
func (s *mirroringSession) put(on *instance, d *database) {
	both := s.both()
	both[on.index()] = d
	s.copies.Store(&both)
}

// mirrored tells whether the two copies are a principal and its mirror.
func (s *mirroringSession) mirrored() bool {
	both := s.both()
	return both[0].isMirrored() && both[1].isMirrored() && both[0].state.Load().guid == both[1].state.Load().guid
}

// isMirrored tells whether there is the database, and it has a role.
func (d *database) isMirrored() bool { return d != nil && d.state.Load().role != roleNone }

// other is the copy on the other server; nil if there is none.
func (d *database) other() *database { return d.mirroring.both()[1-d.instance.index()] }

// serving is nil while the database is open here, and otherwise the refusal.
func (d *database) serving() error {
	switch m := d.state.Load(); {
	case d.gone.Load():
		return errNoDatabase(d.title)
	case m.role == roleMirror:
		switch f := d.instance.face.Load(); {
		case f == nil:
			return errMirror(d.title)
		case f.err == ReadableSecondary:
			return nil
		default:
			return f.err
		}
	case d.store.about.Load().restoring:
		return message(927, 14, "Database '%s' cannot be opened. It is in the middle of a restore.", d.title)
	case d.closed.Load():
		return errNoQuorum(d.title)
	}
	return nil
}

// killed ends a session that the database was closed to while it was at work.
func (d *database) killed() error {
	if why, ok := errors.AsType[*tds.Error](d.serving()); ok {
		return errKilled(why)
	}
	if why := d.closing.Load(); why != nil { // it was closed, and is open again
		return errKilled(why)
	}
	return errKillState()
}

// stillWritable is writable for a call that has found the database open, and has waited for its turn since. If the
// database is closed by now, this has ended the call's session, wherever the session is: it was using the database.
func (d *database) stillWritable() error {
	if err := d.serving(); err != nil {
		return d.killed()
	}
	return d.writable()
}

// userDatabases are the databases of a server, by name in lower case. It is never changed.
type userDatabases map[string]*database

// find is the server's database of that name; nil if there is none.
func (i *instance) find(name string) *database {
	all := *i.databases.Load()
	if d := all[name]; d != nil {
		return d
	}
	return all[strings.ToLower(name)]
}

// sorted are the server's databases in the order of their ids.
func (i *instance) sorted() []*database {
	var list []*database
	for _, d := range *i.databases.Load() {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *database) int { return int(a.store.about.Load().id - b.store.about.Load().id) })
	return list
}

// main is the database that Pair and Partner speak of where they name none: the one the pair began with, or
// else the first mirrored one, or the first; nil if there is none.
func (i *instance) main() *database {
	if d := i.find(i.pair.folder.title); d != nil {
		return d
	}
	all := i.sorted()
	if at := slices.IndexFunc(all, (*database).isMirrored); at >= 0 {
		return all[at]
	}
	if len(all) > 0 {
		return all[0]
	}
	return nil
}

// main is the session of the database that Pair speaks of where it names none; nil if there is none.
func (p *pair) main() *mirroringSession {
	for _, q := range p.partners {
		if q != nil {
			if d := q.main(); d != nil {
				return d.mirroring
			}
		}
	}
	return nil
}

// sessions are the databases of both servers.
func (p *pair) sessions() []*mirroringSession {
	var all []*mirroringSession
	for _, q := range p.partners {
		for _, d := range q.sorted() {
			if !slices.Contains(all, d.mirroring) {
				all = append(all, d.mirroring)
			}
		}
	}
	return all
}

// all are the server's databases, master among them if it is there.
func (i *instance) all() []*database {
	list := i.sorted()
	if m := i.master.Load(); m != nil {
		list = append(list, m)
	}
	return list
}

// home is where what is of no database is asked, and computed.
func (i *instance) home() *store {
	if m := i.master.Load(); m != nil {
		return m.store
	}
	return i.main().store
}

// session is the database of that name as both servers have it.
func (p *pair) session(name string) *mirroringSession {
	for _, q := range p.partners {
		if q == nil {
			continue
		}
		if d := q.find(name); d != nil {
			return d.mirroring
		}
	}
	s := &mirroringSession{pair: p, title: name}
	s.link.state.Store(int32(stateDisconnected))
	return s
}
