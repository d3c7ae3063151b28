// Package chaos tests the promise: many clients use proxies on one embedded pair, while a seeded schedule injects
// faults and causes failovers. Afterwards the test checks what the clients saw. The package exports nothing.
//
// The history of each session is checked in two ways. Porcupine compares it with the model of a session with a lock
// (model_test.go). Rules that need no search (invariants_test.go) find acknowledged writes that are lost, reads of
// replaced items, locks held twice, effects of refused calls, locks that nobody holds, and answers "unknown" without a
// reason. Failed calls are counted; 404, 409, 412 and 423 are answers, not failures. The time from a partner becoming
// principal to each proxy's first answer is measured (resume).
//
//	make chaos SEED=7 FOR=5m
//	make chaos PROXIES=1 CLIENTS=24 FOR=30s
//	make chaos PROXIES=3 WITNESS=false FOR=2h FAILOVERS=1000
//	make chaos FOR=12h FAILOVERS=500 REQUESTS=500000
//
// The last run ends after that many failovers and that many requests. Its summary shows the results.
//
// make test does three short runs: with one proxy; with three proxies, each with faults of its own, so that they
// disagree; and with three proxies on a pair without a witness, where their watchdogs force service. It also proves
// that the checks can fail: it checks small histories of stores that each break one part of the promise. late_test.go
// has the late deliveries and the retries that have broken the promise in the past, one by one and without random
// numbers.
//
// # What runs
//
// Each proxy is the server of mirrorstate serve (package server), opened by server.New with a configuration and
// run by its Run: both listeners, limits, sweeper, observers and drain. The API of all but one has TLS. The watchdogs
// ask the operators' listeners of the other proxies. In front of the API, and between the API and its store, the test
// records when a request begins and ends. The summary describes the server.
//
// # Disturbances
//
// A proxy is killed in this process (Server.Kill). Its connections to clients and servers close at the same moment, it
// drains nothing and releases no lock. It starts again with only its files on disk. Only the calls that were open on it
// end without an answer.
//
// A proxy is restarted: the context of its Run ends as by SIGTERM. Clients send it no more calls, it answers the open
// ones within its drain, and it starts again. No call may fail because of a restart.
//
// Clients are rude (RUDE=false turns this off). They hang up during a call and send it again to another proxy with the
// same Idempotency-Key, or they send it to two proxies at the same moment. A few never send it again. They hang up
// before the proxy has begun with the request, or soon after.
//
// Between each proxy and each server is a relay (RELAY=false: none). During each step of the schedule it does one thing
// to some of the requests:
//
//   - It resets the proxy's connection, and delivers the request late (0.2 to 3 s).
//   - It delivers the request only after the proxy has given up.
//   - It delays the request, or holds it back until requests on other connections have passed.
//   - It cuts the connection after the request, or in the middle of the answer.
//   - It loses the answers.
//
// Tests can aim a relay at the next request that calls a procedure.
//
// Two .NET clients use the same sessions by the stock procedures (NET=false: none). Runs without a witness have no .NET
// clients: .NET's writes bypass the proxies and are not fenced, so forcing service may lose them.
//
// # What histories know
//
// A call is over when one of its requests is answered. A refusal (404, 409, 412, 423) means that none of its requests
// has had an effect or ever will, including those whose client hung up. When an acquire is answered, an earlier request
// of it may have been granted the lock and released it before, but not after.
//
// Three results leave a call open forever: outcome-unknown; no answer; and an answer from before the database was
// reached (no-principal, overloaded) if other requests of the call were not answered. If a proxy has not begun with a
// request when the call is sent again, that request is cancelled (rude_test.go): nothing is promised for a request that
// nobody has read from its socket.
//
// A session remembers its last four operations. If many clients use a session at once, a call that is sent again may
// find its operation forgotten: its outcome is unknown. This is allowed for one request in a thousand (one in 200 with
// rude clients or relays), and only if the history has four other operations on the session meanwhile, or .NET has
// removed it. The entity tag in the answer to a write that is sent again may belong to no version; such a tag matches
// nothing.
//
// If .NET removes a session, the session's operations are forgotten. If a put was done before, and is sent again
// afterwards because it was not answered, it creates the session again. Histories allow this, but not after the put is
// answered.
//
// A client that hung up and never asks again may leave a lock behind, because the answer may have been in the socket.
// Such a session is retired.
//
// The seed decides what is done to whom, in which order and for how long, and what each client does. Which call meets
// which fault depends on the machine.
package chaos
