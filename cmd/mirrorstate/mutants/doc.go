// Package mutants is the proof that the tests would notice: every invariant of the
// design is broken on purpose, in several ways, and for each break a named test must go
// red. There is nothing to import.
//
// A mutant puts one snippet in the place of another in one file. go test -overlay lays
// the broken file over the source, so that the tree itself is never touched. Those of the
// T-SQL in session/aspstate/schema, which are most, break one procedure each, and are read
// by tests that are built once. Running all of them takes half an hour, those of T-SQL ten
// minutes:
//
//	make mutants
//	make mutants ONLY='^I3 '
//	make mutants ONLY='MirrorState_'
//
// make test only makes sure that the table is still about the code: that each snippet
// is where it was, that the broken file is Go, and that the test exists.
//
// What it does not prove: that no other break would go unnoticed; and nothing of what
// keeps calls apart that run at the same time on SQL Server (the locking hints, and
// conditions that are looked at again by a second statement): the embedded pair runs one
// writing call after the other.
package mutants
