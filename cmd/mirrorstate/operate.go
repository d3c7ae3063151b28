package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/server"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/operate"
	"github.com/mirrorstate/mirrorstate/sqlname"
)

// operateFlags say how a verb is carried out on the servers themselves.
type operateFlags struct {
	operate.Options
	dryRun  bool
	timeout time.Duration
	witness string // its connection string

	witnessPassword string // the file of the password for it

	ifMissing bool // setup: a pair that is there already is what was asked for
}

// defaultEndpointPort is the port of the manual's examples.
const defaultEndpointPort = 5022

// add adds the flags that a verb has.
func (f *operateFlags) add(cmd *cobra.Command, verb string) {
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be run, as a script for each server in turn; needs no server")
	flags.StringVar(&f.Topology, "topology", "", "mirroring or availability-group; only for --dry-run and setup: otherwise it is recognised")
	flags.DurationVar(&f.timeout, "timeout", map[bool]time.Duration{true: 2 * time.Hour, false: 10 * time.Minute}[verb == operate.Setup], "give up after this time")
	flags.StringVar(&f.Group, "group", "", "availability group's `NAME` (default: the database's with _ag); only for --dry-run and setup")
	flags.StringVar(&f.Endpoint[0], "endpoint-a", "", "`HOST:PORT` of a's endpoint as b reaches it (default: its host, port 5022)")
	flags.StringVar(&f.Endpoint[1], "endpoint-b", "", "`HOST:PORT` of b's endpoint as a reaches it")
	flags.StringVar((*string)(&f.Principal), "principal", "", "which one is the principal, `a|b`; only for --dry-run and setup: otherwise it is found")
	if verb == operate.Remove {
		flags.StringVar(&f.Copy, "copy", operate.CopyKeep, "what becomes of the former mirror's copy: `keep|recover|drop`")
	}
	if verb == operate.Setup {
		f.addSetup(cmd)
	}
	if verb == operate.Setup || verb == operate.CarryLogins {
		flags.Var((*loginNames)(&f.Logins), "login", "carry this login over (default: those that own users in the database); repeatable")
	}
}

func (f *operateFlags) addSetup(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.ifMissing, "if-missing", false, "do nothing, and call it done, if the servers are a pair already; for scripts")
	flags.StringVar(&f.Witness, "witness", "", "`HOST:PORT` of the witness's endpoint")
	flags.StringVar(&f.witness, "witness-connection-string", "", "reach the witness too, and set its endpoint up: an ADO.NET string `S`; without the password, which everybody could read here")
	flags.StringVar(&f.witnessPassword, "witness-password-file", "", "the `FILE` with the password for --witness-connection-string, one line")
	flags.StringVar(&f.Safety, "safety", "FULL", "`FULL|OFF`; OFF is asynchronous, needs Enterprise, and can lose what was acknowledged")
	flags.StringVar(&f.Share, "share", "", "a folder `PATH` that both servers' service accounts reach; without one the backups are to be carried")
	flags.StringVar(&f.MirrorData, "mirror-data", "", "folder `PATH` of the data files on the mirror (default: the same as on the principal)")
	flags.BoolVar(&f.Restored, "restored", false, "the mirror has the database RESTORING already: make no backup")
	for i, who := range []string{"a", "b", "witness"} {
		flags.StringVar(&f.Accounts[i], "account-"+who, "", "service account of "+who+", `DOMAIN\\NAME`: endpoints then take Windows accounts (default: certificates)")
	}
}

// loginNames are the values of --login, with commas between them. A list that is read as one line of CSV would end without
// a word at the first end of line, so that half a name became another one.
type loginNames []string

// Set implements pflag.Value.
func (l *loginNames) Set(value string) error {
	if err := sqlname.CheckAll("login", value); err != nil {
		return err
	}
	names, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	*l = append(*l, names...)
	return nil
}

// String implements pflag.Value.
func (l *loginNames) String() string { return strings.Join(*l, ",") }

// Type implements pflag.Value.
func (l *loginNames) Type() string { return "strings" }

// witnessString is how the witness is reached, with the password of the file in it.
func (f *operateFlags) witnessString() (string, error) {
	if f.witnessPassword == "" {
		return f.witness, nil
	}
	password, err := config.ReadPassword(f.witnessPassword)
	if err != nil {
		return "", misuse.Errorf("--witness-password-file: %w", err)
	}
	return config.AddPassword(f.witness, password), nil
}

// operation is one verb on the servers themselves.
type operation struct {
	verb     string
	flags    *operateFlags
	asJSON   bool
	out      io.Writer
	consoles map[operate.Side]*partner.Console
}

// report is what an operation tells machines.
type report struct {
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

// tables are what a database of ASP.NET's sessions has.
var tables = []string{"ASPStateTempSessions", "ASPStateTempApplications"}

// options completes what the flags say by the configuration. configured: it names a pair.
func (f *operateFlags) options(s *settings, source pairFlags) (o operate.Options, configured bool, err error) {
	cfg, err := loadConfig(s, source.said()...)
	if err != nil {
		return o, false, err
	}
	o = f.Options
	o.Database, o.Tables = "ASPState", tables
	both, configured := cfg.Partners()
	if configured {
		o.Database = both.Database
	}
	for i, host := range []string{"SQL1", "SQL2"} {
		o.Address[i] = host
		if configured {
			host, o.Address[i] = both.Servers[i].Address.Host, both.Servers[i].Address.String()
		}
		if o.Endpoint[i] == "" {
			o.Endpoint[i] = net.JoinHostPort(host, strconv.Itoa(defaultEndpointPort))
		}
	}
	if f.witness != "" && o.Witness == "" {
		return o, configured, misuse.Errorf("--witness-connection-string wants --witness HOST:PORT, the witness's endpoint")
	}
	if f.witnessPassword != "" && f.witness == "" {
		return o, configured, misuse.Errorf("--witness-password-file wants --witness-connection-string, which says for what login it is")
	}
	o.WitnessReached = f.witness != "" || f.dryRun
	return o, configured, nil
}

// dryRun prints the scripts of a verb.
func (op *operation) dryRun(o operate.Options, configured bool) error {
	if op.verb == operate.CarryLogins && len(o.Logins) == 0 {
		return misuse.Errorf("pair logins --dry-run asks no server which logins there are: name them with --login")
	}
	plan, err := operate.DryRun(op.verb, o)
	if err != nil {
		return misuse.Of(err)
	}
	if !configured {
		plan.Unchecked = append(plan.Unchecked, "the servers' names: none were given (--connection-string, --endpoint-a, --endpoint-b), so that these may be made up")
	}
	if op.asJSON {
		return printJSON(op.out, report{Verb: plan.Verb, Topology: plan.Topology, Database: plan.Database, Outcome: "planned", Plan: plan, Scripts: plan.Scripts()})
	}
	for _, s := range plan.Scripts() {
		fmt.Fprintln(op.out, s.Titled())
	}
	return nil
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// open makes the consoles; close ends them.
func (op *operation) open(s *settings, source pairFlags) error {
	cfg, err := loadConfig(s, source.said()...)
	if err != nil {
		return err
	}
	pc, err := server.PairConfig(cfg, nil, "", server.NewLogger(io.Discard, false))
	if err != nil {
		return err
	}
	op.consoles = map[operate.Side]*partner.Console{}
	parts := slices.Clone(pc.Partners[:])
	if op.flags.witness != "" {
		text, err := op.flags.witnessString()
		if err != nil {
			return err
		}
		parts = append(parts, partner.PartnerConfig{Name: partner.Name(operate.Witness), ConnectionString: text})
	}
	for _, one := range parts {
		c, err := partner.NewConsole(one, pc.Budgets)
		if err != nil {
			return err
		}
		op.consoles[operate.Side(one.Name)] = c
	}
	return nil
}

func (op *operation) close() {
	for _, c := range op.consoles {
		c.Close()
	}
}

// look asks both partners, and prints what they say.
func (op *operation) look(ctx context.Context, o operate.Options) (seen [2]*operate.Found) {
	for i, side := range []operate.Side{operate.A, operate.B} {
		asking, cancel := context.WithTimeout(ctx, firstLook)
		seen[i] = operate.Look(asking, side, o.Address[i], op.consoles[side], o.Database)
		cancel()
		if !op.asJSON {
			for _, line := range seen[i].Lines() {
				fmt.Fprintln(op.out, line)
			}
		}
	}
	return seen
}

// run carries the verb out on the servers.
func (op *operation) run(ctx context.Context, o operate.Options) error {
	if err := o.Validate(op.verb); err != nil {
		return misuse.Of(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, op.flags.timeout, fmt.Errorf("--timeout %s is over", op.flags.timeout))
	defer cancel()
	seen := op.look(ctx, o)
	rep := report{Verb: op.verb, Database: o.Database, Topology: operate.Topology(seen), Found: seen[:], Outcome: "done"}
	if op.flags.ifMissing && rep.Topology != "" {
		if op.asJSON {
			return printJSON(op.out, rep)
		}
		fmt.Fprintf(op.out, "%s is in a pair already (%s): nothing to do\n", o.Database, rep.Topology)
		return nil
	}
	err := op.carryOut(ctx, o, seen, &rep)
	if err != nil {
		rep.Outcome, rep.Error = "failed", strings.Join(strings.Fields(err.Error()), " ")
		rep.Refusal, _ = errors.AsType[*operate.Refusal](err)
	}
	if op.asJSON {
		return errors.Join(err, printJSON(op.out, rep))
	}
	return err
}

func (op *operation) carryOut(ctx context.Context, o operate.Options, seen [2]*operate.Found, rep *report) error {
	carries := op.verb == operate.Setup || op.verb == operate.CarryLogins
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
	plan, err := operate.NewPlan(op.verb, o, seen)
	if err != nil {
		return err
	}
	if op.verb == operate.CarryLogins && len(o.Logins) == 0 {
		return &operate.Refusal{On: plan.Principal, Message: "no login owns a user in " + o.Database + ", so that there is none to carry over",
			Advice: "name one with --login, or give a login a user first: mirrorstate install --grant LOGIN"}
	}
	rep.Topology = plan.Topology
	if !op.asJSON {
		fmt.Fprintf(op.out, "%s (%s), principal %s: %d steps\n", plan.Verb, plan.Topology, plan.Principal, len(plan.Steps))
	}
	r := operate.Runner{Servers: op.servers(), Tell: func(e operate.Event) { op.tell(rep, e) }}
	if err := r.Run(ctx, plan); err != nil {
		return err
	}
	rep.After = plan.After
	if !op.asJSON {
		for _, a := range plan.After {
			fmt.Fprintln(op.out, "-", a)
		}
	}
	return nil
}

func (op *operation) servers() map[operate.Side]operate.Server {
	all := map[operate.Side]operate.Server{}
	for side, c := range op.consoles {
		all[side] = c
	}
	return all
}

// tell prints one event, or keeps it for the report.
func (op *operation) tell(rep *report, e operate.Event) {
	if op.asJSON {
		if e.Outcome != operate.Waiting {
			rep.Steps = append(rep.Steps, e)
		}
		return
	}
	if e.Outcome == operate.Waiting && e.Step.Kind == operate.Wait {
		return // it will be told when it is over; only who must carry a file is told before
	}
	fmt.Fprintf(op.out, "%3d %-7s %-8s %s", e.Number, e.Step.On, e.Outcome, e.Step.Title)
	if e.Note != "" && e.Outcome != operate.Failed {
		fmt.Fprintf(op.out, " (%s)", e.Note)
	}
	fmt.Fprintln(op.out)
	if e.Step.Kind == operate.Do && e.Outcome != operate.Skipped {
		fmt.Fprintf(op.out, "%20s %s\n", "", e.Step.Text)
	}
}
