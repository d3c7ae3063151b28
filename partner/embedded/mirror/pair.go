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

// Options are those of partner/embedded, which says what each is.
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
	// Listen is net.Listen but in tests, which must not wait in the network poller
	// where time is to stand still.
	Listen func(network, addr string) (net.Listener, error)
}

// Pair is the two servers and the link between them. Its methods may be called
// by anybody at any time.
type Pair struct {
	log      *slog.Logger
	Folder   *folder
	listen   func(network, addr string) (net.Listener, error)
	Partners [2]*Instance
	timeout  atomic.Int64 // the partner time-out in nanoseconds; see patience
	seconds  int64        // the same, as a new pair remembers it

	closing sync.Once
	closed  error

	// verbs is held by whoever changes a role or the link's settings.
	verbs   chan struct{}
	running runningVerb // what the holder of verbs does
	link    link
	Links   links
	over    chan struct{} // closed when Run ends

	checkpointers checkpointers

	events events
}

// UserName is the one login of an embedded pair; it is a sysadmin.
const UserName = "mirrorstate"

// Service is what a pair needs of who serves its clients.
type Service struct {
	Server func(*Instance) *tds.Server // makes what an instance's connections are served by
	// schema makes what is in the database that a pair begins with, which nobody knows of yet, and reports whether it made anything.
	Schema func(*Database) (made bool, err error)
}

// OpenInstances is [Open] for who serves the clients.
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
		return nil, errors.New("empty servers have no database to name or to make a schema in: leave out either Empty, or Database and Schema")
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

// checkExposure refuses addresses that other machines can reach, unless that is meant, and warns of them then. It comes before
// anything is made, so that a refusal leaves nothing behind.
func (p *Pair) checkExposure(o *Options) error {
	if o.Listen != nil {
		return nil // a test's, which no network reaches
	}
	for i, addr := range []string{o.AddrA, o.AddrB} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if addr == "" || err != nil || tcp.IP.IsLoopback() {
			continue // of an address that is none the listening tells
		}
		name := PartnerNames[i]
		if !o.Expose {
			return fmt.Errorf("partner %s: %s can be reached from other machines, and whoever has or guesses the password is sysadmin there: listen on 127.0.0.1 with --partner-%s, "+
				"or say --expose-partners if something else keeps strangers out", name, addr, name)
		}
		p.log.Warn("the embedded server can be reached from other machines: whoever has the password is sysadmin there", "partner", name, "address", addr)
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

// Run serves until ctx ends, then stops both partners, waits for what they were
// doing, and closes the files. It may be called once.
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

// Close closes a pair that is not running; Run does it itself. A second call does
// nothing.
func (p *Pair) Close() error {
	p.closing.Do(func() {
		var errs []error
		for _, partner := range p.Partners {
			if partner != nil {
				errs = append(errs, partner.close())
			}
		}
		// The lock goes last: until then nobody else may open the files.
		errs = append(errs, p.Folder.Close())
		p.closed = errors.Join(errs...)
	})
	return p.closed
}

// Database is the name of the database that the pair began with.
func (p *Pair) Database() string { return p.Folder.title }

// ConnectionString is for go-mssqldb: both partners and the database that the pair began with, so that a client finds
// the principal whichever of them it is. It asks for no encryption. go-mssqldb does not hear a context before a server has answered, so the
// waits for one that is frozen are bounded by it.
func (p *Pair) ConnectionString() string {
	host, port := p.Partners[1].hostPort()
	return p.Partners[0].ConnectionString(p.Folder.title) + fmt.Sprintf(";failoverpartner=%s;failoverport=%s;dial timeout=2;connection timeout=5", host, port)
}

// User is the name of the login.
func (p *Pair) User() string { return UserName }

// Password is the password of the login.
func (p *Pair) Password() string { return p.Folder.Password }

// FreshPassword reports whether the password was made by this start, so that nobody
// can know it yet.
func (p *Pair) FreshPassword() bool { return p.Folder.Fresh }

// Principal is the name of the partner that serves the mirrored database (the one the pair began with, or what else there
// is); "" if there is none. After a forced
// failover, while the partners can't see each other, two do: it is then the newer one.
func (p *Pair) Principal() string {
	s := p.Main()
	if s == nil {
		return ""
	}
	return s.principal()
}

// principal is the name of the partner that serves the database; "" if none does, or more than
// one because it is not mirrored.
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

// DatabaseName is the database that a pair begins with where nobody names another.
const DatabaseName = "ASPState"
