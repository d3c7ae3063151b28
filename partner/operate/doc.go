// Package operate is what an administrator does to a pair of SQL Servers: it sets up
// mirroring or a clusterless availability group of one database on two servers, fails
// it over, suspends, resumes and removes it.
//
// A verb is a [Plan]: a list of steps, each of which is one T-SQL text for one server
// (a check, a statement, a wait, a value to carry over). The same list is printed as a
// script that a person can run ([Plan.Scripts]) and is carried out ([Run]). All
// statements stand in this package and nowhere else: endpoint.go, copying.go,
// mirroring.go and group.go.
//
// A statement's own answer decides nothing that a view can tell: SQL Server may break
// the connection of a role switch that went well, and accept one that fails later.
//
// What it does not do: it decides nothing for a proxy, knows nothing of what the
// database is for, and makes no network connection ([Server] is the caller's).
package operate
