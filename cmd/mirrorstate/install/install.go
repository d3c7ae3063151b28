// Package install carries out mirrorstate install and uninstall. It finds the principal, examines the database, and
// runs or prints the script with the missing changes.
package install

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// Installation is one call of install or uninstall.
type Installation struct {
	Verb    string // install or uninstall
	Options aspstate.InstallOptions

	Recreate string        // the database's name, as a confirmation: drop its sessions and create its tables again
	On       string        // a or b: use that partner; empty: the principal
	Onto     string        // nothing, stock or extended: the state of the database that a script assumes if no server is asked
	DryRun   bool          // print the script, send nothing
	AsJSON   bool          // print JSON
	Wait     time.Duration // total time to wait for locks that others hold

	Out, Progress io.Writer
}

// Run carries out the installation on the configured pair.
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
		return usage.NoPair()
	}
	ctx, cancel := context.WithTimeout(ctx, in.Wait+installTime)
	defer cancel()
	return in.onPair(ctx, cfg)
}

// installTime bounds an installation, without the time it waits for locks.
const installTime = 2 * time.Minute

// check refuses invalid flags.
func (in *Installation) check() error {
	switch {
	case in.On != "" && in.On != "a" && in.On != "b":
		return usage.Errorf("--on must be a or b, not %q", in.On)
	case in.Wait < 0:
		return usage.Errorf("--wait must not be negative, but is %s", in.Wait)
	case in.Recreate != "" && in.Recreate != in.Options.Database:
		return usage.Errorf("--recreate drops every session of %s: pass that name to confirm it, not %q", in.Options.Database, in.Recreate)
	}
	if _, err := aspstate.Assume(in.Onto); err != nil {
		return usage.Errorf("--onto %w", err)
	}
	in.Options.Recreate = in.Recreate != ""
	return nil
}

// plan returns the script for a database in the state f.
func (in *Installation) plan(f aspstate.Found) (aspstate.Script, error) {
	if in.Verb == "uninstall" {
		return aspstate.PlanUninstall(f, in.Options.Database)
	}
	return aspstate.PlanInstall(f, in.Options)
}

// withoutServer prints the script of a dry run for which no server can be asked; why is the reason.
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

// unchecked returns the head of a script for which no server was asked: the list of what was not checked.
func (in *Installation) unchecked(why string) []string {
	head := []string{"Not checked, because no server was asked (" + why + "):",
		"- which partner is the principal: on a mirror the script fails at once (954)",
		"- the state of the database: the script assumes " + map[string]string{"nothing": "that it does not exist", "stock": "a stock ASPState, made by aspnet_regsql -sstype p",
			"extended": "an ASPState with the extension"}[in.Onto] + " (--onto)"}
	if in.Options.Recreate {
		head = append(head, "- the texts of the stock procedures: each existing one is replaced, and keeps its rights")
	}
	if in.Options.Grant != "" {
		head = append(head, "- whether the login "+in.Options.Grant+" exists, with the same SID on both partners, and the name of its user")
	}
	return append(head, "- the rights of the login that runs it, locks that others hold, free space for data and log")
}

// onPair finds the principal and carries out the installation there.
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

// lookAtPartners asks both partners for the state of their copy of the database.
func (in *Installation) lookAtPartners(ctx context.Context, pc partner.Config) (sides [2]aspstate.Side) {
	for i, p := range pc.Partners {
		sides[i] = aspstate.Side{Partner: p.Name, Address: p.Shown()}
		sides[i].Err = link.InMaster(ctx, p, func(conn *sql.Conn) error {
			return aspstate.LookSide(ctx, conn, in.Options.Database, &sides[i])
		})
	}
	return sides
}

// onServer examines the database at the other end of conn, and runs or prints the script there.
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
		return in.printScript(result, script, []string{fmt.Sprintf("Planned for the present state of the database on partner %s (%s, %s): %s.", result.Partner, result.Address, result.Server, result.Before),
			"Not checked: the rights of the login that runs it, locks that others hold, free space for data and log."})
	}
	if err := script.Run(ctx, conn, func(text string) { fmt.Fprintln(in.Progress, text) }); err != nil {
		return err
	}
	result.setSteps(script)
	if result.After = result.Before; result.Changed {
		if f, err = aspstate.Look(ctx, conn, in.Options.Database, in.Options.Grant); err != nil {
			return fmt.Errorf("the script ran, but the result can't be checked: %w", aspstate.ExplainInstall(err))
		}
		result.After = f.Kind()
		in.Options.Recreate = false
		if rest, err := in.plan(f); err != nil || !rest.Empty() {
			return fmt.Errorf("the script ran, but changes are still missing: another session is changing %s at the same time; run it again", in.Options.Database)
		}
	}
	return in.print(result)
}
