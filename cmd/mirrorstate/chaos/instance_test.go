package chaos

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy"
	proxyclient "github.com/mirrorstate/mirrorstate/proxy/client"
	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// lockWait is how long calls queue for a session's lock; much shorter than an outage,
// so that both ends of a wait are seen.
const lockWait = 100 * time.Millisecond

// instance is one proxy with everything of its own, as if in its own process: it is
// killed and started again. What it remembers on disk is all that outlives it.
type instance struct {
	app    string // the application name it logs in with, which its faults go by
	relays map[partner.Name]*relay
	cfg    partner.Config
	addr   string // of its listener, in all its lives
	door   door   // clients of it
	t      *testing.T

	first  net.Listener // of its first life; owned by start
	deaths atomic.Int64
	calls  atomic.Int64 // under way, of the clients
	served atomic.Int64 // since when a new principal serves that it has not answered on yet, Unix nanoseconds; 0: it has

	mu   sync.Mutex
	life *proxyLife    // nil: it is dead
	up   chan struct{} // closed while it lives
}

// proxyLife is what ends with a proxy.
type proxyLife struct {
	pair    *partner.Pair
	store   *aspstate.Store
	api     *proxy.API
	server  *http.Server
	stop    context.CancelFunc // of the pair
	running sync.WaitGroup
	calls   handling
}

// handling is the calls that a proxy handles. http.Server.Close waits for none of them.
type handling struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // nil: more may come; closed when there are none and none may come
}

// wrap counts the handler's calls.
func (h *handling) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.add(1) {
			panic(http.ErrAbortHandler) // it came as the server was closed
		}
		defer h.add(-1)
		next.ServeHTTP(w, r)
	})
}

// add counts a call that begins, unless none may, or one that ends.
func (h *handling) add(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.idle != nil && n > 0 {
		return false
	}
	if h.n += n; h.n == 0 && h.idle != nil {
		close(h.idle)
	}
	return true
}

// end has none begin any more, and waits until the last has ended.
func (h *handling) end() {
	h.mu.Lock()
	idle := make(chan struct{})
	if h.idle = idle; h.n == 0 {
		close(idle)
	}
	h.mu.Unlock()
	<-idle
}

// start begins a life.
func (in *instance) start() error {
	ln := in.first
	in.first = nil
	if ln == nil {
		var err error
		if ln, err = listenAgain(in.addr); err != nil {
			return err
		}
	}
	pair, err := partner.New(in.cfg)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	l := &proxyLife{pair: pair, store: aspstate.New(pair, in.cfg.Logger)}
	if l.api, err = newAPI(begins{l.store}, l.store.FleetSecret, in.cfg.Logger); err != nil {
		return errors.Join(err, ln.Close())
	}
	l.server = &http.Server{Handler: l.calls.wrap(seesTries(l.api))}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.running.Go(func() {
		if err := pair.Run(ctx); err != nil {
			in.t.Errorf("the pair of %s ended: %v", in.app, err)
		}
	})
	l.running.Go(func() { _ = l.server.Serve(ln) })
	in.mu.Lock()
	defer in.mu.Unlock()
	in.life = l
	close(in.up)
	return nil
}

// listenAgain takes a port back. Somebody may have it for a moment, as the near end of a
// connection.
func listenAgain(addr string) (net.Listener, error) {
	for limit := time.Now().Add(5 * time.Second); ; {
		ln, err := net.Listen("tcp", addr)
		if err == nil || time.Now().After(limit) {
			return ln, err
		}
		pause(context.Background(), 10*time.Millisecond)
	}
}

// end ends the life as kill -9 does, as far as anybody outside can tell: nothing is
// drained, given back or said. It returns when all of it is gone.
func (in *instance) end() {
	in.mu.Lock()
	l := in.life
	in.life = nil
	if l != nil {
		in.up = make(chan struct{})
	}
	in.mu.Unlock()
	if l == nil {
		return
	}
	in.deaths.Add(1)
	l.stop() // the way to the servers first: a handler that notices its client's going shall do nothing there
	_ = l.server.Close()
	l.api.StopWaiting()
	l.running.Wait()
	l.calls.end() // they may still have something to give back, and the store waits only for what has begun
	l.store.Close()
}

// current is the life there is, or nil.
func (in *instance) current() *proxyLife {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.life
}

// alive is closed while the proxy lives.
func (in *instance) alive() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.up
}

var errDead = errors.New("that proxy is dead")

// Sees implements partner.Observer, as the operators' listener of a proxy does.
func (in *instance) Sees(ctx context.Context, n partner.Name) (reachable bool, since time.Duration, err error) {
	if l := in.current(); l != nil {
		return l.pair.Sees(ctx, n)
	}
	return false, 0, errDead
}

// faultsOf logs what a proxy says went wrong, in the test's output.
func faultsOf(t *testing.T, app string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})).With("proxy", app)
}

func newAPI(store session.Store, key func(context.Context) ([]byte, error), logger *slog.Logger) (*proxy.API, error) {
	return proxy.NewAPI(proxy.Config{
		Store: store, HoldWindow: holdWindow, FleetSecret: key, Logger: logger,
		Apps: map[string]session.Application{"default": application},
	})
}

// doorTo makes clients of a proxy. They send nothing again by themselves: what fails is to be seen.
func doorTo(t *testing.T, url string) door {
	t.Helper()
	c, err := proxyclient.New(proxyclient.Config{URL: url, Retries: -1, HTTP: &http.Client{Transport: newTransport()}})
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	t.Cleanup(c.Close)
	return door{now: c, waits: c.Waiting(lockWait), waiting: func(d time.Duration) session.Store { return c.Waiting(d) }}
}
