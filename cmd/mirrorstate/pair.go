package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/proxy"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// pairStatus is what GET /v1/pair answers: the pair, and the expiry job.
type pairStatus struct {
	partner.Status
	Sweep sweepStatus `json:"sweep"`
}

// sweepStatus is the expiry job's part. There is no such job yet: it never leads and never ran.
type sweepStatus struct {
	Leader        bool       `json:"leader"`
	LastRun       *time.Time `json:"last_run"`
	Deleted       int64      `json:"deleted"`
	OldestExpired float64    `json:"oldest_expired_s"`
}

// pairView shows a pair to the operators' listener.
type pairView struct{ *partner.Pair }

var _ proxy.PairView = pairView{}

// Status implements proxy.PairView.
func (v pairView) Status() any { return pairStatus{Status: v.Pair.Status()} }

// Ready implements proxy.PairView.
func (v pairView) Ready() (bool, string) {
	st := v.Pair.Status()
	switch {
	case st.Principal != "":
		return true, "partner " + string(st.Principal) + " is principal"
	case v.Pair.Ready():
		return true, "no principal; calls are held for one: " + st.Reason
	}
	return false, "no principal for longer than the hold window: " + st.Reason
}

// Failover implements proxy.PairView.
func (v pairView) Failover(ctx context.Context) error {
	return aspstate.DomainError(v.Pair.Failover(ctx))
}

// ForceService implements proxy.PairView.
func (v pairView) ForceService(ctx context.Context, allowDataLoss bool) error {
	return aspstate.DomainError(v.Pair.ForceService(ctx, allowDataLoss))
}

// Suspend implements proxy.PairView.
func (v pairView) Suspend(ctx context.Context) error {
	return aspstate.DomainError(v.Pair.Suspend(ctx))
}

// Resume implements proxy.PairView.
func (v pairView) Resume(ctx context.Context) error {
	return aspstate.DomainError(v.Pair.Resume(ctx))
}

// operator is who carries out an operator's verb: a running server, or a pair reached directly.
type operator interface {
	status(ctx context.Context) (pairStatus, error)
	do(ctx context.Context, v pairVerb) (pairStatus, error)
}

// pairVerb is one verb of the operators.
type pairVerb struct {
	name          string // failover, force, suspend, resume
	allowDataLoss bool
}

func newPair(s *settings) *cobra.Command {
	var (
		target        target
		asJSON        bool
		allowDataLoss bool
	)
	pair := &cobra.Command{
		Use:   "pair",
		Short: "See the pair, and make it fail over",
		Long: "Shows the pair and carries out the operators' verbs, through a running server's operators'\n" +
			"listener, or directly with --connection-string.",
		Example: "  mirrorstate pair status\n  mirrorstate pair failover",
		Args:    exactly(0, "status, failover, force, suspend or resume"),
		RunE:    func(*cobra.Command, []string) error { return misuse("pair wants a verb; see pair --help") },
	}
	target.add(pair)
	pair.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	run := func(verb string) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error {
			op, done, err := target.operator(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			var status pairStatus
			if verb == "status" {
				status, err = op.status(cmd.Context())
			} else {
				status, err = op.do(cmd.Context(), pairVerb{name: verb, allowDataLoss: allowDataLoss})
			}
			if err != nil {
				return err
			}
			return printPair(cmd.OutOrStdout(), status, asJSON)
		}
	}
	for _, verb := range []struct{ name, short, example string }{
		{"status", "Show both partners and who is principal", "status"},
		{"failover", "Make the mirror the principal, with nothing lost", "failover"},
		{"force", "Make the mirror the principal while the principal is gone; may lose data", "force --allow-data-loss"},
		{"suspend", "Stop mirroring; the principal runs exposed", "suspend"},
		{"resume", "Go on mirroring", "resume"},
	} {
		cmd := &cobra.Command{Use: verb.name, Short: verb.short, Example: "  mirrorstate pair " + verb.example,
			Args: exactly(0, "no arguments"), RunE: run(verb.name)}
		if verb.name == "force" {
			cmd.Flags().BoolVar(&allowDataLoss, "allow-data-loss", false, "accept that what the mirror had not received is lost")
		}
		pair.AddCommand(cmd)
	}
	return pair
}

// printPair prints the pair for people or for machines.
func printPair(out io.Writer, st pairStatus, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(st)
	}
	principal := string(st.Principal)
	if principal == "" {
		principal = "none"
	}
	fmt.Fprintf(out, "%s (%s, %s schema): principal %s, epoch %d, role sequence %d, holding %d\n",
		st.Database, st.Topology, st.Schema, principal, st.Epoch, st.RoleSequence, st.Holding)
	for _, warning := range []struct {
		is   bool
		text string
	}{
		{st.Exposed, "EXPOSED: the mirror does not have what is acknowledged now"},
		{st.SplitBrain, "SPLIT BRAIN: both partners claim to be principal"},
	} {
		if warning.is {
			fmt.Fprintln(out, warning.text)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTNER\tADDRESS\tROLE\tSTATE\tSAFETY\tBREAKER\tLATENCY\tLAST ERROR")
	for _, p := range st.Partners {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%.1f ms\t%s\n", p.Name, p.Address, p.Role, p.State, p.Safety, p.Breaker, p.LatencyMS, p.LastError)
	}
	return w.Flush()
}

// directPair reaches a pair by its connection string, without a server.
type directPair struct{ *stack }

// A command begins by waiting for a principal: not for long if neither partner
// answers at all, and otherwise for as long as a failover may take.
const (
	firstAnswer = 3 * time.Second
	firstLook   = 10 * time.Second
)

func openDirect(ctx context.Context, s *settings, connectionString string) (*stack, error) {
	cfg, err := config.Load(s.configFile, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	if _, err := config.ParsePair(connectionString); err != nil {
		return nil, misuse("--connection-string: %w", err)
	}
	cfg.Pair.ConnectionString = connectionString
	st, err := openStack(cfg, nil, newLogger(io.Discard, false))
	if err != nil {
		return nil, err
	}
	if err := look(ctx, st.pair); err != nil {
		st.close()
		return nil, err
	}
	return st, nil
}

// look waits for a principal. That there is none is no error: it can be shown, and mended.
func look(ctx context.Context, pair *partner.Pair) error {
	for _, patience := range []time.Duration{firstAnswer, firstLook - firstAnswer} {
		waiting, cancel := context.WithTimeout(ctx, patience)
		err := pair.WaitForPrincipal(waiting)
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := silent(pair.Status()); err != nil {
			return err
		}
	}
	return nil
}

// silent is an error that says why if neither partner tells what it is and both
// gave a reason: nobody is there, or nobody lets us in.
func silent(st partner.Status) error {
	var reasons []string
	for _, p := range st.Partners {
		if p.Role != partner.RoleUnknown || p.LastError == "" {
			return nil
		}
		reasons = append(reasons, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, p.LastError))
	}
	return fmt.Errorf("neither partner can be asked: %s", strings.Join(reasons, "; "))
}

func (d directPair) status(context.Context) (pairStatus, error) {
	return pairStatus{Status: d.pair.Status()}, nil
}

func (d directPair) do(ctx context.Context, v pairVerb) (pairStatus, error) {
	var err error
	switch v.name {
	case "failover":
		err = d.pair.Failover(ctx)
	case "force":
		err = d.pair.ForceService(ctx, v.allowDataLoss)
	case "suspend":
		err = d.pair.Suspend(ctx)
	case "resume":
		err = d.pair.Resume(ctx)
	}
	return pairStatus{Status: d.pair.Status()}, err
}
