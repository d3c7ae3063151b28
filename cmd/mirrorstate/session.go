package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
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
			return misuse.Errorf("session requires a command: get, list or rm; see session --help")
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

func (c *sessionCommand) get() *cobra.Command {
	var raw, asJSON bool
	cmd := &cobra.Command{
		Use:     "get ID",
		Short:   "Show a session without renewing it",
		Example: "  mirrorstate session get aiaeqbqafqboaeebkycyqgyb --raw > item.bin",
		Args:    exactly(1, "one session id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := session.ParseID(args[0])
			if err != nil {
				return misuse.Of(err)
			}
			if raw && asJSON {
				return misuse.Errorf("--raw and --json can't be used together")
			}
			return c.with(cmd.Context(), func(st operator.Sessions, app *session.Application) error {
				got, err := st.Get(cmd.Context(), session.Ref{App: app, ID: id}, session.GetOptions{Peek: true, AllowLocked: true})
				if err != nil {
					return err
				}
				if asJSON {
					return operator.PrintSessionJSON(cmd.OutOrStdout(), id, got)
				}
				return operator.PrintSession(cmd.OutOrStdout(), id, got, raw)
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "write only the bytes of the item")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the item in base64")
	return cmd
}

func (c *sessionCommand) list() *cobra.Command {
	var (
		asJSON, expired bool
		limit           int
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List an application's sessions",
		Example: "  mirrorstate session list --app /LM/W3SVC/1/ROOT --limit 20",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return misuse.Errorf("--limit %d must be at least 1", limit)
			}
			return c.with(cmd.Context(), func(st operator.Sessions, app *session.Application) error {
				all, err := operator.ListAll(cmd.Context(), st, app, limit, expired)
				if err != nil {
					return err
				}
				return operator.PrintEntries(cmd.OutOrStdout(), all, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&limit, "limit", 1000, "list at most `N` sessions")
	cmd.Flags().BoolVar(&expired, "expired", false, "list only sessions that have expired and are not deleted yet")
	return cmd
}

func (c *sessionCommand) rm() *cobra.Command {
	return &cobra.Command{
		Use:     "rm ID",
		Short:   "Remove a session that is not locked",
		Example: "  mirrorstate session rm aiaeqbqafqboaeebkycyqgyb",
		Args:    exactly(1, "one session id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := session.ParseID(args[0])
			if err != nil {
				return misuse.Of(err)
			}
			return c.with(cmd.Context(), func(st operator.Sessions, app *session.Application) error {
				ref := session.Ref{App: app, ID: id}
				// Removing a missing session succeeds, but a person who types an id must learn that it does not exist. Other
				// errors of Get are ignored: the key may have the right to remove, but not to read.
				if _, err := st.Get(cmd.Context(), ref, session.GetOptions{Peek: true, AllowLocked: true}); errors.Is(err, session.ErrNotFound) {
					return err
				}
				if err := st.Remove(cmd.Context(), ref, session.Lock{}, session.Operation{}); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", id)
				return err
			})
		},
	}
}
