package partner_test

import (
	"strings"
	"testing"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/agtest"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

const webSID = "0x0102030405060708090A0B0C0D0E0F10"

// loginAsWeb creates a login with these rights on both servers. It returns a change of the configuration that
// uses it.
func loginAsWeb(t *testing.T, servers *embedded.Pair, rights ...string) func(*partner.Config) {
	t.Helper()
	for _, name := range []string{"a", "b"} {
		execAt(t, servers.Partner(name), "CREATE LOGIN web WITH PASSWORD = 'secret', SID = "+webSID)
		for _, right := range rights {
			execAt(t, servers.Partner(name), "GRANT "+right+" TO web")
		}
	}
	execAt(t, servers.Partner("a"), "USE ASPState; CREATE USER web FOR LOGIN web; CREATE ROLE proxies; ALTER ROLE proxies ADD MEMBER web; "+
		"GRANT SELECT ON dbo.MirrorStateEpoch TO proxies; GRANT EXECUTE ON dbo.MirrorState_TakeEpoch_1 TO proxies")
	return func(c *partner.Config) {
		discoverTopology(c)
		for i := range c.Partners {
			s := c.Partners[i].ConnectionString
			for _, key := range []string{"user id=" + servers.User(), "password=" + servers.Password()} {
				if !strings.Contains(s, key) {
					t.Fatalf("no %s in the connection string", key)
				}
			}
			s = strings.Replace(s, "user id="+servers.User(), "user id=web", 1)
			c.Partners[i].ConnectionString = strings.Replace(s, "password="+servers.Password(), "password=secret", 1)
		}
	}
}

// The role of a replica comes from views that need VIEW SERVER STATE. Without VIEW ANY DEFINITION, the
// catalogue views return no rows and no error.
func TestGroup_RoleDependsOnTheLoginsRights(t *testing.T) {
	const state, definition = "VIEW SERVER STATE", "VIEW ANY DEFINITION"
	for _, c := range []struct {
		name   string
		rights []string
		group  agtest.Group
		want   func(s partner.Status) bool
	}{
		{"VIEW SERVER STATE is enough", []string{state}, agtest.Group{Primary: "a"}, func(s partner.Status) bool {
			return s.Principal == "a" && s.Partners[0].Role == partner.RolePrincipal && s.Partners[0].State == "SYNCHRONIZED" && s.Partners[0].Safety == "FULL" &&
				!s.Exposed && s.Partners[1].Role == partner.RoleMirror && s.Partners[1].State == "SYNCHRONIZED" && s.RoleSequence == 0
		}},
		{"VIEW SERVER STATE shows an asynchronous secondary", []string{state}, agtest.Group{Primary: "a", Mode: "ASYNCHRONOUS_COMMIT", State: "SYNCHRONIZING"}, func(s partner.Status) bool {
			return s.Principal == "a" && s.Exposed && s.Partners[0].Safety == "OFF"
		}},
		{"VIEW SERVER STATE shows a disconnected secondary", []string{state}, agtest.Group{Primary: "a", Disconnected: true}, func(s partner.Status) bool {
			return s.Principal == "a" && s.Exposed && s.Partners[0].State == "DISCONNECTED" && s.Partners[1].State == "DISCONNECTED"
		}},
		{"both rights show the sequence number of the configuration", []string{state, definition}, agtest.Group{Primary: "a"}, func(s partner.Status) bool {
			return s.Principal == "a" && !s.Exposed && s.Partners[0].Safety == "FULL" && s.RoleSequence == 4294967296
		}},
		{"without VIEW SERVER STATE the status names the missing right", []string{definition}, agtest.Group{Primary: "a"}, func(s partner.Status) bool {
			return s.Principal == "a" && strings.Contains(s.Partners[1].LastError, "GRANT VIEW SERVER STATE") && s.Partners[1].Role == partner.RoleUnknown
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			servers := aspstatetest.Start(t)
			as := loginAsWeb(t, servers, c.rights...)
			agtest.PlantGroup(t, servers, c.group)
			p, _ := runPair(t, servers, as)
			waitUntil(t, p, c.name, func(s partner.Status) bool { return s.Topology == "availability-group" && c.want(s) })
		})
	}
}

// A server before 2017 has no sequence_number: error 207. The role is found without it, and the column is asked
// for only once.
func TestGroup_Before2017(t *testing.T) {
	servers := aspstatetest.Start(t)
	refused := agtest.PlantGroupBefore2017(t, servers, agtest.Group{Primary: "a", Cluster: "WSFC"})
	p, _ := runPair(t, servers, discoverTopology)
	waitUntil(t, p, "the role is found", func(s partner.Status) bool {
		return s.Principal == "a" && s.Partners[0].State == "SYNCHRONIZED" && s.Partners[1].Role == partner.RoleMirror && !s.Exposed
	})
	seen := p.Status().Partners[0].Seen
	waitUntil(t, p, "it is probed again", func(s partner.Status) bool { return s.Partners[0].Seen.After(seen) && s.Partners[0].LastError == "" })
	if n := refused(); n != 2 {
		t.Errorf("the column was queried %d times, want once on each server", n)
	}
}

// If SQL Server sends several errors for one failure, the first is the cause, and decides what happens.
func TestConsole_ReturnsTheFirstError(t *testing.T) {
	servers := aspstatetest.Start(t)
	plant(t, servers, "a", embedded.Planted{Refuse: func(text string) error {
		if !strings.Contains(text, "RECOVERY FULL") {
			return nil
		}
		return tds.Errors{{Number: 5061, Class: 16, State: 1, Message: "ALTER DATABASE failed because a lock could not be placed on database 'ASPState'. Try again later."},
			{Number: 5069, Class: 16, State: 1, Message: "ALTER DATABASE statement failed."}}
	}})
	err := sendTo(t, servers.Partner("a"), "ALTER DATABASE [ASPState] SET RECOVERY FULL")
	if number(err) != 5061 || !strings.Contains(err.Error(), "5069") {
		t.Errorf("returned %d: %v", number(err), err)
	}
}
