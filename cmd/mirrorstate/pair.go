package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// operator is who carries out an operator's verb: a running server, or a pair reached directly.
type operator interface {
	status(ctx context.Context) (server.PairStatus, error)
	do(ctx context.Context, v pairVerb) (server.PairStatus, error)
}

// pairVerb is one verb of the operators.
type pairVerb struct {
	name          string // failover, force, suspend, resume, accept
	allowDataLoss bool
	partner       string // of accept
	reason        string // of accept
}

// pairVerbs are the operators' verbs beside accept.
var pairVerbs = []struct{ name, short, example string }{
	{"setup", "Make two servers a mirrored pair, or an availability group without a cluster", `setup --connection-string "data source=SQL1;failover partner=SQL2;user id=sa"`},
	{"status", "Show both partners and who is principal", "status"},
	{"failover", "Make the mirror the principal, with nothing lost", "failover"},
	{"force", "Make the mirror the principal while the principal is gone; may lose data", "force --allow-data-loss"},
	{"suspend", "Stop mirroring; the principal runs exposed", "suspend"},
	{"resume", "Go on mirroring", "resume"},
	{"logins", "Give the mirror the principal's logins, with their SIDs, passwords and rights", "logins --login web"},
	{"remove", "End mirroring, or take the database out of its group", "remove --copy drop"},
}

func newPair(s *settings) *cobra.Command {
	c := &pairCommand{settings: s}
	pair := &cobra.Command{
		Use:   "pair",
		Short: "See the pair, set it up, and make it fail over",
		Long: "Shows the pair and carries out the operators' verbs, through a running server's operators'\n" +
			"listener, or directly with --connection-string. setup, logins and remove always go to the\n" +
			"servers themselves.\n" +
			"Whether it is mirroring or an availability group, is recognised. --dry-run prints the T-SQL instead.",
		Example: "  mirrorstate pair status\n  mirrorstate pair failover --dry-run",
		Args:    exactly(0, "setup, status, failover, force, suspend, resume, logins, remove or accept"),
		RunE:    func(*cobra.Command, []string) error { return misuse.Errorf("pair wants a verb; see pair --help") },
	}
	c.target.add(pair)
	pair.PersistentFlags().BoolVar(&c.asJSON, "json", false, "print JSON")
	for _, v := range pairVerbs {
		flags := &operateFlags{}
		cmd := &cobra.Command{Use: v.name, Short: v.short, Example: "  mirrorstate pair " + v.example,
			Args: exactly(0, "no arguments"), RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd, v.name, flags) }}
		flags.add(cmd, v.name)
		if v.name == "force" {
			cmd.Flags().BoolVar(&flags.AllowDataLoss, "allow-data-loss", false, "accept that what the mirror had not received is lost")
		}
		pair.AddCommand(cmd)
	}
	pair.AddCommand(newAccept(&c.verb, func(cmd *cobra.Command, _ []string) error { return c.ask(cmd, "accept") }))
	return pair
}

// pairCommand is mirrorstate pair.
type pairCommand struct {
	settings *settings
	target   target
	asJSON   bool
	verb     pairVerb
}

// run carries out a verb: by T-SQL of its own, or by a running server.
func (c *pairCommand) run(cmd *cobra.Command, name string, flags *operateFlags) error {
	if name == "status" && !flags.dryRun {
		return c.ask(cmd, name)
	}
	o, configured, err := flags.options(c.settings, c.target.pairFlags)
	if err != nil {
		return err
	}
	direct := name == operate.Setup || name == operate.Remove || name == operate.CarryLogins
	op := &operation{verb: name, flags: flags, asJSON: c.asJSON, out: cmd.OutOrStdout()}
	switch {
	case flags.dryRun:
		return op.dryRun(o, configured)
	case c.target.direct() || configured && direct:
		if err := op.open(c.settings, c.target.pairFlags); err != nil {
			return err
		}
		defer op.close()
		return op.run(cmd.Context(), o)
	case direct:
		return misuse.Errorf("pair %s goes to the servers themselves, and none are configured: %s", name, misuse.NamePair)
	}
	c.verb.allowDataLoss = flags.AllowDataLoss
	return c.ask(cmd, name)
}

// ask has who carries out verbs do one, and prints the pair's state after it.
func (c *pairCommand) ask(cmd *cobra.Command, name string) error {
	var change []func(*partner.Config)
	if name == "status" {
		change = append(change, observing)
	}
	op, done, err := c.target.operator(cmd.Context(), c.settings, change...)
	if err != nil {
		return err
	}
	defer done()
	var status server.PairStatus
	if c.verb.name = name; name == "status" {
		status, err = op.status(cmd.Context())
	} else {
		status, err = op.do(cmd.Context(), c.verb)
	}
	if err != nil {
		return err
	}
	return printPair(cmd.OutOrStdout(), status, c.asJSON)
}

// newAccept is pair accept, the one verb that has an argument; it goes into v.
func newAccept(v *pairVerb, run func(*cobra.Command, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept a|b",
		Short: "Say which partner is the principal, over all that is remembered",
		Long: "The operator's word, for when both partners claim to be principal and the wrong one, or neither, is\n" +
			"used. The partner must be a writable principal. What was written to the other one since they parted is\n" +
			"not used any more. The reason is logged.",
		Example: `  mirrorstate pair accept b --reason "a was restored from Monday's backup"`,
		Args:    exactly(1, "one partner, a or b"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch v.partner = args[0]; {
			case v.partner != "a" && v.partner != "b":
				return misuse.Errorf("partner %q is neither a nor b", v.partner)
			case strings.TrimSpace(v.reason) == "":
				return misuse.Errorf(`pair accept wants --reason "…": it is logged, for those who ask later`)
			}
			return run(cmd, args)
		},
	}
	cmd.Flags().StringVar(&v.reason, "reason", "", "why, in a few `WORDS`; required")
	return cmd
}

// printPair prints the pair for people or for machines.
func printPair(out io.Writer, st server.PairStatus, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(st)
	}
	principal := string(st.Principal)
	if principal == "" {
		principal = "none"
	}
	schema := st.Schema + " schema"
	if st.Principal == "" && st.Epoch == 0 && st.RoleSequence == 0 {
		schema = "schema not known" // it is read where there is a principal
	}
	fmt.Fprintf(out, "%s (%s, %s): principal %s, epoch %d, role sequence %d, holding %d\n",
		st.Database, st.Topology, schema, principal, st.Epoch, st.RoleSequence, st.Holding)
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
	printMore(out, st)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTNER\tADDRESS\tROLE\tSTATE\tSAFETY\tBREAKER\tLATENCY\tLAST ERROR")
	for _, p := range st.Partners {
		breaker, latency := shownReach(p)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Address, p.Role, p.State, p.Safety, breaker, latency, p.LastError)
	}
	return w.Flush()
}

// shownReach is a partner's breaker and latency. Of one that does not answer the latency is of another time, and a
// breaker that no call has opened yet says nothing.
func shownReach(p partner.PartnerStatus) (breaker, latency string) {
	if p.Reachable {
		return p.Breaker, fmt.Sprintf("%.1f ms", p.LatencyMS)
	}
	latency = "no answer"
	if !p.Seen.IsZero() {
		latency += " since " + p.Seen.Format(time.TimeOnly) + " UTC"
	}
	if p.Breaker == "closed" {
		return "-", latency
	}
	return p.Breaker, latency
}

// printMore prints what is seldom there to be told.
func printMore(out io.Writer, st server.PairStatus) {
	for _, c := range st.Claims {
		fmt.Fprintf(out, "  %s (%s) claims epoch %d, role sequence %d\n", c.Partner, c.Server, c.Epoch, c.RoleSequence)
	}
	if st.Watchdog.Enabled {
		fmt.Fprintf(out, "watchdog: %s, %s\n", st.Watchdog.Action, st.Watchdog.Reason)
	}
	if st.Embedded != nil {
		for _, p := range st.Partners {
			if faults := st.Embedded.Faults[string(p.Name)]; len(faults) > 0 {
				fmt.Fprintf(out, "faults on %s: %s\n", p.Name, strings.Join(faults, ", "))
			}
		}
	}
}

// directPair reaches a pair by its connection string, without a server.
type directPair struct{ *server.Stack }

// A command begins by waiting for a principal: not for long if neither partner
// answers at all, and otherwise for as long as a failover may take.
const (
	firstAnswer = 3 * time.Second
	firstLook   = 10 * time.Second
)

// observing has a command show the pair, and take no epoch for it.
func observing(pc *partner.Config) { pc.Observe = true }

func openDirect(ctx context.Context, s *settings, source pairFlags, change ...func(*partner.Config)) (*server.Stack, error) {
	cfg, err := loadConfig(s, source.said()...)
	if err != nil {
		return nil, err
	}
	// A command looks once and decides nothing for later: no watchdog, no memory.
	cfg.Pair.Watchdog = config.Watchdog{}
	st, err := server.NewStack(cfg, nil, "", nil, server.NewLogger(io.Discard, false), change...)
	if err != nil {
		return nil, err
	}
	st.Start()
	if err := look(ctx, st.Pair); err != nil {
		st.Close()
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

func (d directPair) status(context.Context) (server.PairStatus, error) {
	return server.PairStatus{Status: d.Pair.Status()}, nil
}

func (d directPair) do(ctx context.Context, v pairVerb) (server.PairStatus, error) {
	var err error
	switch v.name {
	case "failover":
		err = d.Pair.Failover(ctx)
	case "force":
		err = d.Pair.ForceService(ctx, v.allowDataLoss)
	case "suspend":
		err = d.Pair.Suspend(ctx)
	case "resume":
		err = d.Pair.Resume(ctx)
	case "accept":
		err = d.Pair.Accept(ctx, partner.Name(v.partner), v.reason)
	}
	return server.PairStatus{Status: d.Pair.Status()}, err
}
