package partner

import "strings"

// The words for how the two servers belong together.
const (
	TopologyMirroring = "mirroring"
	TopologyGroup     = "availability-group"
	TopologyPlain     = "plain"   // a principal serves that is neither mirrored nor in a group
	TopologyUnknown   = "unknown" // nobody could tell yet
)

// topology is what the partners tell of themselves, now
// or when a principal was last accepted. Silence proves nothing: a NULL in
// sys.database_mirroring may only mean that the login may not look, and on a mirror
// does for everybody but a sysadmin. It is "plain" only by the word of a partner
// whose database is open.
func (v view) topology() string {
	plain := false
	for _, o := range v.obs {
		switch {
		case o.Grouped:
			return TopologyGroup
		case o.mirrored() || o.Session != "":
			return TopologyMirroring
		}
		plain = plain || o.Opens
	}
	switch {
	case groupSession(v.accepted.Session):
		return TopologyGroup
	case v.accepted.Session != "":
		return TopologyMirroring
	case plain:
		return TopologyPlain
	}
	return TopologyUnknown
}

// groupPrefix stands before the id of an availability group where otherwise a
// mirroring session's stands, so that the two are never compared.
const groupPrefix = "availability group "

// groupSession reports whether a session is that of an availability group.
func groupSession(session string) bool { return strings.HasPrefix(session, groupPrefix) }
