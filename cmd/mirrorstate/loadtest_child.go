package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadserver"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
)

// childCommand makes this program one of the load test's processes.
const childCommand = "child"

func newLoadtestChild() *cobra.Command {
	return &cobra.Command{
		Use:    childCommand,
		Short:  "One of the load test's own processes",
		Hidden: true,
		Args:   exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A parent that is gone takes no complaints: what is begun is ended nevertheless.
			signal.Ignore(syscall.SIGPIPE)
			return asMisuse(loadtest.RunChild(cmd.Context(), os.Stdin, cmd.OutOrStdout(), loadserver.Roles(buildVersion())))
		},
	}
}
