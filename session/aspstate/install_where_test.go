package aspstate

import (
	"errors"
	"slices"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/session/aspstate/schema"
)

func TestChoose(t *testing.T) {
	var (
		none      = Side{}
		plain     = Side{Exists: true, State: "ONLINE", Writable: true}
		principal = Side{Exists: true, State: "ONLINE", Writable: true, Role: "PRINCIPAL", Mirroring: "SYNCHRONIZED"}
		mirror    = Side{Exists: true, State: "RESTORING", Role: "MIRROR", Mirroring: "SYNCHRONIZED"}
		unseen    = Side{Exists: true, State: "RESTORING"} // a mirror, as a login without sysadmin sees it
		readOnly  = Side{Exists: true, State: "ONLINE"}
		down      = Side{Err: errors.New("connection refused")}
	)
	for _, c := range []struct {
		name string
		a, b Side
		on   partner.Name
		want string // a, b, or a part of the refusal
	}{
		{"nothing anywhere", none, none, "", "a"},
		{"nothing anywhere, b wanted", none, none, "b", "b"},
		{"on a only", plain, none, "", "a"},
		{"on b only", none, plain, "", "b"},
		{"a principal", principal, mirror, "", "a"},
		{"b principal", mirror, principal, "", "b"},
		{"b principal, to a login that sees little", unseen, plain, "", "b"},
		{"the other partner is down", down, principal, "", "b"},
		{"only the mirror is up", mirror, down, "", "on a mirror nothing can be installed: a (A) is the mirror, or is being restored; b (B) does not answer: connection refused"},
		{"a secondary alone", readOnly, down, "", "not writable"},
		{"insisting on the mirror", principal, mirror, "b", "on b nothing can be installed: b (B) is the mirror, or is being restored; a (A) is writable"},
		{"insisting on who is down", down, plain, "a", "connection refused"},
		{"two of them", plain, plain, "", "--on a or --on b"},
		{"two of them, b wanted", plain, plain, "b", "b"},
		{"a principal and an old one", principal, plain, "", "a"},
		{"a principal, and the old one wanted", principal, plain, "b", "b is not the principal"},
		{"a second database of that name", plain, none, "b", "would be another database"},
		{"nothing on a, and b does not answer", none, down, "", "the partner that has ASPState is not known"},
		{"nothing on a, and b does not answer, a wanted", none, down, "a", "a"},
	} {
		c.a.Partner, c.a.Address, c.b.Partner, c.b.Address = partner.A, "A", partner.B, "B"
		at, err := Choose([2]Side{c.a, c.b}, "ASPState", c.on)
		got := ""
		if err == nil {
			got = []string{"a", "b"}[at]
		} else {
			got = err.Error()
		}
		if got != c.want && (err == nil || len(c.want) < 2 || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// sqlError is an error of SQL Server.
type sqlError int32

func (e sqlError) Error() string         { return "the server's words" }
func (e sqlError) SQLErrorNumber() int32 { return int32(e) }

func TestExplainInstall(t *testing.T) {
	for number, want := range map[int32]string{
		262: "(262): the login may not create that", 1222: "(1222): other sessions hold a lock", 954: "(954): this partner is now the mirror", 9002: "BACKUP LOG",
		15023: "ALTER USER", 50000: "the server's words (50000)",
	} {
		if got := ExplainInstall(sqlError(number)).Error(); !strings.HasPrefix(got, "the server's words (") || !strings.Contains(got, want) {
			t.Errorf("%d: %s", number, got)
		}
	}
	if ExplainInstall(nil) != nil || ExplainInstall(errors.New("x")).Error() != "x" {
		t.Error("what is no error of SQL Server is changed")
	}
}

// The scripts beside the schema files name every procedure and table of these files.
func TestInstallScripts_nameEverything(t *testing.T) {
	p, err := readParts()
	if err != nil {
		t.Fatal(err)
	}
	all := func(names ...string) string {
		text := ""
		for _, name := range names {
			for _, b := range schema.Install(name) {
				text += b.Text + "\n"
			}
		}
		return text
	}
	inner := []string{"CreateTempTables", "MirrorState_Enter_1", "MirrorState_Settle_1"} // other procedures call these, which have the same owner
	roles, gone := all("role-stock.sql", "role-extension.sql"), all("uninstall.sql")
	for _, name := range append(append([]string{}, p.stock...), p.extended...) {
		if granted := strings.Contains(roles, "GRANT EXECUTE ON dbo."+name+" TO mirrorstate_proxy\n"); granted == slices.Contains(inner, name) {
			t.Errorf("EXECUTE on %s: granted %v", name, granted)
		}
	}
	for _, name := range p.extended {
		if !strings.Contains(gone, "DROP PROCEDURE dbo."+name+"\n") {
			t.Errorf("uninstall leaves %s", name)
		}
	}
	for _, table := range p.ownTables {
		if !strings.Contains(gone, "DROP TABLE dbo."+table.name+"\n") {
			t.Errorf("uninstall leaves %s", table.name)
		}
	}
	for _, name := range p.stock {
		if strings.Contains(gone, name+"\n") {
			t.Errorf("uninstall takes %s", name)
		}
	}
	columns := all("uninstall-columns.sql")
	for _, name := range extensionColumns {
		if !strings.Contains(p.columns.Text, name+" ") || !strings.Contains(columns, name) {
			t.Errorf("column %s: not in both scripts", name)
		}
	}
	if added, dropped := strings.Count(p.columns.Text, " NULL")-1, strings.Count(columns, ",")+1; added-1 != len(extensionColumns) || dropped != len(extensionColumns) {
		t.Errorf("%d columns added, %d dropped, %d known", added-1, dropped, len(extensionColumns))
	}
}

func TestPlanInstall_altersWhatDiffers(t *testing.T) {
	f, err := Assume("extended")
	if err != nil {
		t.Fatal(err)
	}
	f.Assumed = false
	f.Procedures["mirrorstate_get_1"] = strings.Replace(f.Procedures["mirrorstate_get_1"], "SET NOCOUNT ON", "SET NOCOUNT ON -- older", 1)
	f.Procedures["mirrorstate_touch_1"] = "\r\n-- a comment\r\n" + strings.ReplaceAll(plainText(f.Procedures["mirrorstate_touch_1"]), "\n", "\r\n") + "\r\n"
	s, err := PlanInstall(f, InstallOptions{Database: "ASPState"})
	if err != nil || len(s.Steps) != 1 || len(s.Steps[0].Batches) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if text := s.Steps[0].Batches[0].Text; !strings.Contains(text, "\nALTER PROCEDURE dbo.MirrorState_Get_1\n") || strings.Contains(text, "CREATE PROCEDURE") {
		t.Errorf("got %.200s", text)
	}
}

// An extension that lacks only the latest columns gets these.
func TestPlanInstall_earlierVersionLatestColumns(t *testing.T) {
	f, err := Assume("extended")
	if err != nil {
		t.Fatal(err)
	}
	f.Assumed = false
	f.Columns = f.Columns[:len(f.Columns)-laterColumns[1]]
	s, err := PlanInstall(f, InstallOptions{Database: "ASPState"})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range s.Steps {
		for _, b := range step.Batches {
			if strings.Contains(b.Text, "COL_LENGTH(N'dbo.ASPStateTempSessions', N'TimeoutSeconds')") {
				return
			}
		}
	}
	t.Error("the plan does not add them")
}

// An extension of an earlier version gets the columns, the table and the procedures that it lacks.
func TestPlanInstall_earlierVersion(t *testing.T) {
	f, err := Assume("extended")
	if err != nil {
		t.Fatal(err)
	}
	f.Assumed = false
	f.Columns = f.Columns[:len(f.Columns)-laterColumns[0]]
	delete(f.Tables, "mirrorstatesettled")
	for _, name := range []string{"mirrorstate_enter_1", "mirrorstate_settle_1", "mirrorstate_giveback_1"} {
		delete(f.Procedures, name)
	}
	s, err := PlanInstall(f, InstallOptions{Database: "ASPState"})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, step := range s.Steps {
		for _, b := range step.Batches {
			text += b.Text + "\n"
		}
	}
	for _, want := range []string{"COL_LENGTH(N'dbo.ASPStateTempSessions', N'Settled')", "COL_LENGTH(N'dbo.ASPStateTempSessions', N'TimeoutSeconds')", "ADD Created datetime NULL", "CREATE TABLE dbo.MirrorStateSettled",
		"CREATE PROCEDURE dbo.MirrorState_Enter_1", "CREATE PROCEDURE dbo.MirrorState_Settle_1", "CREATE PROCEDURE dbo.MirrorState_GiveBack_1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan lacks %s", want)
		}
	}
	if strings.Contains(text, "LockOperationId     binary(16) NULL") {
		t.Error("the plan adds columns that are there")
	}
}

// The error of a call that fails because the extension is older than this program says what to do.
func TestEarlierVersion(t *testing.T) {
	for number, want := range map[int32]bool{2812: true, 8144: true, 8145: true, 1205: false} {
		err := earlierVersion(mssql.Error{Number: number, Message: "m"})
		if got := strings.Contains(err.Error(), "run mirrorstate install"); got != want || errorNumber(err) != number {
			t.Errorf("%d: %v", number, err)
		}
	}
}

func TestPlanInstall_refuses(t *testing.T) {
	stock, err := Assume("stock")
	if err != nil {
		t.Fatal(err)
	}
	old, half, temp := stock, stock, stock
	old.Flags = false
	half.Columns = extensionColumns[:3]
	temp.Tables = map[string]bool{}
	temp.TempTables = true
	for _, c := range []struct {
		name     string
		f        Found
		database string
		want     string
	}{
		{"a system database", stock, "tempDB", "a system database"},
		{"ASP.NET 1.x", old, "ASPState", "ASP.NET 1.x"},
		{"half an extension", half, "ASPState", "LockOperationId, LockOperationCookie, LockActionFlags"},
		{"tempdb", temp, "ASPState", "its tables are in tempdb"},
	} {
		_, err := PlanInstall(c.f, InstallOptions{Database: c.database})
		if refusal, ok := errors.AsType[*Refusal](err); !ok || !strings.Contains(refusal.Reason, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
