// Package engine is an embedded server as its clients see it: logins and rights, batches, procedure calls,
// transactions, the catalogue, backups and the statements of mirroring.
//
// A [Partner] implements the handlers of package tds. A request is a batch (batch.go, batchflow.go) or a call of a
// procedure (execution.go, statement.go). Package tsql parses both and translates their queries to SQLite; package
// mirror gives them the turn to write.
package engine
