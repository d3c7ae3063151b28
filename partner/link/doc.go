// Package link connects to one partner:
//
//   - [Server] is the partner (server.go). [Endpoint] is what a pair needs of it.
//   - A [Pool] holds the connections of one term (pool.go, connector.go). A login is bounded in time.
//   - A probe asks for role, state and epoch on a connection in master that is kept between probes (probe.go, group.go, queries.go).
//   - [CallTimes] records when calls succeeded, so that a slow probe is not taken for a lost partner (calltimes.go).
//   - [Console] is an administrator's connection (console.go).
//
// A probe costs two round trips. Every wait is bounded by one of the [Budgets]. The package decides nothing: it
// returns what a server answered.
package link
