// Package loadtest runs a load test: it puts load on mirrorstate, makes the pair fail over, and
// reports what that cost. It is the command mirrorstate loadtest.
//
// [Flags] are checked and become [Options]; [Run] runs the test and returns a report. Run starts
// what is missing, a pair and a server for each via, in separate processes ([RunChild]). It asks
// the operators' listener for the failovers, and reads all sessions back at the end.
//
//   - package load is the clients: an open model with a fixed rate of arrivals;
//   - package via holds the stores that are compared;
//   - package measure holds latencies, ledger, events and outages;
//   - package report shows the result.
//
// A load test costs memory for each request of the last minute and around each failover. It costs
// processor time, which the report shows. Without the operators' listener of a target it makes no
// failovers there, and recognises none.
package loadtest
