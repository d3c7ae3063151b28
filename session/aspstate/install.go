package aspstate

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
	"github.com/mirrorstate/mirrorstate/sqlname"
)

// InstallRole is the database role that has exactly the rights that a proxy needs.
const InstallRole = "mirrorstate_proxy"

// InstallOptions say what the database must have after the installation.
type InstallOptions struct {
	Database  string
	StockOnly bool   // install only what aspnet_regsql makes; an existing extension stays
	Grant     string // the login that becomes a member of InstallRole; empty: none
	Recreate  bool   // drop both stock tables, with every session, and create them again
}

// Script has the batches of an installation, or of its removal. It is empty if there is nothing to do.
type Script struct {
	Database string
	Steps    []Step
}

// Step is a part of a script that is applied as a whole or not at all.
type Step struct {
	Title   string
	Batches []schema.Batch
	// Transaction means that the batches are sent between BEGIN TRANSACTION and COMMIT. A step without it has one
	// statement, or a statement that can't be in a transaction.
	Transaction bool
	inMaster    bool // the step runs in master, before USE of the database
}

// Refusal is the error of an installation that was refused before anything was sent.
type Refusal struct{ Reason string }

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// PlanInstall returns the script that installs into a database with the state f. It refuses, with a *Refusal, an install
// of the tempdb type, an install by ASP.NET 1.x, and the system databases.
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
		// Proxies treat the schema as extended throughout, so the columns must be there when the transaction ends.
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

// quoteName puts a name in brackets, as QUOTENAME does.
func quoteName(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// refusesNames returns an error if a name cannot be in a printed script. The same script is sent, so it has the same
// limits.
func (f Found) refusesNames(o InstallOptions) error {
	err := cmp.Or(sqlname.CheckAll("database", o.Database), sqlname.CheckAll("login", o.Grant), sqlname.CheckAll("user", f.User))
	if err != nil {
		return refuse("%v", err)
	}
	return nil
}

// refuses returns an error if nothing can be installed in the database.
func (f Found) refuses(o InstallOptions) error {
	if err := f.refusesNames(o); err != nil {
		return err
	}
	switch name := strings.ToLower(o.Database); {
	case name == "":
		return errors.New("no database is named")
	case name == "master" || name == "tempdb" || name == "model" || name == "msdb":
		return refuse("%s is a system database: name another database (initial catalog)", o.Database)
	case !f.Exists || o.Recreate:
		return cmp.Or(f.refusesObstacles(o), f.refusesLogin(o))
	case f.TempType():
		reason := "its tables are not there"
		if f.TempTables {
			reason = "its tables are in tempdb"
		}
		return refuse("%s was made by aspnet_regsql -sstype t: %s, so sessions are neither mirrored nor kept across a restart, and it can't be extended. "+
			"Create another database (another initial catalog), or create this one again with --recreate %s, which does not copy the sessions in tempdb", o.Database, reason, o.Database)
	case f.Tables["aspstatetempsessions"] && !f.Flags:
		return refuse("%s was made by ASP.NET 1.x: run aspnet_regsql of .NET Framework 2.0 or later, or create it again with --recreate %s, which drops its sessions", o.Database, o.Database)
	case len(f.Columns) != 0 && len(f.Columns) != len(extensionColumns) && !f.earlier():
		return refuse("only these columns of the extension exist: %s. The others were dropped by hand: drop these too (ALTER TABLE dbo.ASPStateTempSessions DROP COLUMN …), and install again",
			strings.Join(f.Columns, ", "))
	}
	return cmp.Or(f.refusesObstacles(o), f.refusesLogin(o))
}

// refusesObstacles returns an error if the tables have an addition that an installation does not support. Tables that
// will be dropped do not count.
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

// refusesLogin returns an error if the login cannot get access.
func (f Found) refusesLogin(o InstallOptions) error {
	if o.Grant == "" || f.Assumed {
		return nil
	}
	switch {
	case !f.Login:
		return refuse("there is no login %s on this server. Create it here: CREATE LOGIN %s WITH PASSWORD = N'…', DEFAULT_DATABASE = [master]. Then copy it to the mirror with the same SID: with pair logins, or with pair setup if the servers are not a pair yet", o.Grant, quoteName(o.Grant))
	case f.Orphan && !o.Recreate:
		return refuse("the database has a user %s that belongs to another login with that name (its SID differs). Run ALTER USER %s WITH LOGIN = %s, and run this again",
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

// readParts sorts the batches of the schema into parts. It leaves out the DROP PROCEDURE before each CREATE, because
// dropping a procedure would drop the rights on it.
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

// stockStep returns the step that creates the missing stock objects. Existing objects belong to .NET: their texts and
// rights are not changed.
func stockStep(p *parts, f Found, recreate bool) Step {
	step := Step{Title: "create the missing stock objects", Transaction: true}
	if recreate {
		step.Title = "drop every session, and create the stock objects again"
		step.Batches = append(step.Batches, schema.Install("recreate.sql")...)
	}
	for _, name := range p.stock {
		b := p.create[strings.ToLower(name)]
		switch text, exists := f.Procedures[strings.ToLower(name)]; {
		case !exists:
			step.Batches = append(step.Batches, b)
		case recreate && !sameText(text, b.Text): // the procedures of a tempdb install, or of ASP.NET 1.x, use other tables
			step.Batches = append(step.Batches, altered(b))
		}
	}
	if !f.Tables["aspstatetempsessions"] {
		step.Batches = append(step.Batches, p.makeTables)
	}
	return step
}

// altered returns a batch that alters the procedure which b creates, so that the rights on it stay.
func altered(b schema.Batch) schema.Batch {
	b.Text = strings.Replace(b.Text, "CREATE PROCEDURE", "ALTER PROCEDURE", 1)
	return b
}

// columnsStep returns the step that adds the columns. It is one statement, which changes no row.
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

// extensionStep returns the step that creates the extension's tables, rows and procedures. Until the whole step is
// applied, every proxy treats the schema as a stock one.
func extensionStep(p *parts, f Found) Step {
	step := Step{Title: "create the extension's tables and procedures", Transaction: true}
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
		switch text, exists := f.Procedures[strings.ToLower(name)]; {
		case !exists:
			step.Batches = append(step.Batches, b)
		case !sameText(text, b.Text):
			step.Batches = append(step.Batches, altered(b))
		}
	}
	return step
}

// sameText reports whether two texts of a procedure are equal. It ignores spaces at the ends of lines, comments before
// the statement, and the difference between CREATE and ALTER.
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

// roleStep returns the step that creates the role, grants its rights, and adds the login to it. Without a login it only
// repairs the rights of an existing role.
func roleStep(f Found, o InstallOptions, extended bool) Step {
	step := Step{Title: "grant the role " + InstallRole + " its rights", Transaction: true}
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

// PlanUninstall returns the script that removes the extension. Sessions, applications and stock objects stay.
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
		_, exists := f.Procedures[strings.ToLower(name)]
		there = there || exists
	}
	if there {
		s.add(Step{Title: "drop the extension's tables and procedures", Batches: schema.Install("uninstall.sql"), Transaction: true})
	}
	if len(f.Columns) > 0 {
		s.add(Step{Title: "drop the extension's columns from ASPStateTempSessions", Batches: schema.Install("uninstall-columns.sql")})
	}
	return s, nil
}
