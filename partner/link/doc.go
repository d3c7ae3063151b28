// Package link reaches one partner: connections with a bounded login, a pool for one term of a principal, and
// probes that ask for role, state and epoch on a connection parked in master.
//
// A probe costs two round trips on the parked connection, and nothing waits without one of the [Budgets]. The
// package decides nothing: it says what a server answered. [Console] is an administrator's connection.
package link
