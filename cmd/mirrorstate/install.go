package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/operator"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// installation is one call of install or uninstall.
type installation struct {
	verb    string // install or uninstall
	pair    operator.PairFlags
	options aspstate.InstallOptions

	recreate string // the database's name, typed
	on       string
	onto     string
	dryRun   bool
	asJSON   bool
	wait     time.Duration

	out, progress io.Writer
}

func newInstall(s *settings) *cobra.Command {
	in := &installation{verb: "install"}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Create ASPState, or extend the one that stands there",
		Long: "Creates ASPState in its persisted form, as aspnet_regsql -ssadd -sstype p does, or under the name that the connection string gives\n" +
			"(initial catalog), and adds what mirrorstate needs: columns, tables and procedures that .NET never looks at. One that stands is\n" +
			"extended; its sessions, its stock procedures and the rights on them are left alone. It runs on the principal, again and again if\n" +
			"wanted, and lets live calls go first. A mirror gets everything from its principal.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=sa.password mirrorstate install --connection-string \"data source=SQL1;failover partner=SQL2;user id=sa\" --grant web\n" +
			"  mirrorstate install --dry-run --grant web > install.sql\n  mirrorstate install --config mirrorstate.yaml --stock-only",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return in.run(cmd, s) },
	}
	cmd.Flags().BoolVar(&in.options.StockOnly, "stock-only", false, "make what .NET needs, and no extension")
	cmd.Flags().StringVar(&in.options.Grant, "grant", "", "let the login `LOGIN` in, as a member of the role "+aspstate.InstallRole+", which has the least rights that a proxy needs")
	cmd.Flags().StringVar(&in.recreate, "recreate", "", "drop EVERY SESSION and make the tables anew; type the database's `NAME`")
	cmd.Flags().StringVar(&in.onto, "onto", "nothing", "for --dry-run without a pair, what is taken for granted: `nothing|stock|extended`")
	in.add(cmd)
	return cmd
}

func newUninstall(s *settings) *cobra.Command {
	in := &installation{verb: "uninstall", onto: "extended"}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the extension away; sessions and everything of .NET's stay",
		Long: "Drops the procedures, tables and columns that mirrorstate install has added. No stock object and no session is touched: .NET\n" +
			"applications go on, and so does mirrorstate, as on any stock ASPState. What was remembered of operations and epochs is gone.",
		Example: "  MIRRORSTATE_PAIR_PASSWORD_FILE=sa.password mirrorstate uninstall --connection-string \"data source=SQL1;failover partner=SQL2;user id=sa\"\n  mirrorstate uninstall --dry-run",
		Args:    exactly(0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return in.run(cmd, s) },
	}
	in.add(cmd)
	return cmd
}

// add adds the flags that both have.
func (in *installation) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&in.dryRun, "dry-run", false, "print the script that would be run, and send nothing; needs no server")
	cmd.Flags().BoolVar(&in.asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&in.on, "on", "", "insist on partner `a|b`, where nobody can tell which is meant")
	cmd.Flags().DurationVar(&in.wait, "wait", time.Minute, "how long to wait for locks that others hold, in all")
	in.pair.Add(cmd.Flags(), "the pair")
}

// run is the command.
func (in *installation) run(cmd *cobra.Command, s *settings) error {
	in.out, in.progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
	cfg, err := s.load(in.pair.Said()...)
	if err != nil {
		return err
	}
	in.options.Database = "ASPState"
	pair, configured := cfg.Partners()
	if configured {
		in.options.Database = pair.Database
	}
	if err := in.check(); err != nil {
		return err
	}
	switch {
	case !configured && in.dryRun:
		return in.withoutServer("no pair is configured")
	case !configured:
		return misuse.NoPair()
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), in.wait+installTime)
	defer cancel()
	return in.onPair(ctx, cfg)
}

// installTime is what an installation may take beside waiting for locks.
const installTime = 2 * time.Minute

// check refuses what can't be meant.
func (in *installation) check() error {
	switch {
	case in.on != "" && in.on != "a" && in.on != "b":
		return misuse.Errorf("--on %q is neither a nor b", in.on)
	case in.wait < 0:
		return misuse.Errorf("--wait %s is below 0", in.wait)
	case in.recreate != "" && in.recreate != in.options.Database:
		return misuse.Errorf("--recreate drops every session of %s: type that name, not %q", in.options.Database, in.recreate)
	}
	if _, err := aspstate.Assume(in.onto); err != nil {
		return misuse.Errorf("--onto %w", err)
	}
	in.options.Recreate = in.recreate != ""
	return nil
}

// plan is what is to be done to what was found.
func (in *installation) plan(f aspstate.Found) (aspstate.Script, error) {
	if in.verb == "uninstall" {
		return aspstate.PlanUninstall(f, in.options.Database)
	}
	return aspstate.PlanInstall(f, in.options)
}

// withoutServer is a dry run that nobody can be asked for, and why.
func (in *installation) withoutServer(why string) error {
	f, err := aspstate.Assume(in.onto)
	if err != nil {
		return err
	}
	script, err := in.plan(f)
	if err != nil {
		return err
	}
	return in.printScript(installed{Database: in.options.Database, Before: in.onto}, script, in.unchecked(why))
}

// unchecked is the head of a script for which no server was asked.
func (in *installation) unchecked(why string) []string {
	head := []string{"Not checked, because no server was asked (" + why + "):",
		"- which partner is the principal: on a mirror the script fails at once (954)",
		"- what stands in the database: taken for granted is " + map[string]string{"nothing": "nothing, not even the database", "stock": "a stock ASPState, made by aspnet_regsql -sstype p",
			"extended": "an ASPState with the extension"}[in.onto] + " (--onto)"}
	if in.options.Recreate {
		head = append(head, "- the texts of the stock procedures: each is written anew where one stands, with its rights")
	}
	if in.options.Grant != "" {
		head = append(head, "- whether the login "+in.options.Grant+" is there, with the same SID on both partners, and what its user is called")
	}
	return append(head, "- the rights of who runs it, locks that others hold, room for data and log")
}

// onPair finds the principal, looks, and does it.
func (in *installation) onPair(ctx context.Context, cfg config.Config) error {
	pc, err := server.PairConfig(cfg, nil, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	sides := in.ask(ctx, pc)
	if in.dryRun && sides[0].Err != nil && sides[1].Err != nil {
		return in.withoutServer(fmt.Sprintf("a: %v; b: %v", sides[0].Err, sides[1].Err))
	}
	at, err := aspstate.Choose(sides, in.options.Database, partner.Name(in.on))
	if err != nil {
		return err
	}
	result := installed{Database: in.options.Database, Partner: string(sides[at].Partner), Address: sides[at].Address, Mirrored: sides[at].Role != ""}
	return partner.InMaster(ctx, pc.Partners[at], func(conn *sql.Conn) error { return in.onServer(ctx, conn, result) })
}

// ask asks both partners what the database is there.
func (in *installation) ask(ctx context.Context, pc partner.Config) (sides [2]aspstate.Side) {
	for i, p := range pc.Partners {
		sides[i] = aspstate.Side{Partner: p.Name, Address: p.Shown()}
		sides[i].Err = partner.InMaster(ctx, p, func(conn *sql.Conn) error {
			return aspstate.LookSide(ctx, conn, in.options.Database, &sides[i])
		})
	}
	return sides
}

// onServer looks at the database and does what is to be done, at the other end of conn.
func (in *installation) onServer(ctx context.Context, conn *sql.Conn, result installed) error {
	f, err := aspstate.Look(ctx, conn, in.options.Database, in.options.Grant)
	if err != nil {
		return aspstate.ExplainInstall(err)
	}
	result.Server, result.Version, result.Before = f.Server, f.Version, f.Kind()
	script, err := in.plan(f)
	if err != nil {
		return err
	}
	if in.dryRun {
		return in.printScript(result, script, []string{fmt.Sprintf("Planned for what stands on partner %s (%s, %s) now: %s.", result.Partner, result.Address, result.Server, result.Before),
			"Not checked: the rights of who runs it, locks that others hold, room for data and log."})
	}
	if err := script.Run(ctx, conn, func(text string) { fmt.Fprintln(in.progress, text) }); err != nil {
		return err
	}
	result.take(script)
	if result.After = result.Before; result.Changed {
		if f, err = aspstate.Look(ctx, conn, in.options.Database, in.options.Grant); err != nil {
			return fmt.Errorf("it is done, but can't be looked at: %w", aspstate.ExplainInstall(err))
		}
		result.After = f.Kind()
		in.options.Recreate = false
		if rest, err := in.plan(f); err != nil || !rest.Empty() {
			return fmt.Errorf("it was done, and something is missing all the same: somebody else changes %s at this moment; run it again", in.options.Database)
		}
	}
	return in.print(result)
}

// installed is what an installation has done.
type installed struct {
	Database string   `json:"database"`
	Partner  string   `json:"partner,omitempty"` // a or b
	Address  string   `json:"address,omitempty"`
	Server   string   `json:"server,omitempty"`  // @@SERVERNAME
	Version  string   `json:"version,omitempty"` // ProductVersion
	Mirrored bool     `json:"mirrored"`
	Before   string   `json:"before"` // nothing, empty, stock, partial or extended
	After    string   `json:"after,omitempty"`
	Changed  bool     `json:"changed"`
	Steps    []string `json:"steps"` // what was done, or would be
	Script   string   `json:"script,omitempty"`
}

// take notes the steps.
func (r *installed) take(script aspstate.Script) {
	r.Steps = []string{}
	for _, step := range script.Steps {
		r.Steps = append(r.Steps, step.Title)
	}
	r.Changed = !script.Empty()
}

// printScript prints the script of a dry run.
func (in *installation) printScript(r installed, script aspstate.Script, head []string) error {
	head = append([]string{fmt.Sprintf("mirrorstate %s, dry run: database %s. Nothing was sent.", in.verb, r.Database)}, head...)
	if script.Empty() {
		head = append(head, "There is nothing to do.")
	} else {
		head = append(head, "By hand, as a member of db_owner (dbcreator to make a database): sqlcmd -I -S principal -i file")
	}
	var text strings.Builder
	if err := script.WriteScript(&text, head...); err != nil {
		return err
	}
	if in.asJSON {
		r.take(script)
		r.Changed, r.Script = false, text.String()
		return in.encode(r)
	}
	_, err := io.WriteString(in.out, text.String())
	return err
}

func (in *installation) encode(r installed) error {
	enc := json.NewEncoder(in.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// print says what was done.
func (in *installation) print(r installed) error {
	if in.asJSON {
		return in.encode(r)
	}
	if !r.Changed {
		_, err := fmt.Fprintf(in.out, "%s on partner %s (%s, %s) is %s: nothing to do\n", r.Database, r.Partner, r.Address, r.Server, r.Before)
		return err
	}
	fmt.Fprintf(in.out, "%s on partner %s (%s, %s): %s before, %s now\n", r.Database, r.Partner, r.Address, r.Server, r.Before, r.After)
	for _, step := range r.Steps {
		fmt.Fprintf(in.out, "  done: %s\n", step)
	}
	if !r.Mirrored && in.verb == "install" {
		fmt.Fprintln(in.out, "  it is not mirrored yet, as far as this login can see")
	}
	return nil
}
