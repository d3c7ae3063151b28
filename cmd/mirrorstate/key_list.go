package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

func (c *keyCommand) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys, without their secrets",
		Example: "  mirrorstate key list --json --config mirrorstate.yaml",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, _, err := c.path()
			if err != nil {
				return err
			}
			entries, err := keyring.ReadFile(path)
			if err != nil {
				return err
			}
			return printKeys(cmd.OutOrStdout(), entries, asJSON, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printKeys prints the keys without their hashes, which nobody needs.
func printKeys(out io.Writer, entries []keyring.Entry, asJSON bool, now time.Time) error {
	if asJSON {
		shown := []keyring.Entry{}
		for _, e := range entries {
			e.SHA256 = ""
			shown = append(shown, e)
		}
		return json.NewEncoder(out).Encode(shown)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tAPPS\tRIGHTS\tCERTIFICATE\tCREATED\tEXPIRES")
	for _, e := range entries {
		expires := "never"
		if !e.Expires.IsZero() {
			expires = e.Expires.Format(time.RFC3339)
		}
		if e.Expired(now) {
			expires += " (expired)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Name, orDash(strings.Join(e.Apps, ",")), strings.Join(e.Rights, ","),
			orDash(e.Certificate), e.Created.Format(time.DateOnly), expires)
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
