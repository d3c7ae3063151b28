package mirror

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/message"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// Database is one server's copy of a database: its file, its queue of writers, and its
// part in the mirroring session, if it is mirrored.
type Database struct {
	Instance  *Instance // the server
	Mirroring *Session  // the database as both servers have it
	Title     string    // its name, as it was created
	Store     *storage.Store

	// state is the durable state of mirroring, replaced by the holder of the turn. Its role is
	// roleNone in a database that is not mirrored.
	State atomic.Pointer[storage.Mirroring]
	// term counts how often the database was closed to its sessions here. One that
	// began in an earlier term is dead.
	Term atomic.Int64

	Turns Turns
	long  chan struct{} // held by the call that takes long

	// Owned by the holder of the turn.
	Mirror       *Database             // ships here before each commit; nil: exposed, asynchronous, or not mirrored
	lease        *Lease                // the explicit transaction that has the turn; also under leases
	BeforeCommit func(*storage.Record) // for tests: the mirror has it, we have not
	diskFull     bool                  // the last record found no room
	OwesFork     bool                  // the next commit begins a reign of its own

	acked atomic.Int64 // the last commit that the mirror has for sure

	// closed: a principal that must not open its database, whatever its role.
	Closed atomic.Bool
	// closing is why it was closed to its sessions last; nil: it was not.
	closing atomic.Pointer[tds.Error]
	// gone: it was dropped.
	Gone atomic.Bool

	leases   sync.Mutex
	changing int // role changes under way: no explicit transaction may begin; under leases

	stopJournal context.CancelFunc // nil: its journal is not tended
	journal     chan struct{}      // closed when tending has ended
}

// Session is a database as both servers have it, mirrored or not.
type Session struct {
	pair    *Pair
	title   string
	copies  atomic.Pointer[[2]*Database] // in the order of partners; nil where there is none
	link    sessionLink
	Arbiter witness
}

// both are the copies on the two servers; nil where there is none.
func (s *Session) bothCopies() [2]*Database {
	if c := s.copies.Load(); c != nil {
		return *c
	}
	return [2]*Database{}
}

// put makes d the copy on the server; nil: there is none. The caller holds verbs.
func (s *Session) setCopy(on *Instance, d *Database) {
	both := s.bothCopies()
	both[on.Index()] = d
	s.copies.Store(&both)
}

// mirrored reports whether the two copies are a principal and its mirror.
func (s *Session) mirrored() bool {
	both := s.bothCopies()
	return both[0].IsMirrored() && both[1].IsMirrored() && both[0].State.Load().GUID == both[1].State.Load().GUID
}

// IsMirrored reports whether there is the database, and it has a role.
func (d *Database) IsMirrored() bool { return d != nil && d.State.Load().Role != storage.RoleNone }

// other is the copy on the other server; nil if there is none.
func (d *Database) other() *Database { return d.Mirroring.bothCopies()[1-d.Instance.Index()] }

// Serving is nil while the database is open here, and otherwise the refusal.
func (d *Database) Serving() error {
	switch m := d.State.Load(); {
	case d.Gone.Load():
		return message.ErrNoDatabase(d.Title)
	case m.Role == storage.RoleMirror:
		switch f := d.Instance.Planted.Load(); {
		case f == nil:
			return message.ErrMirror(d.Title)
		case f.Err == ReadableSecondary:
			return nil
		default:
			return f.Err
		}
	case d.Store.About.Load().Restoring:
		return message.New(927, 14, "Database '%s' cannot be opened. It is in the middle of a restore.", d.Title)
	case d.Closed.Load():
		return message.ErrNoQuorum(d.Title)
	}
	return nil
}

// Killed ends a session that the database was closed to while it was at work.
func (d *Database) Killed() error {
	if why, ok := errors.AsType[*tds.Error](d.Serving()); ok {
		return message.ErrKilled(why)
	}
	if why := d.closing.Load(); why != nil { // it was closed, and is open again
		return message.ErrKilled(why)
	}
	return message.ErrKillState()
}

// stillWritable is writable for a call that has found the database open, and has waited for its turn since. If the
// database is closed by now, this has ended the call's session, wherever the session is: it was using the database.
func (d *Database) stillWritable() error {
	if err := d.Serving(); err != nil {
		return d.Killed()
	}
	return d.Writable()
}

// userDatabases are the databases of a server, by name in lower case. It is never changed.
type userDatabases map[string]*Database

// Find is the server's database of that name; nil if there is none.
func (i *Instance) Find(name string) *Database {
	all := *i.databases.Load()
	if d := all[name]; d != nil {
		return d
	}
	return all[strings.ToLower(name)]
}

// Sorted are the server's databases in the order of their ids.
func (i *Instance) Sorted() []*Database {
	var list []*Database
	for _, d := range *i.databases.Load() {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *Database) int { return int(a.Store.About.Load().ID - b.Store.About.Load().ID) })
	return list
}

// Main is the database that Pair and Partner speak of where they name none: the one the pair began with, or
// else the first mirrored one, or the first; nil if there is none.
func (i *Instance) Main() *Database {
	if d := i.Find(i.Pair.Folder.title); d != nil {
		return d
	}
	all := i.Sorted()
	if at := slices.IndexFunc(all, (*Database).IsMirrored); at >= 0 {
		return all[at]
	}
	if len(all) > 0 {
		return all[0]
	}
	return nil
}

// Main is the session of the database that Pair speaks of where it names none; nil if there is none.
func (p *Pair) Main() *Session {
	for _, q := range p.Partners {
		if q != nil {
			if d := q.Main(); d != nil {
				return d.Mirroring
			}
		}
	}
	return nil
}

// sessions are the databases of both servers.
func (p *Pair) sessions() []*Session {
	var all []*Session
	for _, q := range p.Partners {
		for _, d := range q.Sorted() {
			if !slices.Contains(all, d.Mirroring) {
				all = append(all, d.Mirroring)
			}
		}
	}
	return all
}

// all are the server's databases, master among them if it is there.
func (i *Instance) all() []*Database {
	list := i.Sorted()
	if m := i.Master.Load(); m != nil {
		list = append(list, m)
	}
	return list
}

// Home is where what is of no database is asked, and computed.
func (i *Instance) SystemStore() *storage.Store {
	if m := i.Master.Load(); m != nil {
		return m.Store
	}
	return i.Main().Store
}

// session is the database of that name as both servers have it.
func (p *Pair) session(name string) *Session {
	for _, q := range p.Partners {
		if q == nil {
			continue
		}
		if d := q.Find(name); d != nil {
			return d.Mirroring
		}
	}
	s := &Session{pair: p, title: name}
	s.link.state.Store(int32(StateDisconnected))
	return s
}

// unmake removes the files of a database if a script that failed has committed something in it, by ending its transaction.
func (d *Database) removeLeftovers() error {
	if d.Store.LSN.Load() == 0 {
		return nil
	}
	return errors.Join(d.Store.Shut(), d.removeFiles())
}

// Alter runs the clause on this copy of the database.
func (d *Database) Alter(ctx context.Context, st *tsql.AlterDatabase) error {
	switch st.Clause {
	case tsql.PartnerFailover:
		return d.Failover(ctx)
	case tsql.PartnerForce:
		return d.ForceService(ctx)
	case tsql.PartnerSuspend:
		return d.Suspend(ctx)
	case tsql.PartnerResume:
		return d.Resume(ctx)
	case tsql.PartnerSafety:
		return d.SetSafety(ctx, strings.EqualFold(st.Argument, "FULL"))
	case tsql.PartnerTimeout:
		return d.SetTimeout(ctx, st.Number)
	case tsql.SetWitness:
		return d.SetWitness(ctx, true)
	case tsql.WitnessOff:
		return d.SetWitness(ctx, false)
	}
	return message.NotSupported("This clause of ALTER DATABASE")
}

// MirroringRow fills in what sys.database_mirroring shows of the database, behind its database_id.
func (d *Database) MirroringRow(row []any) {
	m := d.State.Load()
	state := d.Mirroring.LinkState()
	if d.Mirroring.link.switching.Load() && m.Role == storage.RolePrincipal {
		state = statePendingFailover
	}
	level, safety := 1, "OFF"
	if m.SafetyFull {
		level, safety = 2, "FULL"
	}
	acked := d.acked.Load()
	if m.Role == storage.RoleMirror {
		acked = d.Store.LSN.Load()
	}
	witness, witnessState, witnessDesc := d.witnessRow()
	copy(row[1:], []any{m.GUID, int(state), state.String(), int(m.Role), m.Role.String(), m.Sequence,
		level, safety, m.SafetySequence, d.Instance.partnerAddress(), d.Instance.Other().ClientName(),
		witness, witnessState, witnessDesc, acked, m.Timeout, nil, "UNLIMITED", d.Store.LSN.Load(), nil})
}

// witnessRow is the partner's view of the witness: name, state and description.
func (d *Database) witnessRow() (name string, state int, desc string) {
	switch {
	case !d.Mirroring.Witness():
		return "", 0, "UNKNOWN"
	case d.Mirroring.pair.viewLinks().lost[d.Instance.witnessLink()]:
		return witnessName, 2, "DISCONNECTED"
	}
	return witnessName, 1, "CONNECTED"
}
