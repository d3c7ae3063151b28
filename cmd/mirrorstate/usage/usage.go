// Package usage marks errors in how the program was called. The program exits with code 2 for them, and with 1 for all
// others.
package usage

import (
	"errors"
	"fmt"
)

// NamePair is the advice for a command that needs a pair if none is configured.
const NamePair = `name it with --connection-string "data source=SQL1;failover partner=SQL2;user id=LOGIN" and the password file with MIRRORSTATE_PAIR_PASSWORD_FILE, ` +
	`or with --web-config FILE, or with --config FILE that sets pair.connection_string; mirrorstate serve prints the addresses of its embedded servers`

// Error is an error in how the program was called.
type Error struct{ error }

// Errorf returns an Error with a formatted text.
func Errorf(format string, args ...any) error { return Error{fmt.Errorf(format, args...)} }

// Of marks an error as a misuse.
func Of(err error) error { return Error{err} }

// Is reports whether an error is marked as a misuse.
func Is(err error) bool {
	_, ok := errors.AsType[Error](err)
	return ok
}

// NoPair returns the error of a command that needs a pair if none is configured.
func NoPair() error { return Errorf("no pair is configured: %s", NamePair) }
