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
		Short: "Ask a running server whether it takes calls, as for a container's health check",
		Long: "Asks the operators' listener of a running server (/readyz). Exit code 0: a principal is known, or calls are held for one;\n" +
			"1: there has been none for longer than the hold window, or nobody answers.",
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
			said, err := operator.AskReady(cmd.Context(), url, by)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&admin, "admin", "", operator.AdminUsage)
	known.AddRoots(cmd.Flags())
	return cmd
}
