// Package loadtest drives load against mirrorstate, has the pair fail over meanwhile,
// and says with numbers what that cost: mirrorstate loadtest.
//
// The load is an open model: arrivals come at a fixed rate whatever became of the
// earlier ones, and a request's latency counts from when it was due (pace.go). What the
// sessions hold is checked against a ledger of what was acknowledged (ledger.go).
// Failovers are asked for through the operators' listener, or recognised in the pair's
// events (failures.go, watch.go, outage.go).
//
// A way to the sessions is a [session.Store]: the HTTP API, the handler that a team
// would write over the driver, our store without HTTP, a bare statement. Each has its
// server in a process of its own, which lives as long as this one (child.go).
//
// It costs memory for every request of the last minute and around each failover, and
// processor time, which the report tells.
package loadtest
