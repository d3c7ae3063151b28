// Package agtest makes an embedded pair look like an availability group. It plants the rows of the group's views, and
// simulates the effect of the group's statements. It is for the tests of this module.
package agtest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tds"
)

// Group is an availability group of two replicas without a cluster, as its views show it. The rows have the columns and
// values that SQL Server documents. The zero value of every field except Primary is a healthy group.
type Group struct {
	Primary string // "a", "b", or "" while both replicas are RESOLVING
	// Name is the name of the group; default ag1. Cluster is cluster_type_desc; default NONE.
	Name, Cluster string
	Sequence      int64
	// Mode is the availability mode of both replicas; default SYNCHRONOUS_COMMIT.
	Mode string
	// State is the secondary's synchronization_state_desc; default SYNCHRONIZED.
	State string
	// Disconnected means that the replicas are not connected. Suspended means that the data movement is suspended.
	Disconnected, Suspended bool
	// Resolving names a replica that is RESOLVING unless it is the primary; empty: none.
	Resolving string
	// Readable makes the secondary accept sessions and refuse writes; otherwise it refuses sessions (976).
	Readable bool
	// Statement receives the availability group statements that are sent to a partner. nil: refused.
	Statement func(partner, text string) error
	// Refuse receives every text before it runs; see embedded.Planted.
	Refuse func(partner, text string) error
}

// The ids in the views.
const (
	groupID    = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
	databaseID = "8D1E8CE0-5D2F-4C4B-9D36-2E1B7C0A5E11"
)

var replicaIDs = map[string]string{"a": "A0000000-1111-2222-3333-444444444444", "b": "B0000000-1111-2222-3333-444444444444"}

// PlantGroup makes both partners show the group g instead of their mirroring session. Its primary is only a value in
// the views: its database is open only if the pair's principal is the same partner.
func PlantGroup(t testing.TB, pair *embedded.Pair, g Group) {
	t.Helper()
	def := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	def(&g.Name, "ag1")
	def(&g.Cluster, "NONE")
	def(&g.Mode, "SYNCHRONOUS_COMMIT")
	def(&g.State, "SYNCHRONIZED")
	if g.Sequence == 0 {
		g.Sequence = 4294967296
	}
	for _, name := range []string{"a", "b"} {
		p := pair.Partner(name)
		plant := embedded.Planted{Views: g.views(name, pair), Secondary: embedded.SecondaryRefusal(976)}
		if g.Readable {
			plant.Secondary = embedded.ReadableSecondary
		}
		if g.Statement != nil {
			plant.Statement = func(text string) error { return g.Statement(name, text) }
		}
		if g.Refuse != nil {
			plant.Refuse = func(text string) error { return g.Refuse(name, text) }
		}
		if err := p.Plant(plant); err != nil {
			t.Fatal(err)
		}
	}
}

// PlantGroupBefore2017 plants a group on servers whose sys.availability_groups has neither sequence_number nor
// cluster_type. A text that uses one of them gets error 207. refused returns the number of these errors.
func PlantGroupBefore2017(t testing.TB, pair *embedded.Pair, g Group) (refused func() int) {
	t.Helper()
	var n atomic.Int64
	g.Refuse = func(_, text string) error {
		for _, column := range []string{"sequence_number", "cluster_type", "cluster_type_desc"} {
			if strings.Contains(text, "g."+column) {
				n.Add(1)
				return &tds.Error{Number: 207, Class: 16, State: 1, Message: "Invalid column name '" + column + "'."}
			}
		}
		return nil
	}
	PlantGroup(t, pair, g)
	return func() int { return int(n.Load()) }
}

// role returns a replica's role_desc.
func (g Group) role(name string) string {
	if g.Primary != "" && g.Primary != name && g.Resolving == name {
		return "RESOLVING"
	}
	switch g.Primary {
	case "":
		return "RESOLVING"
	case name:
		return "PRIMARY"
	}
	return "SECONDARY"
}

// views returns the views that one partner shows. On a secondary the state views have only its own row.
func (g Group) views(local string, pair *embedded.Pair) map[string][]map[string]any {
	views := map[string][]map[string]any{
		"sys.database_mirroring": {{"database_id": 1}, {"database_id": 2}, {"database_id": 3}, {"database_id": 4}, {"database_id": 5}},
		"sys.availability_groups": {{"group_id": groupID, "name": g.Name, "cluster_type_desc": g.Cluster, "sequence_number": g.Sequence,
			"required_synchronized_secondaries_to_commit": 0, "basic_features": false}},
		"sys.availability_databases_cluster": {{"group_id": groupID, "group_database_id": databaseID, "database_name": embedded.DatabaseName}},
	}
	for i, name := range []string{"master", "tempdb", "model", "msdb"} {
		views["sys.databases"] = append(views["sys.databases"], map[string]any{"name": name, "database_id": i + 1, "state_desc": "ONLINE",
			"user_access_desc": "MULTI_USER", "is_read_only": false, "is_auto_close_on": false, "recovery_model_desc": "SIMPLE", "log_reuse_wait_desc": "NOTHING"})
	}
	views["sys.databases"] = append(views["sys.databases"], map[string]any{"name": embedded.DatabaseName, "database_id": 5, "state_desc": "ONLINE",
		"user_access_desc": "MULTI_USER", "is_read_only": false, "is_auto_close_on": false, "recovery_model_desc": "FULL", "log_reuse_wait_desc": "NOTHING",
		"replica_id": replicaIDs[local], "group_database_id": databaseID})
	for _, name := range []string{"a", "b"} {
		views["sys.availability_replicas"] = append(views["sys.availability_replicas"], map[string]any{
			"replica_id": replicaIDs[name], "group_id": groupID, "replica_server_name": pair.Partner(name).ServerName(), "endpoint_url": "tcp://sql" + name + ":5022",
			"availability_mode_desc": g.Mode, "failover_mode_desc": "MANUAL", "session_timeout": 10, "seeding_mode_desc": "AUTOMATIC",
			"secondary_role_allow_connections_desc": map[bool]string{true: "ALL", false: "NO"}[g.Readable]})
		if name == local || g.role(local) == "PRIMARY" {
			g.states(views, local, name)
		}
	}
	return views
}

// states adds the rows of one replica to the state views.
func (g Group) states(views map[string][]map[string]any, local, name string) {
	connected := "CONNECTED"
	if g.Disconnected && name != g.Primary {
		connected = "DISCONNECTED"
	}
	state := g.State
	if g.Disconnected && name != g.Primary {
		state = "NOT SYNCHRONIZING"
	}
	views["sys.dm_hadr_availability_replica_states"] = append(views["sys.dm_hadr_availability_replica_states"], map[string]any{
		"replica_id": replicaIDs[name], "group_id": groupID, "is_local": name == local, "role_desc": g.role(name), "operational_state_desc": "ONLINE",
		"connected_state_desc": connected, "synchronization_health_desc": "HEALTHY"})
	views["sys.dm_hadr_database_replica_states"] = append(views["sys.dm_hadr_database_replica_states"], map[string]any{
		"database_id": 5, "group_id": groupID, "replica_id": replicaIDs[name], "group_database_id": databaseID, "is_local": name == local,
		"is_primary_replica": name == g.Primary, "synchronization_state_desc": state, "database_state_desc": "ONLINE", "is_suspended": g.Suspended,
		"suspend_reason_desc": map[bool]any{true: "SUSPEND_FROM_USER", false: nil}[g.Suspended], "is_commit_participant": g.Mode == "SYNCHRONOUS_COMMIT" && connected == "CONNECTED"})
}

// GroupPlay makes an embedded pair simulate a group whose statements change its views.
type GroupPlay struct {
	t       testing.TB
	pair    *embedded.Pair
	mu      sync.Mutex
	group   Group
	said    []string
	refused map[string]refusal // by partner, a blank, and the end of the statement
	late    int                // number of state queries before the suspension of a new secondary appears
	looks   int                // remaining state queries before a pending suspension appears; 0: none is pending
}

// refusal is an error for that many statements; below 0: for all statements.
type refusal struct {
	err   error
	times int
}

// PlayGroup plants g, and applies the effect of these statements to it: OFFLINE, FORCE_FAILOVER_ALLOW_DATA_LOSS and
// FAILOVER (a failover of the pair), SET HADR SUSPEND and RESUME. Other statements are accepted and have no effect.
func PlayGroup(t testing.TB, pair *embedded.Pair, g Group) *GroupPlay {
	t.Helper()
	p := &GroupPlay{t: t, pair: pair, group: g, refused: map[string]refusal{}}
	p.group.Statement, p.group.Refuse = p.take, p.look
	PlantGroup(t, pair, p.group)
	return p
}

// Refuse makes the partner refuse statements that end in end: the next times of them, or all if times is below 0.
func (p *GroupPlay) Refuse(partner, end string, err error, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused[partner+" "+end] = refusal{err, times}
}

// SuspendLate hides the suspension of a new secondary until the state of its database was queried looks times after SET
// (ROLE = SECONDARY). Its data movement is suspended from the beginning.
func (p *GroupPlay) SuspendLate(looks int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = looks
}

// look counts the queries of a database's state, and makes the suspension appear.
func (p *GroupPlay) look(_, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looks == 0 || !strings.HasPrefix(text, "SELECT 1 AS yes") || !strings.Contains(text, "l.synchronization_state_desc") {
		return nil
	}
	if p.looks--; p.looks == 0 {
		p.group.Suspended = true
		PlantGroup(p.t, p.pair, p.group)
	}
	return nil
}

// Statements returns the statements that were sent so far, each after its partner's name.
func (p *GroupPlay) Statements() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.said)
}

func (p *GroupPlay) take(name, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, name+": "+text)
	for what, r := range p.refused {
		if partner, end, _ := strings.Cut(what, " "); r.times != 0 && partner == name && strings.HasSuffix(text, end) {
			r.times--
			p.refused[what] = r
			return r.err
		}
	}
	switch {
	case strings.HasSuffix(text, " OFFLINE"):
		p.group.Primary, p.group.Resolving = "", name // until it gets a role
	case strings.HasSuffix(text, " FORCE_FAILOVER_ALLOW_DATA_LOSS"), strings.HasSuffix(text, "] FAILOVER"):
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if from := p.pair.Principal(); from != name {
			if err := p.pair.Partner(from).Failover(ctx); err != nil {
				return err
			}
		}
		p.group.Primary, p.group.Sequence = name, p.group.Sequence+1
		if p.group.Resolving == name {
			p.group.Resolving = ""
		}
	case strings.HasSuffix(text, " SET (ROLE = SECONDARY)"):
		p.group.Suspended, p.looks = p.late == 0, p.late
		p.group.State, p.group.Resolving = "NOT SYNCHRONIZING", ""
	case strings.HasSuffix(text, " HADR SUSPEND"):
		p.group.Suspended = true
	case strings.HasSuffix(text, " HADR RESUME"):
		if p.group.Suspended {
			p.group.Suspended, p.group.State = false, ""
		}
	}
	PlantGroup(p.t, p.pair, p.group)
	return nil
}
