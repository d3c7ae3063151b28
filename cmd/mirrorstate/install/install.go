// Package install carries out mirrorstate install and uninstall: it finds the principal, looks at what stands there, and runs or prints
// the script that is missing.
package install

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Installation is one call of install or uninstall.
type Installation struct {
	Verb    string // install or uninstall
	Options aspstate.InstallOptions

	Recreate string        // the database's name, typed: its sessions are dropped, and its tables made anew
	On       string        // a or b: insist on that partner; empty: the principal
	Onto     string        // nothing, stock or extended: what a script is for where no server is asked
	DryRun   bool          // print the script, send nothing
	AsJSON   bool          // print JSON
	Wait     time.Duration // for locks that others hold, in all

	Out, Progress io.Writer
}

// Run carries it out on the pair that the configuration names.
func (in *Installation) Run(ctx context.Context, cfg config.Config) error {
	in.Options.Database = "ASPState"
	pair, configured := cfg.Partners()
	if configured {
		in.Options.Database = pair.Database
	}
	if err := in.check(); err != nil {
		return err
	}
	switch {
	case !configured && in.DryRun:
		return in.withoutServer("no pair is configured")
	case !configured:
		return misuse.NoPair()
	}
	ctx, cancel := context.WithTimeout(ctx, in.Wait+installTime)
	defer cancel()
	return in.onPair(ctx, cfg)
}

// installTime is what an Installation may take beside waiting for locks.
const installTime = 2 * time.Minute

// check refuses what can't be meant.
func (in *Installation) check() error {
	switch {
	case in.On != "" && in.On != "a" && in.On != "b":
		return misuse.Errorf("--on %q is neither a nor b", in.On)
	case in.Wait < 0:
		return misuse.Errorf("--wait %s is below 0", in.Wait)
	case in.Recreate != "" && in.Recreate != in.Options.Database:
		return misuse.Errorf("--recreate drops every session of %s: type that name, not %q", in.Options.Database, in.Recreate)
	}
	if _, err := aspstate.Assume(in.Onto); err != nil {
		return misuse.Errorf("--onto %w", err)
	}
	in.Options.Recreate = in.Recreate != ""
	return nil
}

// plan is what is to be done to what was found.
func (in *Installation) plan(f aspstate.Found) (aspstate.Script, error) {
	if in.Verb == "uninstall" {
		return aspstate.PlanUninstall(f, in.Options.Database)
	}
	return aspstate.PlanInstall(f, in.Options)
}

// withoutServer is a dry run that nobody can be asked for, and why.
func (in *Installation) withoutServer(why string) error {
	f, err := aspstate.Assume(in.Onto)
	if err != nil {
		return err
	}
	script, err := in.plan(f)
	if err != nil {
		return err
	}
	return in.printScript(Installed{Database: in.Options.Database, Before: in.Onto}, script, in.unchecked(why))
}

// unchecked is the head of a script for which no server was asked.
func (in *Installation) unchecked(why string) []string {
	head := []string{"Not checked, because no server was asked (" + why + "):",
		"- which partner is the principal: on a mirror the script fails at once (954)",
		"- what stands in the database: taken for granted is " + map[string]string{"nothing": "nothing, not even the database", "stock": "a stock ASPState, made by aspnet_regsql -sstype p",
			"extended": "an ASPState with the extension"}[in.Onto] + " (--onto)"}
	if in.Options.Recreate {
		head = append(head, "- the texts of the stock procedures: each is written anew where one stands, with its rights")
	}
	if in.Options.Grant != "" {
		head = append(head, "- whether the login "+in.Options.Grant+" is there, with the same SID on both partners, and what its user is called")
	}
	return append(head, "- the rights of who runs it, locks that others hold, room for data and log")
}

// onPair finds the principal, looks, and does it.
func (in *Installation) onPair(ctx context.Context, cfg config.Config) error {
	pc, err := server.PairConfig(cfg, nil, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	sides := in.lookAtPartners(ctx, pc)
	if in.DryRun && sides[0].Err != nil && sides[1].Err != nil {
		return in.withoutServer(fmt.Sprintf("a: %v; b: %v", sides[0].Err, sides[1].Err))
	}
	at, err := aspstate.Choose(sides, in.Options.Database, partner.Name(in.On))
	if err != nil {
		return err
	}
	result := Installed{Database: in.Options.Database, Partner: string(sides[at].Partner), Address: sides[at].Address, Mirrored: sides[at].Role != ""}
	return link.InMaster(ctx, pc.Partners[at], func(conn *sql.Conn) error { return in.onServer(ctx, conn, result) })
}

// ask asks both partners what the database is there.
func (in *Installation) lookAtPartners(ctx context.Context, pc partner.Config) (sides [2]aspstate.Side) {
	for i, p := range pc.Partners {
		sides[i] = aspstate.Side{Partner: p.Name, Address: p.Shown()}
		sides[i].Err = link.InMaster(ctx, p, func(conn *sql.Conn) error {
			return aspstate.LookSide(ctx, conn, in.Options.Database, &sides[i])
		})
	}
	return sides
}

// onServer looks at the database and does what is to be done, at the other end of conn.
func (in *Installation) onServer(ctx context.Context, conn *sql.Conn, result Installed) error {
	f, err := aspstate.Look(ctx, conn, in.Options.Database, in.Options.Grant)
	if err != nil {
		return aspstate.ExplainInstall(err)
	}
	result.Server, result.Version, result.Before = f.Server, f.Version, f.Kind()
	script, err := in.plan(f)
	if err != nil {
		return err
	}
	if in.DryRun {
		return in.printScript(result, script, []string{fmt.Sprintf("Planned for what stands on partner %s (%s, %s) now: %s.", result.Partner, result.Address, result.Server, result.Before),
			"Not checked: the rights of who runs it, locks that others hold, room for data and log."})
	}
	if err := script.Run(ctx, conn, func(text string) { fmt.Fprintln(in.Progress, text) }); err != nil {
		return err
	}
	result.setSteps(script)
	if result.After = result.Before; result.Changed {
		if f, err = aspstate.Look(ctx, conn, in.Options.Database, in.Options.Grant); err != nil {
			return fmt.Errorf("it is done, but can't be looked at: %w", aspstate.ExplainInstall(err))
		}
		result.After = f.Kind()
		in.Options.Recreate = false
		if rest, err := in.plan(f); err != nil || !rest.Empty() {
			return fmt.Errorf("it was done, and something is missing all the same: somebody else changes %s at this moment; run it again", in.Options.Database)
		}
	}
	return in.print(result)
}
