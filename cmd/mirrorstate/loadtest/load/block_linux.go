package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// block blocks for a moment, with a lateness of some fifty microseconds.
func block(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
