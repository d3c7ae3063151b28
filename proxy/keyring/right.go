package keyring

import (
	"fmt"
	"slices"
	"strings"
)

// Right is a set of rights.
type Right uint8

// The rights. Rights to sessions apply to the applications that an entry names, on both
// listeners. The last two are rights to the operators' listener.
const (
	Read    Right = 1 << iota // read sessions: GET, HEAD. A read slides the expiry unless it peeks.
	Write                     // make, store and touch sessions, with or without a lock handle: POST, PUT
	Lock                      // acquire and release a session's lock; acquiring also reads the session
	Remove                    // remove sessions
	List                      // list session ids, on both listeners
	Observe                   // see the pair, events and metrics, on the operators' listener
	Operate                   // all that Observe allows, and failover, faults, sweeps and profiles

	// Sessions are the rights to sessions that an application needs.
	Sessions = Read | Write | Lock | Remove
	// Operators are the rights to the operators' listener; one of them gives access.
	Operators = Observe | Operate
)

// rightNames are the names of the rights in the file, in the order of their bits.
var rightNames = []string{"read", "write", "lock", "remove", "list", "observe", "operator"}

// ParseRights returns the rights with these names. The error for an unknown name lists the known ones.
func ParseRights(names []string) (Right, error) {
	var r Right
	for _, name := range names {
		i := slices.Index(rightNames, name)
		if i < 0 {
			return 0, fmt.Errorf("right %q is not one of %s", name, strings.Join(rightNames, ", "))
		}
		r |= 1 << i
	}
	return r, nil
}

// Names returns the names of the rights in the file.
func (r Right) Names() []string {
	var names []string
	for i, name := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names, separated by commas.
func (r Right) String() string { return strings.Join(r.Names(), ",") }
