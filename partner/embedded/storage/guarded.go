package storage

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic in this package during a request. Only that request fails.
type PanicError struct {
	value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("internal error of the embedded server: %v", e.value)
}

// RecoverPanic runs f and returns its panic as an error.
func RecoverPanic(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}
