package aspstate

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
	"github.com/mirrorstate/mirrorstate/sqlname"
)

// InstallRole is the database role with the least rights that a proxy needs.
const InstallRole = "mirrorstate_proxy"

// InstallOptions say what the database has to have in the end.
type InstallOptions struct {
	Database  string
	StockOnly bool   // only what aspnet_regsql makes; an existing extension stays
	Grant     string // the login that becomes a member of InstallRole; empty: none
	Recreate  bool   // drop both stock tables, with every session, and create them again
}

// Script is what an installation, or its removal, does: the batches that are sent. It is empty if there is nothing to
// do.
type Script struct {
	Database string
	Steps    []Step
}

// Step is a part of a script that is applied as a whole or not at all.
type Step struct {
	Title   string
	Batches []schema.Batch
	// Transaction: between BEGIN TRANSACTION and COMMIT. A step without is one statement, or one that
	// can't be in a transaction.
	Transaction bool
	inMaster    bool // before USE of the database
}

// Refusal is the reason why an installation does not begin.
type Refusal struct{ Reason string }

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// PlanInstall decides what to do to a database that is found as f. It refuses (with a *Refusal) a tempdb-type
// install, an install by ASP.NET 1.x, and the system databases.
func PlanInstall(f Found, o InstallOptions) (Script, error) {
	s := Script{Database: o.Database}
	if err := f.refuses(o); err != nil {
		return s, err
	}
	parts, err := readParts()
	if err != nil {
		return s, err
	}
	if !f.Exists {
		s.add(Step{Title: "create the database", Batches: named(schema.Install("database.sql"), o.Database, "", ""), inMaster: true})
	}
	if o.Recreate {
		f = f.withoutSessions()
	}
	extended := !o.StockOnly || f.Tables["mirrorstateepoch"]
	stock := stockStep(parts, f, o.Recreate)
	if o.Recreate && f.Tables["mirrorstateepoch"] {
		// To proxies it looks extended all the time: so it must be.
		stock.Batches = append(stock.Batches, parts.columns)
		f.Columns = extensionColumns
	}
	s.add(stock)
	if !o.StockOnly {
		s.add(columnsStep(parts, f))
		s.add(extensionStep(parts, f))
	}
	s.add(roleStep(f, o, extended))
	return s, nil
}

// add adds a step if it has something to do.
func (s *Script) add(step Step) {
	if len(step.Batches) > 0 {
		s.Steps = append(s.Steps, step)
	}
}

// Empty reports whether there is nothing to do.
func (s Script) Empty() bool { return len(s.Steps) == 0 }

// named replaces the placeholders of a script by names.
func named(batches []schema.Batch, database, user, login string) []schema.Batch {
	r := strings.NewReplacer("{database}", quoteName(database), "{user}", quoteName(user), "{login}", quoteName(login))
	out := make([]schema.Batch, len(batches))
	for i, b := range batches {
		out[i] = b
		out[i].Text = r.Replace(b.Text)
	}
	return out
}

// quoteName brackets a name as QUOTENAME does.
func quoteName(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// refusesNames returns why a name cannot be in the script. The script that is printed is the script that is sent, so
// both have the same limits.
func (f Found) refusesNames(o InstallOptions) error {
	err := cmp.Or(sqlname.CheckAll("database", o.Database), sqlname.CheckAll("login", o.Grant), sqlname.CheckAll("user", f.User))
	if err != nil {
		return refuse("%v", err)
	}
	return nil
}

// refuses returns why nothing can be installed in the database.
func (f Found) refuses(o InstallOptions) error {
	if err := f.refusesNames(o); err != nil {
		return err
	}
	switch name := strings.ToLower(o.Database); {
	case name == "":
		return errors.New("no database is named")
	case name == "master" || name == "tempdb" || name == "model" || name == "msdb":
		return refuse("%s is the system's: name a database of its own (initial catalog)", o.Database)
	case !f.Exists || o.Recreate:
		return cmp.Or(f.refusesObstacles(o), f.refusesLogin(o))
	case f.TempType():
		reason := "its tables are not there"
		if f.TempTables {
			reason = "its tables are in tempdb"
		}
		return refuse("%s was made by aspnet_regsql -sstype t: %s, so that sessions are neither mirrored nor kept over a restart, and the extension has no place. "+
			"Make a persisted one beside it (another initial catalog), or make this one anew with --recreate %s: the sessions in tempdb are not carried over", o.Database, reason, o.Database)
	case f.Tables["aspstatetempsessions"] && !f.Flags:
		return refuse("%s was made by ASP.NET 1.x: run aspnet_regsql of .NET Framework 2.0 or later, or make it anew with --recreate %s, which drops its sessions", o.Database, o.Database)
	case len(f.Columns) != 0 && len(f.Columns) != len(extensionColumns) && !f.earlier():
		return refuse("of the extension's columns only these are there: %s. An installation was taken apart by hand: drop them (ALTER TABLE dbo.ASPStateTempSessions DROP COLUMN …), and install again",
			strings.Join(f.Columns, ", "))
	}
	return cmp.Or(f.refusesObstacles(o), f.refusesLogin(o))
}

// refusesObstacles returns what was added to the tables that an installation does not support. Tables that are
// dropped do not count.
func (f Found) refusesObstacles(o InstallOptions) error {
	for _, one := range f.Obstacles {
		dropped := o.Recreate && strings.HasPrefix(strings.ToLower(one.Table), "aspstatetemp")
		switch {
		case one.Kind == obstacleKey: // a table that another one refers to can't be dropped either (3726)
		case dropped, one.Kind == obstacleTrigger && o.StockOnly && !f.Tables["mirrorstateepoch"]:
			continue
		}
		return refuse("%s", one)
	}
	return nil
}

// refusesLogin returns why the login cannot get access.
func (f Found) refusesLogin(o InstallOptions) error {
	if o.Grant == "" || f.Assumed {
		return nil
	}
	switch {
	case !f.Login:
		return refuse("there is no login %s on this server. Make it here: CREATE LOGIN %s WITH PASSWORD = N'…', DEFAULT_DATABASE = [master]; pair logins carries it to the mirror with the same SID, pair setup where the servers are no pair yet", o.Grant, quoteName(o.Grant))
	case f.Orphan && !o.Recreate:
		return refuse("the database has a user %s that belongs to another login of that name (its SID differs). Mend it with ALTER USER %s WITH LOGIN = %s, and run this again",
			o.Grant, quoteName(o.Grant), quoteName(o.Grant))
	}
	return nil
}

// parts are the schema's batches, by what they create.
type parts struct {
	create      map[string]schema.Batch // CREATE PROCEDURE, by name in lower case
	stock       []string                // names of the stock procedures, in order
	extended    []string
	makeTables  schema.Batch // EXECUTE CreateTempTables
	columns     schema.Batch
	laterAdded  []schema.Batch // the columns that the extension of an earlier version lacks
	ownTables   []ownTable
	ownFirstRow []schema.Batch
}

// ownTable is a table of the extension.
type ownTable struct {
	name string
	schema.Batch
}

// readParts sorts the batches of the schema. It leaves out the DROP PROCEDURE before each CREATE: dropping a
// procedure drops the rights on it.
func readParts() (*parts, error) {
	all, err := schema.All()
	if err != nil {
		return nil, err
	}
	p := &parts{create: map[string]schema.Batch{}}
	for _, b := range all {
		if name, ok := procedureName(b.Text); ok {
			p.create[strings.ToLower(name)] = b
			if b.File == schema.Stock {
				p.stock = append(p.stock, name)
			} else {
				p.extended = append(p.extended, name)
			}
			continue
		}
		p.sortOther(b)
	}
	if p.makeTables.Text == "" || p.columns.Text == "" || len(p.ownTables) != 4 || len(p.laterAdded) != 3 || len(p.ownFirstRow) != 2 {
		return nil, errors.New("the schema's files are not what the installer expects")
	}
	return p, nil
}

// sortOther sorts a batch that creates no procedure.
func (p *parts) sortOther(b schema.Batch) {
	switch {
	case strings.Contains(b.Text, "DROP PROCEDURE"):
	case strings.Contains(b.Text, "EXECUTE dbo.CreateTempTables"):
		p.makeTables = b
	case strings.Contains(b.Text, "ALTER TABLE") && p.columns.Text == "":
		p.columns = b
	case strings.Contains(b.Text, "ALTER TABLE"):
		p.laterAdded = append(p.laterAdded, b)
	case strings.Contains(b.Text, "CREATE TABLE dbo."):
		_, after, _ := strings.Cut(b.Text, "CREATE TABLE dbo.")
		name, _, _ := strings.Cut(after, " ")
		p.ownTables = append(p.ownTables, ownTable{name, b})
	case strings.Contains(b.Text, "INSERT INTO dbo."):
		p.ownFirstRow = append(p.ownFirstRow, b)
	}
}

// procedureName returns the name of the procedure that a batch creates.
func procedureName(text string) (string, bool) {
	_, after, ok := strings.Cut("\n"+text, "\nCREATE PROCEDURE dbo.")
	name, _, _ := strings.Cut(strings.ReplaceAll(after, "\n", " "), " ")
	return name, ok && name != ""
}

// stockStep creates the missing stock objects. Existing ones are .NET's own: their text and rights stay as they are.
func stockStep(p *parts, f Found, recreate bool) Step {
	step := Step{Title: "make the stock objects that are missing", Transaction: true}
	if recreate {
		step.Title = "drop every session, and make the stock objects anew"
		step.Batches = append(step.Batches, schema.Install("recreate.sql")...)
	}
	for _, name := range p.stock {
		b := p.create[strings.ToLower(name)]
		switch text, stands := f.Procedures[strings.ToLower(name)]; {
		case !stands:
			step.Batches = append(step.Batches, b)
		case recreate && !sameText(text, b.Text): // those of a tempdb install, or of ASP.NET 1.x, are for other tables
			step.Batches = append(step.Batches, altered(b))
		}
	}
	if !f.Tables["aspstatetempsessions"] {
		step.Batches = append(step.Batches, p.makeTables)
	}
	return step
}

// altered changes a batch that creates a procedure to one that alters it, so that its rights stay.
func altered(b schema.Batch) schema.Batch {
	b.Text = strings.Replace(b.Text, "CREATE PROCEDURE", "ALTER PROCEDURE", 1)
	return b
}

// columnsStep adds the columns: one statement, which changes no row.
func columnsStep(p *parts, f Found) Step {
	step := Step{Title: "add the extension's columns to ASPStateTempSessions"}
	switch {
	case len(f.Columns) == 0:
		step.Batches = []schema.Batch{p.columns}
	case f.earlier():
		step.Batches = p.laterAdded
	}
	return step
}

// extensionStep creates the extension's tables, rows and procedures. Until it has been applied as a whole, every
// proxy treats the schema as a stock one.
func extensionStep(p *parts, f Found) Step {
	step := Step{Title: "make the extension's tables and procedures", Transaction: true}
	for _, t := range p.ownTables {
		if !f.Tables[strings.ToLower(t.name)] {
			step.Batches = append(step.Batches, t.Batch)
		}
	}
	for i, there := range []bool{f.EpochRow, f.SweepRow} {
		if !there {
			step.Batches = append(step.Batches, p.ownFirstRow[i])
		}
	}
	for _, name := range p.extended {
		b := p.create[strings.ToLower(name)]
		switch text, stands := f.Procedures[strings.ToLower(name)]; {
		case !stands:
			step.Batches = append(step.Batches, b)
		case !sameText(text, b.Text):
			step.Batches = append(step.Batches, altered(b))
		}
	}
	return step
}

// sameText compares two texts of a procedure, except for spaces at the ends of lines, comments before it, and whether
// it says CREATE or ALTER.
func sameText(a, b string) bool { return plainText(a) == plainText(b) }

func plainText(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for len(lines) > 0 && (strings.TrimSpace(lines[0]) == "" || strings.HasPrefix(strings.TrimSpace(lines[0]), "--")) {
		lines = lines[1:]
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	text = strings.TrimSpace(strings.Join(lines, "\n"))
	if rest, ok := strings.CutPrefix(text, "ALTER PROCEDURE"); ok {
		text = "CREATE PROCEDURE" + rest
	}
	return text
}

// roleStep creates the role, grants it its rights, and adds the login. Without a login it repairs the rights of an
// existing role.
func roleStep(f Found, o InstallOptions, extended bool) Step {
	step := Step{Title: "give the role " + InstallRole + " its rights", Transaction: true}
	if !f.Role && o.Grant == "" {
		return step
	}
	scripts := []string{"role-stock.sql"}
	if extended {
		scripts = append(scripts, "role-extension.sql")
	}
	for _, name := range scripts {
		if f.Role && f.grantedAll(schema.Install(name)) {
			continue
		}
		step.Batches = append(step.Batches, schema.Install(name)...)
	}
	if o.Grant == "" || f.User == "dbo" {
		return step
	}
	user := f.User
	if user == "" {
		user = o.Grant
		step.Batches = append(step.Batches, named(schema.Install("user.sql"), o.Database, user, o.Grant)...)
	}
	if !f.Member {
		step.Batches = append(step.Batches, named(schema.Install("member.sql"), o.Database, user, o.Grant)...)
	}
	return step
}

// PlanUninstall decides how to remove the extension. Sessions, applications and stock objects stay.
func PlanUninstall(f Found, database string) (Script, error) {
	s := Script{Database: database}
	if err := f.refusesNames(InstallOptions{Database: database}); err != nil {
		return s, err
	}
	if !f.Exists {
		return s, refuse("there is no database %s on this server", database)
	}
	p, err := readParts()
	if err != nil {
		return s, err
	}
	there := f.Assumed
	for _, t := range p.ownTables {
		there = there || f.Tables[strings.ToLower(t.name)]
	}
	for _, name := range p.extended {
		_, stands := f.Procedures[strings.ToLower(name)]
		there = there || stands
	}
	if there {
		s.add(Step{Title: "drop the extension's tables and procedures", Batches: schema.Install("uninstall.sql"), Transaction: true})
	}
	if len(f.Columns) > 0 {
		s.add(Step{Title: "drop the extension's columns from ASPStateTempSessions", Batches: schema.Install("uninstall-columns.sql")})
	}
	return s, nil
}
