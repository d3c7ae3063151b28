package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

func (c *keyCommand) revoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID...",
		Short:   "Remove keys from the file",
		Example: "  mirrorstate key revoke k7q2m9xa --config mirrorstate.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage.Errorf("key revoke takes the ids of keys; see mirrorstate key list")
			}
			path, _, err := c.path()
			if err != nil {
				return err
			}
			revoked, err := keyring.Revoke(path, args...)
			if err != nil {
				return err
			}
			for _, e := range revoked {
				fmt.Fprintf(cmd.OutOrStdout(), "revoked %s (%s)\n", e.ID, e.Name)
			}
			left, err := keyring.ReadFile(path)
			if err != nil {
				return err
			}
			if anyOperatorKey(revoked) && !anyOperatorKey(left) {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: no key has access to the operators' listener now: a running server refuses every caller there, and after a restart on loopback "+
					"any local user can operate the pair; create a key with mirrorstate key new NAME --operator")
			}
			return nil
		},
	}
}

// anyOperatorKey reports whether any entry has access to the operators' listener.
func anyOperatorKey(entries []keyring.Entry) bool {
	return slices.ContainsFunc(entries, func(e keyring.Entry) bool {
		rights, err := keyring.ParseRights(e.Rights)
		return err == nil && rights&keyring.Operators != 0
	})
}
