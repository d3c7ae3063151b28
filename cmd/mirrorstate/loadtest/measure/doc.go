// Package measure holds what a load test measures: the requests, the times without a principal, the
// integrity of the sessions, and the resources of the processes.
//
//   - [Recorder] takes a [Sample] of each request and keeps latencies, failures and a timeline.
//   - [Ledger] checks each answer against the writes, locks and removals that were acknowledged.
//   - [Watcher] follows the events of the pair; [Outages] finds the failovers in them.
//   - [Meter] reads the processor time and the memory of a process.
//
// A recorder costs memory for each request of the last minute and of the time around each failover.
// A ledger costs memory for each session, and for the last writes of each.
//
// The package makes no requests to sessions (package load does), and shows nothing (package report does).
package measure
