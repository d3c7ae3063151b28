// Package partner makes a pair of SQL Servers, of which one is principal and one is mirror, look like one
// server.
//
// A caller gives a call to [Pair.Do]. When the principal dies, this happens to the call, in this order:
//
//  1. Do runs the call on the known principal (do.go, attempt.go). The attempt fails.
//  2. The error gets a class (package classify): nothing was done, nothing was sent, or the outcome is unknown.
//  3. Do doubts the principal: the hold is shut, and both partners are probed every few milliseconds (do.go, pair.go).
//  4. The call waits in the hold (package hold). Number, bytes and time of waiting calls are bounded.
//  5. Each probe returns an observation (package link). From the two observations [Pair.Run] decides who is principal
//     (package choose), takes the next epoch there, and makes connections to it (act.go, member.go, term.go).
//  6. The hold opens and releases the call. Do runs it on the new principal and tells it that it may have been executed
//     before (Attempt.Resent).
//  7. If no partner becomes principal in time, Do returns a *CallError. It says whether the call was executed, or that
//     nobody knows (errors.go).
//
// The packages below this one:
//
//   - choose: who is principal, and whether the watchdog forces service. Pure decisions.
//   - link: connections to one partner, pools, probes.
//   - hold: where calls wait for a principal or for a connection. No SQL.
//   - classify: what an error means for a call. Pure.
//   - operate: the operators' verbs, such as failover and setup, for mirroring and availability groups.
//   - embedded: a mirrored pair in this process, which speaks TDS.
//   - agtest, tdstest: scripted servers for tests.
//
// The files of this package:
//
//   - do.go, call.go, attempt.go, attempttimer.go, exposed.go, errors.go: one call, from Do to its result.
//   - pair.go, member.go, clock.go, breaker.go: Run, which probes both partners.
//   - act.go, term.go: what Run does after an observation.
//   - config.go, names.go: the configuration, and the names that the packages below define.
//   - status.go, events.go, meter.go: what can be read from a pair.
//   - accept.go, admin.go, watchdog.go, memory.go: an operator's accept, the operators' verbs, the watchdog, and
//     the file that remembers the accepted principal.
//
// A call on a healthy principal costs one atomic load, one breaker call and the checkout of a connection,
// besides its own round trip. The package knows nothing about sessions. It does not make calls repeatable: the
// caller's operation ids do. It starts no failover by itself, unless the watchdog is enabled.
package partner
