package link

import (
	"context"
	"database/sql"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// SQL Server's error numbers for a view that the login may not read, and for a column that the server's version
// does not have.
const (
	errNoPermission  = 297
	errNoServerState = 300
	errNoColumn      = 207
)

// missingGroupRight says why the role of a replica is unknown. A missing right is not an error of the server.
// But it must be reported, because writes wait for the unknown state (pair.exposed: refuse).
const missingGroupRight = "the login may not see the availability group's state and this replica's role: GRANT VIEW SERVER STATE to it on both servers"

// groupReplica is what the views show about one replica and its copy of the database.
type groupReplica struct {
	connected, mode, state  sql.NullString
	suspended, participates sql.NullBool
}

// groupRows are the rows of queryGroup.
type groupRows struct {
	group, role sql.NullString
	sequence    sql.NullInt64
	local       groupReplica
	others      []groupReplica
}

// readGroup reads the partner's role in its availability group into o, in the terms of mirroring. The primary
// is the principal, a secondary is the mirror, and a RESOLVING replica is a mirror that never opens. If the
// login may not see the state, the role stays unknown and o.MissingRight says why.
func (m *masterConn) readGroup(ctx context.Context, o *choose.Observation) error {
	g, err := m.fetchGroup(ctx)
	if hasNumber(err, errNoServerState) || hasNumber(err, errNoPermission) {
		o.MissingRight = missingGroupRight
		return nil
	}
	if err != nil || !g.group.Valid {
		return err
	}
	o.Session, o.Sequence = choose.GroupPrefix+g.group.String, g.sequence.Int64
	switch g.role.String {
	case "PRIMARY":
		o.Role = choose.RolePrincipal
		o.Mirroring, o.Safety = primaryState(g.others, g.local.mode.String)
	case "SECONDARY":
		o.Role = choose.RoleMirror
		o.Mirroring, o.Safety = g.local.mirroringState(), g.local.safety()
	case "RESOLVING":
		o.Role = choose.RoleMirror // neither role; its database does not open
		o.Mirroring = "RESOLVING"
	}
	return nil
}

// fetchGroup sends queryGroup, or its variant for servers before 2017.
func (m *masterConn) fetchGroup(ctx context.Context) (g groupRows, err error) {
	if !m.server.before2017.Load() {
		if g, err = m.scanGroup(ctx, queryGroup); !hasNumber(err, errNoColumn) {
			return g, err
		}
		m.server.before2017.Store(true) // until the process ends: after an upgrade of the server, only a hint is missing
	}
	return m.scanGroup(ctx, queryGroupBefore2017)
}

func (m *masterConn) scanGroup(ctx context.Context, query string) (g groupRows, err error) {
	rows, err := m.conn.QueryContext(ctx, query, sql.Named("db", m.server.database))
	if err != nil {
		return g, err
	}
	defer rows.Close()
	for rows.Next() {
		var other groupReplica
		if err := rows.Scan(&g.group, &g.sequence, &g.role, &g.local.connected, &g.local.mode, &g.local.state, &g.local.suspended,
			&other.connected, &other.mode, &other.state, &other.suspended, &other.participates); err != nil {
			return g, err
		}
		g.others = append(g.others, other)
	}
	return g, rows.Err()
}

// mirroringState returns the state of a replica's database: SUSPENDED, DISCONNECTED or its
// synchronization_state_desc. DISCONNECTED means that the replica and the primary do not reach each other.
func (r groupReplica) mirroringState() string {
	switch {
	case r.connected.String == "DISCONNECTED":
		return "DISCONNECTED"
	case r.suspended.Bool:
		return "SUSPENDED"
	}
	return r.state.String
}

// safety returns the replica's availability mode as a safety level, or "" if it is unknown. If the login may
// not see the mode, the primary still shows whether its commits wait for the replica.
func (r groupReplica) safety() string {
	switch {
	case r.mode.String == "SYNCHRONOUS_COMMIT", !r.mode.Valid && r.participates.Valid && r.participates.Bool:
		return "FULL"
	case r.mode.String == "ASYNCHRONOUS_COMMIT", !r.mode.Valid && r.participates.Valid:
		return "OFF"
	}
	return ""
}

// primaryState returns the state and safety level of a primary whose mode is given: those of its best
// secondary. A commit waits for a secondary only if both replicas are synchronous.
func primaryState(others []groupReplica, mode string) (state, safety string) {
	state, safety = "DISCONNECTED", "OFF"
	for _, r := range others {
		if s := r.mirroringState(); s != "" && state != "SYNCHRONIZED" {
			state = s
		}
		if mode != "ASYNCHRONOUS_COMMIT" && r.safety() == "FULL" {
			safety = "FULL"
		}
	}
	return state, safety
}
