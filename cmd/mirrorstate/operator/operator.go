// Package operator carries out the operators' verbs, in one of two ways: through the operators' listener of a running server,
// or directly on the pair of SQL Servers. It also prints the results.
package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
)

// Load reads the configuration; the flags of a command win over it.
type Load func(flags ...config.Setting) (config.Config, error)

// Operator is who carries out an operator's verb: a running server, or a pair reached directly.
type Operator interface {
	// Status is the pair as it is now.
	Status(ctx context.Context) (server.PairStatus, error)
	// Do carries the verb out, and gives the pair as it is then.
	Do(ctx context.Context, v Verb) (server.PairStatus, error)
}

// Verb is one verb of the operators.
type Verb struct {
	Name          string // failover, force, suspend, resume, accept
	AllowDataLoss bool
	Partner       string // of accept
	Reason        string // of accept
}

// directPair reaches a pair by its connection string, without a server.
type directPair struct{ *server.Storage }

// A command begins by waiting for a principal: not for long if neither partner
// answers at all, and otherwise for as long as a failover may take.
const (
	answerWait    = 3 * time.Second
	principalWait = 10 * time.Second
)

// ObserveOnly has a command show the pair, and take no epoch for it.
func ObserveOnly(pc *partner.Config) { pc.Observe = true }

// openDirect reaches the pair itself, and waits for its principal.
func openDirect(ctx context.Context, load Load, source PairFlags, change ...func(*partner.Config)) (*server.Storage, error) {
	cfg, err := load(source.Settings()...)
	if err != nil {
		return nil, err
	}
	// A command looks once and decides nothing for later: no watchdog, no memory.
	cfg.Pair.Watchdog = config.Watchdog{}
	st, err := server.NewStorage(cfg, nil, "", nil, server.NewLogger(io.Discard, false), change...)
	if err != nil {
		return nil, err
	}
	st.Start()
	if err := AwaitPrincipal(ctx, st.Pair); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// Look waits for a principal. That there is none is no error: it can be shown, and mended.
func AwaitPrincipal(ctx context.Context, pair *partner.Pair) error {
	for _, timeout := range []time.Duration{answerWait, principalWait - answerWait} {
		waiting, cancel := context.WithTimeout(ctx, timeout)
		err := pair.WaitForPrincipal(waiting)
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := bothUnreachable(pair.Status()); err != nil {
			return err
		}
	}
	return nil
}

// silent is an error that says why if neither partner tells what it is and both
// gave a reason: nobody is there, or nobody lets us in.
func bothUnreachable(st partner.Status) error {
	var reasons []string
	for _, p := range st.Partners {
		if p.Role != partner.RoleUnknown || p.LastError == "" {
			return nil
		}
		reasons = append(reasons, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, p.LastError))
	}
	return fmt.Errorf("neither partner can be asked: %s", strings.Join(reasons, "; "))
}

func (d directPair) Status(context.Context) (server.PairStatus, error) {
	return server.PairStatus{Status: d.Pair.Status()}, nil
}

func (d directPair) Do(ctx context.Context, v Verb) (server.PairStatus, error) {
	var err error
	switch v.Name {
	case "failover":
		err = d.Pair.Failover(ctx)
	case "force":
		err = d.Pair.ForceService(ctx, v.AllowDataLoss)
	case "suspend":
		err = d.Pair.Suspend(ctx)
	case "resume":
		err = d.Pair.Resume(ctx)
	case "accept":
		err = d.Pair.Accept(ctx, partner.Name(v.Partner), v.Reason)
	}
	return server.PairStatus{Status: d.Pair.Status()}, err
}
