package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
)

// newAccept is pair accept, the one verb that has an argument; it goes into v.
func newAccept(v *operator.Verb, run func(*cobra.Command, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept a|b",
		Short: "Say which partner is the principal, over all that is remembered",
		Long: "The operator's word, for when both partners claim to be principal and the wrong one, or neither, is\n" +
			"used. The partner must be a writable principal. What was written to the other one since they parted is\n" +
			"not used any more. The reason is logged.",
		Example: `  mirrorstate pair accept b --reason "a was restored from Monday's backup"`,
		Args:    exactly(1, "one partner, a or b"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch v.Partner = args[0]; {
			case v.Partner != "a" && v.Partner != "b":
				return misuse.Errorf("partner %q is neither a nor b", v.Partner)
			case strings.TrimSpace(v.Reason) == "":
				return misuse.Errorf(`pair accept wants --reason "…": it is logged, for those who ask later`)
			}
			return run(cmd, args)
		},
	}
	cmd.Flags().StringVar(&v.Reason, "reason", "", "why, in a few `WORDS`; required")
	return cmd
}
