package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// Options are the options of package embedded, which documents each.
type Options struct {
	Dir            string
	AddrA, AddrB   string
	MaxConnections int
	Expose         bool
	Password       string
	Logger         *slog.Logger
	PartnerTimeout time.Duration
	Witness        bool
	Database       string
	Schema         string
	Empty          bool
	// Listen is net.Listen, except in tests with a fake clock, where a wait in the network poller would stop the clock.
	Listen func(network, addr string) (net.Listener, error)
}

// Pair is the two servers and the link between them. Its methods are safe for concurrent use.
type Pair struct {
	log      *slog.Logger
	Folder   *folder
	listen   func(network, addr string) (net.Listener, error)
	Partners [2]*Instance
	timeout  atomic.Int64 // the partner timeout in nanoseconds; see partnerTimeout
	seconds  int64        // the partner timeout in seconds that a new pair stores

	closing sync.Once
	closed  error

	// verbs is held while a role or a setting of the link is changed.
	verbs   chan struct{}
	running runningVerb // what the holder of verbs runs
	link    link
	Links   links
	over    chan struct{} // closed when Run ends

	checkpointers checkpointers

	events events
}

// UserName is the only login of a new pair; it is a sysadmin.
const UserName = "mirrorstate"

// Service is what a pair needs from the package that serves its clients.
type Service struct {
	Server func(*Instance) *tds.Server // returns the TDS server for an instance's connections
	// Schema creates the objects of the pair's first database, before it is registered, and reports whether it created
	// any.
	Schema func(*Database) (made bool, err error)
}

// OpenInstances is [Open] for the package that serves the clients.
func OpenInstances(o *Options, by Service) (*Pair, error) {
	p := &Pair{log: o.Logger, listen: o.Listen, seconds: 10, verbs: make(chan struct{}, 1), over: make(chan struct{})}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.listen == nil {
		p.listen = net.Listen
	}
	if o.PartnerTimeout > 0 {
		p.seconds = max(minTimeout, int64(o.PartnerTimeout/time.Second))
	}
	p.timeout.Store(int64(o.PartnerTimeout))
	p.Links.Changed = make(chan struct{})
	p.link.init()
	if o.Empty && (o.Schema != "" || o.Database != "") {
		return nil, errors.New("Options.Empty excludes Options.Database and Options.Schema, because servers without databases have nowhere to create a schema")
	}
	if err := p.checkExposure(o); err != nil {
		return nil, err
	}
	var err error
	if p.Folder, err = OpenFolder(o); err != nil {
		return nil, err
	}
	if err := p.open(o, by); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// checkExposure refuses addresses that other machines can reach unless Options.Expose is set; then it logs a warning.
// It runs before anything is created, so that a refusal leaves no files behind.
func (p *Pair) checkExposure(o *Options) error {
	if o.Listen != nil {
		return nil // a listener of a test, which cannot be reached over a network
	}
	for i, addr := range []string{o.AddrA, o.AddrB} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if addr == "" || err != nil || tcp.IP.IsLoopback() {
			continue // listening reports the error of an invalid address
		}
		name := PartnerNames[i]
		if !o.Expose {
			return fmt.Errorf("partner %s: %s can be reached from other machines, and anybody who knows or guesses the password is sysadmin there: listen on 127.0.0.1 with --partner-%s, "+
				"or set --expose-partners if a firewall protects the address", name, addr, name)
		}
		p.log.Warn("the embedded server can be reached from other machines: anybody who knows the password is sysadmin there", "partner", name, "address", addr)
	}
	return nil
}

func (p *Pair) open(o *Options, by Service) (err error) {
	for i, addr := range []string{o.AddrA, o.AddrB} {
		name := PartnerNames[i]
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		if p.Partners[i], err = openInstance(p, name, addr, by.Server); err != nil {
			return err
		}
	}
	return p.begin(o, by)
}

// Run serves until ctx ends, then stops both partners, waits for their running calls, and closes the files. It may be
// called once.
func (p *Pair) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, p.liftFaults)
	defer stop()
	endJournals := p.startAllCheckpoints(ctx)
	for _, partner := range p.Partners {
		group.Go(func() error {
			return partner.run(ctx)
		})
	}
	group.Go(func() error {
		p.watchLinks(ctx)
		return nil
	})
	err := group.Wait()
	endJournals()
	close(p.over)
	return errors.Join(err, p.Close())
}

// Close closes a pair that is not running; Run closes its pair itself. A second call does nothing.
func (p *Pair) Close() error {
	p.closing.Do(func() {
		var errs []error
		for _, partner := range p.Partners {
			if partner != nil {
				errs = append(errs, partner.close())
			}
		}
		// Unlock the folder last: until then no other process may open the files.
		errs = append(errs, p.Folder.Close())
		p.closed = errors.Join(errs...)
	})
	return p.closed
}

// Database returns the name of the pair's first database.
func (p *Pair) Database() string { return p.Folder.title }

// ConnectionString returns a connection string for go-mssqldb. It names both partners and the pair's first database, so
// that a client finds the principal on either partner. It turns encryption off. go-mssqldb ignores its context until a
// server has answered, so the connection string limits how long the driver waits for a frozen server.
func (p *Pair) ConnectionString() string {
	host, port := p.Partners[1].hostPort()
	return p.Partners[0].ConnectionString(p.Folder.title) + fmt.Sprintf(";failoverpartner=%s;failoverport=%s;dial timeout=2;connection timeout=5", host, port)
}

// User returns the name of the login.
func (p *Pair) User() string { return UserName }

// Password returns the password of the login.
func (p *Pair) Password() string { return p.Folder.Password }

// FreshPassword reports whether this start generated the password, so that nobody can know it yet.
func (p *Pair) FreshPassword() bool { return p.Folder.Fresh }

// Principal returns the name of the principal of the pair's first database, or else of another mirrored one; "" if no
// database is mirrored. After a forced failover both partners are principal while they cannot reach each other;
// Principal then returns the newer one.
func (p *Pair) Principal() string {
	s := p.Main()
	if s == nil {
		return ""
	}
	return s.principal()
}

// principal returns the name of the database's principal; "" if there is none, or if several copies are open because
// the database is not mirrored.
func (s *Session) principal() string {
	best := ""
	var sequence int64
	for _, d := range s.bothCopies() {
		if d == nil {
			continue
		}
		if m := d.State.Load(); m.Role == storage.RolePrincipal && m.Sequence > sequence {
			best, sequence = d.Instance.Letter, m.Sequence
		}
	}
	return best
}

// DatabaseName is the name of the first database of a pair if Options.Database is empty.
const DatabaseName = "ASPState"
