package measure

import "time"

// The kinds of failovers and faults.
const (
	KindManual    = "manual"    // planned failover: the partners switch roles
	KindForce     = "force"     // the principal crashes, and service is forced on the mirror
	KindCrash     = "crash"     // the principal ends, as by kill -9
	KindFreeze    = "freeze"    // the principal accepts connections and never answers
	KindIsolate   = "isolate"   // nobody reaches the principal
	KindPartition = "partition" // the partners do not reach each other
	KindSever     = "sever"     // every connection to the principal is reset
	KindObserved  = "observed"  // a role change that the load test did not ask for
)

// Kinds lists the kinds that the load test can ask for.
var Kinds = []string{KindManual, KindForce, KindCrash, KindFreeze, KindIsolate, KindPartition, KindSever}

// FaultTime is how long a fault lasts. Source: the contract.
const FaultTime = 6 * time.Second

// Recovery returns how long after a failover of a kind the next one may start. By then the fault
// must be lifted and the mirror must have caught up. Otherwise both would be measured as one.
func Recovery(kind string) time.Duration {
	if kind == KindManual || kind == KindSever {
		return time.Second
	}
	return FaultTime + 2*time.Second
}

// Attempt is a failover that the load test asked for, with its result.
type Attempt struct {
	Kind      string        // one of Kinds
	At        time.Duration // when it was asked for, on the run's clock
	Partner   string        // the principal at that time
	Lifted    time.Duration // when the fault was lifted; 0: there was none to lift
	Refused   string        // why the failover did not happen; empty: it did
	NotLifted string        // why the fault could not be lifted; empty: it was
}
