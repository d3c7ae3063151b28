package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/session"
)

func (c *sessionCommand) rm() *cobra.Command {
	return &cobra.Command{
		Use:     "rm ID",
		Short:   "Remove a session that is not locked",
		Example: "  mirrorstate session rm aiaeqbqafqboaeebkycyqgyb",
		Args:    exactly(1, "one session id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := session.ParseID(args[0])
			if err != nil {
				return usage.Of(err)
			}
			return c.with(cmd.Context(), func(st operator.Sessions, app *session.Application) error {
				ref := session.Ref{App: app, ID: id}
				// Removing a missing session succeeds, but a person who types an id must learn that it does not exist.
				// Other errors of Get are ignored: the key may have the right to remove, but not to read.
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
