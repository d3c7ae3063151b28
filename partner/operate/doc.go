// Package operate implements what an administrator does with a pair of SQL Servers: it sets up
// mirroring, or a clusterless availability group, of one database on two servers. It fails
// the pair over, suspends, resumes and removes it.
//
// A verb has a [Plan]: a list of steps. Each step is one T-SQL text for one server
// (a check, a statement, a wait, a value for later steps). The same list is printed as a
// script that a person can run ([Plan.Scripts]), or executed ([Runner.Run]). All
// statements are in this package: in endpoint.go, copying.go, mirroring.go and group.go.
//
// Where a view shows the result of a statement, the view decides and not the statement's answer. SQL Server may break
// the connection of a role switch that succeeds, and accept one that fails later.
//
// The package makes no decisions for a proxy, does not know what the database contains, and opens no network
// connection: the caller provides a [Server].
package operate
