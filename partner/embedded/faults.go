package embedded

import (
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
)

// Fault is a fault of a partner: one of the variables below, or a result of [Slow] or [ParseFault]. [Partner.Inject]
// refuses the zero Fault. Of(app) limits Freeze, Sever, Isolate or Slow to the connections of one application. It finds
// them by the application name in their LOGIN7. The server itself continues.
type Fault = mirror.Fault

// The faults except [Slow]. Freeze, Isolate, Partition and Slow last until Heal. Crash and Stop last until Start or
// Heal. Sever ends at once.
var (
	// Crash ends the server as kill -9 does: its port refuses connections.
	Crash = mirror.Crash
	// Stop shuts the server down in order.
	Stop = mirror.Stop
	// Start starts a server that is down, and removes no fault.
	Start = mirror.Start
	// Freeze stops the server's work: it accepts connections and never answers. When the fault is removed, the server
	// answers the requests that wait in its sockets.
	Freeze = mirror.Freeze
	// Sever resets every connection.
	Sever = mirror.Sever
	// Partition cuts the link between the partners; clients and the witness reach both.
	Partition = mirror.Partition
	// Isolate makes a running partner unreachable: a new connection to it hangs, as behind a firewall.
	Isolate = mirror.Isolate
	// Heal removes all faults of the partner, and starts it. It does not wait for [Pair.Synchronized].
	Heal = mirror.Heal
)

// Slow delays each write to a client by delay, plus or minus up to jitter. One of the two must be above 0.
func Slow(delay, jitter time.Duration) Fault { return mirror.Slow(delay, jitter) }

// ParseFault returns the fault of that kind: crash, stop, start, freeze, sever, partition, isolate, slow, or none
// (Heal). delay and jitter apply only to slow; app is as in [Fault]. The error says what is wrong.
func ParseFault(kind string, delay, jitter time.Duration, app string) (Fault, error) {
	return mirror.ParseFault(kind, delay, jitter, app)
}
