package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/proxy/keyring"
)

// keyCommand is what the key commands have in common.
type keyCommand struct {
	settings *settings
	file     string
}

func newKey(s *settings) *cobra.Command {
	c := &keyCommand{settings: s}
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list and revoke the keys that servers let in",
		Long: "Keeps the file of keys that a server lets in (auth.keys_file). A server that runs notices changes within two\n" +
			"seconds. The file holds hashes: a key is shown once, when it is made. A key is limited to applications and rights:\n" +
			"read, write, lock, remove and list their sessions; observe the pair, or operate it, on the operators' listener.",
		Example: "  mirrorstate key new shop --app shop --expires 90d --out shop.key --config mirrorstate.yaml\n  mirrorstate key list --config mirrorstate.yaml\n  mirrorstate key revoke k7q2m9xa --config mirrorstate.yaml",
		Args:    exactly(0, "new, list or revoke"),
		RunE:    func(*cobra.Command, []string) error { return misuse.Errorf("key wants a verb; see key --help") },
	}
	cmd.PersistentFlags().StringVar(&c.file, "keys-file", "", "the `FILE` (default: auth.keys_file of the configuration)")
	cmd.AddCommand(c.new(), c.list(), c.revoke())
	return cmd
}

// path is the file, and the configuration around it.
func (c *keyCommand) path() (string, config.Config, error) {
	var said []config.Setting
	if c.file != "" {
		said = append(said, config.Flag("--keys-file", "auth.keys_file", c.file))
	}
	cfg, err := c.settings.load(said...)
	if err != nil {
		return "", cfg, err
	}
	if cfg.Auth.KeysFile == "" {
		return "", cfg, misuse.Errorf("no file of keys is named; do so with --keys-file, or with auth.keys_file of the configuration")
	}
	return cfg.Auth.KeysFile, cfg, nil
}

// newKeyFlags are the words of key new.
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
		Short: "Make a key, and show it this once",
		Long: "Makes a key for NAME and writes it to standard output, alone. Keys of one name are one caller: give the next key the\n" +
			"same name to rotate, hand it out, and revoke the old one. With --certificate no key is made: clients that show a\n" +
			"certificate of that name have the rights (api.tls.client_ca_file).",
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
				f.out = "" // there will be no key
			}
			out, err := makePrivate(f.out)
			if err != nil {
				return err
			}
			key, id, err := keyring.Add(path, e, time.Now())
			if err != nil {
				return errors.Join(err, out.remove())
			}
			return sayMade(cmd, path, key, id, out, e)
		},
	}
	cmd.Flags().StringSliceVar(&f.apps, "app", nil, "applications it is good for: `ALIAS`es, names, or * for all")
	cmd.Flags().StringSliceVar(&f.rights, "right", nil, "`RIGHTS` such as read,write: read, write, lock, remove, list, observe, operator (default with --app: read,write,lock,remove)")
	cmd.Flags().StringVar(&f.certificate, "certificate", "", "no key: the DNS `NAME` of a client's certificate, or its common name where it has none")
	cmd.Flags().StringVar(&f.expires, "expires", "", "when it ends: a `TIME` such as 90d, 12h or 2027-01-31 (default: never)")
	cmd.Flags().StringVar(&f.out, "out", "", "write the key to a new `FILE` that only you can read, and not to standard output")
	cmd.Flags().BoolVar(&f.operator, "operator", false, "the rights observe and operator: the operators' listener (sessions there want --app and --right read,list too)")
	return cmd
}

// entry checks the words against the configuration and each other.
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
		return e, fmt.Errorf("say what it is for: --app with the applications, or --operator")
	}
	for _, app := range f.apps {
		if _, alias := cfg.Apps[app]; !alias && app != "*" && !strings.HasPrefix(app, "/") {
			return e, fmt.Errorf("--app %s is neither an alias of the configuration (%s) nor a name such as %s; name the configuration that has the alias with --config", app, strings.Join(aliases(cfg.Apps), ", "), config.DefaultApp)
		}
	}
	e = keyring.Entry{Name: name, Certificate: f.certificate, Apps: f.apps, Rights: set.Names()}
	if f.expires != "" {
		if e.Expires, err = parseEnd(f.expires, now); err != nil {
			return e, err
		}
	}
	probe := e // as it will be checked when it has an id
	probe.ID, probe.Certificate = "probe", "probe"
	return e, probe.Check()
}

// parseEnd reads when a key ends: days, a duration, or a date, in UTC.
func parseEnd(text string, now time.Time) (time.Time, error) {
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
		return end, fmt.Errorf("--expires %q is no time to come; write one like 90d, 12h or 2027-01-31", text)
	}
	return end.UTC().Truncate(time.Second), nil
}

// sayMade shows what was made: what a script wants on standard output, the rest beside it.
func sayMade(cmd *cobra.Command, path, key, id string, out private, e keyring.Entry) error {
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
		fmt.Fprintln(cmd.ErrOrStderr(), "this is the only time it is shown; send it as Authorization: Bearer")
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), key)
	return err
}

// private is a new file that only its user can read; nil: none is wanted.
type private struct{ *os.File }

// makePrivate makes an empty file, before there is a key that would be lost without it. It stays open: by its name the key
// could get into another file that somebody put there meanwhile.
func makePrivate(path string) (private, error) {
	if path == "" {
		return private{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return private{}, misuse.Errorf("--out: %w; name a new file", err)
	}
	return private{f}, nil
}

// write fills the file and closes it.
func (p private) write(text string) error {
	_, err := p.WriteString(text)
	if err == nil {
		err = p.Sync()
	}
	return errors.Join(err, p.Close())
}

// remove takes away a file for which there was no key.
func (p private) remove() error {
	if p.File == nil {
		return nil
	}
	return errors.Join(p.Close(), os.Remove(p.Name()))
}

func orNone(apps []string) string {
	if len(apps) == 0 {
		return "no application"
	}
	return strings.Join(apps, ",")
}

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

// printKeys leaves the hashes out: they are of no use to people.
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

func (c *keyCommand) revoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID...",
		Short:   "Take keys out of the file",
		Example: "  mirrorstate key revoke k7q2m9xa --config mirrorstate.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misuse.Errorf("key revoke wants the ids of keys; see mirrorstate key list")
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
			if opensOperators(revoked) && !opensOperators(left) {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: no key opens the operators' listener now: a server that runs lets nobody in there, and one that is started anew on loopback "+
					"lets everybody on the machine act on the pair; make one with mirrorstate key new NAME --operator")
			}
			return nil
		},
	}
}

// opensOperators says whether an entry opens the operators' listener.
func opensOperators(entries []keyring.Entry) bool {
	return slices.ContainsFunc(entries, func(e keyring.Entry) bool {
		rights, err := keyring.ParseRights(e.Rights)
		return err == nil && rights&keyring.Operators != 0
	})
}

// aliases are the configured applications', sorted.
func aliases(apps map[string]config.App) []string { return slices.Sorted(maps.Keys(apps)) }
