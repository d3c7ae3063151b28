package operate

import (
	"cmp"
	"fmt"
	"strings"
)

// situation is what a plan is made from.
type situation struct {
	o       Options
	seen    [2]*Found
	p, m    Side   // principal or primary, and its partner
	group   string // the availability group's name
	cluster string // NONE, WSFC, EXTERNAL
	plan    *Plan
}

// NewPlan makes the plan of a verb from what both servers say. It refuses (as *Refusal)
// what they show to be out of place, and what no check in the plan could tell: what
// must be alike on both. It is pure.
func NewPlan(verb string, o Options, seen [2]*Found) (*Plan, error) {
	o = o.withDefaults()
	if err := o.validate(verb); err != nil {
		return nil, err
	}
	if err := cmp.Or(seen[0].badName(), seen[1].badName()); err != nil {
		return nil, err
	}
	topology, err := recognise(verb, o, seen)
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
		if err := s.knowGroup(verb); err != nil {
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
		return nil, fmt.Errorf("there is no verb %q; there are %s", verb, strings.Join(Verbs, ", "))
	}
	run()
	s.secrets()
	return s.plan, nil
}

// status is what Look asks.
func (s *situation) status() {
	for _, on := range []Side{s.p, s.m} {
		show := func(title, query string) { s.plan.add(Step{On: on, Kind: Read, Title: title, Text: query}) }
		show("What the server is", queryServer)
		show("The database, and its part in mirroring", fill(queryDatabase, s.o.Database))
		show("Its files", fill(queryFiles, s.o.Database))
		show("The endpoint", queryEndpoint)
		if s.plan.Topology == Group {
			show("The group, as this replica sees it", fill(queryGroup, clusterType, sequenceNumber, s.o.Database))
		}
	}
}

// secrets names the passwords that the plan wants.
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

// Topology says what two servers are to each other, as far as they tell: "" means that
// they don't. A NULL proves nothing.
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

// recognise settles the topology.
func recognise(verb string, o Options, seen [2]*Found) (string, error) {
	found := Topology(seen)
	switch {
	case found != "" && verb == Setup:
		if found == Group {
			return "", &Refusal{Message: "the database is in an availability group already", Advice: "see pair status; pair remove takes it out"}
		}
		return "", refuse(alreadyMirrored, "the database is mirrored already")
	case found != "" && o.Topology != "" && o.Topology != found:
		return "", &Refusal{Message: "the servers say " + found + ", not " + o.Topology, Advice: "leave --topology out: it is recognised"}
	case found != "":
		return found, nil
	case verb != Setup:
		if down := silentOnes(seen); down != "" {
			return "", refuse(noWitnessSeen, "no server that answers says that the database is mirrored or in a group; %s", down)
		}
		return "", refuse(notMirrored, "neither server says that the database is mirrored or in a group")
	case o.Topology != "":
		return o.Topology, nil
	case seen[0].Linux || seen[1].Linux:
		return Group, nil
	}
	return Mirroring, nil
}

// silentOnes tells which servers could not be asked.
func silentOnes(seen [2]*Found) string {
	var all []string
	for _, f := range seen {
		if f.Error != "" {
			all = append(all, fmt.Sprintf("%s (%s): %s", f.On, f.Address, f.Error))
		}
	}
	return strings.Join(all, "; ")
}

// findSides says who is the principal.
func (s *situation) findSides(verb string) error {
	a, b := s.seen[0], s.seen[1]
	switch {
	case verb == Setup:
		return s.chooseSides()
	case a.principal() && b.principal():
		if verb == Force {
			return &Refusal{Number: wrongState, Message: "both servers say that they are the principal", Advice: "decide which one has the data to keep: mirrorstate pair accept a|b --reason …"}
		}
		return &Refusal{Message: "both servers say that they are the principal", Advice: "the partners can't see each other, or service was forced: keep clients from the wrong one, and mend that first"}
	case a.principal():
		s.p, s.m = A, B
	case b.principal():
		s.p, s.m = B, A
	case verb == Force || verb == Remove:
		// The principal is gone: the one that answers is the mirror.
		s.p, s.m = A, B
		if b.Error != "" || b.Mirroring == nil && b.Group == nil {
			s.p, s.m = B, A
		}
	case a.Group != nil && a.Group.Name == "":
		return a.Group.unseen(A)
	case b.Group != nil && b.Group.Name == "":
		return b.Group.unseen(B)
	case verb == Failover && silentOnes(s.seen) != "":
		return refuse(partnersApart, "the principal can't be asked; %s", silentOnes(s.seen))
	default:
		return refuse(noWitnessSeen, "no server that answers is the principal%s", also(silentOnes(s.seen)))
	}
	return nil
}

func also(text string) string {
	if text == "" {
		return ""
	}
	return "; " + text
}

// chooseSides picks the principal of a pair that is to be set up: who has the database.
func (s *situation) chooseSides() error {
	if down := silentOnes(s.seen); down != "" {
		return refuse(partnersApart, "both servers must be there; %s", down)
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
		return refuse(notRestoring, "both servers have an open database %s", s.o.Database).advise("drop the one that is not needed, or say with --principal a|b which one to keep")
	default:
		return refuse(911, "no server has an open database %s", s.o.Database)
	}
	s.m = s.p.other()
	return nil
}

// advise gives a refusal another advice than its number's.
func (r *Refusal) advise(advice string) *Refusal {
	r.Advice = advice
	return r
}

// unseen refuses what needs to see more of the group than the login may. Without VIEW ANY DEFINITION SQL Server has
// no error for it.
func (g *FoundGroup) unseen(on Side) *Refusal {
	if g.Lacks == viewAnyDefinition {
		return &Refusal{On: on, Message: "the login may not see the availability group's name and replicas: to it the catalogue views are empty",
			Advice: "run it with a login that is sysadmin, or has " + viewAnyDefinition}
	}
	r := refuse(300, "the login may not see the availability group's state")
	r.On = on
	return r
}

// knowGroup takes over what the servers say of the group.
func (s *situation) knowGroup(verb string) error {
	if verb == Setup {
		return nil
	}
	for _, side := range []Side{s.m, s.p} {
		g := s.seen[side.index()].Group
		if g == nil {
			continue
		}
		if g.Name == "" {
			return g.unseen(side)
		}
		s.group = g.Name
		if g.Cluster != "" {
			s.cluster = g.Cluster
		}
	}
	if s.cluster == "EXTERNAL" && verb != CarryLogins {
		return &Refusal{Message: "the availability group's cluster is external (Pacemaker)", Advice: "move it with the cluster's own tools, such as pcs resource move: what we did would be undone"}
	}
	return nil
}

// forbid refuses what no single check in the plan could.
func (s *situation) forbid(verb string) error {
	switch verb {
	case Setup:
		return s.forbidSetup()
	case Force:
		return s.forbidForce()
	case CarryLogins:
		return s.forbidLogins()
	case Failover:
		if down := silentOnes(s.seen); down != "" {
			return refuse(partnersApart, "both partners must be up; %s", down)
		}
	}
	return nil
}

// forbidLogins refuses where the logins can't be read, or not be made.
func (s *situation) forbidLogins() error {
	if down := silentOnes(s.seen); down != "" {
		return refuse(partnersApart, "both servers must let this login in; %s", down).
			advise("run it with a login that is sysadmin on both servers, such as sa: --connection-string with another user id. A server that is down must be up first")
	}
	if !s.seen[0].Sysadmin || !s.seen[1].Sysadmin {
		return refuse(262, "the login is not sysadmin on both servers")
	}
	return nil
}

// forbidSetup compares the two servers.
func (s *situation) forbidSetup() error {
	p, m := s.seen[s.p.index()], s.seen[s.m.index()]
	switch {
	case !p.Sysadmin || !m.Sysadmin:
		return refuse(262, "the login is not sysadmin on both servers")
	case strings.EqualFold(p.ServerName, m.ServerName):
		return refuse(sameServer, "both servers call themselves %s", p.ServerName)
	case p.major() != m.major():
		return &Refusal{Message: fmt.Sprintf("the versions differ: %s and %s", p.Version, m.Version), Advice: "bring both servers to the same version: a failover to the newer one could not be undone"}
	case editionOf(p) != editionOf(m):
		return &Refusal{Message: fmt.Sprintf("the editions differ: %s and %s", p.Edition, m.Edition), Advice: "use the same edition on both servers"}
	case !strings.EqualFold(p.Collation, m.Collation):
		return &Refusal{Message: fmt.Sprintf("the collations differ: %s and %s", p.Collation, m.Collation), Advice: "use servers of the same collation"}
	case s.plan.Topology == Mirroring && (p.Linux || m.Linux):
		return refuse(1463, "SQL Server on Linux has no database mirroring").advise("use a clusterless group: --topology availability-group")
	case s.plan.Topology == Group && p.major() < 14:
		return &Refusal{Message: "SQL Server before 2017 has no groups without a cluster", Advice: "use mirroring, or make the group with its cluster's tools; all other verbs work on it"}
	case s.otherWay() != "":
		return &Refusal{Message: s.otherWay(), Advice: "give the service accounts with --account-a and --account-b if, and only if, the endpoints take Windows accounts: one that is there is not changed"}
	case p.Database != nil && p.Database.FileStream:
		return &Refusal{Message: "the database has FILESTREAM files", Advice: "move them to a database of their own: such a database can't be mirrored"}
	case m.Database != nil && m.Database.State != "RESTORING":
		return refuse(notRestoring, "%s has a database %s that is %s", s.m, s.o.Database, m.Database.State).advise("drop it there if it is not needed: it would have to be overwritten")
	case s.o.Restored && m.Database == nil:
		return refuse(notRestoring, "%s has no database %s", s.m, s.o.Database)
	case s.plan.Topology == Mirroring && m.Database != nil && !s.o.Restored:
		return refuse(3104, "%s has a database %s that is RESTORING already", s.m, s.o.Database).advise("say --restored if it is a fresh copy of this one, or drop it there")
	}
	return nil
}

// otherWay tells which endpoint that is there wants another proof than the partners would show; empty: none does.
func (s *situation) otherWay() string {
	for i, f := range s.seen {
		if e := f.Endpoint; e != nil && (e.Certificate == "") != (s.o.Accounts[i] != "") {
			return fmt.Sprintf("the endpoint %s on %s takes %s", e.Name, f.On, e.by())
		}
	}
	return ""
}

// editionOf is the edition without what does not matter.
func editionOf(f *Found) string {
	return strings.TrimSuffix(strings.Split(f.Edition, " (")[0], ": Core-based Licensing")
}

// forbidForce refuses where the principal lives, and where something may be lost unless that was allowed.
func (s *situation) forbidForce() error {
	p, m := s.seen[s.p.index()], s.seen[s.m.index()]
	switch {
	case m.Error != "":
		return refuse(noWitnessSeen, "no partner that answers is the mirror; %s", silentOnes(s.seen))
	case s.m == s.p || m.principal():
		return refuse(wrongState, "%s is the principal already", s.m)
	case p.principal() && p.Database != nil && p.Database.Opens:
		return refuse(wrongState, "the principal %s lives and serves", s.p).advise("use pair failover, which loses nothing; to force nevertheless, cut it off from clients and stop it first")
	case s.o.AllowDataLoss:
		return nil
	}
	if why := s.mayLose(p, m); why != "" {
		return &Refusal{Message: "forcing service may lose acknowledged writes: " + why, Advice: "say --allow-data-loss if that is accepted, or bring the principal back"}
	}
	return nil
}

// mayLose says why nobody can show that nothing would be lost; empty: it is shown. Only the
// principal knows what it has acknowledged: it must be closed, and say that its log ends where the mirror's does.
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
		return "the principal can't be asked what it has"
	case p.Database == nil || end(p) == "" || end(m) == "":
		return "the principal does not say what it has"
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
