package mirror

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// Database is one server's copy of a database: its file, its queue of writers, and its state in the mirroring session,
// if it is mirrored.
type Database struct {
	Instance  *Instance // the server
	Mirroring *Session  // the mirroring session, with both copies of the database
	Title     string    // its name, as in CREATE DATABASE
	Store     *storage.Store

	// State is the durable state of mirroring. The holder of the turn replaces it. Its role is RoleNone in a database
	// that is not mirrored.
	State atomic.Pointer[storage.Mirroring]
	// Term counts how often the database was closed to its sessions on this server. A session that began in an earlier
	// term has ended.
	Term atomic.Int64

	Turns Turns
	long  chan struct{} // held by a long call

	// Owned by the holder of the turn.
	Mirror       *Database             // each commit is shipped to it first; nil: exposed, asynchronous, or not mirrored
	lease        *Lease                // the explicit transaction that has the turn; also guarded by leases
	BeforeCommit func(*storage.Record) // for tests: runs when the mirror has the record and the principal does not
	diskFull     bool                  // there was no room on the disk for the last record
	ForkPending  bool                  // the next commit begins a recovery fork

	acked atomic.Int64 // the last commit that the mirror certainly has

	// Closed: the principal must not open its database, whatever its role.
	Closed atomic.Bool
	// closing is the error of the sessions when the database was last closed to them; nil: it never was.
	closing atomic.Pointer[tds.Error]
	// Gone: the database was dropped.
	Gone atomic.Bool

	leases   sync.Mutex
	changing int // role changes in progress: no explicit transaction may begin; guarded by leases

	stopJournal context.CancelFunc // nil: no checkpoints run
	journal     chan struct{}      // closed when the checkpoint goroutine has ended
}

// Session is the two servers' copies of a database, mirrored or not.
type Session struct {
	pair    *Pair
	title   string
	copies  atomic.Pointer[[2]*Database] // in the order of Pair.Partners; nil where there is no copy
	link    sessionLink
	Arbiter witness
}

// bothCopies returns the copies on the two servers; nil where there is no copy.
func (s *Session) bothCopies() [2]*Database {
	if c := s.copies.Load(); c != nil {
		return *c
	}
	return [2]*Database{}
}

// setCopy sets the copy on a server; nil: no copy. The caller holds verbs.
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

// IsMirrored reports whether the database exists and has a role.
func (d *Database) IsMirrored() bool { return d != nil && d.State.Load().Role != storage.RoleNone }

// other returns the copy on the other server; nil if there is none.
func (d *Database) other() *Database { return d.Mirroring.bothCopies()[1-d.Instance.Index()] }

// Serving returns nil while the database is open on this server, and otherwise the error for clients.
func (d *Database) Serving() error {
	switch m := d.State.Load(); {
	case d.Gone.Load():
		return sqlerror.ErrNoDatabase(d.Title)
	case m.Role == storage.RoleMirror:
		switch f := d.Instance.Planted.Load(); {
		case f == nil:
			return sqlerror.ErrMirror(d.Title)
		case f.Err == ReadableSecondary:
			return nil
		default:
			return f.Err
		}
	case d.Store.About.Load().Restoring:
		return sqlerror.New(927, 14, "Database '%s' cannot be opened. It is in the middle of a restore.", d.Title)
	case d.Closed.Load():
		return sqlerror.ErrNoQuorum(d.Title)
	}
	return nil
}

// Killed returns the error that ends a session that was busy when the database was closed to it.
func (d *Database) Killed() error {
	if why, ok := errors.AsType[*tds.Error](d.Serving()); ok {
		return sqlerror.ErrKilled(why)
	}
	if why := d.closing.Load(); why != nil { // the database was closed, and is open again
		return sqlerror.ErrKilled(why)
	}
	return sqlerror.ErrKillState()
}

// stillWritable is Writable for a call that found the database open and then waited for its turn. If the database was
// closed meanwhile, the error ends the call's session, whatever database the session is in, because the call used this
// one.
func (d *Database) stillWritable() error {
	if err := d.Serving(); err != nil {
		return d.Killed()
	}
	return d.Writable()
}

// userDatabases holds the databases of a server, by name in lower case. The map is never changed.
type userDatabases map[string]*Database

// Find returns the server's database of that name; nil if there is none.
func (i *Instance) Find(name string) *Database {
	all := *i.databases.Load()
	if d := all[name]; d != nil {
		return d
	}
	return all[strings.ToLower(name)]
}

// Sorted returns the server's databases in the order of their ids.
func (i *Instance) Sorted() []*Database {
	var list []*Database
	for _, d := range *i.databases.Load() {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *Database) int { return int(a.Store.About.Load().ID - b.Store.About.Load().ID) })
	return list
}

// Main returns the database that the methods of Pair and Partner use by default: the pair's first database, or else the
// first mirrored one, or the first; nil if there is none.
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

// Main returns the session of the database that the methods of Pair use by default; nil if there is none.
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

// sessions returns the sessions of all databases of both servers.
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

// all returns the server's databases, and master if it has a file.
func (i *Instance) all() []*Database {
	list := i.Sorted()
	if m := i.Master.Load(); m != nil {
		list = append(list, m)
	}
	return list
}

// SystemStore returns the store for queries and expressions that use no user database.
func (i *Instance) SystemStore() *storage.Store {
	if m := i.Master.Load(); m != nil {
		return m.Store
	}
	return i.Main().Store
}

// session returns the session of the database of that name.
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

// removeLeftovers removes the files of a database if a failed script has ended its transaction and committed something.
func (d *Database) removeLeftovers() error {
	if d.Store.LSN.Load() == 0 {
		return nil
	}
	return errors.Join(d.Store.Shut(), d.removeFiles())
}

// Alter runs an ALTER DATABASE clause on this copy of the database.
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
	return sqlerror.NotSupported("This clause of ALTER DATABASE")
}

// MirroringRow fills in the columns of sys.database_mirroring after database_id.
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

// witnessRow returns the witness as the partner shows it: name, state and description.
func (d *Database) witnessRow() (name string, state int, desc string) {
	switch {
	case !d.Mirroring.Witness():
		return "", 0, "UNKNOWN"
	case d.Mirroring.pair.viewLinks().lost[d.Instance.witnessLink()]:
		return witnessName, 2, "DISCONNECTED"
	}
	return witnessName, 1, "CONNECTED"
}
