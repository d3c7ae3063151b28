package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// newTransport keeps a connection for every client of a load.
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

// lockWait is how long a call queues for a session's lock: the rest of its time is for the
// server's hold window.
func lockWait(timeout time.Duration) time.Duration { return timeout / 4 }

// newHTTP is our API as a store: one request a call, for the failures are to be seen.
func newHTTP(url string, as client.Config, clients int, timeout time.Duration) (*client.Client, error) {
	return client.New(client.Config{
		URL: url, Key: as.Key, HTTP: &http.Client{Transport: newTransport(clients, as.TLS)}, Wait: lockWait(timeout), Retries: -1,
	})
}

// fleet is several servers of one pair: each call goes to the next. Any number of
// goroutines may use it.
type fleet struct {
	members []session.Store
	turn    atomic.Uint64
}

var _ session.Store = (*fleet)(nil)

func (f *fleet) next() session.Store { return f.members[f.turn.Add(1)%uint64(len(f.members))] }

// Get implements session.Store.
func (f *fleet) Get(ctx context.Context, ref session.Ref, opts session.GetOptions) (session.Session, error) {
	return f.next().Get(ctx, ref, opts)
}

// Acquire implements session.Store.
func (f *fleet) Acquire(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, session.Lock, error) {
	return f.next().Acquire(ctx, ref, op)
}

// Update implements session.Store.
func (f *fleet) Update(ctx context.Context, ref session.Ref, lock session.Lock, w session.Write, keep bool, op session.Operation) (session.Session, error) {
	return f.next().Update(ctx, ref, lock, w, keep, op)
}

// Put implements session.Store.
func (f *fleet) Put(ctx context.Context, ref session.Ref, w session.Write, cond session.Condition, op session.Operation) (session.Session, error) {
	return f.next().Put(ctx, ref, w, cond, op)
}

// Release implements session.Store.
func (f *fleet) Release(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	return f.next().Release(ctx, ref, lock, op)
}

// GiveBack implements session.Store: nobody leaves here.
func (f *fleet) GiveBack(ctx context.Context, ref session.Ref, lock session.Lock, _ session.OperationID) error {
	return f.Release(ctx, ref, lock, session.Operation{})
}

// Remove implements session.Store.
func (f *fleet) Remove(ctx context.Context, ref session.Ref, lock session.Lock, op session.Operation) error {
	return f.next().Remove(ctx, ref, lock, op)
}

// Touch implements session.Store.
func (f *fleet) Touch(ctx context.Context, ref session.Ref, op session.Operation) (session.Session, error) {
	return f.next().Touch(ctx, ref, op)
}

// lookTime bounds the first look at a target.
const lookTime = 10 * time.Second

// look makes sure that a target is a session API: it must say, in the words of the
// contract, that it has no session of an id that was just made up.
func look(ctx context.Context, c *client.Client, target string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	app := session.Application{Name: appName(viaHTTP)}.WithDefaults()
	_, err := c.Get(ctx, session.Ref{App: &app, ID: session.NewID()}, session.GetOptions{Peek: true})
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case ok && (e.Name == "session-not-found" || e.Name == "no-principal" || e.Name == "overloaded"):
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("--target %s: nobody listens there; start mirrorstate serve, or name another address", target)
	case ok && (e.Name == "unauthorized" || e.Name == "forbidden"):
		return usage("--target %s does not let this in: %s; make a key with mirrorstate key new load --app '*' --operator --config FILE --out load.key, and name its file with --key-file", target, e.Detail)
	case ok && e.Name == "unknown-application":
		return usage("--target %s knows no application %s: add loadtest: {name: %[2]s} below its apps and send it SIGHUP, or set apps_open: true", target, app.Name)
	case ok && e.Status == 0:
		return fmt.Errorf("--target %s does not answer: %v", target, err)
	}
	return usage("--target %s is no mirrorstate: asked for a session that is not there it answers %s; give the URL of a session API", target, strange(err))
}

// appName is the application whose sessions a load uses.
func appName(via string) string { return "/loadtest/" + via }

// strange is an answer of somebody else's, in short.
func strange(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	}
	if err == nil {
		return "200 OK"
	}
	return err.Error()
}
