package operate

import (
	"cmp"
	"fmt"
	"strings"
)

// situation holds the options and facts from which a plan is made.
type situation struct {
	o       Options
	seen    [2]*Found
	p, m    Side   // principal or primary, and its partner
	group   string // the availability group's name
	cluster string // NONE, WSFC, EXTERNAL
	plan    *Plan
}

// NewPlan makes the plan of a verb from the facts about both servers. It returns a *Refusal if the facts rule out the
// verb. This includes conditions that no check in the plan could test, such as properties that must be equal on both
// servers. It does no I/O.
func NewPlan(verb string, o Options, seen [2]*Found) (*Plan, error) {
	o = o.withDefaults()
	if err := o.validate(verb); err != nil {
		return nil, err
	}
	if err := cmp.Or(seen[0].badName(), seen[1].badName()); err != nil {
		return nil, err
	}
	topology, err := chooseTopology(verb, o, seen)
	if err != nil {
		return nil, err
	}
	s := &situation{o: o, seen: seen, group: o.Group, cluster: "NONE", plan: &Plan{Verb: verb, Topology: topology, Database: o.Database,
		Servers: map[Side]string{A: o.Address[0], B: o.Address[1], Witness: o.Witness}}}
	if err := s.findSides(verb); err != nil {
		return nil, err
	}
	s.plan.Principal = s.p
	if topology == Group {
		if err := s.readGroup(verb); err != nil {
			return nil, err
		}
	}
	if err := s.forbid(verb); err != nil {
		return nil, err
	}
	run := map[string]func(){
		Mirroring + Setup: s.mirroringSetup, Mirroring + Failover: s.mirroringFailover, Mirroring + Force: s.mirroringForce,
		Mirroring + Suspend: s.mirroringSuspend, Mirroring + Resume: s.mirroringResume, Mirroring + Remove: s.mirroringRemove,
		Group + Setup: s.groupSetup, Group + Failover: s.groupFailover, Group + Force: s.groupForce,
		Group + Suspend: s.groupSuspend, Group + Resume: s.groupResume, Group + Remove: s.groupRemove,
		Mirroring + CarryLogins: s.carryLogins, Group + CarryLogins: s.carryLogins,
		Mirroring + Status: s.status, Group + Status: s.status,
	}[topology+verb]
	if run == nil {
		return nil, fmt.Errorf("unknown verb %q: it must be one of %s", verb, strings.Join(Verbs, ", "))
	}
	run()
	s.secrets()
	return s.plan, nil
}

// status adds the queries of Look.
func (s *situation) status() {
	for _, on := range []Side{s.p, s.m} {
		show := func(title, query string) { s.plan.add(Step{On: on, Kind: Read, Title: title, Text: query}) }
		show("Read the server's properties", queryServer)
		show("Read the database, and its role in mirroring", fill(queryDatabase, s.o.Database))
		show("Read its files", fill(queryFiles, s.o.Database))
		show("Read the endpoint", queryEndpoint)
		if s.plan.Topology == Group {
			show("Read the group, as this replica shows it", fill(queryGroup, clusterType, sequenceNumber, s.o.Database))
		}
	}
}

// secrets lists the passwords that the plan needs.
func (s *situation) secrets() {
	for _, secret := range []string{secretKey, secretLogin} {
		for _, step := range s.plan.Steps {
			if strings.Contains(step.Text, variable(secret)) {
				s.plan.Secrets = append(s.plan.Secrets, secret)
				break
			}
		}
	}
}

// Topology returns the topology that the servers show; "" if neither shows one. A NULL does not
// mean that there is none.
func Topology(seen [2]*Found) string {
	for _, f := range seen {
		switch {
		case f.Group != nil:
			return Group
		case f.Mirroring != nil:
			return Mirroring
		}
	}
	return ""
}

// chooseTopology returns the topology that the servers show. For setup, whose servers show none, it returns that of
// the options, or else the one that the servers support.
func chooseTopology(verb string, o Options, seen [2]*Found) (string, error) {
	found := Topology(seen)
	switch {
	case found != "" && verb == Setup:
		if found == Group {
			return "", &Refusal{Message: "the database is in an availability group already", Advice: "check pair status; pair remove removes it"}
		}
		return "", refuse(alreadyMirrored, "the database is mirrored already")
	case found != "" && o.Topology != "" && o.Topology != found:
		return "", &Refusal{Message: "the servers show " + found + ", not " + o.Topology, Advice: "omit --topology: it is detected"}
	case found != "":
		return found, nil
	case verb != Setup:
		if down := unreachable(seen); down != "" {
			return "", refuse(noQuorum, "no answering server says that the database is mirrored or in a group; %s", down)
		}
		return "", refuse(notMirrored, "neither server says that the database is mirrored or in a group")
	case o.Topology != "":
		return o.Topology, nil
	case seen[0].Linux || seen[1].Linux:
		return Group, nil
	}
	return Mirroring, nil
}

// unreachable returns the servers that could not be asked, with the reasons; empty: none.
func unreachable(seen [2]*Found) string {
	var all []string
	for _, f := range seen {
		if f.Error != "" {
			all = append(all, fmt.Sprintf("%s (%s): %s", f.On, f.Address, f.Error))
		}
	}
	return strings.Join(all, "; ")
}

// findSides determines which server is the principal.
func (s *situation) findSides(verb string) error {
	a, b := s.seen[0], s.seen[1]
	switch {
	case verb == Setup:
		return s.chooseSides()
	case a.principal() && b.principal():
		if verb == Force {
			return &Refusal{Number: wrongState, Message: "both servers claim to be the principal", Advice: "decide which one has the data to keep: mirrorstate pair accept a|b --reason …"}
		}
		return &Refusal{Message: "both servers claim to be the principal", Advice: "the partners are not connected, or service was forced: keep clients away from the wrong server, and fix this first"}
	case a.principal():
		s.p, s.m = A, B
	case b.principal():
		s.p, s.m = B, A
	case verb == Force || verb == Remove:
		// The principal is gone: the server that answers is the mirror.
		s.p, s.m = A, B
		if b.Error != "" || b.Mirroring == nil && b.Group == nil {
			s.p, s.m = B, A
		}
	case a.Group != nil && a.Group.Name == "":
		return a.Group.notVisible(A)
	case b.Group != nil && b.Group.Name == "":
		return b.Group.notVisible(B)
	case verb == Failover && unreachable(s.seen) != "":
		return refuse(partnersDisconnected, "the principal can't be asked; %s", unreachable(s.seen))
	default:
		return refuse(noQuorum, "no answering server is the principal%s", also(unreachable(s.seen)))
	}
	return nil
}

// also returns text as a further part of a message.
func also(text string) string {
	if text == "" {
		return ""
	}
	return "; " + text
}

// chooseSides chooses the principal for setup: the server that has the database.
func (s *situation) chooseSides() error {
	if down := unreachable(s.seen); down != "" {
		return refuse(partnersDisconnected, "both servers must answer; %s", down)
	}
	open := func(f *Found) bool { return f.Database != nil && f.Database.State == "ONLINE" }
	a, b := open(s.seen[0]), open(s.seen[1])
	switch {
	case s.o.Principal != "":
		s.p = s.o.Principal
	case a && !b:
		s.p = A
	case b && !a:
		s.p = B
	case a && b:
		return refuse(notRestoring, "both servers have an open database %s", s.o.Database).advise("drop the database that is not needed, or name the server whose database to keep with --principal a|b")
	default:
		return refuse(911, "no server has an open database %s", s.o.Database)
	}
	s.m = s.p.other()
	return nil
}

// advise replaces the advice of a refusal.
func (r *Refusal) advise(advice string) *Refusal {
	r.Advice = advice
	return r
}

// notVisible returns the refusal of a verb for which the login must see more of the group. Without VIEW ANY DEFINITION
// SQL Server returns no error, but empty views.
func (g *FoundGroup) notVisible(on Side) *Refusal {
	if g.Lacks == viewAnyDefinition {
		return &Refusal{On: on, Message: "the login may not see the availability group's name and replicas: the catalog views are empty for it",
			Advice: "use a login that is sysadmin, or has " + viewAnyDefinition}
	}
	r := refuse(300, "the login may not see the availability group's state")
	r.On = on
	return r
}

// readGroup takes the group's name and cluster from the facts.
func (s *situation) readGroup(verb string) error {
	if verb == Setup {
		return nil
	}
	for _, side := range []Side{s.m, s.p} {
		g := s.seen[side.index()].Group
		if g == nil {
			continue
		}
		if g.Name == "" {
			return g.notVisible(side)
		}
		s.group = g.Name
		if g.Cluster != "" {
			s.cluster = g.Cluster
		}
	}
	if s.cluster == "EXTERNAL" && verb != CarryLogins {
		return &Refusal{Message: "the availability group's cluster is external (Pacemaker)", Advice: "use the cluster's tools, such as pcs resource move: the cluster would undo changes made by mirrorstate"}
	}
	return nil
}

// forbid refuses a verb for reasons that no single check in the plan could test.
func (s *situation) forbid(verb string) error {
	switch verb {
	case Setup:
		return s.forbidSetup()
	case Force:
		return s.forbidForce()
	case CarryLogins:
		return s.forbidLogins()
	case Failover:
		if down := unreachable(s.seen); down != "" {
			return refuse(partnersDisconnected, "both partners must run; %s", down)
		}
	}
	return nil
}

// forbidLogins refuses pair logins if logins can't be read or created.
func (s *situation) forbidLogins() error {
	if down := unreachable(s.seen); down != "" {
		return refuse(partnersDisconnected, "both servers must accept this login; %s", down).
			advise("use a login that is sysadmin on both servers, such as sa: --connection-string with another user id. If a server is down, start it first")
	}
	if !s.seen[0].Sysadmin || !s.seen[1].Sysadmin {
		return refuse(262, "the login is not sysadmin on both servers")
	}
	return nil
}

// forbidSetup refuses setup if the two servers don't fit together.
func (s *situation) forbidSetup() error {
	p, m := s.seen[s.p.index()], s.seen[s.m.index()]
	switch {
	case !p.Sysadmin || !m.Sysadmin:
		return refuse(262, "the login is not sysadmin on both servers")
	case strings.EqualFold(p.ServerName, m.ServerName):
		return refuse(sameServer, "both servers have the name %s", p.ServerName)
	case p.major() != m.major():
		return &Refusal{Message: fmt.Sprintf("the versions differ: %s and %s", p.Version, m.Version), Advice: "use the same version on both servers: a failover to the newer one could not be reversed"}
	case editionOf(p) != editionOf(m):
		return &Refusal{Message: fmt.Sprintf("the editions differ: %s and %s", p.Edition, m.Edition), Advice: "use the same edition on both servers"}
	case !strings.EqualFold(p.Collation, m.Collation):
		return &Refusal{Message: fmt.Sprintf("the collations differ: %s and %s", p.Collation, m.Collation), Advice: "use servers with the same collation"}
	case s.plan.Topology == Mirroring && (p.Linux || m.Linux):
		return refuse(1463, "SQL Server on Linux has no database mirroring").advise("use a clusterless group: --topology availability-group")
	case s.plan.Topology == Group && p.major() < 14:
		return &Refusal{Message: "SQL Server before 2017 does not support groups without a cluster", Advice: "use mirroring, or create the group with the cluster's tools; all other verbs support such a group"}
	case s.otherAuthentication() != "":
		return &Refusal{Message: s.otherAuthentication(), Advice: "give the service accounts with --account-a and --account-b only if the endpoints authenticate by Windows accounts; an existing endpoint is not changed"}
	case p.Database != nil && p.Database.FileStream:
		return &Refusal{Message: "the database has FILESTREAM files", Advice: "move them to another database: a database with FILESTREAM files can't be mirrored"}
	case m.Database != nil && m.Database.State != "RESTORING":
		return refuse(notRestoring, "%s has a database %s that is %s", s.m, s.o.Database, m.Database.State).advise("drop it there if it is not needed: setup does not overwrite it")
	case s.o.Restored && m.Database == nil:
		return refuse(notRestoring, "%s has no database %s", s.m, s.o.Database)
	case s.plan.Topology == Mirroring && m.Database != nil && !s.o.Restored:
		return refuse(3104, "%s has a database %s that is RESTORING already", s.m, s.o.Database).advise("give --restored if it is a current copy of this database, or drop it there")
	}
	return nil
}

// otherAuthentication describes an existing endpoint that authenticates differently than the options say; empty: none does.
func (s *situation) otherAuthentication() string {
	for i, f := range s.seen {
		if e := f.Endpoint; e != nil && (e.Certificate == "") != (s.o.Accounts[i] != "") {
			return fmt.Sprintf("the endpoint %s on %s authenticates by %s", e.Name, f.On, e.authentication())
		}
	}
	return ""
}

// editionOf returns the edition without the parts that may differ.
func editionOf(f *Found) string {
	return strings.TrimSuffix(strings.Split(f.Edition, " (")[0], ": Core-based Licensing")
}

// forbidForce refuses force if the principal runs, and if data may be lost and that is not allowed.
func (s *situation) forbidForce() error {
	p, m := s.seen[s.p.index()], s.seen[s.m.index()]
	switch {
	case m.Error != "":
		return refuse(noQuorum, "no answering partner is the mirror; %s", unreachable(s.seen))
	case s.m == s.p || m.principal():
		return refuse(wrongState, "%s is the principal already", s.m)
	case p.principal() && p.Database != nil && p.Database.Opens:
		return refuse(wrongState, "the principal %s runs and serves", s.p).advise("use pair failover, which loses no data; to force nevertheless, first keep clients away from it and stop it")
	case s.o.AllowDataLoss:
		return nil
	}
	if why := s.mayLose(p, m); why != "" {
		return &Refusal{Message: "forcing service may lose acknowledged writes: " + why, Advice: "give --allow-data-loss if that is acceptable, or start the principal"}
	}
	return nil
}

// mayLose returns why data may be lost; empty if it is certain that none would be lost. Only the
// principal knows what it has acknowledged: its database must be closed, and its log must end where the mirror's does.
func (s *situation) mayLose(p, m *Found) string {
	end := func(f *Found) string {
		switch {
		case f.Mirroring != nil:
			return f.Mirroring.EndOfLog
		case f.Group != nil:
			return f.Group.EndOfLog
		}
		return ""
	}
	switch {
	case p.Error != "":
		return "the principal can't be asked for the end of its log"
	case p.Database == nil || end(p) == "" || end(m) == "":
		return "the end of the principal's or the mirror's log is unknown"
	case p.Database.Opens:
		return "the principal's database is open"
	case less(end(m), end(p)):
		return "the principal's log is longer than the mirror's"
	}
	return ""
}

// less compares two log sequence numbers, which are too long for an int64.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
