// Package mutants proves that the tests notice broken code. It breaks every invariant of the design
// in several ways. For each break a named test must fail. The package exports nothing.
//
// A mutant replaces one snippet of one file. go test -overlay builds with the broken file, so that
// the source tree does not change. Most mutants break T-SQL in session/aspstate/schema, one
// procedure each. Their tests are built once and read the T-SQL from a folder. A run of all mutants
// takes half an hour, that of the T-SQL mutants ten minutes:
//
//	make mutants
//	make mutants ONLY='^I3 '
//	make mutants ONLY='MirrorState_'
//
// make test only checks that the tables match the code: each snippet is found, the broken file is
// valid Go, and the test exists.
//
// It does not prove that every other break would be noticed. It does not cover what protects
// concurrent calls from each other on SQL Server (locking hints, and conditions that a second
// statement checks again): the embedded pair runs one writing call after the other.
package mutants
