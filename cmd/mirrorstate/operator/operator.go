// Package operator carries out the operators' verbs: through the operators' listener of a running server, or directly
// on the two SQL Servers. It also prints the results.
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

// Load reads the configuration; flags override it.
type Load func(flags ...config.Setting) (config.Config, error)

// executor carries out operators' verbs: by a running server, or directly on the pair.
type executor interface {
	// Status returns the current status of the pair.
	Status(ctx context.Context) (server.PairStatus, error)
	// Do carries out the verb, and returns the status of the pair after it.
	Do(ctx context.Context, v Verb) (server.PairStatus, error)
}

// Verb is an operators' verb with its arguments.
type Verb struct {
	Name          string // failover, force, suspend, resume, accept
	AllowDataLoss bool
	Partner       string // of accept
	Reason        string // of accept
}

// directPair reaches a pair by its connection string, without a server.
type directPair struct{ *server.Storage }

// A command first waits for a principal: for answerWait if neither partner answers, else for principalWait, which is as
// long as a failover may take.
const (
	answerWait    = 3 * time.Second
	principalWait = 10 * time.Second
)

// observeOnly makes the pair observe only: it claims no epoch.
func observeOnly(pc *partner.Config) { pc.Observe = true }

// openDirect connects to the two SQL Servers and waits for the principal.
func openDirect(ctx context.Context, load Load, source PairFlags, change ...func(*partner.Config)) (*server.Storage, error) {
	cfg, err := load(source.Settings()...)
	if err != nil {
		return nil, err
	}
	// A command needs no watchdog, and it does not keep the accepted principal.
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

// AwaitPrincipal waits for a principal. If a partner answers, but there is no principal, it returns nil: the command
// can show that state or repair it.
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

// bothUnreachable returns an error with both reasons if the role of neither partner is known and each has reported an
// error, such as a refused connection or login. Else it returns nil.
func bothUnreachable(st partner.Status) error {
	var reasons []string
	for _, p := range st.Partners {
		if p.Role != partner.RoleUnknown || p.LastError == "" {
			return nil
		}
		reasons = append(reasons, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, p.LastError))
	}
	return fmt.Errorf("neither partner answers: %s", strings.Join(reasons, "; "))
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
