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

// extensionColumns is how many columns the extension has on ASPStateTempSessions.
var extensionColumns = len(aspstate.ExtensionColumns())

// seesAll says that the login sees every object of the database and its text.
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
		e.unchecked(s.Name, "the database can't be looked into: "+why(err), s.letSee(err, viewAnyDefinition))
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
			level = Warn // the stock procedures have no OUTPUT
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
		e.add(s.Name, Fail, "a tempdb-type install (aspnet_regsql -sstype t): the procedures are here and the tables are in tempdb, which can't be mirrored: every failover would lose all sessions",
			"Remove it with aspnet_regsql -ssremove -sstype t, which drops ASPState with what is in it, then install the persisted form", install)
	case number(table) == noObject:
		e.add(s.Name, Fail, "there are no session tables in "+e.Database, "Install them; if they are in another database, correct its name", install)
	case !reads && s.seesAll():
		e.add(s.Name, Fail, "the stock procedures are incomplete: TempGetStateItem3 is not there (an ASPState of ASP.NET 1.x, or a broken one)", "See what install would do", e.command("install --dry-run"))
	case kind == "partial" && (s.seesAll() || len(f.Columns) != extensionColumns || !s.hasEpoch()):
		e.add(s.Name, Fail, "the extension is incomplete: "+e.gone(s)+". Somebody ran aspnet_regsql again, or install was interrupted; calls fail, or count as on a stock ASPState",
			"Install again: it adds what is missing and drops no session", install)
	case kind == "partial", !s.seesAll() && s.hasEpoch():
		e.ok(s.Name, "the extension is there, as far as this login may see")
	case !s.hasEpoch():
		e.add(s.Name, Warn, "a stock ASPState: it works, without fencing and without operation ids: a write whose answer was lost is outcome-unknown, a lost acquire looks like another's lock, and expired sessions are served until swept",
			"Add the extension, which .NET does not see", install)
	default:
		e.version(s, f)
	}
}

// gone says what is missing of the extension.
func (e *exam) gone(s *Side) string {
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
		parts = append(parts, "a table, or the one row of MirrorStateEpoch or MirrorStateSweep")
	}
	return strings.Join(parts, "; ") + " missing"
}

// version compares the extension with the one that this program would install.
func (e *exam) version(s *Side, f aspstate.Found) {
	script, err := aspstate.PlanInstall(f, aspstate.InstallOptions{Database: e.Database})
	switch {
	case err != nil:
		e.add(s.Name, Warn, "install would refuse: "+oneLine(err), "See install --dry-run", e.command("install --dry-run"))
	case !script.Empty():
		var steps []string
		for _, step := range script.Steps {
			steps = append(steps, step.Title)
		}
		e.add(s.Name, Warn, "the extension is not that of this version; install would: "+strings.Join(steps, "; "), "Install again; live calls go first", e.command("install"))
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
		e.unchecked(s.Name, "there is none on a stock ASPState", "")
	case a.Err != nil:
		e.unchecked(s.Name, why(a.Err), "Give the login its rights, as a login that may: "+e.asAdmin("install --grant "+shellWord(s.one(askSelf)["name"])))
	case len(a.Rows) == 0:
		e.add(s.Name, Fail, "the row of MirrorStateEpoch is gone: nothing fences a former principal, and calls on the extended schema fail", "Install again: it puts the row back", e.command("install"))
	case len(a.Rows) > 1:
		e.add(s.Name, Fail, fmt.Sprintf("MirrorStateEpoch has %d rows", len(a.Rows)), "Leave the one with Id 1 and the highest Epoch", "")
	case a.Rows[0]["Server"] == "":
		e.ok(s.Name, "epoch "+a.Rows[0]["Epoch"]+", not taken yet: the first proxy takes it")
	default:
		e.ok(s.Name, "epoch "+a.Rows[0]["Epoch"]+", taken on "+a.Rows[0]["Server"])
	}
}

func (e *exam) rights() {
	s := e.serving()
	if s == nil {
		return
	}
	if s.Rights == nil {
		e.unchecked(s.Name, "the login's rights can't be asked for: "+why(firstError(s.Answers[askRights].Err, s.NoSchema, s.Answers[askTable].Err)), "Run doctor with a login that is sysadmin")
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
		e.add(s.Name, Fail, fmt.Sprintf("%s lacks %d rights: %s", name, len(not), shortened(not, 3)), "Give the login the least that a proxy needs"+e.asWhom(), e.asAdmin("install --grant "+shellWord(name)))
	case s.sysadmin():
		e.add(s.Name, Warn, name+" is a sysadmin, which is more than a proxy needs", "Make a login of its own for it, with the least rights: it needs no others to follow a failover", e.command("install --grant LOGIN"))
	default:
		e.ok(s.Name, name+" has every right that a proxy needs")
	}
}

// shortened are the first few of a list.
func shortened(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + fmt.Sprintf(" and %d more", len(list)-n)
}

// users looks for users whose login is not on a server, or is another's there by its SID.
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
			e.unchecked(at.Name, "this login sees no other logins", "Run doctor with a login that is sysadmin, or GRANT VIEW ANY DEFINITION")
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
			e.ok(at.Name, fmt.Sprintf("every user of %s (%d) has its login here", e.Database, len(users.Rows)))
		}
	}
}

// loginOf is the name of a user's login on this server; empty: it has none.
func (s *Side) loginOf(user map[string]string) string {
	for _, r := range s.Answers[askLogins].Rows {
		if r["sid"] == user["sid"] {
			return r["name"]
		}
	}
	return ""
}

// orphan is a user without its login on a server. login is that on the principal, empty where it has none; alike: there is
// a login of the same name here, with another SID.
func (e *exam) orphan(at, principal *Side, user map[string]string, login string, alike bool) {
	name := user["name"]
	switch {
	case alike && at == principal:
		e.add(at.Name, Fail, "the user "+name+" is orphaned: the login of its name has another SID", "Bind it to the login that is here", "USE "+bracket(e.Database)+"; ALTER USER "+bracket(name)+" WITH LOGIN = "+bracket(name))
	case login == "":
		e.add(at.Name, Fail, fmt.Sprintf("the login of the user %s is not on this server: logging in fails (18456)", name), "Create it on the principal with the user's SID, and give it to the mirror with mirrorstate pair logins",
			fmt.Sprintf("CREATE LOGIN %s WITH PASSWORD = N'…', SID = 0x%X, DEFAULT_DATABASE = [master]", bracket(name), user["sid"]))
	case alike:
		e.add(at.Name, Fail, fmt.Sprintf("the login %s has another SID here than the user's 0x%X: after a failover it gets 916", login, user["sid"]), e.replaced(login), e.carryCommand(login))
	default:
		mend, command := e.carry(login)
		e.add(at.Name, Fail, fmt.Sprintf("the login of the user %s is not on this server: after a failover to it, logging in fails (18456)", name), mend, command)
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
	ids := map[string]string{} // name, lower case → id
	sites := map[string][]string{}
	for _, r := range a.Rows {
		name := strings.ToLower(strings.TrimRight(r["AppName"], " "))
		ids[name] = r["AppId"]
		if path, ok := withoutSite(name); ok {
			sites[path] = append(sites[path], name)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(sites)) {
		if all := sites[path]; len(all) > 1 {
			e.add(s.Name, Warn, strings.Join(all, " and ")+" differ in the IIS site's number only: web servers of one farm with different numbers don't share sessions", "Give the site the same id on every web server, if it is one application", "")
		}
	}
	var said []string
	for _, name := range e.Setup.Applications {
		id, there := ids[strings.ToLower(name)]
		if !there {
			said = append(said, name+" (not registered yet: the first create does it)")
			continue
		}
		n, _ := strconv.ParseInt(id, 10, 32)
		said = append(said, fmt.Sprintf("%s (%s)", name, session.AppID(n).Suffix()))
	}
	e.ok(s.Name, fmt.Sprintf("%d registered; configured: %s", len(a.Rows), strings.Join(said, ", ")))
}

// withoutSite is an IIS application's name without the site's number: /lm/w3svc/*/root.
func withoutSite(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "/lm/w3svc/")
	_, path, found := strings.Cut(rest, "/")
	return "/lm/w3svc/*/" + path, ok && found
}
