package loadtest

import "time"

// The kinds of failovers.
const (
	kindManual    = "manual"    // planned: the roles change
	kindForce     = "force"     // the principal crashes, and service is forced
	kindCrash     = "crash"     // as kill -9
	kindFreeze    = "freeze"    // takes connections, never answers
	kindIsolate   = "isolate"   // nobody reaches the principal
	kindPartition = "partition" // the partners lose each other
	kindSever     = "sever"     // every connection is reset
	kindObserved  = "observed"  // a change of roles that was not asked for here
)

var kinds = []string{kindManual, kindForce, kindCrash, kindFreeze, kindIsolate, kindPartition, kindSever}

// faultTime is how long a fault lasts. Source: the contract.
const faultTime = 6 * time.Second

// recovery is how long after a failover the next one may come: a fault must be lifted
// and the mirror have caught up before, else two of them are measured as one.
func recovery(kind string) time.Duration {
	if kind == kindManual || kind == kindSever {
		return time.Second
	}
	return faultTime + 2*time.Second
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
