package measure

import "time"

// The kinds of failovers.
const (
	KindManual    = "manual"    // planned: the roles change
	KindForce     = "force"     // the principal crashes, and service is forced
	KindCrash     = "crash"     // as kill -9
	KindFreeze    = "freeze"    // takes connections, never answers
	KindIsolate   = "isolate"   // nobody reaches the principal
	KindPartition = "partition" // the partners lose each other
	KindSever     = "sever"     // every connection is reset
	KindObserved  = "observed"  // a change of roles that was not asked for here
)

var Kinds = []string{KindManual, KindForce, KindCrash, KindFreeze, KindIsolate, KindPartition, KindSever}

// FaultTime is how long a fault lasts. Source: the contract.
const FaultTime = 6 * time.Second

// Recovery is how long after a failover the next one may come: a fault must be lifted
// and the mirror have caught up before, else two of them are measured as one.
func Recovery(kind string) time.Duration {
	if kind == KindManual || kind == KindSever {
		return time.Second
	}
	return FaultTime + 2*time.Second
}

// Attempt is a failover that was asked for.
type Attempt struct {
	Kind      string
	At        time.Duration // when it was asked for, from the begin of measuring
	Partner   string        // the principal it was done to
	Lifted    time.Duration // when the fault was lifted; 0: it had not to be
	Refused   string        // why it was not made
	NotLifted string        // why the fault was not lifted
}
