package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// partnerNames are the two partners' names, in order.
var partnerNames = [...]string{"a", "b"}

// instance is one of the two servers, as far as mirroring goes: its databases, its port, its connections and what befalls it. Its
// methods may be called by anybody at any time.
type instance struct {
	pair   *pair
	name   string
	log    *slog.Logger
	addr   net.Addr
	gate   *gate
	server *tds.Server

	databases atomic.Pointer[userDatabases] // replaced by the holder of pair.verbs
	master    atomic.Pointer[database]      // nil: not needed so far

	// frozen and dead: see stand. They follow from the faults.
	frozen, dead atomic.Bool

	// Guarded by pair.weather.mu.
	faults []Fault // those that last, but for crash and stop
	down   string  // crash or stop; "" while it runs

	injecting chan struct{} // held by Inject, which alone uses life
	life      *life
	lives     chan *life // to be served

	sessions sessionSet

	face atomic.Pointer[face] // how a mirror's database answers; nil: as a mirror's
}

// face is what a test has a mirror's database answer.
type face struct{ err error }

// Name is "a" or "b".
func (i *instance) Name() string { return i.name }

// Addr is the address on which the partner serves TDS, as in "127.0.0.1:14331".
func (i *instance) Addr() string { return i.addr.String() }

// ServerName is the partner's @@SERVERNAME.
func (i *instance) ServerName() string { return `MIRRORSTATE\` + strings.ToUpper(i.name) }

// ConnectionString is for go-mssqldb and others that read ADO.NET's keywords.
// database is one of the server's, such as "ASPState" or "master", or "" for the login's default, which is
// master. It asks for no encryption: the connection does not leave the machine. Encryption
// works with encrypt=true and a trusted server certificate.
func (i *instance) ConnectionString(database string) string {
	host, port := i.hostPort()
	text := fmt.Sprintf("server=%s;port=%s;user id=%s;password=%s;encrypt=disable", host, port, i.pair.User(), quoteValue(i.pair.Password()))
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

func (i *instance) hostPort() (host, port string) {
	host, port, err := net.SplitHostPort(i.Addr())
	if err != nil {
		return i.Addr(), "" // not an address of TCP: nothing to take apart
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}

// clientName is how a client names this partner: what the other hands out as its
// failover partner.
func (i *instance) clientName() string {
	host, port := i.hostPort()
	return host + "," + port
}

// index is the partner's place among the two.
func (i *instance) index() int {
	if i.name == partnerNames[0] {
		return 0
	}
	return 1
}

// other is the partner's partner.
func (i *instance) other() *instance {
	if i == i.pair.partners[0] {
		return i.pair.partners[1]
	}
	return i.pair.partners[0]
}

// openInstance opens the server's databases and its port. serve makes what its connections are served by.
func openInstance(pair *pair, name, addr string, serve func(*instance) *tds.Server) (*instance, error) {
	p := &instance{pair: pair, name: name, log: pair.log.With("partner", name), gate: newGate(),
		injecting: make(chan struct{}, 1), lives: make(chan *life, 1)}
	p.databases.Store(&userDatabases{})
	if err := p.openDatabases(); err != nil {
		return nil, errors.Join(err, p.closeDatabases())
	}
	listener, err := pair.listen("tcp", addr)
	if err != nil {
		_ = p.closeDatabases() // the port is what to tell
		return nil, fmt.Errorf("partner %s can't listen on %s: %w; choose another address with --partner-%s", name, addr, err, name)
	}
	p.addr, p.life = listener.Addr(), p.newLife(listener)
	p.lives <- p.life
	p.server = serve(p)
	return p, nil
}

// close closes what openInstance opened. The server must not be serving.
func (i *instance) close() error {
	i.life.cancel()
	_ = i.life.listener.Close() // the server may have closed it already
	return i.closeDatabases()
}

// closeDatabases closes the files.
func (i *instance) closeDatabases() error {
	var errs []error
	for _, d := range i.all() {
		if err := d.store.shut(); err != nil {
			errs = append(errs, fmt.Errorf("close %s of partner %s: %w", d.title, i.name, err))
		}
	}
	return errors.Join(errs...)
}

// DataFile is the path of the partner's SQLite file of the database that the pair began with. Others may read it, and
// copy it together with its -wal file, but must not write it.
func (i *instance) DataFile() string { return i.pair.folder.first(i.name) }
