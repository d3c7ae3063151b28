package partner

import (
	"context"
	"database/sql"
	"strings"
)

// groupPrefix stands before the id of an availability group where otherwise a
// mirroring session's stands, so that the two are never compared.
const groupPrefix = "availability group "

// groupSession says whether a session is that of an availability group.
func groupSession(session string) bool { return strings.HasPrefix(session, groupPrefix) }

// SQL Server's numbers for a view that the login may not read.
const (
	errNoPermission  = 297
	errNoServerState = 300
)

// groupReplica is what one replica says of the database in its group.
type groupReplica struct {
	mode, state, connected sql.NullString
	suspended              sql.NullBool
}

// readGroup reads the partner's role in its availability group, in mirroring's
// words: the primary is the principal, a secondary the mirror, and a replica that is
// RESOLVING neither. Where the login may not see them, the role stays unknown.
func (s *server) readGroup(ctx context.Context, o *Observation) error {
	rows, err := s.parked.conn.QueryContext(ctx, queryGroup, sql.Named("db", s.database))
	if hasNumber(err, errNoServerState) || hasNumber(err, errNoPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	var group, role sql.NullString
	var sequence sql.NullInt64
	var here groupReplica
	var others []groupReplica
	for rows.Next() {
		var other groupReplica
		if err := rows.Scan(&group, &sequence, &role, &here.mode, &here.state, &here.suspended,
			&other.mode, &other.state, &other.suspended, &other.connected); err != nil {
			return err
		}
		others = append(others, other)
	}
	if err := rows.Err(); err != nil {
		if hasNumber(err, errNoServerState) || hasNumber(err, errNoPermission) {
			return nil
		}
		return err
	}
	if !group.Valid {
		return nil
	}
	o.Session, o.Sequence = groupPrefix+group.String, sequence.Int64
	switch role.String {
	case "PRIMARY":
		o.Role = RolePrincipal
		o.Mirroring, o.Safety = bestOf(others, here.mode.String)
	case "SECONDARY":
		o.Role = RoleMirror
		o.Mirroring, o.Safety = here.said(), here.safety()
	case "RESOLVING":
		o.Role = RoleMirror // neither; it opens for nobody
		o.Mirroring = "RESOLVING"
	}
	return nil
}

// said is the state of a replica's database in one word: SUSPENDED, DISCONNECTED,
// or its synchronization_state_desc. A secondary does not tell whether it is connected.
func (r groupReplica) said() string {
	switch {
	case r.connected.String == "DISCONNECTED":
		return "DISCONNECTED"
	case r.suspended.Bool:
		return "SUSPENDED"
	}
	return r.state.String
}

// safety is the replica's availability mode as a safety level.
func (r groupReplica) safety() string {
	switch r.mode.String {
	case "SYNCHRONOUS_COMMIT":
		return "FULL"
	case "ASYNCHRONOUS_COMMIT":
		return "OFF"
	}
	return ""
}

// bestOf is the state of a primary: that of the secondary that has most. A
// commit waits for the other only if both replicas are synchronous.
func bestOf(others []groupReplica, mode string) (state, safety string) {
	state, safety = "DISCONNECTED", "OFF"
	for _, r := range others {
		if s := r.said(); s != "" && state != "SYNCHRONIZED" {
			state = s
		}
		if mode == "SYNCHRONOUS_COMMIT" && r.safety() == "FULL" {
			safety = "FULL"
		}
	}
	return state, safety
}
