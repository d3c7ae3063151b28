package engine

import (
	"errors"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// Savepoints, messages and options in a procedure. Source: the manual's SAVE TRANSACTION, RAISERROR and PRINT.
func TestExecution_Savepoints(t *testing.T) {
	p := openPair(t).Partner("a")
	const insert, count = "INSERT INTO ASPStateTempApplications (AppId, AppName) VALUES ", " SELECT @out = COUNT(*) FROM ASPStateTempApplications ROLLBACK"
	for name, c := range map[string]struct {
		body string
		out  any
		sent string
		err  int32
	}{
		"back to a savepoint": {body: "BEGIN TRAN " + insert + "(1, 'a') SAVE TRAN s " + insert + "(2, 'b') ROLLBACK TRAN s" + count, out: "1", sent: "(1)(1)"},
		"the last savepoint of a name": {body: "BEGIN TRAN SAVE TRAN s " + insert + "(1, 'a') SAVE TRAN s " + insert + "(2, 'b') ROLLBACK TRAN s" + count,
			out: "1", sent: "(1)(1)"},
		"by a variable, and twice": {body: "DECLARE @n varchar(9) = 's' BEGIN TRAN SAVE TRAN @n " + insert + "(1, 'a') ROLLBACK TRAN @n " + insert + "(2, 'b') ROLLBACK TRAN s" + count,
			out: "0", sent: "(1)(1)"},
		"the whole transaction":                 {body: "BEGIN TRAN SAVE TRAN s " + insert + "(1, 'a') ROLLBACK SET @out = @@TRANCOUNT", out: "0", sent: "(1)"},
		"without a transaction":                 {body: "SAVE TRAN s SET @out = @@ERROR", out: "628", sent: "[628 16]"},
		"a savepoint of an earlier transaction": {body: "BEGIN TRAN SAVE TRAN s COMMIT BEGIN TRAN ROLLBACK TRAN s SET @out = @@TRANCOUNT COMMIT", out: "1", sent: "[6401 16]"},
		"messages":                              {body: "PRINT 'x' RAISERROR('y', 10, 1) SET @out = @@ERROR", out: "0", sent: "[0 0][50000 0]"},
		"options":                               {body: "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE SET ANSI_NULLS ON SET IMPLICIT_TRANSACTIONS OFF SET @out = 'x'", out: "x"},
		"an option that is not supported":       {body: "SET ROWCOUNT 5", err: 40510},
		"another option that is not supported":  {body: "SET IMPLICIT_TRANSACTIONS ON", err: 40510},
	} {
		t.Run(name, func(t *testing.T) {
			out, sent, err := runBody(t.Context(), t, p, c.body)
			e, _ := errors.AsType[*tds.Error](err)
			if (e != nil || c.err != 0) && (e == nil || e.Number != c.err) || e == nil && (err != nil || out != c.out || sent != c.sent) {
				t.Errorf("%v, sent %s, %v; want %v, sent %s, error %d", out, sent, err, c.out, c.sent, c.err)
			}
			if _, _, err := runBody(t.Context(), t, p, "DELETE ASPStateTempApplications"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The size of a session's temporary tables, and of a batch's table variables, is limited.
func TestLocalTables_Bounded(t *testing.T) {
	b := &batch{tables: localTables{}, s: &session{locals: localTables{"#a": {size: maxLocalBytes - 100}}}}
	for name, want := range map[string]bool{"#b": false, "#a": true, "@b": true} { // #a replaces its old rows
		if err := b.keep(localTables{name: {size: 200}}); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		b.s.locals["#a"], b.tables = &localTable{size: maxLocalBytes - 100}, localTables{}
	}
	if err := b.keep(localTables{"@c": {size: maxLocalBytes + 1}}); err == nil {
		t.Error("kept although it is too large")
	}
}

// TestVersion_OfTheWire: LOGINACK, PRELOGIN, @@VERSION and SERVERPROPERTY have the same version.
func TestVersion_OfTheWire(t *testing.T) {
	p := openPair(t).Partner("a")
	if got := p.serverProperty("ProductVersion"); got != tds.ServerVersion+".5" {
		t.Errorf("ProductVersion %v, in TDS %s", got, tds.ServerVersion)
	}
}
