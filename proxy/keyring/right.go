package keyring

import (
	"fmt"
	"slices"
	"strings"
)

// Right is a set of what a caller may do.
type Right uint8

// The rights. Those to sessions count for the applications an entry names, on both
// listeners; the last two open the operators' listener.
const (
	Read    Right = 1 << iota // read sessions: GET, HEAD. A read slides the expiry unless it peeks.
	Write                     // make, store and touch sessions, with or without a lock's handle: POST, PUT
	Lock                      // take a session's lock, which reads it, and give it back
	Remove                    // remove sessions
	List                      // list sessions' ids, on both listeners
	Observe                   // see the pair, events and metrics, on the operators' listener
	Operate                   // all that Observe allows, failover, faults, sweeps and profiles too

	// Sessions are the rights to sessions that an application needs.
	Sessions = Read | Write | Lock | Remove
	// Operators are the rights of which one opens the operators' listener.
	Operators = Observe | Operate
)

// rightNames are the rights as they stand in the file, in the order of their bits.
var rightNames = []string{"read", "write", "lock", "remove", "list", "observe", "operator"}

// ParseRights reads names; the error says which are there.
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

// Names are the rights as they stand in the file.
func (r Right) Names() []string {
	var names []string
	for i, name := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the names with commas between them.
func (r Right) String() string { return strings.Join(r.Names(), ",") }
