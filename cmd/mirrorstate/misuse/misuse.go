// Package misuse marks the errors which say that a call of the program can't be meant. The program ends with exit code 2
// then, and not with 1.
package misuse

import (
	"errors"
	"fmt"
)

// NamePair says what to type where a command goes to the servers, and was told of none.
const NamePair = `name it with --connection-string "data source=SQL1;failover partner=SQL2;user id=LOGIN" and its password's file with MIRRORSTATE_PAIR_PASSWORD_FILE, ` +
	`or with --web-config FILE, or with --config FILE that has pair.connection_string; mirrorstate serve prints where the servers of its embedded pair are`

// Error is a call of the program that can't be meant.
type Error struct{ error }

// Errorf says what is wrong with the call.
func Errorf(format string, args ...any) error { return Error{fmt.Errorf(format, args...)} }

// Of marks an error as a misuse.
func Of(err error) error { return Error{err} }

// Is reports whether an error is marked.
func Is(err error) bool {
	_, ok := errors.AsType[Error](err)
	return ok
}

// NoPair is the error of a command that goes to the servers, and was told of none.
func NoPair() error { return Errorf("no pair is configured: %s", NamePair) }
