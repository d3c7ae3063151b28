package embedded

import (
	"time"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/server"
)

// The face of a pair; the rooms below have what is behind it.
type (
	// Options says where a pair lives. The zero value of every field but Dir is usable.
	Options = mirror.Options
	// Pair is the two partners and the link between them.
	Pair = server.Pair
	// Partner is one of the two servers.
	Partner = server.Partner
	// Counters is what a partner has served since it was opened.
	Counters = server.Counters
	// Event is something that happened to the pair.
	Event = mirror.Event
	// Fault is what is done to a partner: one of those below, or what [Slow] and [ParseFault] give.
	Fault = mirror.Fault
	// Planted is what a test puts in place of the truth about one partner.
	Planted = server.Planted
)

// DatabaseName is the database that a pair begins with where nobody names another.
const DatabaseName = mirror.DatabaseName

// Open opens the pair's data and ports, and settles which partner is the
// principal: partner a of a fresh pair, and otherwise the one whose role came last. It
// serves nobody before Run. The error says what to do.
func Open(o Options) (*Pair, error) { return server.Open(o) }

// The faults, beside [Slow]. Freeze, Isolate, Partition and Slow last until Heal; Crash and Stop until Start or Heal; Sever is over at once.
var (
	// Crash ends the server as kill -9 does.
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
	// Isolate has nobody reach the partner, which lives.
	Isolate = mirror.Isolate
	// Heal lifts all faults of the partner, and starts it.
	Heal = mirror.Heal
)

// Slow has each write to a client wait for delay, plus or minus up to jitter. One of them must be above 0.
func Slow(delay, jitter time.Duration) Fault { return mirror.Slow(delay, jitter) }

// ParseFault is the fault of that kind, as [mirror.Fault.String] writes it. delay and jitter are of slow alone, app is as for
// [mirror.Fault.Of]. The error says what is wrong.
func ParseFault(kind string, delay, jitter time.Duration, app string) (Fault, error) {
	return mirror.ParseFault(kind, delay, jitter, app)
}

// ReadableSecondary has a database let everybody in and refuse writes (3906), for Planted.
var ReadableSecondary = mirror.ReadableSecondary

// SecondaryRefusal is the error of a secondary replica that can't be opened, for
// Planted: number is 976, 978, 983 or 988.
func SecondaryRefusal(number int32) error { return mirror.SecondaryRefusal(number) }
