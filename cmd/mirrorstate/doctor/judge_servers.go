package doctor

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/operate"
)

// cantAsk is why nothing is known of a server that does not answer.
const cantAsk = "the server can't be asked"

// oldest is SQL Server 2012, the first that the extension's T-SQL is written for.
const oldest = 11

// look settles what the judges lean on.
func (e *exam) look() {
	e.here = -1
	open := 0
	for i, s := range e.Sides {
		if s.serves() {
			e.here, open = i, open+1
		}
	}
	if open != 1 {
		e.here = -1
	}
	seen := [2]*operate.Found{{}, {}}
	for i, s := range e.Sides {
		if s.Found != nil {
			seen[i] = s.Found
		}
	}
	e.topology = operate.Topology(seen)
}

// reached says that the server answers.
func (s *Side) reached() bool { return s.Err == nil && s.Found != nil && s.Found.Error == "" }

// opens says that the database lets somebody in here, this login or another.
func (s *Side) opens() bool {
	a, asked := s.Answers[askTable]
	return asked && !closed(a.Err)
}

// serves says that it is the one to write to.
func (s *Side) serves() bool {
	if !s.reached() || s.Found.Database == nil || s.Found.Database.ReadOnly || s.one(askUpdate)["updateability"] == "READ_ONLY" {
		return false // the last is a secondary that lets readers in
	}
	switch {
	case s.Found.Mirroring != nil:
		return s.Found.Mirroring.Role == "PRINCIPAL"
	case s.Found.Group != nil && s.Found.Group.Role != "":
		return s.Found.Group.Role == "PRIMARY"
	}
	return s.opens()
}

// hasEpoch says that the extension's epoch table is there.
func (s *Side) hasEpoch() bool {
	a, asked := s.Answers[askEpoch]
	return asked && (a.Err == nil || number(a.Err) == noPermission)
}

// one is the only row of an answer; nil: there is none.
func (s *Side) one(q question) operate.Row {
	if a := s.Answers[q]; a.Err == nil && len(a.Rows) == 1 {
		return a.Rows[0]
	}
	return nil
}

// sysadmin says that the login is one.
func (s *Side) sysadmin() bool { return s.one(askSelf)["sysadmin"] == "1" }

func (e *exam) configuration() {
	if len(e.Setup.Notes) == 0 {
		e.ok("", "it can be read, and nothing in it is at odds")
		return
	}
	for _, n := range e.Setup.Notes {
		level, mend := Warn, "Change the configuration, unless this is meant"
		if strings.Contains(n, "connection string: not used here") {
			e.ok("", n)
			continue
		}
		e.add("", level, n, mend, "")
	}
}

func (e *exam) reachable() {
	for i, s := range e.Sides {
		switch {
		case s.Err != nil:
			found, mend := unreachable(s.Err)
			command := ""
			if self := e.Sides[1-i].one(askSelf); number(s.Err) == noLogin && self != nil {
				mend, command = e.carry(self["name"])
			}
			if number(e.Sides[0].Err) == noLogin && number(e.Sides[1].Err) == noLogin {
				found, mend = "the login is refused (18456), on both servers: the password is wrong, or the login is on neither",
					"Correct user and password. A login that is on neither server: create it on the one that has the database, and give it to the other with mirrorstate pair logins "+
						"where the two are a pair, with mirrorstate pair setup where they are none yet"
			}
			e.add(s.Name, Fail, found, mend, command)
		case s.Found.Error != "":
			e.add(s.Name, Fail, "it answers, and can't be asked about itself: "+s.Found.Error, "Mend that first: what the server is could not be checked", "")
		case s.lost != nil:
			e.add(s.Name, Fail, "it answers at first, and then no more: "+oneLine(s.lost), "Look at the server's load and at the network between; then run doctor again", "")
		case s.unread(operate.PartServer) != nil:
			e.ok(s.Name, s.Address+" answers")
		default:
			e.ok(s.Name, fmt.Sprintf("%s answers as %s", s.Address, s.Found.ServerName))
		}
	}
}

func (e *exam) encryption() {
	for i, s := range e.Sides {
		switch encrypt := e.Setup.Encrypt[i]; {
		case encrypt == "disable":
			e.add(s.Name, Fail, "nothing is encrypted, not even the password", "Give the server a certificate and say encrypt: true with ca_file in the configuration", "")
		case encrypt == "false":
			e.add(s.Name, Warn, "only the login is encrypted, with whatever certificate the server shows; one that can't encrypt would get the password in clear text",
				"Say Encrypt=True in the connection string, or encrypt: true with ca_file in the configuration", "")
		case e.Setup.Trusting[i]:
			e.add(s.Name, Warn, "all is encrypted, and any certificate is believed: somebody between can read the password",
				"Leave trust_server_certificate out, and name the certificate's issuer with ca_file, or the certificate itself with certificate_file", "")
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		default:
			e.ok(s.Name, "all is encrypted, and the certificate is verified")
		}
	}
}

func (e *exam) login() {
	for _, s := range e.Sides {
		self := s.one(askSelf)
		if !s.reached() {
			e.unchecked(s.Name, cantAsk, "")
			continue
		}
		switch name := s.one(askDefault)["default_database_name"]; {
		case self == nil:
			e.unchecked(s.Name, "the server does not say who is logged in: "+why(s.Answers[askSelf].Err), s.letSee(s.Answers[askSelf].Err, viewAnyDefinition))
		case s.Answers[askDefault].Err != nil:
			err := s.Answers[askDefault].Err
			e.unchecked(s.Name, "logged in as "+self["name"]+", whose default database can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		case name == "":
			e.unchecked(s.Name, "logged in as "+self["name"]+", whose default database is unknown (a Windows group's member has none of its own)", "")
		case strings.EqualFold(name, e.Database):
			e.add(s.Name, Fail, fmt.Sprintf("the default database of %s is %s: while this server is the mirror the login would fail, even for looking at its role", self["name"], name),
				"Make master its default database, on both servers", "ALTER LOGIN "+bracket(self["name"])+" WITH DEFAULT_DATABASE = [master]")
		default:
			e.ok(s.Name, "logged in as "+self["name"]+", default database "+name)
		}
	}
	e.rightsOnBoth()
}

// rightsOnBoth compares what the login may on each server: rights on a server stand in master, which is not mirrored.
func (e *exam) rightsOnBoth() {
	a, b := e.Sides[0].one(askSelf), e.Sides[1].one(askSelf)
	if a == nil || b == nil || !strings.EqualFold(a["name"], b["name"]) {
		return
	}
	for _, right := range []struct{ column, name string }{{"view_state", "VIEW SERVER STATE"}, {"view_definition", "VIEW ANY DEFINITION"}} {
		if a[right.column] == b[right.column] {
			continue
		}
		lacks := e.Sides[0]
		if a[right.column] == "1" {
			lacks = e.Sides[1]
		}
		e.add(lacks.Name, Warn, a["name"]+" has "+right.name+" on the other server, and not here: rights on a server are not mirrored", "Give it on both, or on none", "GRANT "+right.name+" TO "+bracket(a["name"]))
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func bracket(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

func (e *exam) sameSID() {
	a, b := e.Sides[0].one(askSelf), e.Sides[1].one(askSelf)
	switch {
	case a == nil || b == nil:
		e.unchecked("", "both servers must answer to compare the login's SID", "")
	case a["name"] != b["name"]:
		e.add("", Warn, fmt.Sprintf("different logins: %s on a, %s on b; each needs a user in the database", a["name"], b["name"]), "Use one login with one SID on both servers", "")
	case a["sid"] != b["sid"] && a["sysadmin"] == "1" && b["sysadmin"] == "1":
		e.ok("", "the SID of "+a["name"]+" differs, which does not matter to a sysadmin")
	case a["sid"] != b["sid"]:
		e.add("", Fail, fmt.Sprintf("the login %s has the SID 0x%X on a and 0x%X on b: after a failover it has no user in the database (916)", a["name"], a["sid"], b["sid"]),
			e.replaced(a["name"]), e.carryCommand(a["name"]))
	default:
		e.ok("", "the login "+a["name"]+" has the same SID on both servers")
	}
}

// carry is how a login of one server comes to the other: advice, and the command.
func (e *exam) carry(login string) (mend, command string) {
	return "Give the login " + login + " to this server with the other's SID, password and rights" + e.asWhom(), e.carryCommand(login)
}

// carryCommand is the command of carry: setup refuses a pair, and logins wants one.
func (e *exam) carryCommand(login string) string {
	words := "pair logins --login "
	if e.topology == "" {
		words = "pair setup --login "
	}
	return e.asAdmin(words + shellWord(login))
}

// replaced is what comes before carry where another login of that name is in the way.
func (e *exam) replaced(login string) string {
	where := "the server that is not principal"
	if e.here >= 0 {
		where = e.Sides[1-e.here].Name
	}
	return "On " + where + ", if the login owns nothing there, run DROP LOGIN " + bracket(login) + "; then give it the other's login" + e.asWhom()
}

// asAdmin is a command of ours that the login which asks now could not carry out: as sa, unless it is sysadmin itself.
func (e *exam) asAdmin(words string) string {
	a, b := e.Sides[0], e.Sides[1]
	if a.sysadmin() && b.sysadmin() {
		return e.command(words)
	}
	source := func(s *Side) string {
		host, port, err := net.SplitHostPort(s.Address)
		if err != nil {
			return s.Address
		}
		return host + "," + port
	}
	return fmt.Sprintf(`mirrorstate %s --connection-string "data source=%s;failover partner=%s;initial catalog=%s;user id=sa"`, words, source(a), source(b), e.Database)
}

// asWhom says who sa is in what asAdmin returns.
func (e *exam) asWhom() string {
	if e.Sides[0].sysadmin() && e.Sides[1].sysadmin() {
		return ""
	}
	return ". sa stands for a login that is sysadmin on both servers; its password is read from MIRRORSTATE_PAIR_PASSWORD"
}

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[\w.@-]+$`)

// shellWord quotes a name for a shell where that is needed.
func shellWord(name string) string {
	if plainWord.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// servers compares what the servers are.
func (e *exam) servers() {
	for _, s := range e.Sides {
		if !s.reached() {
			e.unchecked(s.Name, cantAsk, "")
			continue
		}
		f := s.Found
		if err := s.unread(operate.PartServer); err != nil {
			e.unchecked(s.Name, "the server's version and edition can't be read: "+why(err), s.letSee(err, viewServerState))
			continue
		}
		switch major, _ := strconv.Atoi(strings.SplitN(f.Version, ".", 2)[0]); {
		case major != 0 && major < oldest:
			e.add(s.Name, Fail, "version "+f.Version+" is older than SQL Server 2012, for which the extension is written", "Move the pair to SQL Server 2012 or later; on an older one mirrorstate works on a stock ASPState at most", "")
		case strings.Contains(f.Edition, "Express"):
			e.add(s.Name, Fail, f.Edition+" can be a witness, and no partner", "Use Standard or Enterprise, the same on both servers", "")
		default:
			e.ok(s.Name, f.Edition+", version "+f.Version)
		}
	}
	a, b := e.Sides[0], e.Sides[1]
	if !a.reached() || !b.reached() || a.unread(operate.PartServer) != nil || b.unread(operate.PartServer) != nil {
		return
	}
	if strings.EqualFold(a.Found.ServerName, b.Found.ServerName) {
		e.add("", Fail, "both addresses lead to "+a.Found.ServerName, "Name two servers: an alias or a listener's name leads to one of them only", "")
	}
	for _, c := range []struct{ what, a, b string }{
		{"version", a.Found.Version, b.Found.Version}, {"edition", a.Found.Edition, b.Found.Edition}, {"collation", a.Found.Collation, b.Found.Collation},
	} {
		if c.a != c.b {
			e.add("", Warn, fmt.Sprintf("the %s differs: %s on a, %s on b", c.what, c.a, c.b), "Bring both servers to the same version, edition and collation: a pair of different ones fails over in one direction at the best", "")
		}
	}
}

func (e *exam) clocks() {
	a, b := e.Sides[0], e.Sides[1]
	if a.Round == 0 || b.Round == 0 {
		e.unchecked("", "both servers must answer to compare their clocks", "")
		return
	}
	apart := (a.Ahead - b.Ahead).Abs()
	limit := e.Setup.MaxClockSkew
	if unsure := (a.Round + b.Round) / 2; apart > limit && apart-unsure > limit {
		behind := map[bool]string{true: "b", false: "a"}[a.Ahead > b.Ahead]
		e.add("", Fail, fmt.Sprintf("the clock of %s is %v behind the other's, more than sweep.max_clock_skew (%v): expired sessions are not swept, and a failover ages or renews every session by that much", behind, apart.Round(time.Second), limit),
			"Synchronise both machines with the same time source", "w32tm /resync")
		return
	}
	if apart > time.Second {
		e.add("", Warn, fmt.Sprintf("the clocks are %v apart", apart.Round(100*time.Millisecond)), "Synchronise both machines with the same time source", "w32tm /resync")
		return
	}
	e.ok("", "the clocks agree to a second")
}
