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

// Stack is what stands under the listeners: the pair of servers (the embedded
// one, or somebody else's), our view of it, and the store on top. It is stopped
// from the top down, so that nothing loses what it stands on.
type Storage struct {
	Servers   *embedded.Pair // nil: not ours
	Pair      *partner.Pair
	Store     *aspstate.Store
	sweeping  *sweeping
	observers []*observer

	start                 []func() // the parts that are not started yet
	stopSweeping          func()   // waits; nil: the job does not run
	stopPair, stopServers context.CancelFunc
	stopWatching          []context.CancelFunc // of files, and what else may end first

	running sync.WaitGroup
	failed  chan error // the first part that ended by itself
}

// NewStorage makes a stack, which Start brings up and Close ends. servers, if not nil, is run by the stack, and
// closed by it whatever happens. memory is the folder in which the accepted
// principal is remembered; empty: it isn't. meter is told of calls; nil: nobody is.
// change is done to the pair's configuration last.
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

// Start brings it up: the pair's monitor, and the servers that are ours.
func (st *Storage) Start() {
	for _, start := range st.start {
		start()
	}
	st.start = nil
}

// part is one part of it: start starts it, and notes if it ends; stop ends it.
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

// run starts one part; stop ends it.
func (st *Storage) run(what string, part func(context.Context) error) (stop context.CancelFunc) {
	start, stop := st.part(what, part)
	start()
	return stop
}

// readSecret reads the fleet's secret, so that no call waits for it. What fails is tried again by the first call.
func (st *Storage) readSecret() {
	st.stopWatching = append(st.stopWatching, st.run("the first reading of the fleet's secret", func(ctx context.Context) error {
		_, _ = st.Store.FleetSecret(ctx)
		return nil
	}))
}

// sweep has the expiry job run, or not. Not concurrently.
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

// Close stops the expiry job, the store, the pair, and the servers, in this order, and waits. What was never started
// gives back what it holds, too.
func (st *Storage) Close() {
	for _, stop := range st.stopWatching {
		stop()
	}
	st.sweep(false)
	st.sweeping.close()
	st.Store.Close()
	st.stopPair()
	st.stopServers()
	st.Start() // what never ran runs now, and ends at once: so it closes what it has opened
	st.running.Wait()
	for _, o := range st.observers {
		o.client.Close()
	}
}

// observe makes the watchdog's observers and puts them into pc.
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

// Sweeper is the expiry job.
func (st *Storage) Sweeper() *aspstate.Sweeper { return st.sweeping.sweeper }
