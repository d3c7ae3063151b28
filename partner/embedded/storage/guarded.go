package storage

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a fault of this package that a request has met: the request fails, and nobody else.
type PanicError struct {
	value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("a fault of the embedded server: %v", e.value)
}

// Guarded runs f and gives its panic as an error.
func RecoverPanic(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}
