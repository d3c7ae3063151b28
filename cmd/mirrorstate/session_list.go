package main

import (
	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/session"
)

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
				return usage.Errorf("--limit must be at least 1, not %d", limit)
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
