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

// noRole is why nothing is known of the session between the partners. A NULL is no answer.
const noRole = "no partner shows its role to this login, which proves nothing"

// groupNotShown is why nothing is known of a group's configuration.
const groupNotShown = "the group's cluster and its replicas' modes are not shown to this login"

// roleUnknown says that nothing is known of the session, and why: to a sysadmin what is there would have been shown.
func (e *exam) roleUnknown() {
	for _, s := range e.Sides {
		if err := s.unread(operate.PartMirroring); err != nil {
			e.unchecked(s.Name, "the mirroring session can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
			return
		}
	}
	all := e.Sides[0].sysadmin() && e.Sides[1].sysadmin() || e.here >= 0 && e.Sides[e.here].sysadmin()
	if e.topology == "" && all {
		e.unchecked("", "it is not mirrored yet: pair setup comes first", "")
		return
	}
	e.unchecked("", noRole, "Run doctor with a login that is sysadmin on both servers")
}

func (e *exam) database() {
	if a, b := e.Sides[0], e.Sides[1]; a.reached() && b.reached() && a.Found.Database == nil && b.Found.Database == nil {
		e.add("", Fail, "neither server has a database "+e.Database+", or this login may not see it", "Correct its name (initial catalog), or make it", e.command("install"))
		return
	}
	for i, s := range e.Sides {
		switch other := e.Sides[1-i]; {
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		case s.Found.Database == nil && other.reached() && other.Found.Database != nil && e.topology == "":
			e.unchecked(s.Name, "there is no database "+e.Database+" here yet, or this login may not see it: pair setup brings it", "")
		case s.Found.Database == nil && other.reached() && other.Found.Database != nil:
			e.add(s.Name, Fail, "there is no database "+e.Database+" here, or this login may not see it", "See what the other partner says of the session, end that, and set the pair up again", e.command("pair remove"))
		case s.Found.Database == nil:
			e.add(s.Name, Warn, "there is no database "+e.Database+" here", "Bring the other server up first: it may be there. If it is nowhere, correct its name (initial catalog)", "")
		default:
			e.databaseState(s, s.Found.Database)
		}
	}
}

// unread is why a part of what the server says of itself and of the database was not read; nil: it was, or nothing was.
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
		e.add(s.Name, Fail, e.Database+" is "+d.State, "Wait until it is recovered; if it stays so, look into the server's error log", "")
	case d.Access != "MULTI_USER" && d.Access != "":
		e.add(s.Name, Fail, e.Database+" is "+d.Access, "Let everybody in again", "ALTER DATABASE "+name+" SET MULTI_USER")
	case d.ReadOnly:
		e.add(s.Name, Fail, e.Database+" is READ_ONLY", "Make it writable", "ALTER DATABASE "+name+" SET READ_WRITE")
	case d.AutoClose:
		e.add(s.Name, Fail, e.Database+" closes itself (AUTO_CLOSE), which can't be mirrored (1469)", "Switch that off", "ALTER DATABASE "+name+" SET AUTO_CLOSE OFF")
	default:
		e.ok(s.Name, e.Database+" is "+d.State)
	}
}

// roleView says whether the login can tell the roles. A NULL in sys.database_mirroring is no answer.
func (e *exam) roleView() {
	for _, s := range e.Sides {
		switch {
		case !s.reached() || s.Found.Database == nil:
			e.unchecked(s.Name, map[bool]string{true: "there is no database to look at", false: cantAsk}[s.reached()], "")
		case s.Found.Mirroring != nil, s.Found.Group != nil && s.Found.Group.Role != "":
			e.ok(s.Name, "the login sees this partner's role")
		case s.unread(operate.PartMirroring) != nil:
			err := s.unread(operate.PartMirroring)
			e.unchecked(s.Name, "the mirroring session can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		case s.unread(operate.PartGroup) != nil:
			err := s.unread(operate.PartGroup)
			e.unchecked(s.Name, "the availability group can't be read: "+why(err), s.letSee(err, viewServerState))
		case s.Found.Group != nil && s.Found.Group.Lacks == "":
			e.add(s.Name, Warn, "it is in an availability group, and the server shows no role for it", "Wait if the server has just started; otherwise see both servers' error logs", "")
		case s.Found.Group != nil:
			e.add(s.Name, Fail, "it is in an availability group whose state the login may not see (300): its role is unknown, and with pair.exposed: refuse every write is held", "Let the login see it, on both servers",
				"GRANT VIEW SERVER STATE TO "+bracket(s.one(askSelf)["name"]))
		case s.sysadmin():
			e.ok(s.Name, "the login sees everything: there is no role, since it is not mirrored")
		case s.Found.Database.State == "RESTORING":
			e.unchecked(s.Name, "the role is unknown (NULL): on a mirror only a sysadmin sees it. mirrorstate tells the roles apart by who opens the database, and needs no more to follow a failover",
				"For the watchdog, and for doctor to see the mirror's state, use a login that is sysadmin")
		default:
			e.ok(s.Name, "the database opens here, and no role is shown: not mirrored, or not for these eyes")
		}
	}
}

func (e *exam) principal() {
	a, b := e.Sides[0], e.Sides[1]
	switch {
	case e.here >= 0:
		e.ok("", fmt.Sprintf("%s (%s) is the one to write to", e.Sides[e.here].Name, e.Sides[e.here].Address))
	case a.serves() && b.serves():
		e.add("", Fail, "both partners have a writable "+e.Database+", and each takes writes the other does not get", "Decide which copy is the store, and make the other the mirror: after a forced failover by resuming, else by dropping that copy and setting the pair up again", `mirrorstate pair accept a --reason "…"`)
	case a.reached() && b.reached() && a.Found.Database == nil && b.Found.Database == nil:
		e.unchecked("", "there is no database to look at", "")
	case !a.reached() && !b.reached():
		e.unchecked("", cantAsk, "")
	case !a.reached() || !b.reached():
		e.unchecked("", "not both servers can be asked, and the one that can is not the principal", "If the other is lost, force service on this one: mirrorstate pair force --help says what may be lost")
	default:
		e.add("", Fail, "neither partner is a principal: nobody can write", "Wait if a failover is under way; after a RESTORE, end it WITH RECOVERY on the partner that has the newest data", "RESTORE DATABASE "+bracket(e.Database)+" WITH RECOVERY")
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
		e.add(s.Name, Fail, "the recovery model is "+model+": neither mirroring nor a group works with it (1465)", "Set FULL, and take a full backup after it",
			"ALTER DATABASE "+bracket(e.Database)+" SET RECOVERY FULL")
		return
	}
	e.ok(s.Name, "the recovery model is FULL")
}

// serving is the one to write to; nil, and noted as unchecked: there is none.
func (e *exam) serving() *Side {
	if e.here >= 0 {
		return e.Sides[e.here]
	}
	e.unchecked("", "no single principal can be asked", "")
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
				e.unchecked(s.Name, "there is no endpoint yet: pair setup makes it", "")
				continue
			}
			e.add(s.Name, Fail, "there is no endpoint for mirroring any more", "Make it again, as it was: its port, and its certificate or account", "")
		case s.Found.Endpoint == nil:
			e.unchecked(s.Name, "the login sees no endpoint for mirroring, which may be for want of rights", "Run doctor with a login that is sysadmin")
		case s.Found.Endpoint.State != "STARTED":
			e.add(s.Name, Fail, "the endpoint "+s.Found.Endpoint.Name+" is "+s.Found.Endpoint.State, "Start it", "ALTER ENDPOINT "+bracket(s.Found.Endpoint.Name)+" STATE = STARTED")
		default:
			e.certificate(s)
		}
	}
}

// soon is how long before its end a certificate is worth a word.
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
	switch mend := "Make a new certificate, give its public part to the other server, and ALTER ENDPOINT … AUTHENTICATION = CERTIFICATE to it"; {
	case row == nil || err != nil || err2 != nil:
		e.ok(s.Name, name)
	case end.Before(now):
		e.add(s.Name, Fail, name+", and its certificate "+row["name"]+" ended on "+end.Format(time.DateOnly)+": the next reconnect fails", mend, "")
	case end.Sub(now) < soon:
		e.add(s.Name, Warn, name+"; its certificate "+row["name"]+" ends on "+end.Format(time.DateOnly), mend, "")
	default:
		e.ok(s.Name, name+", certificate until "+end.Format(time.DateOnly))
	}
}

func (e *exam) mirroring() {
	if e.topology == operate.Group {
		return
	}
	if e.topology == "" {
		if e.here >= 0 && e.Sides[e.here].sysadmin() && e.Sides[e.here].unread(operate.PartMirroring) == nil {
			e.add("", Fail, e.Database+" is not mirrored: a failure of the one server is the end", "Set the pair up", e.command("pair setup"))
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
			e.unchecked(s.Name, "its state is not shown to this login", mend)
		case m.State == "SYNCHRONIZED":
			e.ok(s.Name, m.Role+", "+m.State)
		case m.State == "SUSPENDED":
			e.add(s.Name, Fail, "mirroring is SUSPENDED: what is written now is on one server, and the log can't be truncated", "Resume, unless a forced failover left data to be saved first", e.command("pair resume"))
		case m.State == "SYNCHRONIZING":
			e.add(s.Name, Warn, "the mirror is catching up (SYNCHRONIZING): a failover now would lose data or be refused", "Wait, and run doctor again", "")
		default:
			e.add(s.Name, Fail, "the partners are "+m.State+": the principal runs exposed", "Bring the other server back: its service, then the network and both endpoints (1418); it catches up by itself", e.command("pair status"))
		}
	}
	a, b := e.Sides[0].mirror(), e.Sides[1].mirror()
	if a != nil && b != nil && a.Role == b.Role && a.Role != "" {
		e.add("", Fail, "both partners say they are "+a.Role+": after a forced failover they have not met", "See both, and end one of the two sessions", e.command("pair status"))
	}
}

func (s *Side) mirror() *operate.FoundMirroring {
	if !s.reached() {
		return nil
	}
	return s.Found.Mirroring
}

// group judges an availability group.
func (e *exam) group() {
	if e.topology != operate.Group {
		return
	}
	for _, s := range e.Sides {
		if !s.reached() || s.Found.Group == nil {
			e.unchecked(s.Name, "its state is not shown", "")
			continue
		}
		g := s.Found.Group
		said := fmt.Sprintf("group %s: %s, %s", cmp.Or(g.Name, "(name not shown)"), word(g.Role), word(g.State))
		switch {
		case g.Role == "":
			e.unchecked(s.Name, "it is in a group that this login may not see", e.letSee(s, g))
		case g.Role == "RESOLVING":
			e.add(s.Name, Fail, said+": nobody serves here", "Wait if a failover is under way; otherwise see pair status, then force on the side with the newest data", e.command("pair status"))
		case g.Role == "SECONDARY" && g.Connected == "DISCONNECTED":
			e.add(s.Name, Fail, said+", DISCONNECTED: this secondary does not see its primary", "Bring the primary back, then look at both endpoints; if it is lost, pair force on this side says what may be lost", e.command("pair status"))
		case g.Suspended:
			e.add(s.Name, Fail, said+", suspended ("+word(g.SuspendReason)+")", "Resume data movement", e.command("pair resume"))
		case g.State == "NOT SYNCHRONIZING", g.State == "REVERTING", g.State == "INITIALIZING":
			e.add(s.Name, Fail, said, "Bring the other replica back and look at both endpoints; REVERTING and INITIALIZING end by themselves, and no failover may be forced before", e.command("pair status"))
		case strings.EqualFold(g.Role, "PRIMARY") && g.State == "SYNCHRONIZING":
			e.add(s.Name, Warn, said, "Wait; with ASYNCHRONOUS_COMMIT it stays so, and a failover can lose what was acknowledged", "")
		default:
			e.ok(s.Name, said)
		}
		if g.Name == "" && g.Role != "" {
			e.unchecked(s.Name, "the group's name, cluster and replicas are not shown to this login: no rows and no error. mirrorstate follows a failover without them", e.letSee(s, g))
		}
		for _, r := range g.Replicas {
			if g.Role == "PRIMARY" && r.Connected == "DISCONNECTED" {
				e.add(s.Name, Fail, "replica "+r.Server+" is DISCONNECTED", "Bring that server back, then look at its endpoint", e.command("pair status"))
			}
		}
	}
}

// letSee is what lets the login see more of the group.
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
	s := e.shower()
	switch {
	case e.topology == operate.Group && s == nil:
		e.unchecked("", groupNotShown, "Run doctor with a login that is sysadmin, or has VIEW SERVER STATE and VIEW ANY DEFINITION")
	case e.topology == "" || s == nil:
		e.roleUnknown()
	case e.topology == operate.Group:
		for _, r := range s.Found.Group.Replicas {
			if r.Mode != "SYNCHRONOUS_COMMIT" {
				e.add("", Fail, "replica "+r.Server+" commits asynchronously ("+word(r.Mode)+"): a failover can lose what was acknowledged", "Make both replicas synchronous",
					fmt.Sprintf("ALTER AVAILABILITY GROUP %s MODIFY REPLICA ON %s WITH (AVAILABILITY_MODE = SYNCHRONOUS_COMMIT)", bracket(s.Found.Group.Name), literal(r.Server)))
				return
			}
		}
		e.ok("", "every replica commits synchronously")
	case s.Found.Mirroring.Safety != "FULL":
		e.add("", Fail, "SAFETY is "+word(s.Found.Mirroring.Safety)+": acknowledged writes can be lost, and a failover without loss is refused (1477)", "Set FULL, on the principal", "ALTER DATABASE "+bracket(e.Database)+" SET PARTNER SAFETY FULL")
	default:
		e.ok("", "SAFETY is FULL")
	}
}

// shower is a partner that shows the pair's state, the principal first; nil: none does.
func (e *exam) shower() *Side {
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

// unsentLog is what a forced failover would lose now.
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
		e.unchecked(s.Name, "the log send queue can't be read: "+why(firstError(s.Answers[askQueues].Err, s.Answers[askSendQueue].Err, errNoCounter)), "For a login without it: GRANT VIEW SERVER STATE")
	case kilobytes > 0:
		e.add(s.Name, Warn, fmt.Sprintf("%d KB of log are not sent: a forced failover would lose them now", kilobytes), "Run doctor again; if it stays or grows, the network or the mirror's disk is too slow", "")
	default:
		e.ok(s.Name, "no log waits to be sent")
	}
}

// noAnswer is why a question that was answered says nothing.
type noAnswer string

// Error says it.
func (n noAnswer) Error() string { return string(n) }

const errNoCounter = noAnswer("the server shows no such counter")

// queue is the log that waits to be sent, in kilobytes.
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
	s := e.shower()
	if e.topology == operate.Group {
		if s == nil {
			e.unchecked("", groupNotShown, "Run doctor with a login that is sysadmin, or has VIEW SERVER STATE and VIEW ANY DEFINITION")
		} else if s.Found.Group.Cluster == "NONE" {
			e.add("", Warn, "the group has no cluster: nobody fails it over by itself, and a primary that comes back takes its role again", "Fail over with pair failover and pair force; docs/sql-server.md says what to do with a primary that comes back", "")
		} else {
			e.ok("", "the group's cluster decides who is primary")
		}
		return
	}
	switch {
	case s == nil:
		e.roleUnknown()
	case s.Found.Mirroring.Witness == "" && e.Setup.WatchdogEnabled:
		e.ok("", "there is no witness; the watchdog is there in its place")
	case s.Found.Mirroring.Witness == "":
		e.add("", Warn, "there is no witness: when the principal dies nobody fails over by itself, and every call waits for an operator", "Give the pair a witness (Express will do), on the principal",
			"ALTER DATABASE "+bracket(e.Database)+" SET WITNESS = N'TCP://HOST:5022'")
	case s.Found.Mirroring.WitnessState != "CONNECTED":
		e.add("", Fail, "the witness "+s.Found.Mirroring.Witness+" is "+word(s.Found.Mirroring.WitnessState)+": if a partner fails now, the other closes its database too (955)", "Bring the witness back, or take it out of the session until it is", "ALTER DATABASE "+bracket(e.Database)+" SET WITNESS OFF")
	case s.Found.Mirroring.Safety == "OFF":
		e.add("", Fail, "there is a witness although SAFETY is OFF: it can't fail over, and its loss can close the database", "Take it out of the session", "ALTER DATABASE "+bracket(e.Database)+" SET WITNESS OFF")
	default:
		e.ok("", "the witness "+s.Found.Mirroring.Witness+" is CONNECTED")
	}
}

// failoverPartner compares the other's configured name with the one that the server hands to .NET's clients.
func (e *exam) failoverPartner() {
	if e.topology == operate.Group {
		return // the group's replicas are named like their servers, and no client is told a partner that counts
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
			e.ok(s.Name, "it names its partner "+m.Instance+", as the configuration does")
		case e.Sides[other].reached() && strings.EqualFold(e.Sides[other].Found.ServerName, m.Instance):
			e.ok(s.Name, "it names its partner "+m.Instance+", which is what "+e.Sides[other].Address+" calls itself")
		default:
			e.add(s.Name, Warn, fmt.Sprintf("it names its partner %s, and the configuration has %s: the pair is mirrored with another server, or .NET clients learn a name they can't resolve", m.Instance, e.Sides[other].Address),
				"Correct failover partner in the connection string, or the name's entry in DNS", "")
		}
	}
	if !asked {
		e.roleUnknown()
	}
}

// isCalled says whether the configuration's name for a server is the one that its partner has for it, with or
// without the domain.
func (e *exam) isCalled(i int, name string) bool {
	name, port, _ := strings.Cut(strings.ToUpper(name), ",")
	host, instance, _ := strings.Cut(name, `\`)
	if port != "" && e.Setup.Port[i] != 0 && port != strconv.Itoa(e.Setup.Port[i]) {
		return false
	}
	// A port in the configuration stands for an instance whose name is not known.
	return short(host) == short(strings.ToUpper(e.Setup.Host[i])) && (instance == e.Setup.Instance[i] || e.Setup.Instance[i] == "" && e.Setup.Port[i] != 0)
}

// short is a host's name without its domain; an address stays.
func short(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	host, _, _ = strings.Cut(host, ".")
	return host
}
