package operate

import (
	"errors"
	"fmt"
)

// Assume returns the facts that two servers would show if they met all requirements of the verb, for a plan
// without servers. unchecked lists the assumptions.
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

// assumeRole sets a server's role in mirroring or a group. dead is true if the principal is assumed to be gone.
func assumeRole(f *Found, o Options, principal, dead bool) {
	roles := map[bool][2]string{true: {"PRINCIPAL", "PRIMARY"}, false: {"MIRROR", "SECONDARY"}}[principal]
	switch {
	case principal && dead:
		f.Database, f.Error = nil, "assumed to be gone"
	case o.Topology == Group:
		f.Group = &FoundGroup{Name: o.Group, Cluster: "NONE", Role: roles[1], State: "SYNCHRONIZED"}
	default:
		f.Mirroring = &FoundMirroring{Role: roles[0], State: "SYNCHRONIZED", Safety: "FULL"}
	}
}

// assumptions lists what a plan without servers could not check.
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
			"that neither server has an endpoint for mirroring yet: an existing one is used, and GRANT CONNECT must then have its name",
			"which logins own users in the database: those named with --login are copied",
			"which server rights they have (sys.server_permissions): grant them on the other server too")
		if o.MirrorData != "" {
			all = append(all, "the logical names of the database's files (sys.master_files)")
		}
	case CarryLogins:
		all = append(all, "that the login is sysadmin on both servers", "which server rights the logins have (sys.server_permissions): grant them on the other server too")
	case Force:
		all = append(all, "that the principal is really gone: if it still serves, there will be two principals", "whether any data is lost")
	}
	return all
}

// DryRun returns a verb's plan without asking servers: it assumes that they meet all requirements of the verb.
func DryRun(verb string, o Options) (*Plan, error) {
	seen, unchecked, err := Assume(verb, o)
	if err != nil {
		return nil, err
	}
	o.WitnessReached = o.Witness != ""
	o.AllowDataLoss = true // the person who runs the script decides; its head lists the assumptions
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
