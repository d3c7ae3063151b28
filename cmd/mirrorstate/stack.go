package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	servers *embedded.Pair // nil: not ours
	pair    *partner.Pair
	store   *aspstate.Store

	stopPair, stopServers context.CancelFunc
	running               sync.WaitGroup
	failed                chan error // the first part that ended by itself
}

// openStack brings everything up. servers, if not nil, is run and closed by the stack.
func openStack(cfg config.Config, servers *embedded.Pair, logger *slog.Logger) (*stack, error) {
	pc, err := pairConfig(cfg, servers, logger)
	if err != nil {
		return nil, err
	}
	pair, err := partner.New(pc)
	if err != nil {
		return nil, err
	}
	st := &stack{servers: servers, pair: pair, store: aspstate.New(pair, logger), failed: make(chan error, 2)}
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

// close stops the store, the pair, and the servers, in this order, and waits.
func (st *stack) close() {
	st.store.Close()
	st.stopPair()
	st.stopServers()
	st.running.Wait()
}

// pairConfig says how the pair is reached.
func pairConfig(cfg config.Config, servers *embedded.Pair, logger *slog.Logger) (partner.Config, error) {
	pc := partner.Config{
		Database: "ASPState",
		Hold:     partner.HoldConfig{Window: cfg.Pair.Hold.Window, Size: cfg.Pair.Hold.Size, Bytes: int64(cfg.Pair.Hold.Bytes)},
		Exposed:  cfg.Pair.Exposed,
		Logger:   logger,
	}
	if servers != nil {
		pc.Topology = "embedded"
		for i, name := range []partner.Name{partner.A, partner.B} {
			p := servers.Partner(string(name))
			pc.Partners[i] = partner.PartnerConfig{Name: name, Address: p.Addr(), ConnectionString: p.ConnectionString("ASPState")}
		}
		return pc, nil
	}
	both, err := config.ParsePair(cfg.Pair.ConnectionString)
	if err != nil {
		return pc, err
	}
	pc.Database = both.Database
	for i, name := range []partner.Name{partner.A, partner.B} {
		pc.Partners[i] = partner.PartnerConfig{Name: name, ConnectionString: both.Strings[i]}
	}
	return pc, nil
}
