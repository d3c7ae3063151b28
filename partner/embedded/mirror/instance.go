package mirror

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/message"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// PartnerNames are the two partners' names, in order.
var PartnerNames = [...]string{"a", "b"}

// Instance is one of the two servers, as far as mirroring goes: its databases, its port, its connections and what befalls it. Its
// methods may be called by anybody at any time.
type Instance struct {
	Pair   *Pair
	Letter string
	Log    *slog.Logger
	addr   net.Addr
	gate   *gate
	Server *tds.Server

	databases atomic.Pointer[userDatabases] // replaced by the holder of pair.verbs
	Master    atomic.Pointer[Database]      // nil: not needed so far

	// frozen and dead: see stand. They follow from the faults.
	frozen, Dead atomic.Bool

	// Guarded by pair.weather.mu.
	faults []Fault // those that last, but for crash and stop
	down   string  // crash or stop; "" while it runs

	injecting chan struct{} // held by Inject, which alone uses life
	life      *serverRun
	lives     chan *serverRun // to be served

	Sessions Sessions

	Planted atomic.Pointer[PlantedAnswer] // how a mirror's database answers; nil: as a mirror's
}

// Face is what a test has a mirror's database answer.
type PlantedAnswer struct{ Err error }

// Name is "a" or "b".
func (i *Instance) Name() string { return i.Letter }

// Addr is the address on which the partner serves TDS, as in "127.0.0.1:14331".
func (i *Instance) Addr() string { return i.addr.String() }

// ServerName is the partner's @@SERVERNAME.
func (i *Instance) ServerName() string { return `MIRRORSTATE\` + strings.ToUpper(i.Letter) }

// ConnectionString is for go-mssqldb and others that read ADO.NET's keywords.
// database is one of the server's, such as "ASPState" or "master", or "" for the login's default, which is
// master. It asks for no encryption: the connection does not leave the machine. Encryption
// works with encrypt=true and a trusted server certificate.
func (i *Instance) ConnectionString(database string) string {
	host, port := i.hostPort()
	text := fmt.Sprintf("server=%s;port=%s;user id=%s;password=%s;encrypt=disable", host, port, i.Pair.User(), quoteValue(i.Pair.Password()))
	if database != "" {
		text += ";database=" + quoteValue(database)
	}
	return text
}

// quoteValue quotes a value of a connection string where it needs to be.
func quoteValue(v string) string {
	if !strings.ContainsAny(v, "; '\"={}") {
		return v
	}
	return `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
}

func (i *Instance) hostPort() (host, port string) {
	host, port, err := net.SplitHostPort(i.Addr())
	if err != nil {
		return i.Addr(), "" // not an address of TCP: nothing to take apart
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}

// ClientName is how a client names this partner: what the other hands out as its
// failover partner.
func (i *Instance) ClientName() string {
	host, port := i.hostPort()
	return host + "," + port
}

// Index is the partner's place among the two.
func (i *Instance) Index() int {
	if i.Letter == PartnerNames[0] {
		return 0
	}
	return 1
}

// Other is the partner's partner.
func (i *Instance) Other() *Instance {
	if i == i.Pair.Partners[0] {
		return i.Pair.Partners[1]
	}
	return i.Pair.Partners[0]
}

// openInstance opens the server's databases and its port. serve makes what its connections are served by.
func openInstance(pair *Pair, name, addr string, serve func(*Instance) *tds.Server) (*Instance, error) {
	p := &Instance{Pair: pair, Letter: name, Log: pair.log.With("partner", name), gate: newGate(),
		injecting: make(chan struct{}, 1), lives: make(chan *serverRun, 1)}
	p.databases.Store(&userDatabases{})
	if err := p.openDatabases(); err != nil {
		return nil, errors.Join(err, p.closeDatabases())
	}
	listener, err := pair.listen("tcp", addr)
	if err != nil {
		_ = p.closeDatabases() // the port is what to tell
		return nil, fmt.Errorf("partner %s can't listen on %s: %w; choose another address with --partner-%s", name, addr, err, name)
	}
	p.addr, p.life = listener.Addr(), p.newServerRun(listener)
	p.lives <- p.life
	p.Server = serve(p)
	return p, nil
}

// close closes what openInstance opened. The server must not be serving.
func (i *Instance) close() error {
	i.life.cancel()
	_ = i.life.listener.Close() // the server may have closed it already
	return i.closeDatabases()
}

// closeDatabases closes the files.
func (i *Instance) closeDatabases() error {
	var errs []error
	for _, d := range i.all() {
		if err := d.Store.Shut(); err != nil {
			errs = append(errs, fmt.Errorf("close %s of partner %s: %w", d.Title, i.Letter, err))
		}
	}
	return errors.Join(errs...)
}

// DataFile is the path of the partner's SQLite file of the database that the pair began with. Others may read it, and
// copy it together with its -wal file, but must not write it.
func (i *Instance) DataFile() string { return i.Pair.Folder.first(i.Letter) }

// ReadableSecondary has a database let everybody in and refuse writes (3906).
var ReadableSecondary error = message.New(3906, 16, `Failed to update database "%s" because the database is read-only.`, DatabaseName)

// SecondaryRefusal is the error of a secondary replica that can't be opened, for
// Planted: number is 976, 978, 983 or 988.
func SecondaryRefusal(number int32) error {
	return message.New(number, 14, `The target database, '%s', is participating in an availability group and is currently not accessible for queries.`, DatabaseName)
}

// Writable is nil while the database takes writes here, and otherwise the refusal.
func (d *Database) Writable() error {
	err := d.Serving()
	if err == nil && d.State.Load().Role == storage.RoleMirror {
		err = ReadableSecondary.(*tds.Error)
	}
	return err
}
