package loadserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// PairConnection returns the ADO.NET connection string of an embedded pair.
func PairConnection(servers *embedded.Pair) string {
	server := func(name string) string {
		host, port, _ := net.SplitHostPort(servers.Partner(name).Addr())
		return host + "," + port
	}
	return fmt.Sprintf("data source=%s;failover partner=%s;initial catalog=%s;user id=%s;password=%s;encrypt=disable",
		server("a"), server("b"), embedded.DatabaseName, servers.User(), servers.Password())
}

// barePair gives an operators' listener access to the embedded servers, without a server of mirrorstate between them.
// Clients of the servers are not told of its operations. It implements only the methods that the load test uses.
type barePair struct {
	proxy.PairView // nil
	servers        *embedded.Pair
}

var _ proxy.PairView = barePair{}

// newBarePair returns the handler of an operators' listener for the servers alone. Its session API has no sessions.
func newBarePair(servers *embedded.Pair) (http.Handler, error) {
	api, err := proxy.NewAPI(proxy.Config{Store: memory.New(nil)})
	if err != nil {
		return nil, err
	}
	return proxy.NewAdmin(proxy.AdminConfig{API: api, Pair: barePair{servers: servers}, Faults: server.Injector{Servers: servers}, Events: server.EventSource{Servers: servers}})
}

// Status implements proxy.PairView.
func (b barePair) Status() any {
	st := server.PairStatus{Embedded: server.EmbeddedStatusOf(b.servers)}
	st.Database, st.Topology, st.Principal = embedded.DatabaseName, "embedded", partner.Name(b.servers.Principal())
	for _, name := range []string{"a", "b"} {
		role := partner.RoleUnknown
		switch name {
		case b.servers.Principal():
			role = partner.RolePrincipal
		case b.servers.Mirror():
			role = partner.RoleMirror
		}
		st.Partners = append(st.Partners, partner.PartnerStatus{
			Name: partner.Name(name), Address: b.servers.Partner(name).Addr(), Role: role, State: b.servers.State(),
		})
	}
	return st
}

// Ready implements proxy.PairView.
func (b barePair) Ready() (bool, string) {
	name := b.servers.Principal()
	return name != "", "principal: " + name
}

// on calls do with the partner of that name. It returns an error of do as a refusal.
func (b barePair) on(name string, do func(*embedded.Partner) error) error {
	p := b.servers.Partner(name)
	if p == nil {
		return refusedByPair{errors.New("no partner has that role now")}
	}
	if err := do(p); err != nil {
		return refusedByPair{err}
	}
	return nil
}

// Failover implements proxy.PairView: SET PARTNER FAILOVER on the principal.
func (b barePair) Failover(ctx context.Context) error {
	return b.on(b.servers.Principal(), func(p *embedded.Partner) error { return p.Failover(ctx) })
}

// ForceService implements proxy.PairView: SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS on the mirror.
func (b barePair) ForceService(ctx context.Context, _ bool) error {
	return b.on(b.servers.Mirror(), func(p *embedded.Partner) error { return p.ForceService(ctx) })
}

// Resume implements proxy.PairView.
func (b barePair) Resume(ctx context.Context) error {
	return b.on(b.servers.Principal(), func(p *embedded.Partner) error { return p.Resume(ctx) })
}

// refusedByPair is the error of a server that refuses an operation.
type refusedByPair struct{ error }

// Refusal returns what the operators' listener shows.
func (r refusedByPair) Refusal() (number int32, message, advice string) {
	if e, ok := errors.AsType[*tds.Error](r.error); ok {
		number = e.Number
	}
	return number, r.Error(), "see the pair's state"
}

// servePair runs the two servers, and an operators' listener for them.
func servePair(ctx context.Context, spec loadtest.Spec, announce func(loadtest.Ready)) error {
	return inTemporaryFolder(func(dir string) error {
		flags := server.Embedded{Dir: dir, Witness: "off"}
		if spec.Witness {
			flags.Witness = "on"
		}
		servers, err := flags.Open(childLogger(spec))
		if err != nil {
			return err
		}
		admin, err := newBarePair(servers)
		if err != nil {
			return errors.Join(err, servers.Close())
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(fmt.Errorf("listen: %w", err), servers.Close())
		}
		announce(loadtest.Ready{Admin: "http://" + ln.Addr().String(), Connection: PairConnection(servers)})
		return runPair(ctx, servers, ln, admin)
	})
}

// headerTime bounds reading the header of a request to the operators' listener.
const headerTime = 10 * time.Second

// runPair serves until ctx ends.
func runPair(ctx context.Context, servers interface{ Run(context.Context) error }, ln net.Listener, admin http.Handler) error {
	server := &http.Server{Handler: admin, ReadHeaderTimeout: headerTime}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	err := servers.Run(ctx)
	_ = server.Close()
	if serving := <-served; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}
