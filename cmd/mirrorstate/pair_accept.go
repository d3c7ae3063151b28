package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
)

// newAccept returns pair accept, the only verb with an argument. It puts its argument and flag into v.
func newAccept(v *operator.Verb, run func(*cobra.Command, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept a|b",
		Short: "Decide which partner is the principal, whatever servers have accepted before",
		Long: "For an operator's decision when both partners claim to be principal, and mirrorstate uses the wrong\n" +
			"one or neither. The partner must be a writable principal. Writes that only the other partner has are\n" +
			"not used any more. The reason is logged.",
		Example: `  mirrorstate pair accept b --reason "a was restored from Monday's backup"`,
		Args:    exactly(1, "one partner, a or b"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch v.Partner = args[0]; {
			case v.Partner != "a" && v.Partner != "b":
				return usage.Errorf("the partner must be a or b, not %q", v.Partner)
			case strings.TrimSpace(v.Reason) == "":
				return usage.Errorf(`pair accept requires --reason "…": it is logged`)
			}
			return run(cmd, args)
		},
	}
	cmd.Flags().StringVar(&v.Reason, "reason", "", "the reason, in a few `WORDS`; required")
	return cmd
}
