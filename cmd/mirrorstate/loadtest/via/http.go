package via

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// newTransport returns a transport that keeps a connection for each client.
func newTransport(clients int, how *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig:     how,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConns:        0, // no limit
		MaxIdleConnsPerHost: clients,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
}

// lockWait returns how long a call waits for a session's lock. The rest of its timeout is for the
// server's hold window.
func lockWait(timeout time.Duration) time.Duration { return timeout / 4 }

// NewHTTP returns a client of mirrorstate's API. It makes one request for each call and retries
// nothing, so that every failure is counted. url is the URL of the API. as has the key and the TLS
// configuration.
func NewHTTP(url string, as client.Config, clients int, timeout time.Duration) (*client.Client, error) {
	return client.New(client.Config{
		URL: url, Key: as.Key, HTTP: &http.Client{Transport: newTransport(clients, as.TLS)}, Wait: lockWait(timeout), Retries: -1,
	})
}

// Fleet is a store that distributes its calls over several servers of one pair in turn. Its methods
// may be called concurrently.
type Fleet struct {
	Members []session.Store // the servers; at least one
	turn    atomic.Uint64
}

var _ session.Store = (*Fleet)(nil)

func (f *Fleet) next() session.Store { return f.Members[f.turn.Add(1)%uint64(len(f.Members))] }

// Get implements session.Store.
func (f *Fleet) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	return f.next().Get(ctx, ref, opts)
}

// Acquire implements session.Store.
func (f *Fleet) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	return f.next().Acquire(ctx, ref, op)
}

// Update implements session.Store.
func (f *Fleet) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	return f.next().Update(ctx, ref, lock, w, keep, op)
}

// Put implements session.Store.
func (f *Fleet) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	return f.next().Put(ctx, ref, w, cond, op)
}

// Release implements session.Store.
func (f *Fleet) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	return f.next().Release(ctx, ref, lock, op)
}

// GiveBack implements session.Store. It is the same as Release.
func (f *Fleet) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, _ session.OperationID) error {
	return f.Release(ctx, ref, lock, session.Operation{})
}

// Remove implements session.Store.
func (f *Fleet) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	return f.next().Remove(ctx, ref, lock, op)
}

// Touch implements session.Store.
func (f *Fleet) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	return f.next().Touch(ctx, ref, op)
}
