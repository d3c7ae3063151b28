package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/install"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// installation holds the flags of install or uninstall.
type installation struct {
	install.Installation
	pair operator.PairFlags
}

func newInstall(s *settings) *cobra.Command {
	in := &installation{Installation: install.Installation{Verb: "install"}}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Create ASPState, or extend an existing one",
		Long: "Creates ASPState in its persisted form, as aspnet_regsql -ssadd -sstype p does, or under the name that the connection string gives\n" +
			"(initial catalog). Adds what mirrorstate needs: columns, tables and procedures that .NET does not use. An existing ASPState is\n" +
			"extended: its sessions, its stock procedures and the rights on them do not change. It runs on the principal, from which the mirror\n" +
			"gets all changes. It is safe to repeat. Live calls have priority over it.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=sa.password mirrorstate install --connection-string \"data source=SQL1;failover partner=SQL2;user id=sa\" --grant web\n" +
			"  mirrorstate install --dry-run --grant web > install.sql\n  mirrorstate install --config mirrorstate.yaml --stock-only",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return in.run(cmd, s) },
	}
	cmd.Flags().BoolVar(&in.Options.StockOnly, "stock-only", false, "create only what .NET needs, no extension")
	cmd.Flags().StringVar(&in.Options.Grant, "grant", "", "add `LOGIN`'s user to the role "+aspstate.InstallRole+", which has the least rights that a server of mirrorstate needs; create the user if it is missing")
	cmd.Flags().StringVar(&in.Recreate, "recreate", "", "drop EVERY SESSION and create the tables again; pass the database's `NAME` to confirm it")
	cmd.Flags().StringVar(&in.Onto, "onto", "nothing", "for --dry-run without a pair, the assumed state of the database: `nothing|stock|extended`")
	in.add(cmd)
	return cmd
}

func newUninstall(s *settings) *cobra.Command {
	in := &installation{Installation: install.Installation{Verb: "uninstall", Onto: "extended"}}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the extension; sessions and everything that .NET uses stay",
		Long: "Drops the procedures, tables and columns that mirrorstate install has added. Stock objects and sessions do not change: .NET\n" +
			"applications continue, and mirrorstate continues on the stock schema. The records of operations and epochs are lost.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=sa.password mirrorstate uninstall --connection-string \"data source=SQL1;failover partner=SQL2;user id=sa\"\n  mirrorstate uninstall --dry-run",
		Args:    exactly(0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return in.run(cmd, s) },
	}
	in.add(cmd)
	return cmd
}

// add adds the flags of both commands.
func (in *installation) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "print the script that would run, and send nothing; needs no server")
	cmd.Flags().BoolVar(&in.AsJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&in.On, "on", "", "run on partner `a|b`, if the principal can't be determined")
	cmd.Flags().DurationVar(&in.Wait, "wait", time.Minute, "total time to wait for locks that others hold")
	in.pair.Add(cmd.Flags(), "the pair")
}

// run runs the command.
func (in *installation) run(cmd *cobra.Command, s *settings) error {
	in.Out, in.Progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
	cfg, err := s.load(in.pair.Settings()...)
	if err != nil {
		return err
	}
	return in.Run(cmd.Context(), cfg)
}
