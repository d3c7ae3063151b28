package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// pairVerbs are the operators' verbs, except accept.
var pairVerbs = []struct{ name, short, example string }{
	{"setup", "Make two servers a mirrored pair, or an availability group without a cluster", `setup --connection-string "data source=SQL1;failover partner=SQL2;user id=sa"`},
	{"status", "Show both partners and which one is the principal", "status"},
	{"failover", "Make the mirror the principal, with nothing lost", "failover"},
	{"force", "Make the mirror the principal while the principal is down; may lose data", "force --allow-data-loss"},
	{"suspend", "Suspend mirroring; the principal runs exposed", "suspend"},
	{"resume", "Resume mirroring", "resume"},
	{"logins", "Copy the principal's logins to the mirror, with their SIDs, passwords and rights", "logins --login web"},
	{"remove", "End mirroring, or take the database out of its group", "remove --copy drop"},
}

func newPair(s *settings) *cobra.Command {
	c := &pairCommand{settings: s}
	pair := &cobra.Command{
		Use:   "pair",
		Short: "Show the pair, set it up, and make it fail over",
		Long: "Shows the pair and carries out the operators' verbs, through the operators' listener of a running\n" +
			"server, or directly with --connection-string. setup, logins and remove always connect to the two\n" +
			"SQL Servers directly. The command finds out whether the pair uses mirroring or an availability group.\n" +
			"--dry-run prints the T-SQL instead of running it.",
		Example: "  mirrorstate pair status\n  mirrorstate pair failover --dry-run",
		Args:    exactly(0, "setup, status, failover, force, suspend, resume, logins, remove or accept"),
		RunE: func(*cobra.Command, []string) error {
			return usage.Errorf("pair requires a command, such as status; see pair --help")
		},
	}
	c.target.Add(pair.PersistentFlags())
	pair.PersistentFlags().BoolVar(&c.asJSON, "json", false, "print JSON")
	for _, v := range pairVerbs {
		flags := &operator.Flags{}
		cmd := &cobra.Command{Use: v.name, Short: v.short, Example: "  mirrorstate pair " + v.example,
			Args: exactly(0, "no arguments"), RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd, v.name, flags) }}
		flags.Add(cmd.Flags(), v.name)
		if v.name == "force" {
			cmd.Flags().BoolVar(&flags.AllowDataLoss, "allow-data-loss", false, "accept the loss of everything that the mirror has not received")
		}
		pair.AddCommand(cmd)
	}
	pair.AddCommand(newAccept(&c.verb, func(cmd *cobra.Command, _ []string) error { return c.do(cmd, "accept") }))
	return pair
}

// pairCommand holds what all pair commands share.
type pairCommand struct {
	settings *settings
	target   operator.Target
	asJSON   bool
	verb     operator.Verb
}

// run carries out a verb: directly on the servers, or by a running server.
func (c *pairCommand) run(cmd *cobra.Command, name string, flags *operator.Flags) error {
	if name == "status" && !flags.DryRun {
		return c.status(cmd)
	}
	o, configured, err := flags.Complete(c.settings.load, c.target.PairFlags)
	if err != nil {
		return err
	}
	direct := name == operate.Setup || name == operate.Remove || name == operate.CarryLogins
	op := &operator.Operation{Verb: name, Flags: flags, AsJSON: c.asJSON, Out: cmd.OutOrStdout()}
	switch {
	case flags.DryRun:
		return op.DryRun(o, configured)
	case c.target.Direct() || configured && direct:
		if err := op.Open(c.settings.load, c.target.PairFlags); err != nil {
			return err
		}
		defer op.Close()
		return op.Run(cmd.Context(), o)
	case direct:
		return usage.Errorf("pair %s connects to the servers directly, but no pair is configured: %s", name, usage.NamePair)
	}
	c.verb.AllowDataLoss = flags.AllowDataLoss
	return c.do(cmd, name)
}

// status prints the status of the pair.
func (c *pairCommand) status(cmd *cobra.Command) error {
	status, err := c.target.Status(cmd.Context(), c.settings.load)
	if err != nil {
		return err
	}
	return operator.PrintPair(cmd.OutOrStdout(), status, c.asJSON)
}

// do carries out a verb, and prints the status of the pair after it.
func (c *pairCommand) do(cmd *cobra.Command, name string) error {
	c.verb.Name = name
	status, err := c.target.Do(cmd.Context(), c.settings.load, c.verb)
	if err != nil {
		return err
	}
	return operator.PrintPair(cmd.OutOrStdout(), status, c.asJSON)
}
