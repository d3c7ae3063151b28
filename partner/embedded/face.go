package embedded

import (
	"context"
	"log/slog"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/server"
	"github.com/mirrorstate/mirrorstate/secretfile"
)

// DatabaseName is the database that a pair begins with where nobody names another.
const DatabaseName = mirror.DatabaseName

// Options says where a pair lives. The zero value of every field but Dir is usable.
type Options struct {
	// Dir is the data folder: empty, missing (it is made), or one of an earlier pair.
	Dir string
	// AddrA and AddrB are where the partners listen, host:port; port 0 picks one.
	// Empty: 127.0.0.1 and a port of its choice.
	AddrA, AddrB string
	// MaxConnections is how many connections each partner takes; one more is refused with 17809. 0: 4096.
	MaxConnections int
	// Expose allows addresses that other machines can reach; Open refuses them otherwise. Whoever gets there and
	// has the password, or guesses it, is sysadmin.
	Expose bool
	// Password of the login "mirrorstate". Empty: the one kept in Dir, made at the
	// first start.
	Password string
	// Logger is told of role changes and of the partners' link. nil: nobody.
	Logger *slog.Logger
	// PartnerTimeout is after what silence a partner counts as gone, as in SET PARTNER
	// TIMEOUT; a partner whose server has ended is missed at once. SQL Server takes 5 s for
	// less than that, and so does the statement; here less is for tests. 0: what the pair
	// remembers, at first 10 s.
	PartnerTimeout time.Duration
	// Witness gives the pair a witness: automatic failover, as SQL Server does it.
	Witness bool
	// Database is the name of the database that a new folder begins with, mirrored. Empty: that of the folder, or
	// DatabaseName. A folder that began with another is refused.
	Database string
	// Schema is a script of T-SQL, with GO lines between its batches, that makes what is in Database: run on partner a of a
	// new folder, in one transaction, before anybody is served. Open fails with the first error, and nothing is made
	// then. A folder that has a pair is left as it is.
	Schema string
	// Empty begins a new folder with two servers that have no database yet, and are no pair. A folder
	// that was begun so stays so; one that was not is refused.
	Empty bool
}

// Pair is the two partners and the link between them. Its methods may be called
// by anybody at any time.
type Pair struct {
	p        *server.Pair
	partners map[string]*Partner
}

// Open opens the pair's data and ports, and settles which partner is the
// principal: partner a of a fresh pair, and otherwise the one whose role came last. It
// serves nobody before Run. The error says what to do.
func Open(o Options) (*Pair, error) {
	p, err := server.Open(mirror.Options{Dir: o.Dir, AddrA: o.AddrA, AddrB: o.AddrB, MaxConnections: o.MaxConnections, Expose: o.Expose, Password: o.Password,
		Logger: o.Logger, PartnerTimeout: o.PartnerTimeout, Witness: o.Witness, Database: o.Database, Schema: o.Schema, Empty: o.Empty})
	if err != nil {
		return nil, err
	}
	return &Pair{p, map[string]*Partner{"a": {p.Partner("a")}, "b": {p.Partner("b")}}}, nil
}

// Run serves until ctx ends, then stops both partners, waits for what they were
// doing, and closes the files. It may be called once.
func (p *Pair) Run(ctx context.Context) error { return p.p.Run(ctx) }

// Close closes a pair that is not running; Run does it itself. A second call does
// nothing.
func (p *Pair) Close() error { return p.p.Close() }

// Partner is the partner of that name, "a" or "b"; nil for any other.
func (p *Pair) Partner(name string) *Partner { return p.partners[name] }

// Database is the name of the database that the pair began with.
func (p *Pair) Database() string { return p.p.Database() }

// ConnectionString is for go-mssqldb: both partners and the database that the pair began with, so that a client finds
// the principal whichever of them it is. It asks for no encryption, as [Partner.ConnectionString]. It bounds how long that driver waits
// for a server that does not answer, because a context does not: 2 s to connect ("dial timeout"), 5 s for each answer ("connection timeout").
func (p *Pair) ConnectionString() string { return p.p.ConnectionString() }

// User is the name of the login.
func (p *Pair) User() string { return p.p.User() }

// Password is the password of the login.
func (p *Pair) Password() string { return p.p.Password() }

// FreshPassword reports whether the password was made by this start, so that nobody
// can know it yet.
func (p *Pair) FreshPassword() bool { return p.p.FreshPassword() }

// PasswordFile is where the password is kept.
func (p *Pair) PasswordFile() string { return p.p.PasswordFile() }

// Exposed is what others on the machine can read of the data folder, the password and the partners' databases.
func (p *Pair) Exposed() []*secretfile.Exposure { return p.p.Exposed() }

// Principal is the name of the partner that has the principal's role in the mirrored database (the one the pair began with, or
// what else there is), also while its server is down; "" if nothing is mirrored. After a forced failover, while the partners can't see
// each other, two have it: it is then the newer one.
func (p *Pair) Principal() string { return p.p.Principal() }

// Mirror is the name of the other partner; "" if there is no principal.
func (p *Pair) Mirror() string { return p.p.Mirror() }

// State is mirroring_state_desc as both partners show it, of the database the pair began with, or what else is mirrored; ""
// if nothing is.
func (p *Pair) State() string { return p.p.State() }

// Synchronized waits until the state is SYNCHRONIZED: then a failover loses nothing, and is not refused. The error is that of ctx.
func (p *Pair) Synchronized(ctx context.Context) error { return p.p.Synchronized(ctx) }

// Partition cuts the link between the partners, or heals it. Clients, and the
// witness, reach both as before. It returns when the principal has noticed.
func (p *Pair) Partition(ctx context.Context, cut bool) error { return p.p.Partition(ctx, cut) }

// Witness reports whether the pair has a witness.
func (p *Pair) Witness() bool { return p.p.Witness() }

// SetWitness gives the pair a witness, or takes it away: SET WITNESS, without its
// preconditions. It says nothing if it is so already.
func (p *Pair) SetWitness(on bool) error { return p.p.SetWitness(on) }

// Events passes on what happens from now on, until the returned function is called;
// that closes the channel. A listener that is 256 events behind misses the newer ones.
func (p *Pair) Events() (<-chan Event, func()) { return p.p.Events() }

// Event is something that happened to the pair: At, what Kind (role, state, fault or witness), on which Partner ("" for what concerns
// the pair), and in Detail what happened, in words.
type Event = mirror.Event

// Partner is one of the two servers. Its methods may be called by anybody at any time.
type Partner struct{ p *server.Partner }

// Name is "a" or "b".
func (p *Partner) Name() string { return p.p.Name() }

// Addr is the address on which the partner serves TDS, as in "127.0.0.1:14331".
func (p *Partner) Addr() string { return p.p.Addr() }

// ServerName is the partner's @@SERVERNAME.
func (p *Partner) ServerName() string { return p.p.ServerName() }

// ConnectionString is for go-mssqldb and others that read ADO.NET's keywords.
// database is one of the server's, such as "ASPState" or "master", or "" for the login's default, which is
// master. It asks for no encryption: the connection does not leave the machine. Encryption
// works with encrypt=true and a trusted server certificate.
func (p *Partner) ConnectionString(database string) string { return p.p.ConnectionString(database) }

// DataFile is the path of the partner's SQLite file of the database that the pair began with. Others may read it, and
// copy it together with its -wal file, but must not write it.
func (p *Partner) DataFile() string { return p.p.DataFile() }

// BackupFolder is where a backup without a folder in its name goes, and is looked for.
func (p *Partner) BackupFolder() string { return p.p.BackupFolder() }

// Counters tells what the partner has served: each login, batch and call was one
// round trip of a client.
func (p *Partner) Counters() Counters { return p.p.Counters() }

// Counters is what a partner has served since it was opened.
type Counters = server.Counters

// Inject does the fault to the partner, and returns when it is in force. Faults add
// up; one of the same kind and application replaces the former. If ctx ends first, the
// fault may be half done: inject it, or none, again.
func (p *Partner) Inject(ctx context.Context, f Fault) error { return p.p.Inject(ctx, f) }

// Faults are the kinds of faults in force on this partner, sorted, each once. One
// that is down shows crash or stop.
func (p *Partner) Faults() []string { return p.p.Faults() }

// Failover is SET PARTNER FAILOVER on this partner, which must be the principal: the
// roles change, nothing is lost. Refusals: 1470 not the principal, 1477 SAFETY is
// not FULL, 1447 the partners can't see each other, 1422 the mirror is behind.
func (p *Partner) Failover(ctx context.Context) error { return p.p.Failover(ctx) }

// ForceService is SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on this partner, which
// must be the mirror and not see the principal (1455). What the principal has
// committed since, is lost once it is resumed as the mirror. 1406: this copy is
// unfit, because it has changes of its own that nobody else has.
func (p *Partner) ForceService(ctx context.Context) error { return p.p.ForceService(ctx) }

// Suspend is SET PARTNER SUSPEND: the principal goes on without sending, until Resume.
func (p *Partner) Suspend(ctx context.Context) error { return p.p.Suspend(ctx) }

// Resume is SET PARTNER RESUME. It does not wait for [Pair.Synchronized].
func (p *Partner) Resume(ctx context.Context) error { return p.p.Resume(ctx) }

// SetSafety is SET PARTNER SAFETY FULL, or OFF.
func (p *Partner) SetSafety(ctx context.Context, full bool) error { return p.p.SetSafety(ctx, full) }

// SetTimeout is SET PARTNER TIMEOUT: 5 s for less than that.
func (p *Partner) SetTimeout(ctx context.Context, seconds int) error {
	return p.p.SetTimeout(ctx, seconds)
}

// SetWitness is SET WITNESS, or SET WITNESS OFF.
func (p *Partner) SetWitness(ctx context.Context, on bool) error { return p.p.SetWitness(ctx, on) }

// Plant puts plant in place of the truth; the zero Planted takes everything away again. The error names
// a view or column that there is none of.
func (p *Partner) Plant(plant Planted) error { return p.p.Plant(plant) }

// Planted is what a test puts in place of the truth about one partner.
type Planted = server.Planted

// ReadableSecondary has a database let everybody in and refuse writes (3906), for Planted.
var ReadableSecondary = mirror.ReadableSecondary

// SecondaryRefusal is the error of a secondary replica that can't be opened, for
// Planted: number is 976, 978, 983 or 988.
func SecondaryRefusal(number int32) error { return mirror.SecondaryRefusal(number) }
