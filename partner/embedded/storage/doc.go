// Package storage is one server's copy of a database. The copy is a SQLite file, its connections, the commits written
// to it, and the objects that T-SQL has created in it.
//
// One connection writes at a time; readers read the committed state in parallel. SQLite reports to a [Writer] which
// rows are written. A [Record] holds these rows, with their values at the commit, and the changes of the schema: it is
// the unit that is mirrored. [Transferred] brings a copy up to the state of another copy that has committed more.
package storage
