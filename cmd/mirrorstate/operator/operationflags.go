package operator

import (
	"encoding/csv"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/usage"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/operate"
	"github.com/mirrorstate/mirrorstate/sqlname"
)

// Flags are the flags of a verb that is carried out directly on the servers.
type Flags struct {
	operate.Options
	DryRun  bool
	timeout time.Duration
	witness string // the connection string of the witness

	witnessPassword string // the file with the password for witness

	ifMissing bool // setup succeeds without a change if there is a pair already
}

// defaultEndpointPort is the port of a mirroring endpoint in the examples of SQL Server's manual.
const defaultEndpointPort = 5022

// Add adds the flags of a verb.
func (f *Flags) Add(flags *pflag.FlagSet, verb string) {
	flags.BoolVar(&f.DryRun, "dry-run", false, "print the scripts that would run, one for each server in order; needs no server")
	flags.StringVar(&f.Topology, "topology", "", "mirroring or availability-group; only for --dry-run and setup: otherwise the servers are asked")
	flags.DurationVar(&f.timeout, "timeout", map[bool]time.Duration{true: 2 * time.Hour, false: 10 * time.Minute}[verb == operate.Setup], "stop after this time")
	flags.StringVar(&f.Group, "group", "", "availability group's `NAME` (default: the database's name with _ag); only for --dry-run and setup")
	flags.StringVar(&f.Endpoint[0], "endpoint-a", "", "`HOST:PORT` by which b reaches a's endpoint (default: a's host, port 5022)")
	flags.StringVar(&f.Endpoint[1], "endpoint-b", "", "`HOST:PORT` by which a reaches b's endpoint (default: b's host, port 5022)")
	flags.StringVar((*string)(&f.Principal), "principal", "", "the partner that is the principal, `a|b`; only for --dry-run and setup: otherwise the servers are asked")
	if verb == operate.Remove {
		flags.StringVar(&f.Copy, "copy", operate.CopyKeep, "what to do with the former mirror's copy: `keep|recover|drop`")
	}
	if verb == operate.Setup {
		f.addSetup(flags)
	}
	if verb == operate.Setup || verb == operate.CarryLogins {
		flags.Var((*loginNames)(&f.Logins), "login", "copy this login to the mirror (default: every login with a user in the database); repeatable")
	}
}

func (f *Flags) addSetup(flags *pflag.FlagSet) {
	flags.BoolVar(&f.ifMissing, "if-missing", false, "if the servers are a pair already, change nothing and exit with 0; for scripts")
	flags.StringVar(&f.Witness, "witness", "", "`HOST:PORT` of the witness's endpoint")
	flags.StringVar(&f.witness, "witness-connection-string", "", "set up the witness's endpoint too: the witness's ADO.NET string `S`; without the password: any local user can read a command line")
	flags.StringVar(&f.witnessPassword, "witness-password-file", "", "the `FILE` with the password for --witness-connection-string, on one line")
	flags.StringVar(&f.Safety, "safety", "FULL", "`FULL|OFF`; OFF is asynchronous, needs Enterprise Edition, and can lose acknowledged writes")
	flags.StringVar(&f.Share, "share", "", "the `PATH` of a folder that both servers' service accounts can use for the backups (default: you copy the backups)")
	flags.StringVar(&f.MirrorData, "mirror-data", "", "the `PATH` of the data files' folder on the mirror (default: the same as on the principal)")
	flags.BoolVar(&f.Restored, "restored", false, "the mirror's copy of the database is RESTORING already: make no backup")
	for i, who := range []string{"a", "b", "witness"} {
		flags.StringVar(&f.Accounts[i], "account-"+who, "", "service account of "+who+", `DOMAIN\\NAME`: the endpoints then authenticate by Windows accounts (default: by certificates)")
	}
}

// loginNames are the values of --login, separated by commas. Set refuses a name with a line break: the CSV reader would
// silently drop everything after it.
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

// witnessString returns the witness's connection string, with the password of the file added.
func (f *Flags) witnessString() (string, error) {
	if f.witnessPassword == "" {
		return f.witness, nil
	}
	password, err := config.ReadPassword(f.witnessPassword)
	if err != nil {
		return "", usage.Errorf("--witness-password-file: %w", err)
	}
	return config.AddPassword(f.witness, password), nil
}

// tables are the tables of a database with ASP.NET sessions.
var tables = []string{"ASPStateTempSessions", "ASPStateTempApplications"}

// Complete returns the options of a verb: the flags, completed by the configuration. It reports whether a pair is
// configured.
func (f *Flags) Complete(load Load, source PairFlags) (o operate.Options, configured bool, err error) {
	cfg, err := load(source.Settings()...)
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
		return o, configured, usage.Errorf("--witness-connection-string requires --witness HOST:PORT, the address of the witness's endpoint")
	}
	if f.witnessPassword != "" && f.witness == "" {
		return o, configured, usage.Errorf("--witness-password-file requires --witness-connection-string, which names the login")
	}
	o.WitnessReached = f.witness != "" || f.DryRun
	return o, configured, nil
}
