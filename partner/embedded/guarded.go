package embedded

import (
	"fmt"
	"runtime/debug"
)

// panicError is a fault of this package that a request has met: the request fails, and nobody else.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("a fault of the embedded server: %v", e.value)
}

// guarded runs f and gives its panic as an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}
