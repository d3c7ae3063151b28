package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/session"
)

// sessionCommand holds what all session commands share.
type sessionCommand struct {
	settings *settings
	target   operator.Target
	app      string
}

func newSession(s *settings) *cobra.Command {
	c := &sessionCommand{settings: s}
	cmd := &cobra.Command{
		Use:     "session",
		Short:   "Show, list and remove sessions",
		Long:    "Shows, lists and removes sessions, through the operators' listener of a running server, or\ndirectly with --connection-string.",
		Example: "  mirrorstate session list\n  mirrorstate session get aiaeqbqafqboaeebkycyqgyb",
		Args:    exactly(0, "get, list or rm"),
		RunE: func(*cobra.Command, []string) error {
			return usage.Errorf("session requires a command: get, list or rm; see session --help")
		},
	}
	c.target.Add(cmd.PersistentFlags())
	cmd.PersistentFlags().StringVar(&c.app, "app", "default", "the application: an alias, or its ASP.NET `NAME`")
	cmd.AddCommand(c.get(), c.list(), c.rm())
	return cmd
}

// with runs a verb on the store and the application.
func (c *sessionCommand) with(ctx context.Context, verb func(st operator.Sessions, app *session.Application) error) error {
	app, err := c.target.Application(c.settings.load, c.app)
	if err != nil {
		return err
	}
	st, done, err := c.target.Store(ctx, c.settings.load)
	if err != nil {
		return err
	}
	defer done()
	return verb(st, app)
}
