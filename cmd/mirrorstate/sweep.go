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
		Short: "Delete the sessions that have expired, now",
		Long: "Deletes expired sessions in small batches, through a running server's operators' listener, or directly with\n" +
			"--connection-string, as for cron. A server does so by itself once a minute (sweep.interval); both at once do no harm.",
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
