package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// stack is what stands under the listeners: the pair of servers (the embedded
// one, or somebody else's), our view of it, and the store on top. It is stopped
// from the top down, so that nothing loses what it stands on.
type stack struct {
	servers   *embedded.Pair // nil: not ours
	pair      *partner.Pair
	store     *aspstate.Store
	sweeping  *sweeping
	observers []*observer

	stopSweeping          func() // waits; nil: the job does not run
	stopPair, stopServers context.CancelFunc
	stopWatching          []context.CancelFunc // of files, and what else may end first

	running sync.WaitGroup
	failed  chan error // the first part that ended by itself
}

// openStack brings everything up. servers, if not nil, is run by the stack, and
// closed by it whatever happens. memory is the folder in which the accepted
// principal is remembered; empty: it isn't. meter is told of calls; nil: nobody is.
// change is done to the pair's configuration last.
func openStack(cfg config.Config, servers *embedded.Pair, memory string, meter partner.Meter, logger *slog.Logger, change ...func(*partner.Config)) (st *stack, err error) {
	defer func() {
		if err != nil && servers != nil {
			err = errors.Join(err, servers.Close())
		}
	}()
	pc, err := pairConfig(cfg, servers, memory, logger)
	if err != nil {
		return nil, err
	}
	pc.Meter = meter
	observers, err := observe(cfg, &pc)
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
		o.watches(pair.Status())
	}
	st = &stack{servers: servers, pair: pair, store: aspstate.New(pair, logger), observers: observers, failed: make(chan error, 3)}
	st.sweeping = newSweeping(aspstate.NewSweeper(st.store, pair, sweepConfig(cfg.Sweep), logger))
	st.stopServers, st.stopPair = func() {}, st.run("the pair's monitor", pair.Run)
	if servers != nil {
		st.stopServers = st.run("the embedded pair", servers.Run)
	}
	return st, nil
}

// run starts one part and notes if it ends; stop ends it.
func (st *stack) run(what string, part func(context.Context) error) (stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	st.running.Go(func() {
		if err := part(ctx); err != nil && !errors.Is(err, context.Canceled) {
			select {
			case st.failed <- fmt.Errorf("%s ended: %w", what, err):
			default:
			}
		}
	})
	return stop
}

// readSecret reads the fleet's secret, so that no call waits for it. What fails is tried again by the first call.
func (st *stack) readSecret() {
	st.stopWatching = append(st.stopWatching, st.run("the first reading of the fleet's secret", func(ctx context.Context) error {
		_, _ = st.store.FleetSecret(ctx)
		return nil
	}))
}

// sweep has the expiry job run, or not. Not concurrently.
func (st *stack) sweep(enabled bool) {
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

// close stops the expiry job, the store, the pair, and the servers, in this order, and waits.
func (st *stack) close() {
	for _, stop := range st.stopWatching {
		stop()
	}
	st.sweep(false)
	st.sweeping.close()
	st.store.Close()
	st.stopPair()
	st.stopServers()
	st.running.Wait()
	for _, o := range st.observers {
		o.client.Close()
	}
}

// observe makes the watchdog's observers and puts them into pc.
func observe(cfg config.Config, pc *partner.Config) ([]*observer, error) {
	var observers []*observer
	for _, url := range cfg.Pair.Watchdog.Observers {
		o, err := newObserver(url, credential{keyFile: cfg.Pair.Watchdog.KeyFile, caFile: cfg.Pair.Watchdog.CAFile})
		if err != nil {
			return nil, err
		}
		observers = append(observers, o)
		pc.Watchdog.Observers = append(pc.Watchdog.Observers, o)
	}
	return observers, nil
}

// memoryFile is where a pair's accepted principal is remembered: a file of its
// own for each pair, so that another connection string does not meet this one's
// memory, and the same one written the other way round does. An empty dir gives none.
func memoryFile(dir, database string, servers ...config.Address) string {
	if dir == "" {
		return ""
	}
	name := func(spell func(config.Address) string) string {
		var both []string
		for _, a := range servers {
			both = append(both, strings.ToLower(spell(a)))
		}
		slices.Sort(both)
		id := sha256.Sum256([]byte(strings.Join(both, "\n") + "\n" + strings.ToLower(database)))
		return filepath.Join(dir, "accepted-"+hex.EncodeToString(id[:8])+".json")
	}
	// Earlier versions took the addresses as they were written: what they remember goes on being used.
	if before := name(config.Address.String); fileExists(before) {
		return before
	}
	return name(func(a config.Address) string { return a.Canonical().String() })
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// pairConfig says how the pair is reached, and where the accepted principal is remembered.
func pairConfig(cfg config.Config, servers *embedded.Pair, memory string, logger *slog.Logger) (pc partner.Config, err error) {
	pc = partner.Config{
		Database: "ASPState",
		Hold:     partner.HoldConfig{Window: cfg.Pair.Hold.Window, Size: cfg.Pair.Hold.Size, Bytes: int64(cfg.Pair.Hold.Bytes)},
		Budgets: partner.Budgets{
			Dial: cfg.Pair.Budgets.Dial, Login: cfg.Pair.Budgets.Login, Probe: cfg.Pair.Budgets.Probe, SlowProbe: cfg.Pair.Budgets.SlowProbe,
			Attempt: cfg.Pair.Budgets.Attempt, Admin: cfg.Pair.Budgets.Admin,
		},
		Exposed: cfg.Pair.Exposed,
		Watchdog: partner.WatchdogConfig{
			Enabled: cfg.Pair.Watchdog.Enabled, DryRun: cfg.Pair.Watchdog.DryRun, After: cfg.Pair.Watchdog.After, CoolDown: cfg.Pair.Watchdog.CoolDown,
			Shared: cfg.Pair.Watchdog.Shared, AllowDataLoss: cfg.Pair.Watchdog.AllowDataLoss,
		},
		Logger: logger,
	}
	if servers != nil {
		pc.Topology = "embedded"
		for i, name := range []partner.Name{partner.A, partner.B} {
			p := servers.Partner(string(name))
			pc.Partners[i] = partner.PartnerConfig{Name: name, Address: p.Addr(), ConnectionString: p.ConnectionString("ASPState")}
		}
		if memory != "" {
			pc.Memory = filepath.Join(memory, "accepted.json")
		}
		return pc, nil
	}
	both, configured := cfg.Partners()
	if !configured {
		return pc, misuse("no pair is configured: %s", namePair)
	}
	pc.Database = both.Database
	a, b := both.Servers[0].Address, both.Servers[1].Address
	for i, address := range []config.Address{a, b} {
		dsn, err := driverSettings(both, i)
		if err != nil {
			return pc, err
		}
		pc.Partners[i] = partner.PartnerConfig{Name: []partner.Name{partner.A, partner.B}[i], DSN: dsn}
		if address.Instance != "" && address.Port == 0 {
			pc.Partners[i].Address = address.String() // its port is not known before it is looked up
		}
	}
	pc.Memory = memoryFile(memory, both.Database, a, b)
	return pc, nil
}
