package server

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// observer asks the operators' listener of another server which partners of the same pair that server reaches.
type observer struct {
	url       string
	client    *client.Client
	database  string
	addresses map[partner.Name]string // host:port of our partners
}

var _ partner.Observer = (*observer)(nil)

// newObserver returns the observer at a URL. It sends no request. Call setPair before Sees.
func newObserver(url string, cred credential.Files) (*observer, error) {
	cfg := client.Config{URL: url, Retries: -1}
	if err := cred.Fill(&cfg); err != nil {
		return nil, fmt.Errorf("pair.watchdog: %w", err)
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("pair.watchdog.observers: %w", err)
	}
	return &observer{url: url, client: c, addresses: make(map[partner.Name]string)}, nil
}

// setPair sets the pair that the observer is asked about. It must not be called concurrently with Sees.
func (o *observer) setPair(st partner.Status) {
	o.database = st.Database
	for _, p := range st.Partners {
		o.addresses[p.Name] = p.Address
	}
}

// Sees implements partner.Observer. It finds the partner by its address, because the other server may call partner a b.
// If that server does not know the address, or uses another database, Sees returns an error.
func (o *observer) Sees(ctx context.Context, n partner.Name) (reachable bool, since time.Duration, err error) {
	text, err := o.client.Pair(ctx)
	if err != nil {
		return false, 0, fmt.Errorf("observer %s: %w", o.url, err)
	}
	var st partner.Status
	if err := json.Unmarshal(text, &st); err != nil {
		return false, 0, fmt.Errorf("observer %s: not an answer of mirrorstate: %w", o.url, err)
	}
	if st.Database != o.database {
		return false, 0, fmt.Errorf("observer %s uses the database %q, not %q", o.url, st.Database, o.database)
	}
	address := o.addresses[n]
	for _, p := range st.Partners {
		if p.Address == address {
			return p.Reachable, time.Duration(p.SinceS * float64(time.Second)), nil
		}
	}
	return false, 0, fmt.Errorf("observer %s has no partner at %s: use the same server names in both connection strings", o.url, address)
}
