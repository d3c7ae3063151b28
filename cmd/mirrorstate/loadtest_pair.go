package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/memory"
)

// defaultPartnerTimeout is what the embedded pair of a load test takes for a loss.
const defaultPartnerTimeout = 5 * time.Second

// pairConnection is the pair as an ADO.NET connection string.
func pairConnection(servers *embedded.Pair) string {
	server := func(name string) string {
		host, port, _ := net.SplitHostPort(servers.Partner(name).Addr())
		return host + "," + port
	}
	return fmt.Sprintf("data source=%s;failover partner=%s;initial catalog=%s;user id=%s;password=%s;encrypt=disable",
		server("a"), server("b"), embedded.DatabaseName, servers.User(), servers.Password())
}

// barePair shows the embedded servers to an operators' listener without a mirrorstate in
// between: what is done to them is done behind the back of whoever is on them. The load
// test asks for nothing but what is here.
type barePair struct {
	proxy.PairView // nil
	servers        *embedded.Pair
}

var _ proxy.PairView = barePair{}

// newBarePair makes the operators' listener of the servers alone. Its session API is an empty one.
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

// on does something to a partner, and shows what it says if it refuses.
func (b barePair) on(name string, do func(*embedded.Partner) error) error {
	p := b.servers.Partner(name)
	if p == nil {
		return refusedByPair{errors.New("there is no such partner just now")}
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

// refusedByPair is a refusal of the servers'.
type refusedByPair struct{ error }

// Refusal is what the operators' listener shows.
func (r refusedByPair) Refusal() (number int32, message, advice string) {
	if e, ok := errors.AsType[*tds.Error](r.error); ok {
		number = e.Number
	}
	return number, r.Error(), "see the pair's state"
}
