package partner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner"
	"github.com/mirrorstate/mirrorstate/partner/agtest"
	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/link"
	"github.com/mirrorstate/mirrorstate/session/aspstate/aspstatetest"
)

// discoverTopology makes the pair discover the topology.
func discoverTopology(c *partner.Config) { c.Topology = "" }

// nulls are the rows of sys.database_mirroring for a login without rights on a mirror, or for a database
// without mirroring.
var nulls = []map[string]any{{"database_id": 1}, {"database_id": 5}}

func TestTopology_FromTheViews(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(t *testing.T, servers *embedded.Pair)
		want  string
		then  func(partner.Status) bool
	}{
		{"a mirrored pair", func(*testing.T, *embedded.Pair) {}, "mirroring", func(s partner.Status) bool {
			return s.Principal == "a" && s.Partners[1].Role == partner.RoleMirror && s.Partners[1].Safety == "FULL" && !s.Exposed
		}},
		{"a group without a cluster", func(t *testing.T, servers *embedded.Pair) {
			agtest.PlantGroup(t, servers, agtest.Group{Primary: "a"})
		}, "availability-group", func(s partner.Status) bool {
			return s.Principal == "a" && s.Partners[1].Role == partner.RoleMirror && s.Partners[0].State == "SYNCHRONIZED" && s.Partners[0].Safety == "FULL" && !s.Exposed
		}},
		{"a group's asynchronous secondary leaves the primary exposed", func(t *testing.T, servers *embedded.Pair) {
			agtest.PlantGroup(t, servers, agtest.Group{Primary: "a", Mode: "ASYNCHRONOUS_COMMIT", State: "SYNCHRONIZING"})
		}, "availability-group", func(s partner.Status) bool { return s.Principal == "a" && s.Exposed && s.Partners[0].Safety == "OFF" }},
		{"a group's disconnected secondary leaves the primary exposed", func(t *testing.T, servers *embedded.Pair) {
			agtest.PlantGroup(t, servers, agtest.Group{Primary: "a", Disconnected: true})
		}, "availability-group", func(s partner.Status) bool {
			return s.Principal == "a" && s.Exposed && s.Partners[0].State == "DISCONNECTED"
		}},
		{"no replica serves in a group that is resolving", func(t *testing.T, servers *embedded.Pair) {
			agtest.PlantGroup(t, servers, agtest.Group{})
		}, "availability-group", func(s partner.Status) bool {
			return s.Principal == "" && s.Partners[0].State == "RESOLVING" && s.Partners[0].Reachable && s.Partners[1].Reachable
		}},
		{"NULLs on the mirror alone prove nothing", func(t *testing.T, servers *embedded.Pair) {
			plant(t, servers, "b", embedded.Planted{Views: map[string][]map[string]any{"sys.database_mirroring": nulls}})
		}, "mirroring", func(s partner.Status) bool { return s.Principal == "a" && s.Partners[1].Role == partner.RoleUnknown }},
		{"an open database without a session is plain", func(t *testing.T, servers *embedded.Pair) {
			for _, name := range []string{"a", "b"} {
				plant(t, servers, name, embedded.Planted{Views: map[string][]map[string]any{"sys.database_mirroring": nulls}})
			}
		}, "plain", func(s partner.Status) bool { return s.Principal == "a" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			servers := aspstatetest.Start(t)
			c.plant(t, servers)
			p, _ := runPair(t, servers, discoverTopology)
			waitUntil(t, p, c.want, func(s partner.Status) bool { return s.Topology == c.want && c.then(s) })
		})
	}
}

func plant(t *testing.T, servers *embedded.Pair, name string, p embedded.Planted) {
	t.Helper()
	if err := servers.Partner(name).Plant(p); err != nil {
		t.Fatal(err)
	}
}

// Before the first answer the topology is unknown.
func TestTopology_UnknownAtFirst(t *testing.T) {
	servers := aspstatetest.Start(t)
	for _, name := range []string{"a", "b"} {
		inject(t, servers, name, embedded.Freeze)
	}
	p, _ := runPair(t, servers, discoverTopology)
	if s := p.Status(); s.Topology != "unknown" {
		t.Errorf("topology %q before the first answer", s.Topology)
	}
	waitUntil(t, p, "neither partner answers", func(s partner.Status) bool { return s.Partners[0].LastError != "" && s.Partners[1].LastError != "" })
	if s := p.Status(); s.Topology != "unknown" {
		t.Errorf("topology %q of servers that do not answer", s.Topology)
	}
	for _, name := range []string{"a", "b"} {
		inject(t, servers, name, embedded.Heal)
	}
	waitUntil(t, p, "mirroring", func(s partner.Status) bool { return s.Topology == "mirroring" })
}

// A readable secondary accepts logins and reads, and refuses only writes. Calls must not stay there.
func TestGroup_FollowsAFailoverToAReadableSecondary(t *testing.T) {
	for _, readable := range []bool{true, false} {
		t.Run(map[bool]string{true: "readable", false: "closed"}[readable], func(t *testing.T) {
			servers := aspstatetest.Start(t)
			agtest.PlantGroup(t, servers, agtest.Group{Primary: "a", Readable: readable})
			p, _ := runPair(t, servers, discoverTopology)
			waitUntil(t, p, "a serves", serves("a"))
			write := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
				defer cancel()
				return p.Do(ctx, partner.Call{Label: "touch", Write: true}, func(ctx context.Context, a *partner.Attempt) error {
					_, err := a.Conn.ExecContext(ctx, "DELETE FROM ASPStateTempSessions WHERE SessionId = N'none'")
					return err
				})
			}
			if err := write(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			if err := servers.Partner("a").Failover(ctx); err != nil {
				t.Fatal(err)
			}
			// The views still show the old state: only the servers' errors show that a is a secondary now.
			if readable {
				if err := writeAt(t, servers.Partner("a")); number(err) != 3906 {
					t.Errorf("a write on the readable secondary: %v, want 3906", err)
				}
			}
			agtest.PlantGroup(t, servers, agtest.Group{Primary: "b", Readable: readable, Sequence: 4294967297})
			if err := write(); err != nil {
				t.Errorf("a write after the failover: %v", err)
			}
			waitUntil(t, p, "b serves", serves("b"))
		})
	}
}

// The operators' verbs of a running pair send the statements for a group.
func TestGroup_Verbs(t *testing.T) {
	servers := aspstatetest.Start(t)
	g := agtest.PlayGroup(t, servers, agtest.Group{Primary: "a"})
	p, _ := runPair(t, servers, discoverTopology)
	waitUntil(t, p, "a serves", serves("a"))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := p.Suspend(ctx); err != nil {
		t.Fatalf("suspend: %v", err)
	}
	if err := p.Failover(ctx); refusalNumber(err) != 41142 {
		t.Fatalf("failover of a suspended group: %v, want 41142", err)
	}
	if err := p.Resume(ctx); err != nil {
		t.Fatalf("resume: %v", err)
	}
	if err := p.ForceService(ctx, true); refusalNumber(err) != 1455 {
		t.Errorf("force while the primary is connected: %v, want 1455", err)
	}
	before := len(g.Statements())
	if err := p.Failover(ctx); err != nil {
		t.Fatalf("failover: %v", err)
	}
	want := []string{"a: ALTER AVAILABILITY GROUP [ag1] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 1)", "a: ALTER AVAILABILITY GROUP [ag1] OFFLINE",
		"b: ALTER AVAILABILITY GROUP [ag1] FORCE_FAILOVER_ALLOW_DATA_LOSS", "b: ALTER AVAILABILITY GROUP [ag1] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0)",
		"a: ALTER AVAILABILITY GROUP [ag1] SET (ROLE = SECONDARY)", "a: ALTER DATABASE [ASPState] SET HADR RESUME"}
	if got := g.Statements()[before:]; !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s := p.Status(); s.Principal != "b" || s.Topology != "availability-group" {
		t.Errorf("after the failover: %+v", s)
	}
}

// If the secondary does not become primary, the old primary serves again.
func TestGroup_FailoverIsRolledBack(t *testing.T) {
	servers := aspstatetest.Start(t)
	g := agtest.PlayGroup(t, servers, agtest.Group{Primary: "a"})
	g.Refuse("b", "FORCE_FAILOVER_ALLOW_DATA_LOSS", embedded.SecondaryRefusal(41131), -1)
	p, _ := runPair(t, servers, discoverTopology)
	waitUntil(t, p, "a serves", serves("a"))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := p.Failover(ctx); refusalNumber(err) != 41131 {
		t.Fatalf("failover: %v, want 41131", err)
	}
	said := g.Statements()
	want := []string{"a: ALTER AVAILABILITY GROUP [ag1] FORCE_FAILOVER_ALLOW_DATA_LOSS", "a: ALTER AVAILABILITY GROUP [ag1] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0)"}
	if last := said[len(said)-2:]; !slices.Equal(last, want) {
		t.Errorf("the last statements are %q", last)
	}
	waitUntil(t, p, "a serves again", serves("a"))
}

// After an old primary has stopped serving, statements on it may fail or take effect late. SET (ROLE =
// SECONDARY) gets 41104, and the suspension that RESUME ends appears later. Meanwhile no commit on the new
// primary may wait.
func TestGroup_FailoverWaitsForALateSecondary(t *testing.T) {
	servers := aspstatetest.Start(t)
	g := agtest.PlayGroup(t, servers, agtest.Group{Primary: "a"})
	g.Refuse("a", "SET (ROLE = SECONDARY)", embedded.SecondaryRefusal(41104), 2)
	g.SuspendLate(3)
	p, _ := runPair(t, servers, discoverTopology)
	waitUntil(t, p, "a serves", serves("a"))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := p.Failover(ctx); err != nil {
		t.Fatalf("failover: %v", err)
	}
	said := g.Statements()
	at := func(statement string) int { return slices.Index(said, statement) }
	allowed := at("b: ALTER AVAILABILITY GROUP [ag1] SET (REQUIRED_SYNCHRONIZED_SECONDARIES_TO_COMMIT = 0)")
	if role := at("a: ALTER AVAILABILITY GROUP [ag1] SET (ROLE = SECONDARY)"); allowed < 0 || role < allowed {
		t.Errorf("commits still wait for a secondary while the old primary becomes one:\n%s", strings.Join(said, "\n"))
	}
	if at("a: ALTER DATABASE [ASPState] SET HADR RESUME") < 0 {
		t.Errorf("the database was not resumed:\n%s", strings.Join(said, "\n"))
	}
	waitUntil(t, p, "the pair is synchronized again", func(s partner.Status) bool { return s.Principal == "b" && !s.Exposed })
}

// If the old primary does not become a secondary, the new primary serves and no commit waits. The error says
// what to do.
func TestGroup_UnfinishedFailoverSaysWhatToDo(t *testing.T) {
	servers := aspstatetest.Start(t)
	g := agtest.PlayGroup(t, servers, agtest.Group{Primary: "a"})
	g.Refuse("a", "SET (ROLE = SECONDARY)", embedded.SecondaryRefusal(41104), -1)
	p, _ := runPair(t, servers, func(c *partner.Config) { discoverTopology(c); c.Budgets.Admin = 4 * time.Second })
	waitUntil(t, p, "a serves", serves("a"))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	err := p.Failover(ctx)
	if refusalNumber(err) != 41104 {
		t.Fatalf("failover: %v, want 41104", err)
	}
	for _, want := range []string{"b is the primary and serves", "on a: ALTER AVAILABILITY GROUP [ag1] SET (ROLE = SECONDARY)", "on a: ALTER DATABASE [ASPState] SET HADR RESUME"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q: %v", want, err)
		}
	}
	said := strings.Join(g.Statements(), "\n")
	if i := strings.LastIndex(said, "TO_COMMIT = "); i < 0 || !strings.HasPrefix(said[i:], "TO_COMMIT = 0)") {
		t.Errorf("every commit still waits for a secondary:\n%s", said)
	}
	waitUntil(t, p, "b serves", serves("b"))
}

func refusalNumber(err error) int32 {
	if r, ok := errors.AsType[*partner.RefusedError](err); ok {
		return r.Number
	}
	return 0
}

func number(err error) int32 {
	if e, ok := errors.AsType[interface {
		error
		SQLErrorNumber() int32
	}](err); ok {
		return e.SQLErrorNumber()
	}
	return 0
}

func writeAt(t *testing.T, p *embedded.Partner) error {
	t.Helper()
	return sendTo(t, p, "DELETE FROM ASPState.dbo.ASPStateTempSessions WHERE SessionId = N'none'")
}

// execAt runs a statement in master.
func execAt(t *testing.T, p *embedded.Partner, text string) {
	t.Helper()
	if err := sendTo(t, p, text); err != nil {
		t.Fatalf("on %s: %s: %v", p.Name(), text, err)
	}
}

func sendTo(t *testing.T, p *embedded.Partner, text string) error {
	t.Helper()
	c, err := link.NewConsole(partner.PartnerConfig{Name: partner.Name(p.Name()), ConnectionString: p.ConnectionString("master")}, partner.Budgets{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Exec(ctx, text)
}
