// Package chaos is the test that the promise holds: many clients drive proxies on
// one embedded pair while a seeded schedule of faults and failovers breaks it, and
// what they saw is checked afterwards. There is nothing to import.
//
// The history of each session is checked with porcupine against the model of a
// session with a lock (model_test.go), and, by rules that need no search, for
// acknowledged writes that are gone, reads of what had been replaced, and locks
// held twice (invariants_test.go). Calls that fail are counted; 404, 409, 412 and 423
// are answers and no failures.
//
//	make chaos SEED=7 FOR=5m
//	make chaos PROXIES=1 CLIENTS=24 FOR=30s
//
// make test runs what proves that the check itself can fail: stores that lie in each
// way the promise forbids, on small histories.
//
// A session remembers its last four operations. On a session that many clients use at
// once, a call that has to be sent again can find that ring overrun: its outcome is
// unknown, which is counted and allowed to one request in a hundred, a client that sends
// it once more learns nothing that can be relied on, and the entity tag that answers a
// repeated store may be a later version's. And proxies that
// register an application at the same moment collide, so that it is done before.
// -chaos.strict allows none of these.
//
// A seed decides what is done to whom, in which order and for how long, and what each
// client wants; which call meets which fault is up to the machine.
package chaos
