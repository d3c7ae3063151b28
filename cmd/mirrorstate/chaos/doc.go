// Package chaos is the test that the promise holds: many clients drive proxies on
// one embedded pair while a seeded schedule of faults and failovers breaks it, and
// what they saw is checked afterwards. There is nothing to import.
//
// The history of each session is checked with porcupine against the model of a
// session with a lock (model_test.go), and, by rules that need no search, for
// acknowledged writes that are gone, reads of what had been replaced, locks held twice,
// and answers "unknown" that nothing explains (invariants_test.go). Calls that fail are
// counted; 404, 409, 412 and 423 are answers and no failures. From the moment a partner
// has become principal to each proxy's first answer it is timed (resume).
//
//	make chaos SEED=7 FOR=5m
//	make chaos PROXIES=1 CLIENTS=24 FOR=30s
//	make chaos PROXIES=3 WITNESS=false FOR=2h FAILOVERS=1000
//
// make test runs three short runs: one proxy; three side by side, each with faults of
// its own, so that they disagree; and three on a pair without a witness, where their
// watchdogs force service. It also runs what proves that the check itself can fail:
// stores that lie in each way the promise forbids, on small histories.
//
// A proxy is killed in this process: its connections and its way to the servers end at
// one moment, nothing is drained or given back, and what it remembers on disk is all that
// it starts with again. Calls that were open on it end without an answer, and no others.
//
// A session remembers its last four operations. On a session that many clients use at
// once, a call that has to be sent again can find that ring overrun: its outcome is
// unknown. That is allowed to one request in a thousand, and only where the history has
// four other operations on the session meanwhile. A client that sends such a call once
// more can rely on "done" and on nothing else, and the entity tag that answers a write
// sent again by the proxy may be one that no version has, which matches nothing.
//
// A seed decides what is done to whom, in which order and for how long, and what each
// client wants; which call meets which fault is up to the machine.
package chaos
