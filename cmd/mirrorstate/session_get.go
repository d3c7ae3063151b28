package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/session"
)

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
				return usage.Of(err)
			}
			if raw && asJSON {
				return usage.Errorf("--raw and --json can't be used together")
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
