package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadserver"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/loadtest"
)

// childCommand is the command that runs this program as a child process of the load test.
const childCommand = "child"

func newLoadtestChild() *cobra.Command {
	return &cobra.Command{
		Use:    childCommand,
		Short:  "Run as a child process of the load test",
		Hidden: true,
		Args:   exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// If the parent is gone, writing to it must not kill this process: it still has to clean up.
			signal.Ignore(syscall.SIGPIPE)
			return asMisuse(loadtest.RunChild(cmd.Context(), os.Stdin, cmd.OutOrStdout(), loadserver.Roles(buildVersion())))
		},
	}
}
