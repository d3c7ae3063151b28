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

// cantAsk is the reason why a check of a server that does not answer was not made.
const cantAsk = "the server can't be asked"

// noDatabaseHere is the reason why a check that needs the database was not made.
const noDatabaseHere = "there is no such database here, or this login may not see it"

// oldest is the oldest supported major version, SQL Server 2012. The extension's T-SQL needs it.
const oldest = 11

// findTopology sets topology and here, which the checks use.
func (e *exam) findTopology() {
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

// reached reports whether the server answers.
func (s *Side) reached() bool { return s.Err == nil && s.Found != nil && s.Found.Error == "" }

// opens reports whether the database can be opened on this server, by this login or another.
func (s *Side) opens() bool {
	a, asked := s.Answers[askTable]
	return asked && !closed(a.Err)
}

// serves reports whether this side is the principal, to which writes go.
func (s *Side) serves() bool {
	if !s.reached() || s.Found.Database == nil || s.Found.Database.ReadOnly || s.one(askUpdate)["updateability"] == "READ_ONLY" {
		return false // READ_ONLY: a readable secondary
	}
	switch {
	case s.Found.Mirroring != nil:
		return s.Found.Mirroring.Role == "PRINCIPAL"
	case s.Found.Group != nil && s.Found.Group.Role != "":
		return s.Found.Group.Role == "PRIMARY"
	}
	return s.opens()
}

// hasEpoch reports whether the extension's epoch table exists.
func (s *Side) hasEpoch() bool {
	a, asked := s.Answers[askEpoch]
	return asked && (a.Err == nil || number(a.Err) == noPermission)
}

// one returns the row of an answer that has exactly one; otherwise nil.
func (s *Side) one(q question) operate.Row {
	if a := s.Answers[q]; a.Err == nil && len(a.Rows) == 1 {
		return a.Rows[0]
	}
	return nil
}

// sysadmin reports whether the login is a sysadmin.
func (s *Side) sysadmin() bool { return s.one(askSelf)["sysadmin"] == "1" }

func (e *exam) configuration() {
	if len(e.Setup.Notes) == 0 {
		e.ok("", "the configuration is valid")
		return
	}
	for _, n := range e.Setup.Notes {
		level, mend := Warn, "Change the configuration, unless this is intended"
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
				mend, command = e.copyLogin(self["name"])
			}
			if number(e.Sides[0].Err) == noLogin && number(e.Sides[1].Err) == noLogin {
				found, mend = "the login is refused (18456) on both servers: the password is wrong, or neither server has such a login",
					"Correct user and password. If neither server has the login, create it on the server that has the database. Then copy it to the other with mirrorstate pair logins, "+
						"or with mirrorstate pair setup if the servers are not a pair yet"
			}
			e.add(s.Name, Fail, found, mend, command)
		case s.Found.Error != "":
			e.add(s.Name, Fail, "the server answers, but its properties can't be read: "+s.Found.Error, "Fix this first: nothing on this server could be checked", "")
		case s.lost != nil:
			e.add(s.Name, Fail, "the server stopped answering during the check: "+oneLine(s.lost), "Check the server's load and the network to it; then run doctor again", "")
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
			e.add(s.Name, Fail, "nothing is encrypted, not even the password", "Install a certificate on the server, and set encrypt: true with ca_file in the configuration", "")
		case encrypt == "false":
			e.add(s.Name, Warn, "only the login is encrypted, and the certificate is not verified; a server that can't encrypt would get the password in clear text",
				"Set Encrypt=True in the connection string, or encrypt: true with ca_file in the configuration", "")
		case e.Setup.Trusting[i]:
			e.add(s.Name, Warn, "the connection is encrypted, but the certificate is not verified: an attacker in the network can read the password",
				"Remove trust_server_certificate, and name the certificate's issuer in ca_file, or the certificate itself in certificate_file", "")
		case !s.reached():
			e.unchecked(s.Name, cantAsk, "")
		default:
			e.ok(s.Name, "the connection is encrypted, and the certificate is verified")
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
			e.unchecked(s.Name, "the login's name can't be read: "+why(s.Answers[askSelf].Err), s.letSee(s.Answers[askSelf].Err, viewAnyDefinition))
		case s.Answers[askDefault].Err != nil:
			err := s.Answers[askDefault].Err
			e.unchecked(s.Name, "logged in as "+self["name"]+"; its default database can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		case name == "":
			e.unchecked(s.Name, "logged in as "+self["name"]+"; its default database is unknown (a member of a Windows group has none)", "")
		case strings.EqualFold(name, e.Database):
			e.add(s.Name, Fail, fmt.Sprintf("the default database of %s is %s: while this server is the mirror the login fails, so not even the role can be read", self["name"], name),
				"Set its default database to master, on both servers", "ALTER LOGIN "+bracket(self["name"])+" WITH DEFAULT_DATABASE = [master]")
		default:
			e.ok(s.Name, "logged in as "+self["name"]+", default database "+name)
		}
	}
	e.rightsOnBoth()
}

// rightsOnBoth compares the login's server rights on both servers. They are stored in master, which is not mirrored.
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
		e.add(lacks.Name, Warn, a["name"]+" has "+right.name+" on the other server, but not here: server rights are not mirrored", "Grant it on both servers, or revoke it on the other", "GRANT "+right.name+" TO "+bracket(a["name"]))
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
		e.add("", Warn, fmt.Sprintf("different logins: %s on a, %s on b; each needs a user in the database", a["name"], b["name"]), "Use the same login with the same SID on both servers", "")
	case a["sid"] != b["sid"] && a["sysadmin"] == "1" && b["sysadmin"] == "1":
		e.ok("", "the SID of "+a["name"]+" differs, which does not matter to a sysadmin")
	case a["sid"] != b["sid"]:
		e.add("", Fail, fmt.Sprintf("the login %s has the SID 0x%X on a and 0x%X on b: after a failover it has no user in the database (916)", a["name"], a["sid"], b["sid"]),
			e.dropFirst(a["name"]), e.copyLoginCommand(a["name"]))
	default:
		e.ok("", "the login "+a["name"]+" has the same SID on both servers")
	}
}

// copyLogin returns the advice and the command to copy a login from the other server to this one.
func (e *exam) copyLogin(login string) (mend, command string) {
	return "Copy the login " + login + " from the other server to this one, with its SID, password and rights" + e.asWhom(), e.copyLoginCommand(login)
}

// copyLoginCommand returns the command that copies a login: pair setup requires servers that are not a pair, pair logins
// requires a pair.
func (e *exam) copyLoginCommand(login string) string {
	words := "pair logins --login "
	if e.topology == "" {
		words = "pair setup --login "
	}
	return e.asAdmin(words + shellWord(login))
}

// dropFirst returns the advice for copying a login where another login of that name must be dropped before.
func (e *exam) dropFirst(login string) string {
	where := "the server that is not principal"
	if e.here >= 0 {
		where = e.Sides[1-e.here].Name
	}
	return "On " + where + ", if the login owns nothing there, run DROP LOGIN " + bracket(login) + "; then copy the login from the other server" + e.asWhom()
}

// asAdmin returns a mirrorstate command that needs a sysadmin. Unless the current login is one, the command uses sa.
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

// asWhom explains sa in the command that asAdmin returns; empty if the command does not use it.
func (e *exam) asWhom() string {
	if e.Sides[0].sysadmin() && e.Sides[1].sysadmin() {
		return ""
	}
	return ". sa stands for a login that is sysadmin on both servers; its password is read from MIRRORSTATE_PAIR_PASSWORD"
}

// plainWord matches a name that needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[\w.@-]+$`)

// shellWord quotes a name for a shell if necessary.
func shellWord(name string) string {
	if plainWord.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// servers checks the version and edition of each server, and compares the servers.
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
			e.add(s.Name, Fail, "version "+f.Version+" is older than SQL Server 2012, which the extension requires", "Move the pair to SQL Server 2012 or later; on an older version mirrorstate supports only a stock ASPState", "")
		case strings.Contains(f.Edition, "Express"):
			e.add(s.Name, Fail, f.Edition+" can be a witness, but not a partner", "Use Standard or Enterprise, the same edition on both servers", "")
		default:
			e.ok(s.Name, f.Edition+", version "+f.Version)
		}
	}
	a, b := e.Sides[0], e.Sides[1]
	if !a.reached() || !b.reached() || a.unread(operate.PartServer) != nil || b.unread(operate.PartServer) != nil {
		return
	}
	if strings.EqualFold(a.Found.ServerName, b.Found.ServerName) {
		e.add("", Fail, "both addresses lead to "+a.Found.ServerName, "Name two servers; an alias or the name of a listener leads to only one of them", "")
	}
	for _, c := range []struct{ what, a, b string }{
		{"version", a.Found.Version, b.Found.Version}, {"edition", a.Found.Edition, b.Found.Edition}, {"collation", a.Found.Collation, b.Found.Collation},
	} {
		if c.a != c.b {
			e.add("", Warn, fmt.Sprintf("the %s differs: %s on a, %s on b", c.what, c.a, c.b), "Use the same version, edition and collation on both servers; with different versions a failover may work in one direction only", "")
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
		e.add("", Fail, fmt.Sprintf("the clock of %s is %v behind the other's, more than sweep.max_clock_skew (%v): expired sessions are not swept, and a failover makes every session older or younger by that time", behind, apart.Round(time.Second), limit),
			"Synchronize both machines with the same time source", "w32tm /resync")
		return
	}
	if apart > time.Second {
		e.add("", Warn, fmt.Sprintf("the clocks are %v apart", apart.Round(100*time.Millisecond)), "Synchronize both machines with the same time source", "w32tm /resync")
		return
	}
	e.ok("", "the clocks differ by at most a second")
}
