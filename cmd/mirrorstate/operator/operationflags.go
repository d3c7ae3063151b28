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

	"github.com/mirrorstate/mirrorstate/cmd/mirrorstate/misuse"
	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/partner/operate"
	"github.com/mirrorstate/mirrorstate/sqlname"
)

// Flags say how a verb is carried out on the servers themselves.
type Flags struct {
	operate.Options
	DryRun  bool
	timeout time.Duration
	witness string // its connection string

	witnessPassword string // the file of the password for it

	ifMissing bool // setup: a pair that is there already is what was asked for
}

// defaultEndpointPort is the port of the manual's examples.
const defaultEndpointPort = 5022

// Add adds the flags that a verb has.
func (f *Flags) Add(flags *pflag.FlagSet, verb string) {
	flags.BoolVar(&f.DryRun, "dry-run", false, "print what would be run, as a script for each server in turn; needs no server")
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
		f.addSetup(flags)
	}
	if verb == operate.Setup || verb == operate.CarryLogins {
		flags.Var((*loginNames)(&f.Logins), "login", "carry this login over (default: those that own users in the database); repeatable")
	}
}

func (f *Flags) addSetup(flags *pflag.FlagSet) {
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
func (f *Flags) witnessString() (string, error) {
	if f.witnessPassword == "" {
		return f.witness, nil
	}
	password, err := config.ReadPassword(f.witnessPassword)
	if err != nil {
		return "", misuse.Errorf("--witness-password-file: %w", err)
	}
	return config.AddPassword(f.witness, password), nil
}

// tables are what a database of ASP.NET's sessions has.
var tables = []string{"ASPStateTempSessions", "ASPStateTempApplications"}

// Complete completes what the flags say by the configuration. configured: it names a pair.
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
		return o, configured, misuse.Errorf("--witness-connection-string wants --witness HOST:PORT, the witness's endpoint")
	}
	if f.witnessPassword != "" && f.witness == "" {
		return o, configured, misuse.Errorf("--witness-password-file wants --witness-connection-string, which says for what login it is")
	}
	o.WitnessReached = f.witness != "" || f.DryRun
	return o, configured, nil
}
