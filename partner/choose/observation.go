package choose

import (
	"strings"
	"time"
)

// Name names one of the two partners, whatever its role is: "a" or "b".
type Name string

// The names of the partners.
const (
	A Name = "a"
	B Name = "b"
)

// Observation is what one probe learned about one partner. The zero value means that the partner was never
// probed.
type Observation struct {
	Partner          Name
	Address          string        // as configured
	Began            time.Time     // when the probe began, on our clock
	ValidUntil       time.Time     // after that time the observation is too old to use
	Since            time.Time     // when the partner's claim to be principal was first seen; every probe since has seen it
	Request          uint64        // number of the newest probe request when the probe began
	Fresh            bool          // the probe used a new connection, not one kept from an earlier probe
	Reachable        bool          // the server answered, possibly with an error
	Latency          time.Duration // round trip of the status query; 0 if it was not answered
	ClockOffset      time.Duration // the server's clock minus ours, corrected by half a round trip
	Err              error         // the probe's error; it may be set although Reachable is true
	PendingSince     time.Time     // when the unanswered probe was sent whose answer is still awaited; zero if none is awaited
	ConfirmedByCalls bool          // the probe was not answered, but calls sent after it succeeded
	LastCall         time.Time     // when the newest successful call was sent; zero if there was none

	ServerName      string // @@SERVERNAME
	Known           bool   // the server has a database of that name
	State           string // sys.databases.state_desc
	ReadOnly        bool   // sys.databases.is_read_only
	UserAccess      string // sys.databases.user_access_desc
	Updateable      string // READ_WRITE, READ_ONLY, or empty if unknown
	InGroup         bool   // the database is in an availability group; its terms are translated to those of mirroring below
	MissingRight    string // the right that the login lacks to see the role, as text; empty if none is known to be missing
	Session         string // mirroring_guid, or GroupPrefix and the group's id; empty if there is none or it is not visible
	Role            Role   // RoleUnknown also if the database is not mirrored
	Mirroring       string // mirroring_state_desc, or the corresponding state in a group
	Sequence        int64  // mirroring_role_sequence, or a group's sequence_number; 0 means unknown
	Safety          string // mirroring_safety_level_desc: FULL, OFF, UNKNOWN; empty if unknown
	PartnerName     string // TCP://… address of the other partner's mirroring endpoint
	PartnerInstance string // mirroring_partner_instance
	WitnessState    string // mirroring_witness_state_desc; empty if NULL
	WitnessName     string // empty if there is no witness or it is not visible

	Opens       bool   // the database could be opened
	Extended    bool   // the database has the epoch row
	Epoch       int64  // the value in that row; 0 on a stock schema
	EpochServer string // the server that took the epoch
}

// MayOpen reports whether to try to open the database. A mirror's database is closed, and a try only fills its
// error log.
func (o Observation) MayOpen() bool {
	return o.Reachable && o.Known && o.State == "ONLINE" && o.Role != RoleMirror
}

// Refusal returns why the partner cannot take writes at the time now, or "" if it can. An unknown role is no
// reason: a login without rights sees no role, and a database that is open and updateable is the principal's.
func (o Observation) Refusal(now time.Time) string {
	switch {
	case o.Began.IsZero():
		return "was not probed yet"
	case !o.Reachable:
		return "does not answer"
	case now.After(o.ValidUntil):
		return "has not answered recently"
	case !o.Known:
		return "has no such database"
	case o.Role == RoleMirror:
		return "is the mirror"
	case o.State != "ONLINE":
		return "is " + o.State
	case o.Mirroring == "PENDING_FAILOVER":
		return "is about to become the mirror"
	case o.ReadOnly || o.Updateable == "READ_ONLY":
		return "is read-only"
	case o.UserAccess == "SINGLE_USER":
		return "is in single-user mode"
	case !o.Opens:
		return "can't be opened"
	}
	return ""
}

// HasRole reports whether the partner showed a role in a mirroring session or an availability group.
func (o Observation) HasRole() bool { return o.Role != RoleUnknown && o.Role != "" }

// Exposed reports whether this principal acknowledges commits that its mirror may not have.
func (o Observation) Exposed() bool {
	return o.Role == RolePrincipal && (o.Mirroring != "SYNCHRONIZED" || o.Safety == "OFF")
}

// MirrorSynchronized reports whether the mirror of this principal has every acknowledged commit.
func (o Observation) MirrorSynchronized() bool { return o.Role == RolePrincipal && !o.Exposed() }

// epochNames are the server names that may stand in the epoch row. A server is named by @@SERVERNAME, or by its
// configured address if both servers have the same name.
type epochNames struct {
	Own, other string // Own is written for this partner; other is written for the other partner
	alias      string // also read as this partner; empty if there is no second name
}

// NamesOf returns the names of the partner o, whose partner is other.
func NamesOf(o, other Observation) epochNames {
	if o.ServerName == "" || strings.EqualFold(o.ServerName, other.ServerName) {
		return epochNames{Own: o.Address, other: other.Address}
	}
	return epochNames{Own: o.ServerName, other: other.ServerName, alias: o.Address}
}

// isOwn reports whether server is a name of this partner.
func (n epochNames) isOwn(server string) bool {
	return strings.EqualFold(server, n.Own) || n.alias != "" && strings.EqualFold(server, n.alias)
}

// isOther reports whether server is the name of the other partner.
func (n epochNames) isOther(server string) bool {
	return n.other != "" && strings.EqualFold(server, n.other)
}

// Role is the role that a partner reports. Unknown is a role of its own: it proves nothing.
type Role string

// The roles.
const (
	RolePrincipal Role = "principal"
	RoleMirror    Role = "mirror"
	RoleUnknown   Role = "unknown"
)

// Index returns the partner's index in the arrays of a pair: 0 for a, 1 for b.
func (n Name) Index() int {
	if n == B {
		return 1
	}
	return 0
}

// Agree reports whether two values are equal, or at least one is the zero value and so unknown.
func Agree[T comparable](a, b T) bool {
	var unknown T
	return a == b || a == unknown || b == unknown
}
