package operate

import (
	"errors"
	"fmt"
)

// Assume gives what two servers would say if all were as the verb wants it, for a plan
// without servers, and says what that takes for granted.
func Assume(verb string, o Options) (seen [2]*Found, unchecked []string, err error) {
	o = o.withDefaults()
	if o.Topology == "" {
		o.Topology = Mirroring
	}
	if o.Principal == "" {
		o.Principal = A
	}
	if err := o.validate(verb); err != nil {
		return seen, nil, err
	}
	for i, side := range []Side{A, B} {
		f := &Found{On: side, Address: o.Address[i], ServerName: o.ReplicaName[i], Version: "16.0", Sysadmin: true, Groups: true}
		if f.ServerName == "" {
			return seen, nil, errors.New("a plan without servers needs their names: --endpoint-a and --endpoint-b")
		}
		first := side == o.Principal
		if verb != Setup || first {
			f.Database = &FoundDatabase{State: "ONLINE", Recovery: "FULL", Access: "MULTI_USER", Opens: first}
		}
		if verb == Setup && o.Restored && !first {
			f.Database = &FoundDatabase{State: "RESTORING"}
		}
		if verb != Setup {
			assumeRole(f, o, first, verb == Force)
		}
		seen[i] = f
	}
	return seen, assumptions(verb, o), nil
}

// assumeRole gives a server its role, in mirroring or a group. dead says that the principal is.
func assumeRole(f *Found, o Options, principal, dead bool) {
	roles := map[bool][2]string{true: {"PRINCIPAL", "PRIMARY"}, false: {"MIRROR", "SECONDARY"}}[principal]
	switch {
	case principal && dead:
		f.Database, f.Error = nil, "taken to be gone"
	case o.Topology == Group:
		f.Group = &FoundGroup{Name: o.Group, Cluster: "NONE", Role: roles[1], State: "SYNCHRONIZED"}
	default:
		f.Mirroring = &FoundMirroring{Role: roles[0], State: "SYNCHRONIZED", Safety: "FULL"}
	}
}

// assumptions are what a plan without servers could not check.
func assumptions(verb string, o Options) []string {
	all := []string{
		fmt.Sprintf("that %s (%s) is the %s", o.Principal, o.Address[o.Principal.index()], map[string]string{Mirroring: "principal", Group: "primary"}[o.Topology]),
	}
	if o.Topology == Group {
		all = append(all, fmt.Sprintf("that the servers' @@SERVERNAME are %s and %s, the group is called %s, and it has no cluster", o.ReplicaName[0], o.ReplicaName[1], o.Group))
	}
	switch verb {
	case Setup:
		all = append(all, "that both servers have the same version, edition and collation, that the database has no FILESTREAM files, and that the login is sysadmin on both",
			"that neither server has an endpoint for mirroring yet: one that is there is used, and its name then stands in GRANT CONNECT",
			"which logins own users in the database: those named with --login are carried over",
			"which rights on the server they have (sys.server_permissions): give them there too")
		if o.MirrorData != "" {
			all = append(all, "the logical names of the database's files (sys.master_files)")
		}
	case CarryLogins:
		all = append(all, "that the login is sysadmin on both servers", "which rights on the server the logins have (sys.server_permissions): give them there too")
	case Force:
		all = append(all, "that the principal is really gone: where it still serves, two principals come of this", "whether anything is lost")
	}
	return all
}

// DryRun makes a verb's plan without servers: for two that are as it wants them.
func DryRun(verb string, o Options) (*Plan, error) {
	seen, unchecked, err := Assume(verb, o)
	if err != nil {
		return nil, err
	}
	o.WitnessReached = o.Witness != ""
	o.AllowDataLoss = true // whoever runs the script decides; its head says so
	if o.Principal == "" {
		o.Principal = A
	}
	p, err := NewPlan(verb, o, seen)
	if err != nil {
		return nil, err
	}
	p.Unchecked = unchecked
	return p, nil
}
