package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// newKeyFlags are the flags of key new.
type newKeyFlags struct {
	apps, rights []string
	certificate  string
	expires, out string
	operator     bool
}

func (c *keyCommand) new() *cobra.Command {
	var f newKeyFlags
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Create a key, and show it once",
		Long: "Creates a key for NAME and writes it to standard output, as the only text. Keys with the same name belong to one caller. To\n" +
			"rotate, create a key with the same name, distribute it, and revoke the old one. With --certificate no key is created: a\n" +
			"client with a certificate of that name has the rights (api.tls.client_ca_file).",
		Example: "  mirrorstate key new shop --app shop --expires 90d --out shop.key --config mirrorstate.yaml\n" +
			"  mirrorstate key new reports --app shop --app /LM/W3SVC/2/ROOT --right read --config mirrorstate.yaml\n" +
			"  mirrorstate key new ops --operator --config mirrorstate.yaml\n" +
			"  mirrorstate key new web1 --app shop --certificate web1.example.net --config mirrorstate.yaml",
		Args: exactly(1, "one name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, cfg, err := c.path()
			if err != nil {
				return err
			}
			e, err := f.entry(args[0], cfg, time.Now())
			if err != nil {
				return usage.Of(err)
			}
			if f.certificate != "" {
				f.out = "" // no key is created
			}
			out, err := createPrivateFile(f.out)
			if err != nil {
				return err
			}
			key, id, err := keyring.Add(path, e, time.Now())
			if err != nil {
				return errors.Join(err, out.remove())
			}
			return printNewKey(cmd, path, key, id, out, e)
		},
	}
	cmd.Flags().StringSliceVar(&f.apps, "app", nil, "applications to which the key gives access: `ALIAS`es, names, or * for all")
	cmd.Flags().StringSliceVar(&f.rights, "right", nil, "`RIGHTS` such as read,write: read, write, lock, remove, list, observe, operator (default with --app: read,write,lock,remove)")
	cmd.Flags().StringVar(&f.certificate, "certificate", "", "create no key: the DNS `NAME` of a client's certificate, or its common name if it has no DNS name")
	cmd.Flags().StringVar(&f.expires, "expires", "", "when the key expires: a `TIME` such as 90d, 12h or 2027-01-31 (default: never)")
	cmd.Flags().StringVar(&f.out, "out", "", "write the key to a new `FILE` that only you can read, and not to standard output")
	cmd.Flags().BoolVar(&f.operator, "operator", false, "add the rights observe and operator: access to the operators' listener (sessions there also require --app and --right read,list)")
	return cmd
}

// printNewKey prints the key, or the id of an entry for a certificate, to standard output or into the file. It prints
// everything else to standard error.
func printNewKey(cmd *cobra.Command, path, key, id string, out privateFile, e keyring.Entry) error {
	what := "key " + id
	if key == "" {
		what, key = "entry "+id, id
	}
	ends := "does not expire"
	if !e.Expires.IsZero() {
		ends = "expires " + e.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s for %s: %s of %s; %s; in %s\n", what, e.Name, strings.Join(e.Rights, ","), orNone(e.Apps), ends, path)
	if out.File != nil {
		return out.write(key + "\n")
	}
	if e.Certificate == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "the key is shown only this once; send it as Authorization: Bearer")
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), key)
	return err
}

func orNone(apps []string) string {
	if len(apps) == 0 {
		return "no application"
	}
	return strings.Join(apps, ",")
}
