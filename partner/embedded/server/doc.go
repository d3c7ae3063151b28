// Package server is an embedded server as its clients see it: logins and rights, batches, procedure calls, transactions, the catalogue,
// backups and the statements of mirroring.
//
// A [Partner] answers package tds. A request is a batch (batch.go, batchflow.go) or a call of a procedure (program.go, statement.go);
// package tsql has parsed both and written their queries for SQLite, and package mirror has the turn in which they write.
package server
