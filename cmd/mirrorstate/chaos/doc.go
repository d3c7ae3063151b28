// Package chaos is the test that the promise holds: many clients drive proxies on
// one embedded pair while a seeded schedule of faults and failovers breaks it, and
// what they saw is checked afterwards. There is nothing to import.
//
// The history of each session is checked with porcupine against the model of a
// session with a lock (model_test.go), and, by rules that need no search, for
// acknowledged writes that are gone, reads of what had been replaced, locks held twice,
// effects of calls that were refused, locks that nobody holds, and answers "unknown"
// that nothing explains (invariants_test.go). Calls that fail are
// counted; 404, 409, 412 and 423 are answers and no failures. From the moment a partner
// has become principal to each proxy's first answer it is timed (resume).
//
//	make chaos SEED=7 FOR=5m
//	make chaos PROXIES=1 CLIENTS=24 FOR=30s
//	make chaos PROXIES=3 WITNESS=false FOR=2h FAILOVERS=1000
//	make chaos FOR=12h FAILOVERS=500 REQUESTS=500000
//
// The last ends when it has seen that many failovers and that many requests, and its
// summary says what came of them.
//
// make test runs three short runs: one proxy; three side by side, each with faults of
// its own, so that they disagree; and three on a pair without a witness, where their
// watchdogs force service. It also runs what proves that the check itself can fail:
// stores that lie in each way the promise forbids, on small histories. late_test.go has
// the late deliveries and the retries that are known to have broken the promise, one by
// one, without chance.
//
// # What runs
//
// Each proxy is the server of mirrorstate serve (package server), opened by server.New with a configuration and
// run by its Run: both listeners, limits, sweeper, observers and drain. The API of all but one has TLS. The watchdogs
// ask the operators' listeners of the other proxies. Between the API and its store, and before the API, a test
// notes when a request begins and ends. The summary says what server it was.
//
// # What disturbs
//
// A proxy is killed in this process (Server.Kill): its connections and its way to the servers end at
// one moment, nothing is drained or given back, and what it remembers on disk is all that
// it starts with again. Calls that were open on it end without an answer, and no others.
//
// A proxy is restarted: the context of its Run ends as by SIGTERM. Clients send it nothing more, it answers what it has
// within its drain, and starts again. No call may fail by that.
//
// Clients are rude (RUDE=false: they are not): they hang up in the middle of a call and send it again to another
// proxy with the same Idempotency-Key, or send it to two proxies at the same moment; a few
// never ask again. They hang up before the proxy has begun or soon after.
//
// Between each proxy and each server is a relay (RELAY=false: none). During each step of the
// schedule, from before the step until it is lifted, it does one thing to some of the requests: it resets the proxy's side and
// delivers the request late (0.2 to 3 s), or when the proxy has given up; it holds one back for a time, or until others have passed on
// other connections; it cuts a connection after the request, or in the middle of the answer; it loses
// the answers. Tests aim it at the next request that calls a procedure.
//
// Two .NET clients use the same sessions by the stock procedures (NET=false: none). They are not in runs
// without a witness: what .NET writes past the proxies is not fenced, so forcing service may lose it.
//
// # What histories know
//
// A call is over when one of its requests is answered. A refusal (404, 409, 412, 423) says
// that none of its requests has had an effect or ever will, also those whose client hung
// up. An acquire that was answered may have been granted to an earlier request and given
// back before, and not after.
//
// Three things leave a call open for ever: outcome-unknown, no answer, and an answer that
// did not come to the database (no-principal, overloaded) beside requests that were not
// answered. A request that its proxy has not begun with when the call is sent again
// is struck out (rude_test.go): of what sits unread in a socket nothing is promised.
//
// A session remembers its last four operations. On a session that many clients use at
// once, a call that has to be sent again can find that ring overrun: its outcome is
// unknown. That is allowed to one request in a thousand (in 200 with rude clients or relays), and only where the history has
// four other operations on the session meanwhile, or .NET has removed it. The entity tag
// that answers a write sent again may be one that no version has, which matches nothing.
//
// A removal of .NET's leaves no trace of what the session remembered. A put that was done before and is sent again
// after, unanswered yet, makes the session anew: histories allow that. They do not allow it once the put is answered.
//
// A client that hung up and never asks again may leave a lock behind: the answer may have been in the
// socket. Such a session is retired.
//
// A seed decides what is done to whom, in which order and for how long, and what each
// client wants; which call meets which fault is up to the machine.
package chaos
