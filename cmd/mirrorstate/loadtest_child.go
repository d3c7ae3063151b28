package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
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

// loadtestEnvironment returns the environment of the load test. Its child processes run this program.
func loadtestEnvironment(cmd *cobra.Command, s *settings) (env loadtest.Environment, err error) {
	program, err := os.Executable()
	if err != nil {
		return env, fmt.Errorf("find this program's file, to start child processes: %w", err)
	}
	env = loadtest.Environment{
		Program: []string{program, "loadtest", childCommand}, Config: s.configFile, Verbose: s.verbose,
		Version: buildVersion(), Progress: cmd.ErrOrStderr(),
	}
	if f, ok := env.Progress.(*os.File); ok {
		env.Terminal = isatty.IsTerminal(f.Fd())
	}
	return env, nil
}
