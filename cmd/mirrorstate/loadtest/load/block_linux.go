package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// block blocks the thread for d. It is late by about 50 µs.
func block(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
