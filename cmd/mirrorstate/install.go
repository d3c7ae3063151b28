package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/install"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// installation is one call of install or uninstall.
type installation struct {
	install.Installation
	pair operator.PairFlags
}

func newInstall(s *settings) *cobra.Command {
	in := &installation{Installation: install.Installation{Verb: "install"}}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Create ASPState, or extend the one that stands there",
		Long: "Creates ASPState in its persisted form, as aspnet_regsql -ssadd -sstype p does, or under the name that the connection string gives\n" +
			"(initial catalog), and adds what mirrorstate needs: columns, tables and procedures that .NET never looks at. One that stands is\n" +
			"extended; its sessions, its stock procedures and the rights on them are left alone. It runs on the principal, again and again if\n" +
			"wanted, and lets live calls go first. A mirror gets everything from its principal.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=sa.password mirrorstate install --connection-string \"data source=SQL1;failover partner=SQL2;user id=sa\" --grant web\n" +
			"  mirrorstate install --dry-run --grant web > install.sql\n  mirrorstate install --config mirrorstate.yaml --stock-only",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return in.run(cmd, s) },
	}
	cmd.Flags().BoolVar(&in.Options.StockOnly, "stock-only", false, "make what .NET needs, and no extension")
	cmd.Flags().StringVar(&in.Options.Grant, "grant", "", "let the login `LOGIN` in, as a member of the role "+aspstate.InstallRole+", which has the least rights that a proxy needs")
	cmd.Flags().StringVar(&in.Recreate, "recreate", "", "drop EVERY SESSION and make the tables anew; type the database's `NAME`")
	cmd.Flags().StringVar(&in.Onto, "onto", "nothing", "for --dry-run without a pair, what is taken for granted: `nothing|stock|extended`")
	in.add(cmd)
	return cmd
}

func newUninstall(s *settings) *cobra.Command {
	in := &installation{Installation: install.Installation{Verb: "uninstall", Onto: "extended"}}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the extension away; sessions and everything of .NET's stay",
		Long: "Drops the procedures, tables and columns that mirrorstate install has added. No stock object and no session is touched: .NET\n" +
			"applications go on, and so does mirrorstate, as on any stock ASPState. What was remembered of operations and epochs is gone.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=sa.password mirrorstate uninstall --connection-string \"data source=SQL1;failover partner=SQL2;user id=sa\"\n  mirrorstate uninstall --dry-run",
		Args:    exactly(0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return in.run(cmd, s) },
	}
	in.add(cmd)
	return cmd
}

// add adds the flags that both have.
func (in *installation) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "print the script that would be run, and send nothing; needs no server")
	cmd.Flags().BoolVar(&in.AsJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&in.On, "on", "", "insist on partner `a|b`, where nobody can tell which is meant")
	cmd.Flags().DurationVar(&in.Wait, "wait", time.Minute, "how long to wait for locks that others hold, in all")
	in.pair.Add(cmd.Flags(), "the pair")
}

// run is the command.
func (in *installation) run(cmd *cobra.Command, s *settings) error {
	in.Out, in.Progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
	cfg, err := s.load(in.pair.Settings()...)
	if err != nil {
		return err
	}
	return in.Run(cmd.Context(), cfg)
}
