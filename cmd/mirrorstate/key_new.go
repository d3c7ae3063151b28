package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
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
				return misuse.Of(err)
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

// entry returns the entry of the new key. It checks the flags against the configuration and each other.
func (f *newKeyFlags) entry(name string, cfg config.Config, now time.Time) (e keyring.Entry, err error) {
	rights := f.rights
	if len(rights) == 0 && len(f.apps) > 0 {
		rights = keyring.Sessions.Names()
	}
	if f.operator {
		rights = append(rights, keyring.Operators.Names()...)
	}
	set, err := keyring.ParseRights(rights)
	if err != nil {
		return e, err
	}
	if set == 0 {
		return e, fmt.Errorf("no rights given: pass --app with the applications, or --operator")
	}
	for _, app := range f.apps {
		if _, alias := cfg.Apps[app]; !alias && app != "*" && !strings.HasPrefix(app, "/") {
			return e, fmt.Errorf("--app %s is neither an alias of the configuration (%s) nor a name such as %s; pass the configuration with that alias with --config", app, strings.Join(aliases(cfg.Apps), ", "), config.DefaultApp)
		}
	}
	e = keyring.Entry{Name: name, Certificate: f.certificate, Apps: f.apps, Rights: set.Names()}
	if f.expires != "" {
		if e.Expires, err = parseExpires(f.expires, now); err != nil {
			return e, err
		}
	}
	probe := e // Check requires an id, which the entry gets later
	probe.ID, probe.Certificate = "probe", "probe"
	return e, probe.Check()
}

// parseExpires parses the time at which a key expires: days, a duration, or a date in UTC.
func parseExpires(text string, now time.Time) (time.Time, error) {
	end, err := time.Parse(time.DateOnly, text)
	if err != nil {
		var d time.Duration
		if days, ok := strings.CutSuffix(text, "d"); ok {
			n, nerr := strconv.ParseUint(days, 10, 15)
			d, err = time.Duration(n)*24*time.Hour, nerr
		} else {
			d, err = time.ParseDuration(text)
		}
		end = now.Add(d)
	}
	if err != nil || !end.After(now) {
		return end, fmt.Errorf("--expires %q must be a time in the future, such as 90d, 12h or 2027-01-31", text)
	}
	return end.UTC().Truncate(time.Second), nil
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

// aliases returns the aliases of the configured applications, sorted.
func aliases(apps map[string]config.App) []string { return slices.Sorted(maps.Keys(apps)) }
