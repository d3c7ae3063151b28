// Package partner makes a pair of SQL Servers, of which one is principal, look
// like one server that never fails over.
//
// A call given to [Pair.Do] runs on the partner believed to be principal. When
// that belief turns out wrong, or nobody answers, the call is held, bounded in
// number, bytes and time, while one prober asks both partners every few
// milliseconds; it runs again as soon as one of them serves. With a healthy
// principal a call costs one atomic load, one breaker call and the checkout of
// a connection beside its own round trip.
//
// Observing (probe.go), deciding (decide.go, pure) and acting (act.go) are
// kept apart. What was accepted is remembered on disk where Config.Memory names a
// file (memory.go), and an operator's word overrides it ([Pair.Accept]). What the
// package does not do: it knows nothing of sessions, does not make calls
// repeatable (the caller's operation ids do), and starts no failover by itself,
// unless the watchdog (watchdog.go, its decision pure in watchdogdecide.go) is
// told to.
package partner
