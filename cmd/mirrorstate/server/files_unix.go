//go:build unix

package server

import (
	"math"
	"syscall"
)

// OpenFiles returns how many files this process may open; 0 if that is not known.
func OpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
