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

// The topologies.
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
	// CarryLogins copies the logins of the principal to the mirror.
	CarryLogins = "logins"
)

// Verbs are the verbs that change something: all but status.
var Verbs = []string{Setup, Failover, Force, Suspend, Resume, Remove, CarryLogins}

// What remove does with the copy on the former mirror.
const (
	CopyKeep    = "keep"    // leave it RESTORING: mirroring can be set up again from it
	CopyRecover = "recover" // open it: from then on it is an independent database
	CopyDrop    = "drop"    // drop it
)

// Options are the options of a verb. The zero value of every field but Database and
// Endpoint is valid.
type Options struct {
	Database string
	// Topology is mirroring or availability-group. Empty: what the views show. For setup: mirroring, or a group if
	// a server runs on Linux, which does not support mirroring.
	Topology string
	// Group is the availability group's name for setup. Default: the name of the database with _ag.
	Group string
	// Principal is the server that becomes principal at setup. Empty: the server that has the database.
	Principal Side
	// Address is the name of each server in messages and scripts.
	Address [2]string
	// Endpoint is host:port of each server's endpoint, as the other servers reach it.
	Endpoint [2]string
	// ReplicaName is @@SERVERNAME of each server, for a plan without servers. Default: the endpoint's host.
	ReplicaName [2]string
	// Witness is host:port of the witness's endpoint; empty: no witness.
	Witness string
	// WitnessReached is true if there is a connection to the witness. Then setup creates its endpoint too.
	WitnessReached bool
	// Accounts are the service accounts, DOMAIN\name, of both servers and the witness. With them
	// the endpoints authenticate by Windows accounts. Empty: by certificates.
	Accounts [3]string
	// Safety is FULL (default) or OFF.
	Safety string
	// Share is a folder that the service accounts of both servers can open under this path. Empty: each
	// server uses its default backup folder, and a person copies the files.
	Share string
	// MirrorData is the folder of the data files on the mirror. Empty: the same as on the principal.
	MirrorData string
	// Restored is true if the mirror already has the database RESTORING. Then no backup is made.
	Restored bool
	// Logins are the logins that must have the same SID on both servers. [Logins] finds them.
	Logins []string
	// Rights are the server rights of these logins on the server that has the database. They are granted
	// on the other server too. See [ServerRights].
	Rights []ServerRight
	// Tables must exist in the database for setup. Without them it is the wrong database.
	Tables []string
	// Copy is CopyKeep (default), CopyRecover or CopyDrop.
	Copy string
	// AllowDataLoss allows to force service even if data may be lost.
	AllowDataLoss bool
	// Patience is the deadline of each wait for the views. Default 1 min. The first synchronization gets 30 times as long.
	Patience time.Duration
	// CarryPatience is the deadline for a person to copy a file. Default 30 min.
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
			short = "SERVER-" + string("AB"[i]) // an IP address does not show the server's name
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

// Mistake is an invalid option.
type Mistake struct{ error }

// Validate returns a [Mistake] if an option is invalid for the verb. It needs no server.
func (o Options) Validate(verb string) error { return o.withDefaults().validate(verb) }

// validate is Validate after withDefaults. It checks everything that is put into a statement without quotes.
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
		return fmt.Errorf("topology %q must be %s or %s", o.Topology, Mirroring, Group)
	case o.Safety != "FULL" && o.Safety != "OFF":
		return fmt.Errorf("safety %q must be FULL or OFF", o.Safety)
	case !slices.Contains([]string{CopyKeep, CopyRecover, CopyDrop}, o.Copy):
		return fmt.Errorf("copy %q must be keep, recover or drop", o.Copy)
	case o.Principal != "" && o.Principal != A && o.Principal != B:
		return fmt.Errorf("principal %q must be a or b", o.Principal)
	case verb == Setup && (o.Endpoint[0] == "" || o.Endpoint[1] == ""):
		return fmt.Errorf("the endpoints of both servers must be known: give host:port with --endpoint-a and --endpoint-b")
	case (o.Accounts[0] == "") != (o.Accounts[1] == ""):
		return fmt.Errorf("the service account of only one server is given: give both, or none for certificates")
	case verb == Setup && strings.EqualFold(o.Endpoint[0], o.Endpoint[1]):
		return fmt.Errorf("both endpoints are %s: give the endpoint of each server with --endpoint-a and --endpoint-b", o.Endpoint[0])
	}
	for _, e := range append([]string{o.Witness}, o.Endpoint[:]...) {
		if e != "" && !address.MatchString(e) {
			return fmt.Errorf("endpoint %q is not host:port", e)
		}
	}
	return o.badName()
}

// badName returns an error for a name or path that can't be used in a script.
func (o Options) badName() error {
	err := cmp.Or(sqlname.CheckAll("database", o.Database), sqlname.CheckAll("group", o.Group), sqlname.CheckAll("login", o.Logins...),
		sqlname.CheckAll("folder", o.Share, o.MirrorData), sqlname.CheckAll("service account", o.Accounts[:]...),
		sqlname.CheckAll("endpoint", o.Endpoint[0], o.Endpoint[1], o.Witness), sqlname.CheckAll("server", o.ReplicaName[0], o.ReplicaName[1], o.Address[0], o.Address[1]))
	for _, r := range o.Rights {
		err = cmp.Or(err, sqlname.CheckAll("login", r.Login))
	}
	return err
}

// badName returns a Refusal for a name on the server that can't be used in a script.
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

// port returns the port of an endpoint's address.
func port(endpoint string) string {
	_, p, _ := net.SplitHostPort(endpoint)
	return p
}
