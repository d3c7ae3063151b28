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

// observer is another server's operators' listener, asked for its view of the
// same pair.
type observer struct {
	url       string
	client    *client.Client
	database  string
	addresses map[partner.Name]string // host:port of our partners
}

var _ partner.Observer = (*observer)(nil)

// newObserver makes the observer at a URL. It asks nobody, and can't tell
// anything until watches has said what pair it is about.
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

// watches says what pair it is about. Not concurrently with Sees.
func (o *observer) setPair(st partner.Status) {
	o.database = st.Database
	for _, p := range st.Partners {
		o.addresses[p.Name] = p.Address
	}
}

// Sees implements partner.Observer. The partner is found by its address: what is
// a here may be b there. An observer that knows no such address, or watches
// another database, can't tell.
func (o *observer) Sees(ctx context.Context, n partner.Name) (reachable bool, since time.Duration, err error) {
	text, err := o.client.Pair(ctx)
	if err != nil {
		return false, 0, fmt.Errorf("observer %s: %w", o.url, err)
	}
	var st partner.Status
	if err := json.Unmarshal(text, &st); err != nil {
		return false, 0, fmt.Errorf("observer %s: its answer is not mirrorstate's: %w", o.url, err)
	}
	if st.Database != o.database {
		return false, 0, fmt.Errorf("observer %s watches the database %q, not %q", o.url, st.Database, o.database)
	}
	address := o.addresses[n]
	for _, p := range st.Partners {
		if p.Address == address {
			return p.Reachable, time.Duration(p.SinceS * float64(time.Second)), nil
		}
	}
	return false, 0, fmt.Errorf("observer %s knows no partner at %s: write both connection strings with the same names", o.url, address)
}
