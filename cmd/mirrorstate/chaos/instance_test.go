package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	proxyclient "github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
)

// lockWait is how long calls queue for a session's lock. It is much shorter than an outage, so that some calls get the
// lock and some do not.
const lockWait = 100 * time.Millisecond

// instance is one proxy, separate as if in its own process. It is killed or stopped, and started again. Only its files
// on disk survive that.
type instance struct {
	app    string // the application name of its logins, by which faults select it
	relays map[partner.Name]*relay
	cfg    config.Config
	opts   server.Options
	addr   string              // of its session API; the same after each start
	admin  string              // of its operators' listener
	asked  *proxyclient.Client // a client of its operators' listener
	target target              // clients of it
	t      *testing.T

	reserved []net.Listener // its addresses, until its first start; owned by start
	deaths   atomic.Int64
	killed   atomic.Bool  // it was killed
	calls    atomic.Int64 // clients' calls under way
	served   atomic.Int64 // when the new principal began to serve, in Unix nanoseconds; 0 after the proxy's first answer on it

	mu      sync.Mutex
	running *runningProxy // nil: killed or stopping
	up      chan struct{} // closed while it runs
}

// runningProxy is a proxy from its start to its end: a server as mirrorstate serve runs it.
type runningProxy struct {
	*server.Server
	stop  context.CancelCauseFunc
	ended chan error // receives the result of Run
}

// startTime is how long a proxy tries to open its addresses again. For a moment one may be in use as the local address
// of a connection.
const startTime = 5 * time.Second

// start starts the proxy.
func (in *instance) start() error {
	for _, ln := range in.reserved {
		_ = ln.Close()
	}
	in.reserved = nil
	s, err := server.New(context.Background(), in.cfg, in.opts)
	for limit := time.Now().Add(startTime); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(limit); {
		pause(context.Background(), 10*time.Millisecond)
		s, err = server.New(context.Background(), in.cfg, in.opts)
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	l := &runningProxy{Server: s, stop: stop, ended: make(chan error, 1)}
	go func() { l.ended <- s.Run(ctx) }()
	in.killed.Store(false)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = l
	close(in.up)
	return nil
}

// leave makes the proxy accept no more calls of the clients, and returns it. It returns nil if the proxy is not
// running.
func (in *instance) leave() *runningProxy {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.running
	in.running = nil
	if l != nil {
		in.up = make(chan struct{})
	}
	return l
}

// kill kills the proxy as kill -9 does, as seen from outside: it drains nothing and releases no lock. It returns when
// everything of the proxy has ended.
func (in *instance) kill() {
	in.killed.Store(true)
	l := in.leave()
	if l == nil {
		return
	}
	in.deaths.Add(1)
	select {
	case err := <-l.ended:
		in.t.Errorf("%s had already ended: %v", in.app, err)
	default:
		l.Kill()
		if err := <-l.ended; !errors.Is(err, net.ErrClosed) {
			in.t.Errorf("%s did not end after Kill: %v", in.app, err)
		}
	}
	l.stop(nil)
}

// end stops the proxy as a service manager does: /readyz reports it, clients send nothing more, and calls under way are
// answered. It returns when everything has ended; an error says what was not answered.
func (in *instance) end() error {
	l := in.leave()
	if l == nil {
		return nil
	}
	l.stop(server.StoppedBy{Signal: syscall.SIGTERM})
	if err := <-l.ended; err != nil {
		return fmt.Errorf("%s did not stop cleanly: %w", in.app, err)
	}
	return nil
}

// current returns the running proxy, or nil.
func (in *instance) current() *runningProxy {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.running
}

// alive returns a channel that is closed while the proxy runs.
func (in *instance) alive() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.up
}

// faultsOf returns a logger that writes a proxy's errors to the test's output.
func faultsOf(t *testing.T, app string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})).With("proxy", app)
}

// newTarget returns the clients of a proxy. They use the TLS settings known; nil for no TLS. They do not retry: the
// test must see each failure.
func newTarget(t *testing.T, url string, known *tls.Config) target {
	t.Helper()
	c := clientOf(t, url, &http.Client{Transport: newTransport(known)})
	return target{now: c, waits: c.Waiting(lockWait), waiting: func(d time.Duration) session.Store { return c.Waiting(d) }}
}

func clientOf(t *testing.T, url string, by *http.Client) *proxyclient.Client {
	t.Helper()
	c, err := proxyclient.New(proxyclient.Config{URL: url, Retries: -1, HTTP: by})
	if err != nil {
		t.Fatalf("create a client: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}
