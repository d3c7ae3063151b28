package aspstate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/session/aspstate"
)

// No name that sqlcmd would interpret is put into a script, whether it comes from an option or from the database.
func TestPlanInstall_RefusesNames(t *testing.T) {
	for _, bad := range []string{"web\nGO\n:!! touch x", "a$(b)", ":r x.sql", "!!dir", "GO", "a\u2028b", "a\x1b[2J"} {
		for _, onto := range []string{"nothing", "stock", "extended"} {
			f, err := aspstate.Assume(onto)
			if err != nil {
				t.Fatal(err)
			}
			has := f
			has.User = bad
			_, grant := aspstate.PlanInstall(f, aspstate.InstallOptions{Database: "ASPState", Grant: bad})
			_, database := aspstate.PlanInstall(f, aspstate.InstallOptions{Database: bad})
			_, user := aspstate.PlanInstall(has, aspstate.InstallOptions{Database: "ASPState", Grant: "web"})
			_, gone := aspstate.PlanUninstall(f, bad)
			for what, err := range map[string]error{"login": grant, "database": database, "user": user, "uninstalled database": gone} {
				if r, refused := errors.AsType[*aspstate.Refusal](err); !refused || !strings.Contains(r.Reason, "can't be used in a script") {
					t.Errorf("%s %q onto %s: got %v", what, bad, onto, err)
				}
			}
		}
	}
}
