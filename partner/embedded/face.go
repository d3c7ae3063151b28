package embedded

import (
	"context"
	"log/slog"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/engine"
	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/secretfile"
)

// DatabaseName is the name of the first database of a pair if Options.Database is empty.
const DatabaseName = mirror.DatabaseName

// Options configures a pair. The zero value of every field except Dir is usable.
type Options struct {
	// Dir is the data folder: empty, missing (Open creates it), or the folder of an earlier pair.
	Dir string
	// AddrA and AddrB are the addresses on which the partners listen, host:port; port 0 picks a free port. Empty:
	// 127.0.0.1 and a free port.
	AddrA, AddrB string
	// MaxConnections is the limit of connections per partner; a further connection gets error 17809. 0: 4096.
	MaxConnections int
	// Expose allows addresses that other machines can reach; Open refuses them otherwise. Anybody who reaches the
	// address and knows or guesses the password is sysadmin.
	Expose bool
	// Password is that of the login "mirrorstate". Empty: the password stored in Dir, which the first start generates.
	Password string
	// Logger receives role changes and changes of the link between the partners. nil: no log.
	Logger *slog.Logger
	// PartnerTimeout is how long a partner may be silent before it counts as lost, as in SET PARTNER TIMEOUT. A partner
	// whose server has ended counts as lost at once. SQL Server raises smaller values to 5 s, and so does the
	// statement; this field accepts them for tests. 0: the stored value of the pair, initially 10 s.
	PartnerTimeout time.Duration
	// Witness gives the pair a witness and with it automatic failover, as in SQL Server.
	Witness bool
	// Database is the name of the first database of a new folder, which is mirrored. Empty: the name stored in the
	// folder, or DatabaseName. Open refuses a folder whose first database has another name.
	Database string
	// Schema is a T-SQL script, with GO lines between its batches, that creates the objects of Database. Open runs it
	// on partner a of a new folder, in one transaction, before the pair serves clients. Open fails with the first
	// error, and rolls everything back then. In the folder of an earlier pair the script is not run.
	Schema string
	// Empty makes a new folder with two servers that have no user database and no mirroring. A folder that was made so
	// stays so; Open refuses any other folder.
	Empty bool
}

// Pair is the two partners and the link between them. Its methods are safe for concurrent use.
type Pair struct {
	p        *engine.Pair
	partners map[string]*Partner
}

// Open opens the pair's data and ports, and determines which partner is the principal: partner a of a new pair,
// otherwise the partner with the most recent role change. The pair serves no client before Run. The error says what to
// do.
func Open(o Options) (*Pair, error) {
	p, err := engine.Open(mirror.Options{Dir: o.Dir, AddrA: o.AddrA, AddrB: o.AddrB, MaxConnections: o.MaxConnections, Expose: o.Expose, Password: o.Password,
		Logger: o.Logger, PartnerTimeout: o.PartnerTimeout, Witness: o.Witness, Database: o.Database, Schema: o.Schema, Empty: o.Empty})
	if err != nil {
		return nil, err
	}
	return &Pair{p, map[string]*Partner{"a": {p.Partner("a")}, "b": {p.Partner("b")}}}, nil
}

// Run serves until ctx ends, then stops both partners, waits for their running calls, and closes the files. It may be
// called once.
func (p *Pair) Run(ctx context.Context) error { return p.p.Run(ctx) }

// Close closes a pair that is not running; Run closes its pair itself. A second call does nothing.
func (p *Pair) Close() error { return p.p.Close() }

// Partner returns the partner of that name, "a" or "b"; nil for any other name.
func (p *Pair) Partner(name string) *Partner { return p.partners[name] }

// Database returns the name of the pair's first database.
func (p *Pair) Database() string { return p.p.Database() }

// ConnectionString returns a connection string for go-mssqldb. It names both partners and the pair's first database, so
// that a client finds the principal on either partner. It turns encryption off, as [Partner.ConnectionString] does. It
// limits how long the driver waits for a silent server, because a context does not: 2 s to connect ("dial timeout"), 5
// s for each response ("connection timeout").
func (p *Pair) ConnectionString() string { return p.p.ConnectionString() }

// User returns the name of the login.
func (p *Pair) User() string { return p.p.User() }

// Password returns the password of the login.
func (p *Pair) Password() string { return p.p.Password() }

// FreshPassword reports whether this start generated the password, so that nobody can know it yet.
func (p *Pair) FreshPassword() bool { return p.p.FreshPassword() }

// PasswordFile returns the path of the file that stores the password.
func (p *Pair) PasswordFile() string { return p.p.PasswordFile() }

// Exposed checks the data folder, the password file and the partners' databases, and returns those that other users of
// the machine can read.
func (p *Pair) Exposed() []*secretfile.Exposure { return p.p.Exposed() }

// Principal returns the name of the principal of the pair's first database, or, if the pair no longer has it, of
// another mirrored database. It returns "" if no database is mirrored. The server of the principal may be down. After a
// forced failover both partners are principal while they cannot reach each other; Principal then returns the newer one.
func (p *Pair) Principal() string { return p.p.Principal() }

// Mirror returns the name of the other partner; "" if there is no principal.
func (p *Pair) Mirror() string { return p.p.Mirror() }

// State returns mirroring_state_desc, as both partners show it, of the database that [Pair.Principal] is about; "" if
// no database is mirrored.
func (p *Pair) State() string { return p.p.State() }

// Synchronized waits until the state is SYNCHRONIZED. From then on a failover loses nothing and is not refused. The
// error is that of ctx.
func (p *Pair) Synchronized(ctx context.Context) error { return p.p.Synchronized(ctx) }

// Partition cuts the link between the partners, or restores it. Clients and the witness still reach both. It returns
// when the principal has noticed.
func (p *Pair) Partition(ctx context.Context, cut bool) error { return p.p.Partition(ctx, cut) }

// Witness reports whether the pair has a witness.
func (p *Pair) Witness() bool { return p.p.Witness() }

// SetWitness adds or removes the pair's witness: SET WITNESS, without its preconditions. It does nothing if the setting
// is the same already.
func (p *Pair) SetWitness(on bool) error { return p.p.SetWitness(on) }

// Events returns a channel of the events from now on. The returned function ends them; it closes the channel. A
// receiver that is 256 events behind misses the newer ones.
func (p *Pair) Events() (<-chan Event, func()) { return p.p.Events() }

// Event is something that happened to the pair. At is its time. Kind is role, state, fault or witness. Partner is the
// partner, or "" for an event of the pair. Detail is a text that describes the event.
type Event = mirror.Event

// Partner is one of the two servers. Its methods are safe for concurrent use.
type Partner struct{ p *engine.Partner }

// Name returns "a" or "b".
func (p *Partner) Name() string { return p.p.Name() }

// Addr returns the address on which the partner serves TDS, for example "127.0.0.1:14331".
func (p *Partner) Addr() string { return p.p.Addr() }

// ServerName returns the partner's @@SERVERNAME.
func (p *Partner) ServerName() string { return p.p.ServerName() }

// ConnectionString returns a connection string for go-mssqldb and other drivers that read ADO.NET's keywords. database
// is one of the server's databases, such as "ASPState" or "master", or "" for the login's default database, master. It
// turns encryption off, because the connection does not leave the machine. Encryption works with encrypt=true and a
// trusted server certificate.
func (p *Partner) ConnectionString(database string) string { return p.p.ConnectionString(database) }

// DataFile returns the path of the partner's SQLite file of the pair's first database. Other programs may read it, and
// copy it together with its -wal file, but must not write it.
func (p *Partner) DataFile() string { return p.p.DataFile() }

// BackupFolder returns the folder that BACKUP and RESTORE use for a file name without a folder.
func (p *Partner) BackupFolder() string { return p.p.BackupFolder() }

// Counters returns what the partner has served. Each login, batch and procedure call was one round trip of a client.
func (p *Partner) Counters() Counters { return p.p.Counters() }

// Counters is what a partner has served since it was opened.
type Counters = engine.Counters

// Inject applies the fault to the partner, and returns when the fault is in force. Faults accumulate; a fault replaces
// an earlier one of the same kind and application. If ctx ends first, the fault may be applied in part: inject it, or
// Heal, again.
func (p *Partner) Inject(ctx context.Context, f Fault) error { return p.p.Inject(ctx, f) }

// Faults returns the kinds of faults in force on this partner, sorted, each once. A partner that is down has the fault
// crash or stop.
func (p *Partner) Faults() []string { return p.p.Faults() }

// Failover is SET PARTNER FAILOVER on this partner, which must be the principal: the roles change and nothing is lost.
// Refusals: 1470 not the principal, 1477 SAFETY is not FULL, 1447 the partners are not connected, 1422 the mirror is
// not synchronized.
func (p *Partner) Failover(ctx context.Context) error { return p.p.Failover(ctx) }

// ForceService is SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on this partner, which must be the mirror and not be
// connected to the principal (1455). What the principal has committed since then is lost once it is resumed as the
// mirror. 1406: this copy is not usable, because it has changes that no other copy has.
func (p *Partner) ForceService(ctx context.Context) error { return p.p.ForceService(ctx) }

// Suspend is SET PARTNER SUSPEND: the principal sends nothing to the mirror until Resume.
func (p *Partner) Suspend(ctx context.Context) error { return p.p.Suspend(ctx) }

// Resume is SET PARTNER RESUME. It does not wait for [Pair.Synchronized].
func (p *Partner) Resume(ctx context.Context) error { return p.p.Resume(ctx) }

// SetSafety is SET PARTNER SAFETY FULL, or OFF.
func (p *Partner) SetSafety(ctx context.Context, full bool) error { return p.p.SetSafety(ctx, full) }

// SetTimeout is SET PARTNER TIMEOUT; it raises smaller values to 5 s.
func (p *Partner) SetTimeout(ctx context.Context, seconds int) error {
	return p.p.SetTimeout(ctx, seconds)
}

// SetWitness is SET WITNESS, or SET WITNESS OFF.
func (p *Partner) SetWitness(ctx context.Context, on bool) error { return p.p.SetWitness(ctx, on) }

// Plant makes the partner show the values of plant instead of the true ones; the zero Planted restores the true ones.
// The error names a view or column that does not exist.
func (p *Partner) Plant(plant Planted) error { return p.p.Plant(plant) }

// Planted holds the values that a test makes a partner show instead of the true ones.
type Planted = engine.Planted

// ReadableSecondary makes a database accept all sessions and refuse writes (3906), for Planted.
var ReadableSecondary = mirror.ReadableSecondary

// SecondaryRefusal returns the error of a secondary replica that is not readable, for Planted: number is 976, 978, 983
// or 988.
func SecondaryRefusal(number int32) error { return mirror.SecondaryRefusal(number) }
