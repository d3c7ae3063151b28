package choose

import (
	"strings"
	"time"
)

// Name says which of the two partners is meant, whatever its role is now: "a" or "b".
type Name string

// The two names there are.
const (
	A Name = "a"
	B Name = "b"
)

// Observation is what one probe of one partner learned. The zero value says
// that the partner was never asked.
type Observation struct {
	Partner          Name
	Address          string        // as configured
	Began            time.Time     // when the probe began, on our clock
	ValidUntil       time.Time     // after that it proves nothing
	Since            time.Time     // when the first of an unbroken row of probes ended in which it claimed to be principal
	Request          uint64        // the pair's count of questions when the probe began
	Fresh            bool          // made on a connection of its own, not on the parked one
	Reachable        bool          // the server answered, if only to refuse
	Latency          time.Duration // round trip of the status query
	ClockOffset      time.Duration // its clock minus ours, half a round trip taken off
	Err              error         // what went wrong, also where the server is reachable
	PendingSince     time.Time     // when the question was asked that has no answer yet, and still may get one; zero: nothing is awaited
	ConfirmedByCalls bool          // a probe since was not answered, but calls sent after it began succeeded
	LastCall         time.Time     // when the newest call that succeeded there was sent; zero: none was

	ServerName      string // @@SERVERNAME
	Known           bool   // it has a database of that name
	State           string // sys.databases.state_desc
	ReadOnly        bool
	UserAccess      string
	Updateable      string // READ_WRITE, READ_ONLY, or empty: it doesn't say
	InGroup         bool   // it is in an availability group: what follows is told in mirroring's words
	MissingRight    string // why the role is unknown: which right the login lacks; empty: nothing is known to be missing
	Session         string // mirroring_guid, or the group's id behind groupPrefix; empty: neither, or not for our eyes
	Role            Role   // RoleUnknown also where it is simply not mirrored
	Mirroring       string // mirroring_state_desc, or what a group's databases say (see groupReplica.said)
	Sequence        int64  // mirroring_role_sequence, or a group's sequence_number; 0: unknown
	Safety          string
	PartnerName     string // TCP://… of the other's endpoint
	PartnerInstance string // mirroring_partner_instance
	WitnessState    string
	WitnessName     string // empty: no witness, or not told

	Opens       bool   // the database itself could be opened
	Extended    bool   // it has the epoch row
	Epoch       int64  // of that row
	EpochServer string // who took it
}

// MayOpen says whether it is worth trying to open the database: a mirror's is
// closed, and asking would only fill its error log.
func (o Observation) MayOpen() bool {
	return o.Reachable && o.Known && o.State == "ONLINE" && o.Role != RoleMirror
}

// Refusal says why the partner can't take writes, by its own word; empty: it can.
// An unknown role refuses nothing: a login without rights sees none, and what
// opens and is updateable is the principal.
func (o Observation) Refusal(now time.Time) string {
	switch {
	case o.Began.IsZero():
		return "not asked yet"
	case !o.Reachable:
		return "does not answer"
	case now.After(o.ValidUntil):
		return "has not answered lately"
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

// Mirrored says whether the partner told of its role in a mirroring session or
// an availability group.
func (o Observation) HasRole() bool { return o.Role != RoleUnknown && o.Role != "" }

// Exposed says whether this principal acknowledges what its mirror does not have.
func (o Observation) Exposed() bool {
	return o.Role == RolePrincipal && (o.Mirroring != "SYNCHRONIZED" || o.Safety == "OFF")
}

// Mirrors says whether the principal says that its mirror has all that is acknowledged.
func (o Observation) MirrorSynchronized() bool { return o.Role == RolePrincipal && !o.Exposed() }

// names are a partner's names in the epoch row: the server's own, or its
// configured address where both servers call themselves the same.
type epochNames struct {
	Own, other string // what to write; what the other partner writes
	alias      string // accepted as ours too, while nothing speaks against it
}

// NamesOf tells the names of o, whose partner is other.
func NamesOf(o, other Observation) epochNames {
	if o.ServerName == "" || strings.EqualFold(o.ServerName, other.ServerName) {
		return epochNames{Own: o.Address, other: other.Address}
	}
	return epochNames{Own: o.ServerName, other: other.ServerName, alias: o.Address}
}

// mine says whether server, of an epoch row, is the partner itself.
func (n epochNames) isOwn(server string) bool {
	return strings.EqualFold(server, n.Own) || n.alias != "" && strings.EqualFold(server, n.alias)
}

// theirs says whether it is the other partner.
func (n epochNames) isOther(server string) bool {
	return n.other != "" && strings.EqualFold(server, n.other)
}

// Role is a partner's role, as it says itself. Unknown is a role.
type Role string

// The roles.
const (
	RolePrincipal Role = "principal"
	RoleMirror    Role = "mirror"
	RoleUnknown   Role = "unknown"
)

// Index returns the partner's place in a pair's arrays: 0 for a, 1 for b.
func (n Name) Index() int {
	if n == B {
		return 1
	}
	return 0
}

// Agree reports whether two values are the same, as far as both are known.
func Agree[T comparable](a, b T) bool {
	var unknown T
	return a == b || a == unknown || b == unknown
}
