package link

import (
	"context"
	"database/sql"

	"github.com/mirrorstate/mirrorstate/partner/choose"
)

// SQL Server's numbers for a view that the login may not read, and for a column that the server's version does not have.
const (
	errNoPermission  = 297
	errNoServerState = 300
	errNoColumn      = 207
)

// unseenGroup is why the role of a replica is unknown: the want of a right is no failure of the server, and has to be said
// all the same, or nobody finds out why writes wait (pair.exposed: refuse).
const missingGroupRight = "the login may not see the availability group's state, and so not this replica's role: GRANT VIEW SERVER STATE to it on both servers"

// groupReplica is what one replica says of the database in its group.
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

// readGroup reads the partner's role in its availability group, in mirroring's
// words: the primary is the principal, a secondary the mirror, and a replica that is
// RESOLVING neither. Where the login may not see them, the role stays unknown, and o.Unseen says why.
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
		o.Role = choose.RoleMirror // neither; it opens for nobody
		o.Mirroring = "RESOLVING"
	}
	return nil
}

// askGroup sends queryGroup, or what a server before 2017 understands of it.
func (m *masterConn) fetchGroup(ctx context.Context) (g groupRows, err error) {
	if !m.server.before2017.Load() {
		if g, err = m.scanGroup(ctx, queryGroup); !hasNumber(err, errNoColumn) {
			return g, err
		}
		m.server.before2017.Store(true) // until the process ends: a server that was upgraded meanwhile loses a hint
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

// said is the state of a replica's database in one word: SUSPENDED, DISCONNECTED,
// or its synchronization_state_desc. DISCONNECTED means that it and the primary don't see each other.
func (r groupReplica) mirroringState() string {
	switch {
	case r.connected.String == "DISCONNECTED":
		return "DISCONNECTED"
	case r.suspended.Bool:
		return "SUSPENDED"
	}
	return r.state.String
}

// safety is the replica's availability mode as a safety level. To a login that may not see the mode a primary
// still tells whether its commits wait for the replica, which is what counts. Empty: unknown.
func (r groupReplica) safety() string {
	switch {
	case r.mode.String == "SYNCHRONOUS_COMMIT", !r.mode.Valid && r.participates.Valid && r.participates.Bool:
		return "FULL"
	case r.mode.String == "ASYNCHRONOUS_COMMIT", !r.mode.Valid && r.participates.Valid:
		return "OFF"
	}
	return ""
}

// bestOf is the state of a primary: that of the secondary that has most. A
// commit waits for the other only if both replicas are synchronous.
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
