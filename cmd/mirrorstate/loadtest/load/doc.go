// Package load is the load on one store: the clients that visit sessions, and the pace of their visits.
//
// The load is an open model: arrivals come at a fixed rate, whatever became of the earlier ones, and
// the latency of a request counts from when it was due ([Pacer]). With a rate of 0 it is a closed
// loop. Each answer is checked by a [measure.Ledger].
//
// A load costs a goroutine for each client. It does not know what its store is, keeps no latencies,
// and causes no failovers.
package load
