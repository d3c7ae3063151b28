package sqlname_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/sqlname"
)

func TestCheck(t *testing.T) {
	for _, name := range []string{"", "web", "a b", "it's [odd] -- really", `DOMAIN\web$`, `C:\Data\x:y`, "Ünïcode", "gopher", "go web", "GO-1", "editor", "exit door", "a!!b", "a:b", "$x", "()", "sql1:5022"} {
		if err := sqlname.Check(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]error{
		"web\nGO\n:!! touch x": sqlname.ErrControl, "web\r": sqlname.ErrControl, "\x00": sqlname.ErrControl, "a\x1b[2J": sqlname.ErrControl, "a\tb": sqlname.ErrControl,
		"a\u0085b": sqlname.ErrControl, "a\u2028GO": sqlname.ErrControl, "a\u202eb": sqlname.ErrControl,
		"$(x)": sqlname.ErrVariable, "a$(": sqlname.ErrVariable,
		"GO": sqlname.ErrCommand, "go 5": sqlname.ErrCommand, " Go ": sqlname.ErrCommand, ":r x.sql": sqlname.ErrCommand, "  :": sqlname.ErrCommand, "!!dir": sqlname.ErrCommand,
		"quit": sqlname.ErrCommand, "EXIT(SELECT 1)": sqlname.ErrCommand, "reset": sqlname.ErrCommand, "ed": sqlname.ErrCommand,
		"p\xe4ss": sqlname.ErrEncoding,
	} {
		if err := sqlname.Check(name); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
	err := sqlname.CheckAll("login", "web", "", "a$(b)")
	if err == nil || !strings.Contains(err.Error(), `the login "a$(b)" can't be used in a script: it has $(`) {
		t.Errorf("got %v", err)
	}
	if err := sqlname.CheckAll("login", "web", ""); err != nil {
		t.Error(err)
	}
}
