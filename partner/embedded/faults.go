package embedded

import (
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
)

// Fault is what is done to a partner: one of those below, or what [Slow] and [ParseFault] give. The zero Fault is none of them,
// and is refused. Of(app) hits the connections of one application alone, by the name in their LOGIN7: of Freeze, Sever, Isolate and
// Slow; the server itself goes on then.
type Fault = mirror.Fault

// The faults, beside [Slow]. Freeze, Isolate, Partition and Slow last until Heal; Crash and Stop until Start or Heal; Sever is over at once.
var (
	// Crash ends the server as kill -9 does: its port refuses connections.
	Crash = mirror.Crash
	// Stop ends it in good order.
	Stop = mirror.Stop
	// Start starts a server that is down, and lifts no fault.
	Start = mirror.Start
	// Freeze has the server stand still: it takes connections and never answers; what waits in its sockets goes on when it is lifted.
	Freeze = mirror.Freeze
	// Sever resets every connection.
	Sever = mirror.Sever
	// Partition has the partners lose each other; clients and witness see both.
	Partition = mirror.Partition
	// Isolate has nobody reach the partner, which lives: a new connection to it hangs, as behind a firewall.
	Isolate = mirror.Isolate
	// Heal lifts all faults of the partner, and starts it. It does not wait for [Pair.Synchronized].
	Heal = mirror.Heal
)

// Slow has each write to a client wait for delay, plus or minus up to jitter. One of them must be above 0.
func Slow(delay, jitter time.Duration) Fault { return mirror.Slow(delay, jitter) }

// ParseFault is the fault of that kind: crash, stop, start, freeze, sever, partition, isolate, slow, or none (Heal). delay and jitter are
// of slow alone, app as in [Fault]. The error says what is wrong.
func ParseFault(kind string, delay, jitter time.Duration, app string) (Fault, error) {
	return mirror.ParseFault(kind, delay, jitter, app)
}
