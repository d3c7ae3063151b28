package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorstate/mirrorstate/session"
	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// extensionColumns is the number of columns that the extension adds to ASPStateTempSessions.
var extensionColumns = len(aspstate.ExtensionColumns())

// seesAll reports whether the login can see every object of the database and its text.
func (s *Side) seesAll() bool {
	return s.sysadmin() || s.one(askRights)["view_definition"] == "1"
}

func (e *exam) schema() {
	s := e.serving()
	if s == nil {
		return
	}
	table := s.Answers[askTable].Err
	if number(table) == noUser {
		e.add(s.Name, Fail, "the login has no user in "+e.Database+" (916)", "Make it a member of the proxy's role"+e.asWhom(), e.asAdmin("install --grant "+shellWord(s.one(askSelf)["name"])))
		return
	}
	if s.Schema == nil {
		err := firstError(s.NoSchema, table)
		e.unchecked(s.Name, "the objects of the database can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
		return
	}
	e.schemaOf(s, table)
	for _, err := range s.Schema.Unread {
		what, _, _ := strings.Cut(err.Error(), ":")
		e.unchecked(s.Name, what+" can't be read: "+why(err), s.letSee(err, viewAnyDefinition))
	}
	for _, o := range s.Schema.Obstacles {
		level := Fail
		if o.Kind == "trigger" && !s.hasEpoch() {
			level = Warn // a trigger breaks OUTPUT (334), which the stock procedures do not use
		}
		found, mend, _ := strings.Cut(o.String(), ". ")
		e.add(s.Name, level, found, mend, "")
	}
}

func (e *exam) schemaOf(s *Side, table error) {
	f := *s.Schema
	_, reads := f.Procedures["tempgetstateitem3"]
	install := e.command("install")
	switch kind := f.Kind(); {
	case number(table) == noObject && reads:
		e.add(s.Name, Fail, "a tempdb-type install (aspnet_regsql -sstype t): the procedures are here, but the tables are in tempdb, which can't be mirrored: every failover would lose all sessions",
			"Remove it with aspnet_regsql -ssremove -sstype t, which drops ASPState with everything in it, then install the persisted form", install)
	case number(table) == noObject:
		e.add(s.Name, Fail, "there are no session tables in "+e.Database, "Install them; if they are in another database, correct the database's name", install)
	case !reads && s.seesAll():
		e.add(s.Name, Fail, "the stock procedures are incomplete: TempGetStateItem3 is missing (an ASPState of ASP.NET 1.x, or a damaged one)", "Check what install would do", e.command("install --dry-run"))
	case kind == "partial" && (s.seesAll() || len(f.Columns) != extensionColumns || !s.hasEpoch()):
		e.add(s.Name, Fail, "the extension is incomplete: "+e.missing(s)+". Somebody ran aspnet_regsql again, or install was interrupted; calls fail, or have only the guarantees of a stock ASPState",
			"Install again: this adds what is missing and removes no session", install)
	case kind == "partial", !s.seesAll() && s.hasEpoch():
		e.ok(s.Name, "the extension is installed, as far as this login may see")
	case !s.hasEpoch():
		e.add(s.Name, Warn, "a stock ASPState: it works, but without fencing and operation ids: a write whose answer was lost is outcome-unknown, an acquire whose answer was lost leaves the session locked, and expired sessions are served until the sweep",
			"Add the extension; it changes nothing for .NET applications", install)
	default:
		e.version(s, f)
	}
}

// missing lists the missing parts of the extension.
func (e *exam) missing(s *Side) string {
	var parts []string
	if n := extensionColumns - len(s.Schema.Columns); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d columns of ASPStateTempSessions", n, extensionColumns))
	}
	var names []string
	for _, r := range aspstate.ProxyRights(true) {
		name := strings.TrimPrefix(r[1], "dbo.")
		if _, stands := s.Schema.Procedures[strings.ToLower(name)]; r[0] == "EXECUTE" && strings.HasPrefix(name, "MirrorState_") && !stands {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		parts = append(parts, "procedures "+strings.Join(names, ", "))
	}
	if !s.hasEpoch() {
		parts = append(parts, "the table MirrorStateEpoch")
	}
	if len(parts) == 0 {
		parts = append(parts, "a table, or the row of MirrorStateEpoch or MirrorStateSweep")
	}
	return strings.Join(parts, "; ") + " missing"
}

// version compares the extension with the one that this program would install.
func (e *exam) version(s *Side, f aspstate.Found) {
	script, err := aspstate.PlanInstall(f, aspstate.InstallOptions{Database: e.Database})
	switch {
	case err != nil:
		e.add(s.Name, Warn, "install would refuse: "+oneLine(err), "Check what install would do", e.command("install --dry-run"))
	case !script.Empty():
		var steps []string
		for _, step := range script.Steps {
			steps = append(steps, step.Title)
		}
		e.add(s.Name, Warn, "the extension is of another version; install would: "+strings.Join(steps, "; "), "Install again; this can be done while applications use the database", e.command("install"))
	default:
		e.ok(s.Name, "ASPState with the extension, of this version")
	}
}

func (e *exam) epoch() {
	s := e.serving()
	if s == nil {
		return
	}
	a := s.Answers[askEpoch]
	switch {
	case number(a.Err) == noObject:
		e.unchecked(s.Name, "a stock ASPState has no epoch", "")
	case a.Err != nil:
		e.unchecked(s.Name, "the epoch can't be read: "+why(a.Err), "Grant the login its rights, with a login that may grant them: "+e.asAdmin("install --grant "+shellWord(s.one(askSelf)["name"])))
	case len(a.Rows) == 0:
		e.add(s.Name, Fail, "the row of MirrorStateEpoch is missing: a former principal is not fenced, and calls on the extended schema fail", "Install again: this inserts the row", e.command("install"))
	case len(a.Rows) > 1:
		e.add(s.Name, Fail, fmt.Sprintf("MirrorStateEpoch has %d rows", len(a.Rows)), "Delete all rows but one: keep the one with Id 1 and the highest Epoch", "")
	case a.Rows[0]["Server"] == "":
		e.ok(s.Name, "epoch "+a.Rows[0]["Epoch"]+", not claimed yet: the first proxy claims it")
	default:
		e.ok(s.Name, "epoch "+a.Rows[0]["Epoch"]+", claimed on "+a.Rows[0]["Server"])
	}
}

func (e *exam) rights() {
	s := e.serving()
	if s == nil {
		return
	}
	if s.Rights == nil {
		e.unchecked(s.Name, "the login's rights can't be read: "+why(firstError(s.Answers[askRights].Err, s.NoSchema, s.Answers[askTable].Err)), "Run doctor with a login that is sysadmin")
		return
	}
	var not []string
	for _, r := range rightsFor(s) {
		if _, isProcedure := s.Schema.Procedures[strings.ToLower(strings.TrimPrefix(r.Object, "dbo."))]; !s.Rights[r] && (isProcedure || !s.seesAll() || r.Permission != "EXECUTE") {
			not = append(not, r.Permission+" on "+r.Object)
		}
	}
	switch name := s.one(askSelf)["name"]; {
	case len(not) > 0:
		e.add(s.Name, Fail, fmt.Sprintf("%s lacks %d rights: %s", name, len(not), shortened(not, 3)), "Grant the login the least rights that a proxy needs"+e.asWhom(), e.asAdmin("install --grant "+shellWord(name)))
	case s.sysadmin():
		e.add(s.Name, Warn, name+" is a sysadmin and has more rights than a proxy needs", "Create a separate login for the proxy, with the least rights; they are enough to follow a failover", e.command("install --grant LOGIN"))
	default:
		e.ok(s.Name, name+" has all rights that a proxy needs")
	}
}

// shortened returns the first n entries of a list, and how many more there are.
func shortened(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + fmt.Sprintf(" and %d more", len(list)-n)
}

// users looks for database users whose login is missing on a server, or has another SID there.
func (e *exam) users() {
	s := e.serving()
	if s == nil {
		return
	}
	users := s.Answers[askUsers]
	if users.Err != nil {
		e.unchecked(s.Name, "the users can't be read: "+why(users.Err), s.letSee(users.Err, viewAnyDefinition))
		return
	}
	for _, at := range e.Sides {
		logins := map[string]string{} // SID → name
		names := map[string]bool{}
		for _, r := range at.Answers[askLogins].Rows {
			logins[r["sid"]] = r["name"]
			names[strings.ToLower(r["name"])] = true
		}
		switch view := at.one(askSelf)["view_definition"] == "1" || at.sysadmin(); {
		case !at.reached():
			e.unchecked(at.Name, "its logins can't be read", "")
			continue
		case at.Answers[askLogins].Err != nil:
			err := at.Answers[askLogins].Err
			e.unchecked(at.Name, "its logins can't be read: "+why(err), at.letSee(err, viewAnyDefinition))
			continue
		case !view:
			e.unchecked(at.Name, "this login may not see other logins", "Run doctor with a login that is sysadmin, or GRANT VIEW ANY DEFINITION")
			continue
		}
		bad := 0
		for _, u := range users.Rows {
			if _, there := logins[u["sid"]]; there || u["sid"] == "" {
				continue
			}
			bad++
			login := s.loginOf(u)
			e.orphan(at, s, u, login, names[strings.ToLower(cmp.Or(login, u["name"]))])
		}
		if bad == 0 {
			e.ok(at.Name, fmt.Sprintf("all users of %s (%d) have their login here", e.Database, len(users.Rows)))
		}
	}
}

// loginOf returns the name of a user's login on this server; empty: it has none.
func (s *Side) loginOf(user map[string]string) string {
	for _, r := range s.Answers[askLogins].Rows {
		if r["sid"] == user["sid"] {
			return r["name"]
		}
	}
	return ""
}

// orphan adds a finding for a user without its login on a server. login is the user's login on the principal, empty if it
// has none. alike is true if this server has a login of the same name with another SID.
func (e *exam) orphan(at, principal *Side, user map[string]string, login string, alike bool) {
	name := user["name"]
	switch {
	case alike && at == principal:
		e.add(at.Name, Fail, "the user "+name+" is orphaned: the login with its name has another SID", "Map the user to the login of this server", "USE "+bracket(e.Database)+"; ALTER USER "+bracket(name)+" WITH LOGIN = "+bracket(name))
	case login == "":
		e.add(at.Name, Fail, fmt.Sprintf("the login of the user %s is missing on this server: logging in fails (18456)", name), "Create the login on the principal with the user's SID, and copy it to the mirror with mirrorstate pair logins",
			fmt.Sprintf("CREATE LOGIN %s WITH PASSWORD = N'…', SID = 0x%X, DEFAULT_DATABASE = [master]", bracket(name), user["sid"]))
	case alike:
		e.add(at.Name, Fail, fmt.Sprintf("the login %s has a SID here that differs from the user's 0x%X: after a failover the login has no user in the database (916)", login, user["sid"]), e.dropFirst(login), e.copyLoginCommand(login))
	default:
		mend, command := e.copyLogin(login)
		e.add(at.Name, Fail, fmt.Sprintf("the login of the user %s is missing on this server: after a failover to it, logging in fails (18456)", name), mend, command)
	}
}

func (e *exam) applications() {
	s := e.serving()
	if s == nil {
		return
	}
	a := s.Answers[askApps]
	if a.Err != nil {
		e.unchecked(s.Name, "the registered applications can't be read: "+why(a.Err), s.letSee(a.Err, "SELECT ON dbo.ASPStateTempApplications"))
		return
	}
	ids := map[string]string{}     // lower-case name → id
	sites := map[string][]string{} // name without the site's number → names
	for _, r := range a.Rows {
		name := strings.ToLower(strings.TrimRight(r["AppName"], " "))
		ids[name] = r["AppId"]
		if path, ok := withoutSite(name); ok {
			sites[path] = append(sites[path], name)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(sites)) {
		if all := sites[path]; len(all) > 1 {
			e.add(s.Name, Warn, strings.Join(all, " and ")+" differ only in the number of the IIS site: web servers with different site numbers don't share sessions", "If this is one application, give the site the same id on every web server", "")
		}
	}
	var names []string
	for _, name := range e.Setup.Applications {
		id, there := ids[strings.ToLower(name)]
		if !there {
			names = append(names, name+" (not registered yet: the first create registers it)")
			continue
		}
		n, _ := strconv.ParseInt(id, 10, 32)
		names = append(names, fmt.Sprintf("%s (%s)", name, session.AppID(n).Suffix()))
	}
	e.ok(s.Name, fmt.Sprintf("%d registered; configured: %s", len(a.Rows), strings.Join(names, ", ")))
}

// withoutSite replaces the site's number in an IIS application's name: /lm/w3svc/*/root.
func withoutSite(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "/lm/w3svc/")
	_, path, found := strings.Cut(rest, "/")
	return "/lm/w3svc/*/" + path, ok && found
}
