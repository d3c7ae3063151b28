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

// lockWait is how long calls queue for a session's lock; much shorter than an outage,
// so that both ends of a wait are seen.
const lockWait = 100 * time.Millisecond

// instance is one proxy with everything of its own, as if in its own process: it is
// killed, or ended in order, and started again. What it remembers on disk is all that outlives it.
type instance struct {
	app    string // the application name it logs in with, which its faults go by
	relays map[partner.Name]*relay
	cfg    config.Config
	opts   server.Options
	addr   string              // of its session API, in all its lives
	admin  string              // of its operators' listener
	asked  *proxyclient.Client // of its operators' listener
	target target              // clients of it
	t      *testing.T

	reserved []net.Listener // its addresses, until its first life; owned by start
	deaths   atomic.Int64
	killed   atomic.Bool  // it is dead, and did not end in order
	calls    atomic.Int64 // under way, of the clients
	served   atomic.Int64 // since when a new principal serves that it has not answered on yet, Unix nanoseconds; 0: it has

	mu      sync.Mutex
	running *runningProxy // nil: it is dead, or takes no more calls
	up      chan struct{} // closed while it lives
}

// proxyLife is what ends with a proxy: a server as mirrorstate serve runs it.
type runningProxy struct {
	*server.Server
	stop  context.CancelCauseFunc
	ended chan error // gets what Run returns
}

// startTime is how long a proxy may try to take its addresses back. Somebody may have one for a moment, as the near end
// of a connection.
const startTime = 5 * time.Second

// start begins a life.
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

// leave has the proxy take no more of the clients' calls; nil: it is dead.
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

// kill ends the life as kill -9 does, as far as anybody outside can tell: nothing is
// drained, given back or said. It returns when all of it is gone.
func (in *instance) kill() {
	in.killed.Store(true)
	l := in.leave()
	if l == nil {
		return
	}
	in.deaths.Add(1)
	select {
	case err := <-l.ended:
		in.t.Errorf("%s had ended by itself: %v", in.app, err)
	default:
		l.Kill()
		if err := <-l.ended; !errors.Is(err, net.ErrClosed) {
			in.t.Errorf("%s did not end as it was killed: %v", in.app, err)
		}
	}
	l.stop(nil)
}

// end ends the life as a service manager does: /readyz says so, and clients send nothing more; what is under way is
// answered. It returns when all of it is gone: nil, or what was not answered.
func (in *instance) end() error {
	l := in.leave()
	if l == nil {
		return nil
	}
	l.stop(server.StoppedBy{Signal: syscall.SIGTERM})
	if err := <-l.ended; err != nil {
		return fmt.Errorf("%s did not end in order: %w", in.app, err)
	}
	return nil
}

// current is the life there is, or nil.
func (in *instance) current() *runningProxy {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.running
}

// alive is closed while the proxy lives.
func (in *instance) alive() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.up
}

// faultsOf logs what a proxy says went wrong, in the test's output.
func faultsOf(t *testing.T, app string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})).With("proxy", app)
}

// doorTo makes clients of a proxy, which believe it by known; nil: it is asked in the clear. They send nothing again by themselves: what fails is to be seen.
func newTarget(t *testing.T, url string, known *tls.Config) target {
	t.Helper()
	c := clientOf(t, url, &http.Client{Transport: newTransport(known)})
	return target{now: c, waits: c.Waiting(lockWait), waiting: func(d time.Duration) session.Store { return c.Waiting(d) }}
}

func clientOf(t *testing.T, url string, by *http.Client) *proxyclient.Client {
	t.Helper()
	c, err := proxyclient.New(proxyclient.Config{URL: url, Retries: -1, HTTP: by})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}
