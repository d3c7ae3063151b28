package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// Operation is one verb that is carried out directly on the servers.
type Operation struct {
	Verb     string
	Flags    *Flags
	AsJSON   bool
	Out      io.Writer
	consoles map[operate.Side]*link.Console
}

// Report is the JSON output of an operation.
type Report struct {
	Verb     string           `json:"verb"`
	Topology string           `json:"topology"`
	Database string           `json:"database"`
	Outcome  string           `json:"outcome"` // planned, done, failed
	Found    []*operate.Found `json:"found,omitempty"`
	Plan     *operate.Plan    `json:"plan,omitempty"`
	Scripts  []operate.Script `json:"scripts,omitempty"`
	Steps    []operate.Event  `json:"steps,omitempty"`
	Refusal  *operate.Refusal `json:"refusal,omitempty"`
	Error    string           `json:"error,omitempty"`
	After    []string         `json:"after,omitempty"`
}

// DryRun prints the scripts of a verb.
func (op *Operation) DryRun(o operate.Options, configured bool) error {
	if op.Verb == operate.CarryLogins && len(o.Logins) == 0 {
		return usage.Errorf("pair logins --dry-run does not ask the servers for their logins: name the logins with --login")
	}
	plan, err := operate.DryRun(op.Verb, o)
	if err != nil {
		return usage.Of(err)
	}
	if !configured {
		plan.Unchecked = append(plan.Unchecked, "the servers' names: none were given (--connection-string, --endpoint-a, --endpoint-b); SQL1 and SQL2 are placeholders")
	}
	if op.AsJSON {
		return printJSON(op.Out, Report{Verb: plan.Verb, Topology: plan.Topology, Database: plan.Database, Outcome: "planned", Plan: plan, Scripts: plan.Scripts()})
	}
	for _, s := range plan.Scripts() {
		fmt.Fprintln(op.Out, s.Titled())
	}
	return nil
}

// printJSON prints v as JSON, indented and without escapes for HTML.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Open prepares the connections to the servers; Close closes them.
func (op *Operation) Open(load Load, source PairFlags) error {
	cfg, err := load(source.Settings()...)
	if err != nil {
		return err
	}
	pc, err := server.PairConfig(cfg, nil, "", server.NewLogger(io.Discard, false))
	if err != nil {
		return err
	}
	op.consoles = map[operate.Side]*link.Console{}
	parts := slices.Clone(pc.Partners[:])
	if op.Flags.witness != "" {
		text, err := op.Flags.witnessString()
		if err != nil {
			return err
		}
		parts = append(parts, partner.PartnerConfig{Name: partner.Name(operate.Witness), ConnectionString: text})
	}
	for _, one := range parts {
		c, err := link.NewConsole(one, pc.Budgets)
		if err != nil {
			return err
		}
		op.consoles[operate.Side(one.Name)] = c
	}
	return nil
}

// Close closes the connections that Open has prepared.
func (op *Operation) Close() {
	for _, c := range op.consoles {
		c.Close()
	}
}

// examine asks both partners for their state, and prints it.
func (op *Operation) examine(ctx context.Context, o operate.Options) (seen [2]*operate.Found) {
	for i, side := range []operate.Side{operate.A, operate.B} {
		asking, cancel := context.WithTimeout(ctx, principalWait)
		seen[i] = operate.Look(asking, side, o.Address[i], op.consoles[side], o.Database)
		cancel()
		if !op.AsJSON {
			for _, line := range seen[i].Lines() {
				fmt.Fprintln(op.Out, line)
			}
		}
	}
	return seen
}

// Run carries out the verb on the servers.
func (op *Operation) Run(ctx context.Context, o operate.Options) error {
	if err := o.Validate(op.Verb); err != nil {
		return usage.Of(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, op.Flags.timeout, fmt.Errorf("--timeout %s exceeded", op.Flags.timeout))
	defer cancel()
	seen := op.examine(ctx, o)
	rep := Report{Verb: op.Verb, Database: o.Database, Topology: operate.Topology(seen), Found: seen[:], Outcome: "done"}
	if op.Flags.ifMissing && rep.Topology != "" {
		if op.AsJSON {
			return printJSON(op.Out, rep)
		}
		fmt.Fprintf(op.Out, "%s is already in a pair (%s): nothing to do\n", o.Database, rep.Topology)
		return nil
	}
	err := op.execute(ctx, o, seen, &rep)
	if err != nil {
		rep.Outcome, rep.Error = "failed", strings.Join(strings.Fields(err.Error()), " ")
		rep.Refusal, _ = errors.AsType[*operate.Refusal](err)
	}
	if op.AsJSON {
		return errors.Join(err, printJSON(op.Out, rep))
	}
	return err
}

// execute plans the verb for the state of both partners, and runs the plan.
func (op *Operation) execute(ctx context.Context, o operate.Options, seen [2]*operate.Found, rep *Report) error {
	carries := op.Verb == operate.Setup || op.Verb == operate.CarryLogins
	if carries && len(o.Logins) == 0 {
		logins, err := operate.Logins(ctx, o, seen, op.servers())
		if err != nil {
			return err
		}
		o.Logins = logins
	}
	if carries {
		rights, err := operate.ServerRights(ctx, o, seen, op.servers())
		if err != nil {
			return err
		}
		o.Rights = rights
	}
	plan, err := operate.NewPlan(op.Verb, o, seen)
	if err != nil {
		return err
	}
	if op.Verb == operate.CarryLogins && len(o.Logins) == 0 {
		return &operate.Refusal{On: plan.Principal, Message: "no login has a user in " + o.Database + ": there is no login to copy",
			Advice: "name one with --login, or create a user for a login first: mirrorstate install --grant LOGIN"}
	}
	rep.Topology = plan.Topology
	if !op.AsJSON {
		fmt.Fprintf(op.Out, "%s (%s), principal %s: %d steps\n", plan.Verb, plan.Topology, plan.Principal, len(plan.Steps))
	}
	r := operate.Runner{Servers: op.servers(), Tell: func(e operate.Event) { op.show(rep, e) }}
	if err := r.Run(ctx, plan); err != nil {
		return err
	}
	rep.After = plan.After
	if !op.AsJSON {
		for _, a := range plan.After {
			fmt.Fprintln(op.Out, "-", a)
		}
	}
	return nil
}

func (op *Operation) servers() map[operate.Side]operate.Server {
	all := map[operate.Side]operate.Server{}
	for side, c := range op.consoles {
		all[side] = c
	}
	return all
}

// show prints one event, or adds it to the report.
func (op *Operation) show(rep *Report, e operate.Event) {
	if op.AsJSON {
		if e.Outcome != operate.Waiting {
			rep.Steps = append(rep.Steps, e)
		}
		return
	}
	if e.Outcome == operate.Waiting && e.Step.Kind == operate.Wait {
		return // shown when the wait is over; only a step for which somebody must copy a file is announced before
	}
	fmt.Fprintf(op.Out, "%3d %-7s %-8s %s", e.Number, e.Step.On, e.Outcome, e.Step.Title)
	if e.Note != "" && e.Outcome != operate.Failed {
		fmt.Fprintf(op.Out, " (%s)", e.Note)
	}
	fmt.Fprintln(op.Out)
	if e.Step.Kind == operate.Do && e.Outcome != operate.Skipped {
		fmt.Fprintf(op.Out, "%20s %s\n", "", e.Step.Text)
	}
}
