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
	*instance                   // the server
	pair      *mirroringSession // the database as both servers have it
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
	*pair
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
func (p *mirroringSession) put(on *instance, d *database) {
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
		switch f := p.face.Load(); {
		case f == nil:
			return errMirror(p.title)
		case f.err == ReadableSecondary:
			return nil
		default:
			return f.err
		}
	case p.store.about.Load().restoring:
		return message(927, 14, "Database '%s' cannot be opened. It is in the middle of a restore.", p.title)
	case p.closed.Load():
		return errNoQuorum(p.title)
	}
	return nil
}

// killed ends a session that the database was closed to while it was at work.
func (p *database) killed() error {
	if why, ok := errors.AsType[*tds.Error](p.serving()); ok {
		return errKilled(why)
	}
	if why := p.closing.Load(); why != nil { // it was closed, and is open again
		return errKilled(why)
	}
	return errKillState()
}

// stillWritable is writable for a call that has found the database open, and has waited for its turn since. If the
// database is closed by now, this has ended the call's session, wherever the session is: it was using the database.
func (p *database) stillWritable() error {
	if err := p.serving(); err != nil {
		return p.killed()
	}
	return p.writable()
}

// userDatabases are the databases of a server, by name in lower case. It is never changed.
type userDatabases map[string]*database

// find is the server's database of that name; nil if there is none.
func (p *instance) find(name string) *database {
	all := *p.databases.Load()
	if d := all[name]; d != nil {
		return d
	}
	return all[strings.ToLower(name)]
}

// sorted are the server's databases in the order of their ids.
func (p *instance) sorted() []*database {
	var list []*database
	for _, d := range *p.databases.Load() {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *database) int { return int(a.store.about.Load().id - b.store.about.Load().id) })
	return list
}

// main is the database that Pair and Partner speak of where they name none: the one the pair began with, or
// else the first mirrored one, or the first; nil if there is none.
func (p *instance) main() *database {
	if d := p.find(p.pair.folder.title); d != nil {
		return d
	}
	all := p.sorted()
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
				return d.pair
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
			if !slices.Contains(all, d.pair) {
				all = append(all, d.pair)
			}
		}
	}
	return all
}

// all are the server's databases, master among them if it is there.
func (p *instance) all() []*database {
	list := p.sorted()
	if m := p.master.Load(); m != nil {
		list = append(list, m)
	}
	return list
}

// home is where what is of no database is asked, and computed.
func (p *instance) home() *store {
	if m := p.master.Load(); m != nil {
		return m.store
	}
	return p.main().store
}

// session is the database of that name as both servers have it.
func (p *pair) session(name string) *mirroringSession {
	for _, q := range p.partners {
		if q == nil {
			continue
		}
		if d := q.find(name); d != nil {
			return d.pair
		}
	}
	s := &mirroringSession{pair: p, title: name}
	s.link.state.Store(int32(stateDisconnected))
	return s
}
