package operate

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/sqlname"
)

// The topologies that a verb can be meant for.
const (
	Mirroring = "mirroring"
	Group     = "availability-group"
)

// The verbs.
const (
	Setup    = "setup"
	Status   = "status"
	Failover = "failover"
	Force    = "force"
	Suspend  = "suspend"
	Resume   = "resume"
	Remove   = "remove"
	// CarryLogins gives a pair's mirror the logins of its principal.
	CarryLogins = "logins"
)

// Verbs are all that have a plan: all but status.
var Verbs = []string{Setup, Failover, Force, Suspend, Resume, Remove, CarryLogins}

// What remove does with the copy on the former mirror.
const (
	CopyKeep    = "keep"    // leave it RESTORING: mirroring can be set up again from it
	CopyRecover = "recover" // open it: from then on it goes its own way
	CopyDrop    = "drop"    // drop it
)

// Options say what a verb is about. The zero value of every field but Database and
// Endpoint is usable.
type Options struct {
	Database string
	// Topology is mirroring or availability-group; empty: what the views say, and for
	// setup mirroring, or a group where a server runs on Linux, which has no mirroring.
	Topology string
	// Group is the availability group's name for setup. Default: the database's, with _ag.
	Group string
	// Principal is who is to be the principal after setup; empty: who has the database.
	Principal Side
	// Address is what each server is called in what is printed.
	Address [2]string
	// Endpoint is host:port of each server's endpoint, as the other servers reach it.
	Endpoint [2]string
	// ReplicaName is each server's @@SERVERNAME, for a plan without servers. Default: the endpoint's host.
	ReplicaName [2]string
	// Witness is host:port of the witness's endpoint; empty: no witness.
	Witness string
	// WitnessReached says that the witness is among the servers, so that its endpoint is set up too.
	WitnessReached bool
	// Accounts are the servers' service accounts, DOMAIN\name, and the witness's:
	// endpoints then take Windows accounts. Empty: certificates.
	Accounts [3]string
	// Safety is FULL (default) or OFF.
	Safety string
	// Share is a folder that both servers' service accounts reach under this path. Empty: each
	// backs up to and restores from its default folder, and somebody carries the files.
	Share string
	// MirrorData is the folder of the data files on the mirror. Empty: the same as on the principal.
	MirrorData string
	// Restored says that the mirror has the database RESTORING already: no backup is made.
	Restored bool
	// Logins are those that must have the same SID on both. Run finds them by itself.
	Logins []string
	// Rights are what those logins may do on the server that has the database, beside logging in: they are given to them
	// on the other one too. See [ServerRights].
	Rights []ServerRight
	// Tables must be in the database for setup: without them it is not the one that is meant.
	Tables []string
	// Copy is CopyKeep (default), CopyRecover or CopyDrop.
	Copy string
	// AllowDataLoss permits to force service where something may be lost.
	AllowDataLoss bool
	// Patience bounds each wait for the views. Default 1 min, for a first synchronisation 30 min.
	Patience time.Duration
	// CarryPatience bounds the wait for a file to be carried. Default 30 min.
	CarryPatience time.Duration
}

func (o Options) withDefaults() Options {
	def := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	def(&o.Group, o.Database+"_ag")
	def(&o.Safety, "FULL")
	def(&o.Copy, CopyKeep)
	for i, e := range o.Endpoint {
		host, _, _ := net.SplitHostPort(e)
		short, _, _ := strings.Cut(host, ".")
		if net.ParseIP(host) != nil {
			short = "SERVER-" + string("AB"[i]) // what it is called, an address does not tell
		}
		def(&o.ReplicaName[i], strings.ToUpper(short))
		def(&o.Address[i], host)
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.CarryPatience == 0 {
		o.CarryPatience = 30 * time.Minute
	}
	return o
}

// Mistake is an option that can't be meant.
type Mistake struct{ error }

// Validate tells what can't be meant for the verb, as a [Mistake]. It needs no server.
func (o Options) Validate(verb string) error { return o.withDefaults().validate(verb) }

// validate tells what can't be meant, as a Mistake. Everything that is put into a statement unquoted is checked here.
func (o Options) validate(verb string) error {
	if err := o.mistake(verb); err != nil {
		return Mistake{err}
	}
	return nil
}

func (o Options) mistake(verb string) error {
	switch {
	case o.Database == "" || len(o.Database) > 128:
		return fmt.Errorf("the database's name must have 1 to 128 characters")
	case o.Topology != "" && o.Topology != Mirroring && o.Topology != Group:
		return fmt.Errorf("topology %q is neither %s nor %s", o.Topology, Mirroring, Group)
	case o.Safety != "FULL" && o.Safety != "OFF":
		return fmt.Errorf("safety %q is neither FULL nor OFF", o.Safety)
	case !slices.Contains([]string{CopyKeep, CopyRecover, CopyDrop}, o.Copy):
		return fmt.Errorf("copy %q is none of keep, recover and drop", o.Copy)
	case o.Principal != "" && o.Principal != A && o.Principal != B:
		return fmt.Errorf("principal %q is neither a nor b", o.Principal)
	case verb == Setup && (o.Endpoint[0] == "" || o.Endpoint[1] == ""):
		return fmt.Errorf("both servers' endpoints must be known: give host:port with --endpoint-a and --endpoint-b")
	case (o.Accounts[0] == "") != (o.Accounts[1] == ""):
		return fmt.Errorf("one server's service account is given and the other's is not: give both, or none for certificates")
	case verb == Setup && strings.EqualFold(o.Endpoint[0], o.Endpoint[1]):
		return fmt.Errorf("both endpoints are %s: give each server's own with --endpoint-a and --endpoint-b", o.Endpoint[0])
	}
	for _, e := range append([]string{o.Witness}, o.Endpoint[:]...) {
		if e != "" && !address.MatchString(e) {
			return fmt.Errorf("endpoint %q is not host:port", e)
		}
	}
	return o.badName()
}

// badName tells of a name or path that can't stand in a script.
func (o Options) badName() error {
	err := cmp.Or(sqlname.CheckAll("database", o.Database), sqlname.CheckAll("group", o.Group), sqlname.CheckAll("login", o.Logins...),
		sqlname.CheckAll("folder", o.Share, o.MirrorData), sqlname.CheckAll("service account", o.Accounts[:]...),
		sqlname.CheckAll("endpoint", o.Endpoint[0], o.Endpoint[1], o.Witness), sqlname.CheckAll("server", o.ReplicaName[0], o.ReplicaName[1], o.Address[0], o.Address[1]))
	for _, r := range o.Rights {
		err = cmp.Or(err, sqlname.CheckAll("login", r.Login))
	}
	return err
}

// badName tells of a name that a server has, and that can't stand in a script, as a Refusal.
func (f *Found) badName() error {
	if f == nil || f.Error != "" {
		return nil
	}
	err := sqlname.CheckAll("server", f.ServerName)
	if f.Database != nil {
		err = cmp.Or(err, sqlname.CheckAll("database's file", f.Database.Logical...))
	}
	if f.Endpoint != nil {
		err = cmp.Or(err, sqlname.CheckAll("endpoint", f.Endpoint.Name), sqlname.CheckAll("endpoint's certificate", f.Endpoint.Certificate))
	}
	if g := f.Group; g != nil {
		err = cmp.Or(err, sqlname.CheckAll("group", g.Name))
		for _, r := range g.Replicas {
			err = cmp.Or(err, sqlname.CheckAll("replica", r.Server))
		}
	}
	if err != nil {
		return &Refusal{On: f.On, Message: err.Error(), Advice: "rename it on the server"}
	}
	return nil
}

// port is the port of an endpoint's address.
func port(endpoint string) string {
	_, p, _ := net.SplitHostPort(endpoint)
	return p
}
