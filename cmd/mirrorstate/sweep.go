package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
)

func newSweep(s *settings) *cobra.Command {
	var (
		target operator.Target
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Delete expired sessions now",
		Long: "Deletes expired sessions in small batches, through the operators' listener of a running server, or directly with\n" +
			"--connection-string, for example from cron. A server does the same once a minute (sweep.interval); both may run at the same time.",
		Example: "  mirrorstate sweep\n  MIRRORSTATE_PAIR_PASSWORD_FILE=web.password mirrorstate sweep --connection-string \"data source=SQL1;failover partner=SQL2;user id=web\"",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := operator.Sweep(cmd.Context(), s.load, &target, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return operator.PrintSweep(cmd.OutOrStdout(), st, asJSON)
		},
	}
	target.Add(cmd.PersistentFlags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
