package doctor

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// noRole is the reason why the mirroring session could not be checked. A NULL is not an answer.
const noRole = "this login may not see the role of either partner, so the pair may be mirrored or not"

// groupNotShown is the reason why a group's configuration could not be checked.
const groupNotShown = "this login may not see the group's cluster and its replicas' modes"

// roleUnknown adds a finding that the session could not be checked, and why. A sysadmin would see a session if there was one.
func (e *exam) roleUnknown() {
	for _, s := range e.Sides {
		if err := s.unread(operate.PartMirroring); err != nil {
			e.unchecked(s.Name, "the mirroring session can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
			return
		}
	}
	all := e.Sides[0].sysadmin() && e.Sides[1].sysadmin() || e.here >= 0 && e.Sides[e.here].sysadmin()
	if e.topology == "" && all {
		e.unchecked("", "the database is not mirrored yet; run pair setup first", "")
		return
	}
	e.unchecked("", noRole, "Run doctor with a login that is sysadmin on both servers")
}

func (e *exam) database() {
	if a, b := e.Sides[0], e.Sides[1]; a.reached() && b.reached() && a.Found.Database == nil && b.Found.Database == nil {
		e.add("", Fail, "neither server has a database "+e.Database+", or this login may not see it", "Correct its name (initial catalog), or create it", e.command("install"))
		return
	}
	for i, s := range e.Sides {
		switch other := e.Sides[1-i]; {
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		case s.Found.Database == nil && other.reached() && other.Found.Database != nil && e.topology == "":
			e.unchecked(s.Name, "there is no database "+e.Database+" here yet, or this login may not see it; pair setup creates it", "")
		case s.Found.Database == nil && other.reached() && other.Found.Database != nil:
			e.add(s.Name, Fail, "there is no database "+e.Database+" here, or this login may not see it", "Check the session on the other partner, remove it, and set up the pair again", e.command("pair remove"))
		case s.Found.Database == nil:
			e.add(s.Name, Warn, "there is no database "+e.Database+" here", "Start the other server first: the database may be there. If no server has it, correct its name (initial catalog)", "")
		default:
			e.databaseState(s, s.Found.Database)
		}
	}
}

// unread returns why a part of the facts about the server and the database could not be read. It returns nil if the part
// was read, and if the server does not answer.
func (s *Side) unread(part operate.Part) error {
	if !s.reached() {
		return nil
	}
	return s.Found.Unread[part]
}

func (e *exam) databaseState(s *Side, d *operate.FoundDatabase) {
	name := bracket(e.Database)
	switch err := s.unread(operate.PartDatabase); {
	case err != nil:
		e.unchecked(s.Name, "the database's row in sys.databases can't be read: "+why(err), s.letSee(err, "VIEW ANY DATABASE"))
	case d.State != "ONLINE" && d.State != "RESTORING":
		e.add(s.Name, Fail, e.Database+" is "+d.State, "Wait until the database is recovered; if its state does not change, read the server's error log", "")
	case d.Access != "MULTI_USER" && d.Access != "":
		e.add(s.Name, Fail, e.Database+" is "+d.Access, "Set it to MULTI_USER", "ALTER DATABASE "+name+" SET MULTI_USER")
	case d.ReadOnly:
		e.add(s.Name, Fail, e.Database+" is READ_ONLY", "Make it writable", "ALTER DATABASE "+name+" SET READ_WRITE")
	case d.AutoClose:
		e.add(s.Name, Fail, e.Database+" has AUTO_CLOSE on and so can't be mirrored (1469)", "Switch AUTO_CLOSE off", "ALTER DATABASE "+name+" SET AUTO_CLOSE OFF")
	default:
		e.ok(s.Name, e.Database+" is "+d.State)
	}
}

// roleView checks whether the login can see the roles. A NULL in sys.database_mirroring is not an answer.
func (e *exam) roleView() {
	for _, s := range e.Sides {
		switch {
		case !s.reached() || s.Found.Database == nil:
			e.unchecked(s.Name, map[bool]string{true: noDatabaseHere, false: cantAsk}[s.reached()], "")
		case s.Found.Mirroring != nil, s.Found.Group != nil && s.Found.Group.Role != "":
			e.ok(s.Name, "the login may see this partner's role")
		case s.unread(operate.PartMirroring) != nil:
			err := s.unread(operate.PartMirroring)
			e.unchecked(s.Name, "the mirroring session can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		case s.unread(operate.PartGroup) != nil:
			err := s.unread(operate.PartGroup)
			e.unchecked(s.Name, "the availability group can't be read: "+why(err), s.letSee(err, viewServerState))
		case s.Found.Group != nil && s.Found.Group.Lacks == "":
			e.add(s.Name, Warn, "the database is in an availability group, but the server shows no role for it", "Wait if the server has just started; otherwise read the error logs of both servers", "")
		case s.Found.Group != nil:
			e.add(s.Name, Fail, "the database is in an availability group whose state the login may not see (300): its role is unknown, and with pair.exposed: refuse every write is held", "Grant the login the right to see it, on both servers",
				"GRANT VIEW SERVER STATE TO "+bracket(s.one(askSelf)["name"]))
		case s.sysadmin():
			e.ok(s.Name, "the login may see everything; the database has no role, because it is not mirrored")
		case s.Found.Database.State == "RESTORING":
			e.unchecked(s.Name, "the role is unknown (NULL): on a mirror only a sysadmin may see it. mirrorstate detects the principal as the partner whose database opens, which is enough to follow a failover",
				"The watchdog, and doctor for the mirror's state, need a login that is sysadmin")
		default:
			e.ok(s.Name, "the database opens here; no role is shown: it is not mirrored, or this login may not see the role (VIEW ANY DEFINITION is missing)")
		}
	}
}

func (e *exam) principal() {
	a, b := e.Sides[0], e.Sides[1]
	switch {
	case e.here >= 0:
		e.ok("", fmt.Sprintf("%s (%s) is the principal", e.Sides[e.here].Name, e.Sides[e.here].Address))
	case a.serves() && b.serves():
		e.add("", Fail, "both partners have a writable "+e.Database+", and each accepts writes that the other does not get", "Decide which copy to keep, and make the other server the mirror: after a forced failover resume, otherwise drop the other copy and set up the pair again", `mirrorstate pair accept a --reason "…"`)
	case a.reached() && b.reached() && a.Found.Database == nil && b.Found.Database == nil:
		e.unchecked("", "neither server has the database", "")
	case !a.reached() && !b.reached():
		e.unchecked("", cantAsk, "")
	case !a.reached() || !b.reached():
		e.unchecked("", "only one server can be asked, and it is not the principal", "If the other server is lost, force service on this one; mirrorstate pair force --help says which data may be lost")
	default:
		e.add("", Fail, "neither partner is the principal: nobody can write", "Wait if a failover is running; after a RESTORE, recover the database on the partner that has the newest data", "RESTORE DATABASE "+bracket(e.Database)+" WITH RECOVERY")
	}
}

func (e *exam) recoveryModel() {
	s := e.serving()
	if s == nil {
		return
	}
	if err := s.unread(operate.PartDatabase); err != nil {
		e.unchecked(s.Name, "the recovery model can't be read: "+why(err), s.letSee(err, "VIEW ANY DATABASE"))
		return
	}
	if model := s.Found.Database.Recovery; model != "FULL" {
		e.add(s.Name, Fail, "the recovery model is "+model+": mirroring and availability groups require FULL (1465)", "Set FULL, then take a full backup",
			"ALTER DATABASE "+bracket(e.Database)+" SET RECOVERY FULL")
		return
	}
	e.ok(s.Name, "the recovery model is FULL")
}

// serving returns the principal. If there is none, it adds an unchecked finding and returns nil.
func (e *exam) serving() *Side {
	if e.here >= 0 {
		return e.Sides[e.here]
	}
	e.unchecked("", "there is no principal to ask", "")
	return nil
}

func (e *exam) endpoint() {
	for _, s := range e.Sides {
		switch {
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		case s.unread(operate.PartEndpoint) != nil:
			err := s.unread(operate.PartEndpoint)
			e.unchecked(s.Name, "the endpoint can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		case s.Found.Endpoint == nil && s.sysadmin():
			if e.topology == "" {
				e.unchecked(s.Name, "there is no endpoint yet; pair setup creates it", "")
				continue
			}
			e.add(s.Name, Fail, "the endpoint for mirroring is missing", "Create it again with the same port, and the same certificate or account", "")
		case s.Found.Endpoint == nil:
			e.unchecked(s.Name, "the login sees no endpoint for mirroring; there may be none, or a right is missing", "Run doctor with a login that is sysadmin")
		case s.Found.Endpoint.State != "STARTED":
			e.add(s.Name, Fail, "the endpoint "+s.Found.Endpoint.Name+" is "+s.Found.Endpoint.State, "Start it", "ALTER ENDPOINT "+bracket(s.Found.Endpoint.Name)+" STATE = STARTED")
		default:
			e.certificate(s)
		}
	}
}

// soon is how long before its expiry a certificate causes a warning.
const soon = 60 * 24 * time.Hour

func (e *exam) certificate(s *Side) {
	name := fmt.Sprintf("the endpoint %s is STARTED on port %d", s.Found.Endpoint.Name, s.Found.Endpoint.Port)
	if err := s.Answers[askCertificate].Err; err != nil {
		e.ok(s.Name, name)
		e.unchecked(s.Name, "the endpoint's certificate can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		return
	}
	row := s.one(askCertificate)
	end, err := time.Parse(time.RFC3339Nano, row["expiry_date"])
	now, err2 := time.Parse(time.RFC3339Nano, row["server_now"])
	switch mend := "Create a new certificate, install its public part on the other server, and set it with ALTER ENDPOINT … AUTHENTICATION = CERTIFICATE"; {
	case row == nil || err != nil || err2 != nil:
		e.ok(s.Name, name)
	case end.Before(now):
		e.add(s.Name, Fail, name+", but its certificate "+row["name"]+" expired on "+end.Format(time.DateOnly)+": the partners can't reconnect", mend, "")
	case end.Sub(now) < soon:
		e.add(s.Name, Warn, name+"; its certificate "+row["name"]+" expires on "+end.Format(time.DateOnly), mend, "")
	default:
		e.ok(s.Name, name+"; its certificate is valid until "+end.Format(time.DateOnly))
	}
}

func (e *exam) mirroring() {
	if e.topology == operate.Group {
		return
	}
	if e.topology == "" {
		if e.here >= 0 && e.Sides[e.here].sysadmin() && e.Sides[e.here].unread(operate.PartMirroring) == nil {
			e.add("", Fail, e.Database+" is not mirrored: if this server fails, nothing takes over", "Set up the pair", e.command("pair setup"))
			return
		}
		e.roleUnknown()
		return
	}
	for _, s := range e.Sides {
		m := s.mirror()
		switch {
		case m == nil:
			mend := ""
			if err := s.unread(operate.PartMirroring); err != nil {
				mend = s.letSee(err, viewAnyDefinition)
			}
			e.unchecked(s.Name, "this login may not see the mirroring state of this partner", mend)
		case m.State == "SYNCHRONIZED":
			e.ok(s.Name, m.Role+", "+m.State)
		case m.State == "SUSPENDED":
			e.add(s.Name, Fail, "mirroring is SUSPENDED: new writes are on one server only, and the log can't be truncated", "Resume; after a forced failover first save the data that exists only on the former principal", e.command("pair resume"))
		case m.State == "SYNCHRONIZING":
			e.add(s.Name, Warn, "the mirror is catching up (SYNCHRONIZING): a failover now would lose data or be refused", "Wait, and run doctor again", "")
		default:
			e.add(s.Name, Fail, "the partners are "+m.State+": the principal runs exposed", "Start the other server's service, then check the network and both endpoints (1418); the mirror catches up by itself", e.command("pair status"))
		}
	}
	a, b := e.Sides[0].mirror(), e.Sides[1].mirror()
	if a != nil && b != nil && a.Role == b.Role && a.Role != "" {
		e.add("", Fail, "both partners claim to be "+a.Role+": they have not connected since a forced failover", "Compare both, and remove one of the two sessions", e.command("pair status"))
	}
}

func (s *Side) mirror() *operate.FoundMirroring {
	if !s.reached() {
		return nil
	}
	return s.Found.Mirroring
}

// group checks an availability group.
func (e *exam) group() {
	if e.topology != operate.Group {
		return
	}
	for _, s := range e.Sides {
		if !s.reached() || s.Found.Group == nil {
			e.unchecked(s.Name, "the state of the group is not shown here", "")
			continue
		}
		g := s.Found.Group
		state := fmt.Sprintf("group %s: %s, %s", cmp.Or(g.Name, "(name not shown)"), word(g.Role), word(g.State))
		switch {
		case g.Role == "":
			e.unchecked(s.Name, "the database is in a group whose state this login may not see", e.letSee(s, g))
		case g.Role == "RESOLVING":
			e.add(s.Name, Fail, state+": this replica does not serve", "Wait if a failover is running; otherwise check pair status, then force service on the replica with the newest data", e.command("pair status"))
		case g.Role == "SECONDARY" && g.Connected == "DISCONNECTED":
			e.add(s.Name, Fail, state+", DISCONNECTED: this secondary is not connected to its primary", "Start the primary, then check both endpoints; if the primary is lost, pair force on this replica says which data may be lost", e.command("pair status"))
		case g.Suspended:
			e.add(s.Name, Fail, state+", suspended ("+word(g.SuspendReason)+")", "Resume data movement", e.command("pair resume"))
		case g.State == "NOT SYNCHRONIZING", g.State == "REVERTING", g.State == "INITIALIZING":
			e.add(s.Name, Fail, state, "Start the other replica and check both endpoints; REVERTING and INITIALIZING end by themselves, and until then do not force a failover", e.command("pair status"))
		case strings.EqualFold(g.Role, "PRIMARY") && g.State == "SYNCHRONIZING":
			e.add(s.Name, Warn, state, "Wait; with ASYNCHRONOUS_COMMIT this state does not change, and a failover can lose acknowledged writes", "")
		default:
			e.ok(s.Name, state)
		}
		if g.Name == "" && g.Role != "" {
			e.unchecked(s.Name, "this login may not see the group's name, cluster and replicas: the queries give no rows and no error. mirrorstate can follow a failover without them", e.letSee(s, g))
		}
		for _, r := range g.Replicas {
			if g.Role == "PRIMARY" && r.Connected == "DISCONNECTED" {
				e.add(s.Name, Fail, "replica "+r.Server+" is DISCONNECTED", "Start that server, then check its endpoint", e.command("pair status"))
			}
		}
	}
}

// letSee returns the advice that lets the login see more of the group.
func (e *exam) letSee(s *Side, g *operate.FoundGroup) string {
	return "GRANT " + cmp.Or(g.Lacks, "VIEW SERVER STATE") + " TO " + bracket(s.one(askSelf)["name"]) + ", or run doctor with a login that is sysadmin"
}

func word(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func (e *exam) safety() {
	s := e.sideWithState()
	switch {
	case e.topology == operate.Group && s == nil:
		e.unchecked("", groupNotShown, "Run doctor with a login that is sysadmin, or has VIEW SERVER STATE and VIEW ANY DEFINITION")
	case e.topology == "" || s == nil:
		e.roleUnknown()
	case e.topology == operate.Group:
		for _, r := range s.Found.Group.Replicas {
			if r.Mode != "SYNCHRONOUS_COMMIT" {
				e.add("", Fail, "replica "+r.Server+" commits asynchronously ("+word(r.Mode)+"): a failover can lose acknowledged writes", "Make both replicas synchronous",
					fmt.Sprintf("ALTER AVAILABILITY GROUP %s MODIFY REPLICA ON %s WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT)", bracket(s.Found.Group.Name), literal(r.Server)))
				return
			}
		}
		e.ok("", "every replica commits synchronously")
	case s.Found.Mirroring.Safety != "FULL":
		e.add("", Fail, "SAFETY is "+word(s.Found.Mirroring.Safety)+": acknowledged writes can be lost, and a manual failover is refused (1477)", "Set FULL, on the principal", "ALTER DATABASE "+bracket(e.Database)+" SET PARTNER SAFETY FULL")
	default:
		e.ok("", "SAFETY is FULL")
	}
}

// sideWithState returns a partner that shows the state of the pair, the principal if possible; nil: neither partner
// shows it.
func (e *exam) sideWithState() *Side {
	order := []*Side{e.Sides[0], e.Sides[1]}
	if e.here == 1 {
		order[0], order[1] = order[1], order[0]
	}
	for _, s := range order {
		if s.mirror() != nil || s.reached() && s.Found.Group != nil && s.Found.Group.Name != "" {
			return s
		}
	}
	return nil
}

// unsentLog checks how much a forced failover would lose now.
func (e *exam) unsentLog() {
	s := e.serving()
	if s == nil {
		return
	}
	kilobytes, known := s.queue()
	switch {
	case e.topology == "":
		e.roleUnknown()
	case !known:
		e.unchecked(s.Name, "the log send queue can't be read: "+why(firstError(s.Answers[askQueues].Err, s.Answers[askSendQueue].Err, errNoCounter)), "If the login does not have the right: GRANT VIEW SERVER STATE")
	case kilobytes > 0:
		e.add(s.Name, Warn, fmt.Sprintf("%d KB of log are not sent to the mirror: a forced failover would lose them", kilobytes), "Run doctor again; if the number does not fall, the network or the mirror's disk is too slow", "")
	default:
		e.ok(s.Name, "all log is sent to the mirror")
	}
}

// noAnswer is the error of a question whose answer has no usable row.
type noAnswer string

// Error implements error.
func (n noAnswer) Error() string { return string(n) }

const errNoCounter = noAnswer("the server shows no such counter")

// queue returns the size of the log send queue in kilobytes; false: unknown.
func (s *Side) queue() (int64, bool) {
	for _, r := range s.Answers[askQueues].Rows {
		if strings.TrimSpace(r["counter_name"]) == "Log Send Queue KB" {
			n, err := strconv.ParseInt(r["cntr_value"], 10, 64)
			return n, err == nil
		}
	}
	largest := int64(math.MinInt64)
	for _, r := range s.Answers[askSendQueue].Rows {
		if n, err := strconv.ParseInt(r["log_send_queue_size"], 10, 64); err == nil {
			largest = max(largest, n)
		}
	}
	return largest, largest >= 0
}

func (e *exam) witness() {
	s := e.sideWithState()
	if e.topology == operate.Group {
		if s == nil {
			e.unchecked("", groupNotShown, "Run doctor with a login that is sysadmin, or has VIEW SERVER STATE and VIEW ANY DEFINITION")
		} else if s.Found.Group.Cluster == "NONE" {
			e.add("", Warn, "the group has no cluster: there is no automatic failover, and a primary that comes back is primary again", "Fail over with pair failover and pair force; docs/sql-server.md says what to do with a primary that comes back", "")
		} else {
			e.ok("", "the group's cluster decides who is primary")
		}
		return
	}
	switch {
	case s == nil:
		e.roleUnknown()
	case s.Found.Mirroring.Witness == "" && e.Setup.WatchdogEnabled:
		e.ok("", "there is no witness; the watchdog replaces it")
	case s.Found.Mirroring.Witness == "":
		e.add("", Warn, "there is no witness: if the principal fails there is no automatic failover, and every call waits for an operator", "Add a witness to the pair, on the principal; Express edition is enough for a witness",
			"ALTER DATABASE "+bracket(e.Database)+" SET WITNESS = N'TCP://HOST:5022'")
	case s.Found.Mirroring.WitnessState != "CONNECTED":
		e.add("", Fail, "the witness "+s.Found.Mirroring.Witness+" is "+word(s.Found.Mirroring.WitnessState)+": if a partner fails now, the other closes its database too (955)", "Start the witness, or remove it from the session until it runs", "ALTER DATABASE "+bracket(e.Database)+" SET WITNESS OFF")
	case s.Found.Mirroring.Safety == "OFF":
		e.add("", Fail, "there is a witness although SAFETY is OFF: there is no automatic failover, and losing the witness can close the database", "Remove the witness from the session", "ALTER DATABASE "+bracket(e.Database)+" SET WITNESS OFF")
	default:
		e.ok("", "the witness "+s.Found.Mirroring.Witness+" is CONNECTED")
	}
}

// failoverPartner compares the configured name of the other partner with the one that the server tells .NET clients.
func (e *exam) failoverPartner() {
	if e.topology == operate.Group {
		return // replicas have the names of their servers, and clients of a group do not use a failover partner
	}
	asked := false
	for i, s := range e.Sides {
		m := s.mirror()
		if m == nil || m.Instance == "" {
			continue
		}
		asked = true
		other := 1 - i
		switch {
		case e.isCalled(other, m.Instance):
			e.ok(s.Name, "its partner's name is "+m.Instance+", as in the configuration")
		case e.Sides[other].reached() && strings.EqualFold(e.Sides[other].Found.ServerName, m.Instance):
			e.ok(s.Name, "its partner's name is "+m.Instance+", which is the server name of "+e.Sides[other].Address)
		default:
			e.add(s.Name, Warn, fmt.Sprintf("its partner's name is %s, but the configuration has %s: the partner is another server, or .NET clients get a name that they can't resolve", m.Instance, e.Sides[other].Address),
				"Correct failover partner in the connection string, or the entry of the name in DNS", "")
		}
	}
	if !asked {
		e.roleUnknown()
	}
}

// isCalled reports whether the configured name of a server is the name that its partner uses, with or
// without the domain.
func (e *exam) isCalled(i int, name string) bool {
	name, port, _ := strings.Cut(strings.ToUpper(name), ",")
	host, instance, _ := strings.Cut(name, `\`)
	if port != "" && e.Setup.Port[i] != 0 && port != strconv.Itoa(e.Setup.Port[i]) {
		return false
	}
	// If the configuration has a port and no instance, the instance may have any name.
	return short(host) == short(strings.ToUpper(e.Setup.Host[i])) && (instance == e.Setup.Instance[i] || e.Setup.Instance[i] == "" && e.Setup.Port[i] != 0)
}

// short returns a host's name without its domain. An IP address is returned unchanged.
func short(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	host, _, _ = strings.Cut(host, ".")
	return host
}
