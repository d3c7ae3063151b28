package mirror

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// PartnerNames are the names of the two partners, in order.
var PartnerNames = [...]string{"a", "b"}

// Instance is the mirroring side of one of the two servers: its databases, its port, its connections and its faults.
// Its methods are safe for concurrent use.
type Instance struct {
	Pair   *Pair
	Letter string
	Log    *slog.Logger
	addr   net.Addr
	gate   *gate
	Server *tds.Server

	databases atomic.Pointer[userDatabases] // replaced by the holder of Pair.verbs
	Master    atomic.Pointer[Database]      // nil: not needed yet

	// frozen and Dead: see awaitThaw. Both are computed from the faults.
	frozen, Dead atomic.Bool

	// Guarded by Pair.Links.Mu.
	faults []Fault // the lasting faults except crash and stop
	down   string  // crash or stop; "" while it runs

	injecting chan struct{} // held by Inject, which alone uses life
	life      *serverRun
	lives     chan *serverRun // runs of the server that are to begin

	Sessions Sessions

	Planted atomic.Pointer[PlantedAnswer] // the answer that a test planted for a mirror's database; nil: the true answer
}

// PlantedAnswer is the answer that a test makes a mirror's database give.
type PlantedAnswer struct{ Err error }

// Name returns "a" or "b".
func (i *Instance) Name() string { return i.Letter }

// Addr returns the address on which the partner serves TDS, for example "127.0.0.1:14331".
func (i *Instance) Addr() string { return i.addr.String() }

// ServerName returns the partner's @@SERVERNAME.
func (i *Instance) ServerName() string { return `MIRRORSTATE\` + strings.ToUpper(i.Letter) }

// ConnectionString returns a connection string for go-mssqldb and other drivers that read ADO.NET's keywords. database
// is one of the server's databases, such as "ASPState" or "master", or "" for the login's default database, master. It
// turns encryption off, because the connection does not leave the machine. Encryption works with encrypt=true and a
// trusted server certificate.
func (i *Instance) ConnectionString(database string) string {
	host, port := i.hostPort()
	text := fmt.Sprintf("server=%s;port=%s;user id=%s;password=%s;encrypt=disable", host, port, i.Pair.User(), quoteValue(i.Pair.Password()))
	if database != "" {
		text += ";database=" + quoteValue(database)
	}
	return text
}

// quoteValue quotes a value of a connection string if necessary.
func quoteValue(v string) string {
	if !strings.ContainsAny(v, "; '\"={}") {
		return v
	}
	return `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
}

func (i *Instance) hostPort() (host, port string) {
	host, port, err := net.SplitHostPort(i.Addr())
	if err != nil {
		return i.Addr(), "" // an address that is not a TCP address has no host and port
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}

// ClientName returns the name under which clients reach this partner: the other partner sends it as its failover
// partner.
func (i *Instance) ClientName() string {
	host, port := i.hostPort()
	return host + "," + port
}

// Index returns the partner's index in Pair.Partners.
func (i *Instance) Index() int {
	if i.Letter == PartnerNames[0] {
		return 0
	}
	return 1
}

// Other returns the other partner.
func (i *Instance) Other() *Instance {
	if i == i.Pair.Partners[0] {
		return i.Pair.Partners[1]
	}
	return i.Pair.Partners[0]
}

// openInstance opens the server's databases and its port. serve returns the TDS server for its connections.
func openInstance(pair *Pair, name, addr string, serve func(*Instance) *tds.Server) (*Instance, error) {
	p := &Instance{Pair: pair, Letter: name, Log: pair.log.With("partner", name), gate: newGate(),
		injecting: make(chan struct{}, 1), lives: make(chan *serverRun, 1)}
	p.databases.Store(&userDatabases{})
	if err := p.openDatabases(); err != nil {
		return nil, errors.Join(err, p.closeDatabases())
	}
	listener, err := pair.listen("tcp", addr)
	if err != nil {
		_ = p.closeDatabases() // return the error of the port
		return nil, fmt.Errorf("partner %s can't listen on %s: %w; choose another address with --partner-%s", name, addr, err, name)
	}
	p.addr, p.life = listener.Addr(), p.newServerRun(listener)
	p.lives <- p.life
	p.Server = serve(p)
	return p, nil
}

// close closes the server's port and files. The server must not be serving.
func (i *Instance) close() error {
	i.life.cancel()
	_ = i.life.listener.Close() // the server may have closed it already
	return i.closeDatabases()
}

// closeDatabases closes the files of all databases.
func (i *Instance) closeDatabases() error {
	var errs []error
	for _, d := range i.all() {
		if err := d.Store.Shut(); err != nil {
			errs = append(errs, fmt.Errorf("close %s of partner %s: %w", d.Title, i.Letter, err))
		}
	}
	return errors.Join(errs...)
}

// DataFile returns the path of the partner's SQLite file of the pair's first database. Other programs may read it, and
// copy it together with its -wal file, but must not write it.
func (i *Instance) DataFile() string { return i.Pair.Folder.first(i.Letter) }

// ReadableSecondary makes a database accept all sessions and refuse writes (3906).
var ReadableSecondary error = sqlerror.New(3906, 16, `Failed to update database "%s" because the database is read-only.`, DatabaseName)

// SecondaryRefusal returns the error of a secondary replica that is not readable, for Planted: number is 976, 978, 983
// or 988.
func SecondaryRefusal(number int32) error {
	return sqlerror.New(number, 14, `The target database, '%s', is participating in an availability group and is currently not accessible for queries.`, DatabaseName)
}

// Writable returns nil while the database accepts writes on this server, and otherwise the error for clients.
func (d *Database) Writable() error {
	err := d.Serving()
	if err == nil && d.State.Load().Role == storage.RoleMirror {
		err = ReadableSecondary.(*tds.Error)
	}
	return err
}
