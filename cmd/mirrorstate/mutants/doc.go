// Package mutants is the proof that the tests would notice: every invariant of the
// design is broken on purpose, in several ways, and for each break a named test must go
// red. There is nothing to import.
//
// A mutant puts one snippet in the place of another in one file. go test -overlay lays
// the broken file over the source, so that the tree itself is never touched. Running
// all of them takes some minutes:
//
//	make mutants
//	make mutants ONLY='^I3 '
//
// make test only makes sure that the table is still about the code: that each snippet
// is where it was, that the broken file is Go, and that the test exists.
//
// What it does not prove: that no other break would go unnoticed; and nothing of the
// T-SQL in session/aspstate/schema, which nobody here executes. Its twin in Go, the
// embedded pair's procedures, is broken in its place.
package mutants
