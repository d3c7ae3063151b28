package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Storage is everything that the listeners use: the servers of an embedded pair, the Pair (the connections to the two
// SQL Servers), the session store on it, and the expiry job. Close stops them in the reverse order, so that none loses
// one that it uses.
type Storage struct {
	Servers   *embedded.Pair // nil: a pair is configured
	Pair      *partner.Pair
	Store     *aspstate.Store
	sweeping  *sweeping
	observers []*observer

	start                 []func() // of the parts that are not started yet
	stopSweeping          func()   // stops the expiry job and waits for it; nil: the job is not running
	stopPair, stopServers context.CancelFunc
	stopWatching          []context.CancelFunc // of the parts that stop first, such as those that watch files

	running sync.WaitGroup
	failed  chan error // the first part that ended by itself
}

// NewStorage returns a storage, which Start starts and Close closes. The storage runs servers, if not nil, and closes
// them, also if NewStorage fails. memory is the folder that keeps the accepted principal; with "" it is not kept.
// meter, if not nil, measures the calls. Each change is applied to the pair's configuration last.
func NewStorage(cfg config.Config, servers *embedded.Pair, memory string, meter partner.Meter, logger *slog.Logger, change ...func(*partner.Config)) (st *Storage, err error) {
	defer func() {
		if err != nil && servers != nil {
			err = errors.Join(err, servers.Close())
		}
	}()
	pc, err := PairConfig(cfg, servers, memory, logger)
	if err != nil {
		return nil, err
	}
	pc.Meter = meter
	observers, err := newObservers(cfg, &pc)
	if err != nil {
		return nil, err
	}
	for _, c := range change {
		c(&pc)
	}
	pair, err := partner.New(pc)
	if err != nil {
		return nil, err
	}
	for _, o := range observers {
		o.setPair(pair.Status())
	}
	st = &Storage{Servers: servers, Pair: pair, Store: aspstate.New(pair, logger), observers: observers, failed: make(chan error, 3)}
	st.sweeping = newSweeping(aspstate.NewSweeper(st.Store, pair, sweepConfig(cfg.Sweep), logger))
	var startPair func()
	startPair, st.stopPair = st.part("the pair's monitor", pair.Run)
	st.start, st.stopServers = []func(){startPair}, func() {}
	if servers != nil {
		var startServers func()
		startServers, st.stopServers = st.part("the embedded pair", servers.Run)
		st.start = append(st.start, startServers)
	}
	return st, nil
}

// Start starts the pair's monitor, and the servers of an embedded pair.
func (st *Storage) Start() {
	for _, start := range st.start {
		start()
	}
	st.start = nil
}

// part prepares one part of the storage. start starts it, and reports an error in failed; stop stops it.
func (st *Storage) part(what string, run func(context.Context) error) (start func(), stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	return func() {
		st.running.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				select {
				case st.failed <- fmt.Errorf("%s ended: %w", what, err):
				default:
				}
			}
		})
	}, stop
}

// run starts one part; stop stops it.
func (st *Storage) run(what string, part func(context.Context) error) (stop context.CancelFunc) {
	start, stop := st.part(what, part)
	start()
	return stop
}

// readSecret reads the fleet's secret in the background, so that no call waits for it. If that fails, the first call
// that needs the secret reads it.
func (st *Storage) readSecret() {
	st.stopWatching = append(st.stopWatching, st.run("reading the fleet's secret", func(ctx context.Context) error {
		_, _ = st.Store.FleetSecret(ctx)
		return nil
	}))
}

// sweep starts or stops the expiry job. It must not be called concurrently.
func (st *Storage) sweep(enabled bool) {
	switch {
	case enabled && st.stopSweeping == nil:
		ended := make(chan struct{})
		stop := st.run("the expiry job", func(ctx context.Context) error {
			defer close(ended)
			return st.sweeping.sweeper.Run(ctx)
		})
		st.stopSweeping = func() { stop(); <-ended }
	case !enabled && st.stopSweeping != nil:
		st.stopSweeping()
		st.stopSweeping = nil
	}
}

// Close stops the expiry job, the store, the pair, and the servers, in this order, and waits for them. It also closes a
// storage that was never started.
func (st *Storage) Close() {
	for _, stop := range st.stopWatching {
		stop()
	}
	st.sweep(false)
	st.sweeping.close()
	st.Store.Close()
	st.stopPair()
	st.stopServers()
	st.Start() // a part that never ran runs now and ends at once, which closes what it has opened
	st.running.Wait()
	for _, o := range st.observers {
		o.client.Close()
	}
}

// newObservers returns the watchdog's observers and adds them to pc.
func newObservers(cfg config.Config, pc *partner.Config) ([]*observer, error) {
	var observers []*observer
	for _, url := range cfg.Pair.Watchdog.Observers {
		o, err := newObserver(url, credential.Files{KeyFile: cfg.Pair.Watchdog.KeyFile, CAFile: cfg.Pair.Watchdog.CAFile})
		if err != nil {
			return nil, err
		}
		observers = append(observers, o)
		pc.Watchdog.Observers = append(pc.Watchdog.Observers, o)
	}
	return observers, nil
}

// Sweeper returns the expiry job.
func (st *Storage) Sweeper() *aspstate.Sweeper { return st.sweeping.sweeper }
