// Package storage is one server's copy of a database: a file of SQLite, its connections, what is written there commit by commit,
// and which objects T-SQL has made in it.
//
// One connection writes at a time; readers see what is committed, beside it. SQLite tells a [Writer] which rows are written. These, as
// they are when it commits, and what changed the schema are a [Record]: the unit that is mirrored. [Transferred] brings a copy up to
// another that went on without it.
package storage
