// Package load puts load on one store. It has the clients that visit sessions, and the pace of their visits.
//
// The load is an open model: arrivals come at a fixed rate, whether the earlier ones have ended or not. The latency of
// a request counts from when the request was due ([Pacer]). With a rate of 0 it is a closed loop. Each answer is
// checked by a [measure.Ledger].
//
// A load costs a goroutine for each client. The package does not know the kind of its store, keeps no latencies, and
// causes no failovers.
package load
