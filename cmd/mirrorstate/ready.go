package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/credential"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
)

func newReady(s *settings) *cobra.Command {
	var (
		admin string
		known credential.Files
	)
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Check whether a running server is ready, for a container's health check",
		Long: "Asks the operators' listener of a running server (/readyz). Exit code 0: a principal is known, or calls are held for one;\n" +
			"1: there has been no principal for longer than the hold window, or the server does not answer.",
		Example: "  mirrorstate ready\n  mirrorstate ready --config mirrorstate.yaml\n  mirrorstate ready --admin http://10.0.0.5:8081",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			roots, err := known.Roots()
			if err != nil {
				return err
			}
			url, by, err := operator.AdminAt(s.load, admin, roots)
			if err != nil {
				return err
			}
			answer, err := operator.AskReady(cmd.Context(), url, by)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), answer)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&admin, "admin", "", operator.AdminUsage)
	known.AddRoots(cmd.Flags())
	return cmd
}
